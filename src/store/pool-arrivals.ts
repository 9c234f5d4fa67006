/** Volumes that come, fall silent, answer again and go, while the pillar runs. */
import type { Sleeper } from '../bay/bay.ts'
import type { Index } from '../index/index.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import type { BagGroup } from './bag-tags.ts'
import type { PoolAnswering } from './pool-answering.ts'
import { counted, type Member } from './pool-members.ts'
import { lookThrough } from './pool-overlap.ts'
import type { PoolParts } from './pool-reading.ts'
import type { PoolReceiving } from './pool-receiving.ts'
import { type Pulse, pulse } from './pulse.ts'
import type { News, Store } from './store.ts'

/** How a volume is to be opened for the pool. */
export interface Opening {
  /** Its index and disk are to be used through these. */
  readonly pulse: Pulse
  indexed(index: Index): Index
  /** What its bags say of the others. */
  group(collection: string): BagGroup | undefined
}

export interface Opened {
  readonly store: Store
  readonly index: Index
}

export interface Arriving {
  open(opening: Opening): Promise<Opened>
  /** Its disk sleeps while nothing is asked of it. */
  readonly sleeper?: Sleeper | undefined
}

export interface Arrivals {
  /** Takes a volume; resolves when it is looked through and asked from now on. */
  attach(id: string, arriving: Arriving): Promise<void>
  /** It is not here any more: what is under way on it fails, all else goes on. */
  detach(id: string, why: 'missing' | 'ejected'): void
  /**
   * Nothing new comes to it any more; what is on its way to it may end for `ms`. Then its lists are up to date, it is closed,
   * and not asked any more.
   */
  eject(id: string, ms: number): Promise<void>
}

export interface ArrivalParts extends PoolParts {
  readonly world: World
  readonly answering: PoolAnswering
  readonly receiving: PoolReceiving
  readonly group: {
    spread(collection: string, volume: string): void
    of(volume: string, collection: string): BagGroup | undefined
  }
  tell(news: News): void
  /** Somebody works on what is told. */
  isHeard(): boolean
}

const drainMs = 250

export function arrivals(parts: ArrivalParts): Arrivals {
  const { world, members, stamps, answering, group } = parts
  const oneAtATime = lock()
  const alarm = alarming(parts)
  const join = joining(parts, alarm)
  const hear = hearing(parts, alarm)

  async function resume(member: Member): Promise<void> {
    member.state = 'joining'
    try {
      await join(member)
      if (members.here.get(member.id) !== member) return
      member.state = 'ready'
      await answering.reconcile(member)
    } catch (error) {
      // Tried again when it answers again, or is plugged in anew.
      world.log.error('volume.notJoined', { volume: member.id, why: String(error) })
    }
  }
  function changed(id: string, silent: boolean): void {
    const member = members.here.get(id)
    if (silent) alarm(`volume ${id} does not answer; the others go on`)
    else {
      world.log.info('volume.answers', { volume: id })
      if (member?.state === 'ready' && members.known.size > 1) void oneAtATime(() => resume(member))
    }
  }
  async function opened(id: string, { open, sleeper }: Arriving): Promise<Member> {
    const { slot } = await members.remember(id)
    // One that is woken is waited for.
    const own = pulse(world.clock, (silent) => changed(id, silent), sleeper?.isAwaited)
    try {
      const found = await open({
        pulse: own,
        indexed: (index) => stamps.of(own.watch(index)),
        group: (collection) => group.of(id, collection),
      })
      const member: Member = { id, slot, ...found, pulse: own, sleeper, state: 'joining' }
      members.here.set(id, member)
      hear(member)
      await join(member)
      return member
    } catch (error) {
      members.here.delete(id)
      own.stop()
      throw error
    }
  }
  function detach(id: string, why: 'missing' | 'ejected'): void {
    const member = members.here.get(id)
    if (!member) return
    members.here.delete(id)
    member.pulse.stop()
    world.log.warn('volume.gone', { volume: id, why })
    const { files } = member
    void members
      .note(id, { gone: why, ...(files === undefined ? {} : { files }) })
      .catch((error) => world.log.warn('volume.notNoted', { volume: id, why: String(error) }))
    if (why === 'ejected') return
    // Ends what it still does by itself: nothing answers any more.
    void member.store.close().catch(() => undefined)
    alarm(`volume ${id} is not there any more; the others go on`)
  }
  return {
    attach: (id, arriving) =>
      oneAtATime(async () => {
        const member = await opened(id, arriving)
        member.state = 'ready'
        world.log.info('volume.here', { volume: id, volumes: members.here.size })
        if (members.known.get(id)?.gone) await members.note(id, { gone: undefined })
        // At the start whoever starts asks for what was accepted.
        if (parts.isHeard()) await answering.reconcile(member)
      }),
    detach,
    async eject(id, ms) {
      const member = members.here.get(id)
      if (!member) throw new Error(`there is no volume ${id} here`)
      member.state = 'leaving'
      await drained(world, member, ms)
      await member.pulse.orSilent(member.store.close())
      detach(id, 'ejected')
    },
  }
}

/** What a volume has to tell, and what its disk has. */
function hearing({ members, tell }: ArrivalParts, alarm: Alarming): (member: Member) => void {
  return (member) => {
    // Of one that is gone all has been said.
    const isHere = (): boolean => members.here.get(member.id) === member
    member.store.watch((news) => {
      if (isHere()) tell(news)
    })
    member.sleeper?.whenFailed((why) => {
      if (isHere()) alarm(`the disk of volume ${member.id} could not be woken: ${why}`)
    })
  }
}

/** Until nothing is on its way to it any more. */
async function drained({ clock }: World, { pulse, store }: Member, ms: number): Promise<void> {
  const until = clock.monotonic() + ms
  while (clock.monotonic() < until) {
    const answer = await pulse.orSilent(store.space())
    if (!answer || answer.value.bytesReserved === 0) return
    await clock.sleep(drainMs)
  }
}

type Alarming = (text: string, code?: 'COMPONENT_FAILURE' | 'INTEGRITY_ISSUE') => void

const alarming =
  ({ tell }: ArrivalParts): Alarming =>
  (text, code = 'COMPONENT_FAILURE') =>
    tell({ code, text })

/** Before a volume is asked: its times fit those of the others, and nothing of it stands elsewhere. */
function joining(parts: ArrivalParts, alarm: Alarming): (member: Member) => Promise<void> {
  const { members, stamps, shadows, receiving, group } = parts
  return async (member) => {
    const others = [...members.here.values()].filter((one) => one !== member)
    const answering = others.filter(({ pulse }) => !pulse.isSilent())
    if (members.known.size > 1)
      await stamps.share([member.index, ...answering.map(({ index }) => index)])
    if ([...members.known.values()].some(({ unseen }) => unseen) && answering.length > 0) {
      await receiving.settled()
      await lookThrough(shadows, member, answering, (file, served, shadowed) =>
        alarm(
          `${file.collection}/${file.id}: other bytes stand on volume ${shadowed.id} than on ${served.id}, whose are served`,
          'INTEGRITY_ISSUE',
        ),
      )
    }
    if (answering.length === members.known.size - 1 && shadows.count() === 0)
      for (const [id, known] of members.known)
        if (known.unseen) await members.note(id, { unseen: false })
    const summaries = await member.store.summary()
    for (const { collection } of summaries) group.spread(collection, member.id)
    counted(member, summaries)
  }
}
