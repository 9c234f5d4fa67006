/** One distribution as it goes on: says what is due, offers the bytes, and lets others know how far it is. */
import type { Bench, Offer } from '../exchange/bench.ts'
import { limits } from '../limits.ts'
import { candidates } from '../placement/order.ts'
import { recommend } from '../placement/recommend.ts'
import { uuid7 } from '../post/compose.ts'
import type { Fragment, Membership } from '../protocol/fragments.ts'
import type { Message } from '../protocol/messages.ts'
import type { Topics } from '../protocol/topics.ts'
import type { View } from '../view/view.ts'
import { gate } from '../world/lock.ts'
import { type Batch, batchOf, due, isEnough, reproach, type Word } from './distribution-batch.ts'
import { type Goal, patience, pillarsAt, type Sight } from './distribution-course.ts'
import { messagesOf, offeredAs, type Voice } from './distribution-words.ts'
import type { Farewells } from './farewells.ts'
import type { Members } from './roles.ts'

export interface DistributionParts extends Voice {
  readonly topics: Topics
  readonly view: View
  /** Where the bytes are offered: on the tracker's exchange. */
  readonly bench: Bench
  readonly members: Pick<
    Members,
    'isActing' | 'epoch' | 'membership' | 'counting' | 'present' | 'astray'
  >
  send(topic: string, message: Message): Promise<unknown>
  /** Who was told to give up what: what he has said before that changes nothing any more. */
  readonly farewells?: Farewells
  /** A distribution is over with enough, but not with all copies: nobody else knows. */
  scarce?(collection: string): void
}

/** What all distributions share. */
export interface Ground extends DistributionParts {
  /** A fragment is in one distribution at a time. */
  readonly runs: Map<string, Run>
  /** When a pillar last did anything for us, monotonic milliseconds. */
  readonly workedAt: Map<string, number>
  readonly ways: Map<string, Ways>
  /** The same membership for other numbers of copies, so that it is arranged for ranking only once. */
  readonly forCopies: WeakMap<Membership, Map<number, Membership>>
  readonly signal: AbortSignal
}

/** How many distributions of a collection may go on: those that many wait for, and all. */
type Ways = Readonly<Record<'scarce' | 'all', ReturnType<typeof gate>>>

export interface Run {
  readonly id: string
  readonly collection: string
  /** By hash. Somebody may want more of one until it begins. */
  readonly goals: Map<string, Goal>
  source(fragment: Fragment): Offer
  readonly stallMs: number | undefined
  /** Undefined until its turn comes. */
  batch: Batch | undefined
  isOver: boolean
  /** Why it ended without enough copies. */
  why: string | undefined
  readonly cancel: AbortController
  wakeUp: AbortController
  /** Called when it has moved on. */
  readonly watchers: Set<(sight: Sight) => void>
  ended: Promise<void>
}

export const keyOf = (collection: string, hash: string): string => `${collection} ${hash}`

/** Claims the fragments at once; begins when its turn comes. */
export function startRun(
  ground: Ground,
  collection: string,
  goals: readonly Goal[],
  source: (fragment: Fragment) => Offer,
  stallMs?: number,
): Run {
  const run: Run = {
    id: uuid7(ground.world),
    collection,
    goals: new Map(goals.map((goal) => [goal.fragment.hash, goal])),
    source,
    stallMs,
    batch: undefined,
    isOver: false,
    why: undefined,
    cancel: new AbortController(),
    wakeUp: new AbortController(),
    watchers: new Set(),
    ended: Promise.resolve(),
  }
  for (const hash of run.goals.keys()) ground.runs.set(keyOf(collection, hash), run)
  run.ended = goOn(ground, run)
  return run
}

function waysOf({ ways }: Ground, collection: string): Ways {
  const known = ways.get(collection)
  if (known) return known
  const made = {
    scarce: gate(limits.distributionsScarceMax),
    all: gate(limits.distributionsOpenMax),
  }
  ways.set(collection, made)
  return made
}

async function goOn(ground: Ground, run: Run): Promise<void> {
  const { world, view, bench } = ground
  const ways = waysOf(ground, run.collection)
  const leaveAll = await ways.all.enter()
  const leaveScarce = await ways.scarce.enter()
  try {
    const hashes = [...run.goals.keys()]
    const holders = await view.holders(run.collection, hashes)
    run.batch = batchOf(
      [...run.goals.values()].map((goal, n) => ({ ...goal, holders: holders[n] ?? [] })),
      world.clock.monotonic(),
      run.stallMs,
    )
    await converse(ground, run, leaveScarce)
  } catch (error) {
    run.why = error instanceof Error ? error.message : String(error)
    world.log.error('distribution.failed', { collection: run.collection, why: run.why })
  } finally {
    leaveScarce()
    leaveAll()
    for (const hash of run.goals.keys()) ground.runs.delete(keyOf(run.collection, hash))
    bench.clear([...run.goals.values()].map(({ fragment }) => nameOf(ground, run, fragment)))
    run.isOver = true
    const sight = sightOf(ground, run.collection)
    for (const watch of run.watchers) watch(sight)
    if (isLeft(run, sight)) ground.scarce?.(run.collection)
    // Whoever waits for a pillar that was busy with this one.
    for (const other of new Set(ground.runs.values())) other.wakeUp.abort()
  }
}

