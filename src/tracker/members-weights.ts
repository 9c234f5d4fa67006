/**
 * Membership versions. Pure: a version is made only when who is a member, or how much he can hold, has changed by more
 * than a trifle, so that the candidates of a fragment stay the same from day to day.
 */
import { fit } from '../placement/fit.ts'
import type { Membership } from '../protocol/fragments.ts'

export interface Candidate {
  readonly id: string
  /** Bytes that it holds of fragments or has room for. */
  readonly usable: number
  /** Room that may still be promised. */
  readonly open: number
  readonly site?: string
}

/** A version, with what it was made of. */
export interface Weighing {
  readonly membership: Membership
  /** As the weights were fitted for them; 0: gets nothing new. */
  readonly capacities: Readonly<Record<string, number>>
  /** The same as if all were empty, so that who is full keeps its share; `unusable` are bytes that no fragment can use. */
  readonly fair?: {
    readonly membership: Membership
    readonly capacities: Readonly<Record<string, number>>
    readonly unusable: Readonly<Record<string, number>>
  }
}

/** A capacity that differs by less than this part is the same. */
const trifle = 0.1
/** Full below so much room, in fragments; not full any more from so much on. */
const fullBelow = 4
const roomFrom = 64

/** The next version, or undefined when the one there is holds. */
export function reweigh(
  known: Weighing | undefined,
  collection: string,
  policy: { readonly bytes: number; readonly copies: number },
  candidates: readonly Candidate[],
): Weighing | undefined {
  if (!known && candidates.length === 0) return undefined
  const ordered = [...candidates].sort((a, b) => (a.id < b.id ? -1 : 1))
  const members = ordered.map((one) => ({
    id: one.id,
    capacity: capacityOf(one, known?.capacities[one.id], policy.bytes),
    ...(one.site === undefined ? {} : { site: one.site }),
  }))
  const empty = members.map((one, n) => ({
    ...one,
    capacity: steady(ordered[n]?.usable ?? 0, known?.fair?.capacities[one.id]),
  }))
  const { copies } = policy
  const same = known?.membership.copies === copies && isSame(known, members)
  if (same && known.fair && isSame(known.fair, empty)) return undefined
  const version = (known?.membership.version ?? 0) + 1
  const fitted = (some: typeof members) => {
    const { membership, unusable } = fit(version, copies, some)
    return {
      membership: { collection, version, copies, members: [...membership.members] },
      capacities: Object.fromEntries(some.map(({ id, capacity }) => [id, capacity])),
      unusable: Object.fromEntries([...unusable].filter(([, bytes]) => bytes > 0)),
    }
  }
  const { membership, capacities, unusable } = fitted(members)
  const isSameEmpty = members.every(({ capacity }, n) => empty[n]?.capacity === capacity)
  const fair = isSameEmpty ? { membership, capacities, unusable } : fitted(empty)
  return { membership, capacities, fair }
}

const steady = (usable: number, before: number | undefined): number =>
  before !== undefined && before > 0 && Math.abs(usable - before) <= before * trifle
    ? before
    : usable

function capacityOf(
  { usable, open }: Candidate,
  before: number | undefined,
  fragmentBytes: number,
): number {
  const wasFull = before === 0
  if (open < fragmentBytes * (wasFull ? roomFrom : fullBelow)) return 0
  if (before === undefined || wasFull) return usable
  return steady(usable, before)
}

function isSame(
  { membership, capacities }: Pick<Weighing, 'membership' | 'capacities'>,
  members: readonly { id: string; capacity: number; site?: string }[],
): boolean {
  return (
    membership.members.length === members.length &&
    members.every(({ id, capacity, site }, n) => {
      const known = membership.members[n]
      return known?.id === id && known.site === site && capacities[id] === capacity
    })
  )
}
