/**
 * Several volumes as one store. Each has its own index, audit chain and worker; a file stands whole on one of them. Volumes
 * come and go while the pillar runs: what is on those that are not here, or do not answer, is said to be not available,
 * and everything else goes on. One volume alone is asked as if there was no pool.
 */
import type { Index } from '../index/index.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import type { BagGroup } from './bag.ts'
import { poolAnswering } from './pool-answering.ts'
import { type Member, type Members, members as openMembers } from './pool-members.ts'
import { lookThrough, type Shadows, shadows as noShadows } from './pool-overlap.ts'
import { type PoolParts, poolReading, storedOn } from './pool-reading.ts'
import { poolReceiving } from './pool-receiving.ts'
import { poolProving, poolRemoving, poolTrail } from './pool-removing.ts'
import { type Pulse, pulse } from './pulse.ts'
import { type Stamps, stamps } from './stamps.ts'
import type { Store, VolumeNews, VolumeState } from './store.ts'

/** How a volume is to be opened for the pool. */
export interface Opening {
  /** Its index and disk are to be used through these. */
  readonly pulse: Pulse
  indexed(index: Index): Index
  /** What its bags say of the others. */
  group(collection: string): BagGroup | undefined
  /** It takes no more writes. */
  failed(why: string): void
}

export interface Opened {
  readonly store: Store
  readonly index: Index
}

export interface Pool extends Store {
  readonly volumes: () => Promise<VolumeState[]>
  has(id: string): boolean
  /** Takes a volume; resolves when it is looked through and asked from now on. */
  attach(id: string, open: (opening: Opening) => Promise<Opened>): Promise<void>
  /** It is not here any more: what is under way on it fails, all else goes on. */
  detach(id: string, why: 'missing' | 'ejected'): void
  /** Nothing new comes to it any more; resolves when nothing is on its way to it, or after `ms`. */
  drain(id: string, ms: number): Promise<void>
  /** A volume that will not come back. */
  forget(id: string): Promise<void>
  refused(where: string, why: string): void
}

export interface PoolOptions {
  readonly kind: PillarKind
  readonly pillar: string
  readonly archive: string
}

interface Heart {
  readonly world: World
  readonly state: State
  readonly members: Members
  readonly stamps: Stamps
  readonly shadows: Shadows
  readonly options: PoolOptions
  tell(news: VolumeNews): void
}