const nameOf = ({ world }: Ground, { collection }: Run, fragment: Fragment): string =>
  offeredAs(world, collection, fragment)

/** Whoever wanted it was told that it is enough, and it has not all its copies. */
const isLeft = ({ batch }: Run, sight: Sight): boolean => {
  const courses = [...(batch?.courses.values() ?? [])]
  return (
    courses.every((one) => isEnough(one, one.enough, sight)) &&
    courses.some((one) => !isEnough(one, one.copies, sight))
  )
}

async function converse(ground: Ground, run: Run, content: () => void): Promise<void> {
  const { world, members } = ground
  const stopping = AbortSignal.any([ground.signal, run.cancel.signal])
  while (run.batch && !stopping.aborted && members.isActing()) {
    run.wakeUp = new AbortController()
    const sight = sightOf(ground, run.collection)
    const now = world.clock.monotonic()
    const { batch, words, wake, over } = due(run.batch, now, sight)
    run.batch = batch
    for (const word of words) say(ground, run, word)
    if ([...batch.courses.values()].every((one) => isEnough(one, one.enough, sight))) content()
    for (const watch of run.watchers) watch(sight)
    if (over) {
      run.why ??= reproach(batch, members.counting(run.collection), sight)
      return
    }
    // Who is present is asked for anew each time: nobody tells us.
    const ms = Math.min(wake - now, patience.offlineMs)
    await world.clock.sleep(Math.max(1, ms), AbortSignal.any([run.wakeUp.signal, stopping]))
  }
}

function say(ground: Ground, run: Run, word: Word): void {
  const { members, topics, bench, send, world } = ground
  const membership = members.membership(run.collection)
  if (!membership) return
  if (word.say === 'delivered')
    for (const one of word.fragments)
      bench.offer(nameOf(ground, run, one), watched(ground, run, one))
  const occasion = {
    conversation: run.id,
    collection: run.collection,
    epoch: members.epoch(),
    membership: membership.version,
  }
  world.log.debug('distribution.say', {
    id: run.id,
    say: word.say,
    fragments: word.fragments.length,
  })
  for (const message of messagesOf(ground, occasion, word))
    void send(topics.event(message.type), message)
}

/** Notes who fetches; when the source can not be read any more, nobody else is asked. */
function watched(ground: Ground, run: Run, fragment: Fragment): Offer {
  const offer = run.source(fragment)
  async function* read(offset: number, length: number, by?: string): AsyncGenerator<Uint8Array> {
    try {
      for await (const bytes of offer.read(offset, length, by)) {
        if (by !== undefined) noteWork(ground, by)
        yield bytes
      }
    } catch (error) {
      run.why = `the source can not be read: ${error instanceof Error ? error.message : error}`
      if (run.batch) run.batch = { ...run.batch, closing: true }
      run.wakeUp.abort()
      throw error
    }
  }
  return { size: offer.size, read }
}

export const noteWork = ({ workedAt, world }: Ground, pillar: string): void =>
  void workedAt.set(pillar, world.clock.monotonic())

/** What is known of the pillars of a collection at this moment. */
export function sightOf(ground: Ground, collection: string): Sight {
  const { members, workedAt } = ground
  const counting = new Set(members.counting(collection))
  const present = new Set(members.present(collection))
  const membership = members.membership(collection)
  let busy: Set<string> | undefined
  return {
    counts: (pillar) => counting.has(pillar),
    isPresent: (pillar) => present.has(pillar),
    workedAt: (pillar) => workedAt.get(pillar) ?? 0,
    isFree(pillar) {
      busy ??= busyPillars(ground)
      return !busy.has(pillar)
    },
    candidates: ({ hash }, count) => (membership ? candidates(hash, membership, count) : []),
    recommend({ hash, size }, applicants, holders, copies) {
      if (!membership || applicants.length === 0) return []
      const wanted = { size, holders }
      const all = withCopies(ground, membership, copies)
      const { chosen, next } = recommend(applicants, hash, all, wanted)
      return [...chosen, ...next]
    },
  }
}

function withCopies({ forCopies }: Ground, membership: Membership, copies: number): Membership {
  if (membership.copies === copies) return membership
  const known = forCopies.get(membership) ?? new Map<number, Membership>()
  const found = known.get(copies) ?? { ...membership, copies }
  forCopies.set(membership, known.set(copies, found))
  return found
}

/** Those that have as much to fetch as one may have at a time. */
function busyPillars({ runs }: Ground): Set<string> {
  const load = new Map<string, { count: number; bytes: number }>()
  for (const { batch } of new Set(runs.values()))
    for (const course of batch?.courses.values() ?? [])
      for (const pillar of pillarsAt(course, 'asked')) {
        const { count, bytes } = load.get(pillar) ?? { count: 0, bytes: 0 }
        load.set(pillar, { count: count + 1, bytes: bytes + course.fragment.size })
      }
  const isBusy = ({ count, bytes }: { count: number; bytes: number }): boolean =>
    count >= limits.fragmentsAskedMax || bytes >= limits.fragmentBytesAskedMax
  return new Set([...load].flatMap(([pillar, one]) => (isBusy(one) ? [pillar] : [])))
}
