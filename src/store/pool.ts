/**
 * Several volumes as one store. Each has its own index, audit chain and worker; a file stands whole on one of them. Volumes
 * come and go while the pillar runs: what is on those that are not here, or do not answer, is said to be not available,
 * and everything else goes on. One volume alone is asked as if there was no pool.
 */
import type { AcceptedRequest, CollectionSummary } from '../index/index.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import type { World } from '../world/world.ts'
import type { BagGroup } from './bag-tags.ts'
import { newsDesk } from './news.ts'
import { poolAnswering } from './pool-answering.ts'
import { type Arrivals, arrivals } from './pool-arrivals.ts'
import { type Members, members as openMembers } from './pool-members.ts'
import { shadows } from './pool-overlap.ts'
import { type PoolParts, poolReading, storedOn } from './pool-reading.ts'
import { poolReceiving } from './pool-receiving.ts'
import { poolProving, poolRemoving, poolTrail } from './pool-removing.ts'
import { poolSleeping } from './pool-sleeping.ts'
import { stamps } from './stamps.ts'
import type { Sleeping, Store, VolumeState } from './store.ts'

export interface Pool extends Store, Arrivals {
  readonly sleeping: Sleeping
  readonly volumes: () => Promise<VolumeState[]>
  has(id: string): boolean
  /** The counts of each volume that answers, by its id. */
  summaries(): Promise<Record<string, CollectionSummary[]>>
  /** A volume that will not come back. */
  forget(id: string): Promise<void>
  refused(where: string, why: string): void
}

export interface PoolOptions {
  readonly kind: PillarKind
  readonly pillar: string
  readonly archive: string
}

export async function openPool(world: World, state: State, options: PoolOptions): Promise<Pool> {
  const members = await openMembers(state)
  const news = newsDesk()
  const back = returns()
  const parts = { members, stamps: stamps(world.clock), shadows: shadows(world) }
  const answering = poolAnswering(members, back.tell)
  const group = groups(members, options)
  const receiving = poolReceiving(parts, answering, group.spread)
  const several: Omit<Store, 'volume' | 'kind' | 'close' | 'watch' | 'halt'> = {
    stored: (collection, ids) => storedOn(parts, collection, ids),
    ...poolReading(parts),
    ...poolTrail(parts),
    ...receiving,
    ...poolRemoving(parts, receiving.standing),
    ...poolProving(parts),
    ...answering,
    ...poolState(parts),
  }
  const coming = arrivals({
    ...{ ...parts, world, answering, receiving, group },
    ...{ tell: news.tell, isHeard: back.isHeard },
  })
  let halted: string | undefined
  const pool: Pool = {
    ...several,
    get volume() {
      const [first = ''] = [...members.known].sort(([, a], [, b]) => a.slot - b.slot)[0] ?? []
      return first
    },
    kind: options.kind,
    volumes: members.states,
    away: members.away,
    sleeping: poolSleeping(members),
    watch: news.watch,
    onReturn: back.listen,
    has: (id) => members.here.has(id),
    async summaries() {
      const answers = await members.each(({ store }) => store.summary())
      return Object.fromEntries(answers.map(({ member, value }) => [member.id, value]))
    },
    forget: members.forget,
    ...coming,
    async attach(id, arriving) {
      await coming.attach(id, arriving)
      if (halted !== undefined) members.here.get(id)?.store.halt(halted)
    },
    halt(why) {
      halted = why
      for (const { store } of members.here.values()) store.halt(why)
    },
    refused: (where, why) => news.tell({ code: 'COMPONENT_FAILURE', text: `${where}: ${why}` }),
    async close() {
      await Promise.all(
        [...members.here.values()].map(async (member) => {
          await member.pulse.orSilent(member.store.close())
          member.pulse.stop()
        }),
      )
    },
  }
  return new Proxy(pool, {
    // While there is but one volume, each question goes straight to it.
    get: (target, name) => Reflect.get((name in several && members.only()) || target, name),
  })
}

/** Requests of volumes that came back, for whoever works on them; before anybody does he asks for all. */
function returns() {
  let listener: ((requests: readonly AcceptedRequest[]) => void) | undefined
  return {
    isHeard: () => listener !== undefined,
    tell: (requests: readonly AcceptedRequest[]) => listener?.(requests),
    listen(resume: (requests: readonly AcceptedRequest[]) => void): void {
      listener = resume
    },
  }
}

function poolState({
  members,
}: PoolParts): Pick<Store, 'space' | 'receivingCount' | 'trouble' | 'flush'> {
  return {
    async space() {
      const sum = { bytesFree: 0, bytesTotal: 0, bytesReserved: 0, bytesRetained: 0, bytesOpen: 0 }
      for (const { value } of await members.each(({ store }) => store.space())) {
        sum.bytesFree += value.bytesFree
        sum.bytesTotal += value.bytesTotal
        sum.bytesReserved += value.bytesReserved
        sum.bytesRetained += value.bytesRetained
        sum.bytesOpen += value.bytesOpen
      }
      return sum
    },
    async receivingCount() {
      const counts = await members.each(({ store }) => store.receivingCount())
      return counts.reduce((sum, { value }) => sum + value, 0)
    },
    trouble() {
      const ready = members.ready()
      if (ready.length === 0) return members.away() ?? 'no volume is available'
      const troubles = ready.map(({ store }) => store.trouble())
      return troubles.includes(undefined) ? undefined : troubles[0]
    },
    async flush() {
      await members.each(({ store }) => store.flush())
    },
  }
}

/** Which collections are spread over several volumes, as their bags are to say. */
function groups(members: Members, options: PoolOptions) {
  const holders = new Map<string, Set<string>>()
  const bySlot = (ids: Iterable<string>): string[] =>
    [...ids].sort((a, b) => (members.known.get(a)?.slot ?? 0) - (members.known.get(b)?.slot ?? 0))
  return {
    spread(collection: string, volume: string): void {
      const known = holders.get(collection) ?? new Set()
      if (known.has(volume)) return
      known.add(volume)
      holders.set(collection, known)
      // The others' bags say so soon, not only when they change the next time.
      if (known.size > 1)
        for (const { id, store } of members.ready())
          if (id !== volume && known.has(id)) void store.flush().catch(() => undefined)
    },
    of(volume: string, collection: string): BagGroup | undefined {
      const all = bySlot(new Set([...(holders.get(collection) ?? []), volume]))
      const unknown = [...members.known.keys()].some((id) => !members.here.has(id))
      if (all.length < 2 && !unknown) return undefined
      const identifier = `${options.archive}/${options.pillar}/${collection}`
      return { identifier, count: `${all.indexOf(volume) + 1} of ${unknown ? '?' : all.length}` }
    },
  }
}
