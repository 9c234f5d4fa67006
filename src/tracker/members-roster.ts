/** The members and their weights, durable: one commit changes both. */
import type { Membership } from '../protocol/fragments.ts'
import type { Directory } from '../trust/directory.ts'
import type { View, ViewChange, ViewMember } from '../view/view.ts'
import type { World } from '../world/world.ts'
import { type Candidate, reweigh, type Weighing } from './members-weights.ts'

/**
 * Between two looks at the weights: whoever joins meanwhile comes with the same version. A thousand boards that come back
 * at once are not weighed a thousand times.
 */
const weighMsMin = 1_000
/** Weighing takes no more than this part of the time. */
const weighPart = 20

export interface RosterParts {
  readonly world: World
  readonly directory: Directory
  readonly view: View
  leaves?(pillar: string): boolean
}

const membershipKey = (collection: string): string => `membership ${collection}`

export async function openRoster({ world: { clock }, directory, view, leaves }: RosterParts) {
  const members = new Map((await view.members()).map((one) => [one.pillar, one]))
  const weighings = openWeighings(view)
  const policies = () =>
    directory
      .document()
      .collections.flatMap(({ name, pillars, fragments }) =>
        fragments ? [{ name, pillars, fragments }] : [],
      )
  const collectionsOf = (pillar: string): string[] =>
    policies()
      .filter(({ pillars }) => pillars.includes(pillar))
      .map(({ name }) => name)
  for (const { name } of policies()) await weighings.known(name)

  const registered = (pillars: readonly string[]): ViewMember[] =>
    pillars.flatMap((pillar) => {
      const member = members.get(pillar)
      return member?.state === 'registered' ? [member] : []
    })
  async function candidate(member: ViewMember): Promise<Candidate> {
    const { pillar, bytesTotal, bytesOpen, site } = member
    let held = 0
    for (const collection of collectionsOf(pillar))
      held += (await view.holding(collection, pillar)).bytes
    const open = leaves?.(pillar) ? 0 : bytesOpen
    const usable = leaves?.(pillar) ? 0 : Math.min(bytesTotal, bytesOpen + held)
    return { id: pillar, usable, open, ...(site === undefined ? {} : { site }) }
  }
  async function weighed(): Promise<Weighing[]> {
    const fresh: Weighing[] = []
    for (const { name, pillars, fragments } of policies()) {
      const candidates = await Promise.all(registered(pillars).map(candidate))
      const weighing = reweigh(await weighings.known(name), name, fragments, candidates)
      if (weighing) fresh.push(weighing)
    }
    return fresh
  }
  const turn = inTurns(clock)
  return {
    members: members as ReadonlyMap<string, ViewMember>,
    collectionsOf,
    named: () => [...new Set(policies().flatMap(({ pillars }) => pillars))],
    counting: (collection: string): string[] => {
      const policy = policies().find(({ name }) => name === collection)
      return registered(policy?.pillars ?? [])
        .map(({ pillar }) => pillar)
        .filter((pillar) => !leaves?.(pillar))
    },
    membership: weighings.get,
    fair: (collection: string): Membership | undefined =>
      weighings.weighing(collection)?.fair?.membership,
    unusable: (collection: string): ReadonlyMap<string, number> =>
      new Map(Object.entries(weighings.weighing(collection)?.fair?.unusable ?? {})),
    memberships: () => policies().flatMap(({ name }) => weighings.get(name) ?? []),
    /** When what has changed is weighed, monotonic milliseconds. */
    dueAt: turn.dueAt,
    /** Gives the memberships that follow from it, and are new; none while the last are fresh, then those of `dueAt`. */
    async change(
      next: readonly ViewMember[],
      leaving: readonly string[] = [],
    ): Promise<Membership[]> {
      const before = [...members]
      for (const member of next) members.set(member.pillar, member)
      for (const pillar of leaving) members.delete(pillar)
      try {
        const fresh = await turn.take(weighed)
        await view.change([
          ...next.map((member): ViewChange => ({ do: 'member', member })),
          ...leaving.map((pillar): ViewChange => ({ do: 'leave', pillar })),
          ...fresh.map(weighings.change),
        ])
        return fresh.map(weighings.set)
      } catch (error) {
        members.clear()
        for (const [pillar, member] of before) members.set(pillar, member)
        throw error
      }
    },
  }
}

/** Work that gives nothing while what it gave last is fresh; then it is due later. */
function inTurns({ monotonic }: World['clock']) {
  /** Monotonic milliseconds. */
  let freshUntil = Number.NEGATIVE_INFINITY
  let isDue = false
  return {
    dueAt: (): number => (isDue ? freshUntil : Infinity),
    async take<T>(work: () => Promise<T[]>): Promise<T[]> {
      const began = monotonic()
      isDue = true
      if (began < freshUntil) return []
      const done = await work()
      isDue = false
      const least = done.length > 0 ? weighMsMin : 0
      freshUntil = monotonic() + Math.max(least, weighPart * (monotonic() - began))
      return done
    },
  }
}

/** Of each collection the membership that was last made, also before a restart. */
function openWeighings(view: View) {
  const weighings = new Map<string, Weighing>()
  return {
    get: (collection: string): Membership | undefined => weighings.get(collection)?.membership,
    weighing: (collection: string): Weighing | undefined => weighings.get(collection),
    async known(collection: string): Promise<Weighing | undefined> {
      const found = weighings.get(collection)
      if (found) return found
      const text = await view.fact(membershipKey(collection))
      if (text === undefined) return undefined
      const read = JSON.parse(text) as Weighing
      weighings.set(collection, read)
      return read
    },
    change: (one: Weighing): ViewChange => ({
      do: 'fact',
      key: membershipKey(one.membership.collection),
      value: JSON.stringify(one),
    }),
    set(one: Weighing): Membership {
      weighings.set(one.membership.collection, one)
      return one.membership
    },
  }
}
