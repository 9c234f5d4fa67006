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
  const members = [...candidates]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((one) => ({
      id: one.id,
      capacity: capacityOf(one, known?.capacities[one.id], policy.bytes),
      ...(one.site === undefined ? {} : { site: one.site }),
    }))
  if (known?.membership.copies === policy.copies && isSame(known, members)) return undefined
  const { copies } = policy
  const version = (known?.membership.version ?? 0) + 1
  const weighed = fit(version, copies, members).membership.members
  return {
    membership: { collection, version, copies, members: [...weighed] },
    capacities: Object.fromEntries(members.map(({ id, capacity }) => [id, capacity])),
  }
}

function capacityOf(
  { usable, open }: Candidate,
  before: number | undefined,
  fragmentBytes: number,
): number {
  const wasFull = before === 0
  if (open < fragmentBytes * (wasFull ? roomFrom : fullBelow)) return 0
  if (before === undefined || wasFull) return usable
  return Math.abs(usable - before) <= before * trifle ? before : usable
}

function isSame(
  { membership, capacities }: Weighing,
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