export async function openPool(world: World, state: State, options: PoolOptions): Promise<Pool> {
  const members = await openMembers(state)
  const news = teller()
  const parts = { members, stamps: stamps(world.clock), shadows: noShadows(world) }
  const heart: Heart = { world, state, options, ...parts, tell: news.tell }
  const answering = poolAnswering(members, news.tell)
  const group = groups(heart)
  const receiving = poolReceiving(parts, answering, group.spread)
  const several: Omit<Store, 'volume' | 'kind' | 'close'> = {
    stored: (collection, ids) => storedOn(parts, collection, ids),
    ...poolReading(parts),
    ...poolTrail(parts),
    ...receiving,
    ...poolRemoving(parts, receiving.standing),
    ...poolProving(parts),
    ...answering,
    ...poolState(parts),
  }
  const coming = arrivals(heart, { answering, receiving, group, isListening: news.isHeard })
  const pool: Pool = {
    ...several,
    get volume() {
      const [first = ''] = [...members.known].sort(([, a], [, b]) => a.slot - b.slot)[0] ?? []
      return first
    },
    kind: options.kind,
    volumes: members.states,
    away: members.away,
    news: news.listen,
    has: (id) => members.here.has(id),
    forget: members.forget,
    ...coming,
    refused: (where, why) =>
      news.tell({ is: 'alarm', code: 'COMPONENT_FAILURE', text: `${where}: ${why}` }),
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

function teller() {
  const waiting: VolumeNews[] = []
  let listener: ((news: VolumeNews) => void) | undefined
  return {
    isHeard: () => listener !== undefined,
    tell(news: VolumeNews): void {
      if (listener) listener(news)
      else waiting.push(news)
    },
    listen(listen: (news: VolumeNews) => void): void {
      listener = listen
      for (const one of waiting.splice(0)) listen(one)
    },
  }
}

function poolState({ members }: PoolParts): Pick<
  Store,
  'space' | 'receivingCount' | 'trouble' | 'flush'
> {
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
function groups({ members, options }: Heart) {
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

interface Beside {
  readonly answering: ReturnType<typeof poolAnswering>
  readonly receiving: ReturnType<typeof poolReceiving>
  readonly group: ReturnType<typeof groups>
  isListening(): boolean
}

function arrivals(
  heart: Heart,
  { answering, receiving, group, isListening }: Beside,
): Pick<Pool, 'attach' | 'detach' | 'drain'> {
  const { world, members, stamps, shadows, tell } = heart
  const oneAtATime = lock()
  const alarm = (text: string, code: 'COMPONENT_FAILURE' | 'INTEGRITY_ISSUE'): void =>
    tell({ is: 'alarm', code, text })

  /** Before it is asked: nothing of it may stand elsewhere. */
  async function join(member: Member): Promise<void> {
    const others = [...members.here.values()].filter((one) => one !== member)
    const answering = others.filter(({ pulse }) => !pulse.isSilent())
    if (members.known.size > 1) await stamps.share([member.index, ...answering.map((one) => one.index)])
    const unseen = [...members.known.values()].some((known) => known.unseen)
    if (unseen && others.length > 0) {
      await receiving.settled()
      await lookThrough(shadows, member, answering, (file, served, shadowed) =>
        alarm(
          `${file.collection}/${file.id}: other bytes stand on volume ${shadowed.id} than on ${served.id}, whose are served`,
          'INTEGRITY_ISSUE',
        ),
      )
    }
    const all = answering.length === members.known.size - 1
    if (all && shadows.count() === 0)
      for (const [id, known] of members.known)
        if (known.unseen) await members.note(id, { unseen: false })
    for (const { collection } of await member.store.summary()) group.spread(collection, member.id)
  }
  async function resume(member: Member): Promise<void> {
    member.state = 'joining'
    try {
      await join(member)
      if (members.here.get(member.id) !== member) return
      member.state = 'ready'
      await answering.reconcile(member)
    } catch (error) {
      world.log.error('volume.notJoined', { volume: member.id, why: String(error) })
      // Asked again the next time that it answers, or is plugged in.
    }
  }
  function changed(id: string, silent: boolean): void {
    const member = members.here.get(id)
    if (silent) {
      world.log.error('volume.silent', { volume: id })
      alarm(`volume ${id} does not answer; the others go on`, 'COMPONENT_FAILURE')
    } else {
      world.log.info('volume.answers', { volume: id })
      if (member && members.known.size > 1) void oneAtATime(() => resume(member))
    }
  }
  return {
    attach: (id, open) =>
      oneAtATime(async () => {
        const { slot } = await members.remember(id)
        const own = pulse(world.clock, (silent) => changed(id, silent))
        try {
          const opened = await open({
            pulse: own,
            indexed: (index) => stamps.of(own.watch(index)),
            group: (collection) => group.of(id, collection),
            failed: (why) =>
              alarm(`volume ${id} takes no more writes: ${why}`, 'COMPONENT_FAILURE'),
          })
          const member: Member = { id, slot, ...opened, pulse: own, state: 'joining' }
          members.here.set(id, member)
          await join(member)
          member.state = 'ready'
        } catch (error) {
          members.here.delete(id)
          own.stop()
          throw error
        }
        world.log.info('volume.here', { volume: id, volumes: members.here.size })
        if (members.known.get(id)?.gone) await members.note(id, { gone: undefined })
        const member = members.here.get(id)
        // At the start whoever starts asks for what was accepted.
        if (member && isListening()) await answering.reconcile(member)
      }),
    detach(id, why) {
      const member = members.here.get(id)
      if (!member) return
      members.here.delete(id)
      member.pulse.stop()
      world.log.warn('volume.gone', { volume: id, why })
      void members.note(id, { gone: why }).catch(() => undefined)
      if (why === 'missing')
        alarm(`volume ${id} is not there any more; the others go on`, 'COMPONENT_FAILURE')
    },
    async drain(id, ms) {
      const member = members.here.get(id)
      if (!member) throw new Error(`there is no volume ${id} here`)
      member.state = 'leaving'
      const until = world.clock.monotonic() + ms
      while (world.clock.monotonic() < until) {
        const answer = await member.pulse.orSilent(member.store.space())
        if (!answer || answer.value.bytesReserved === 0) return
        await world.clock.sleep(drainMs)
      }
    },
  }
}

const drainMs = 250
