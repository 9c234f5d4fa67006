/**
 * Keeps every wanted fragment at its copies: what is scarce among the pillars that count is fetched from one that has it,
 * and distributed again. One page at a time: this is background work on links that others need.
 */
import { Stopped } from '../client/line.ts'
import { limits } from '../limits.ts'
import type { Fragment } from '../protocol/fragments.ts'
import type { Directory } from '../trust/directory.ts'
import type { KnownFragment, View } from '../view/view.ts'
import type { World } from '../world/world.ts'
import { type Balanced, type BalancingParts, balance, isDue, type Walk } from './balancing.ts'
import { portions } from './portions.ts'
import type { Distribution, Fetch, Members } from './roles.ts'

export interface KeeperParts {
  readonly world: World
  readonly directory: Directory
  readonly view: View
  readonly members: Pick<Members, 'isActing' | 'counting' | 'present'>
  readonly distribution: Pick<Distribution, 'spread' | 'carries'>
  readonly fetch: Fetch
  /** False while the view is still being rebuilt: what seems to be missing may only not be known yet. */
  isReady?(collection: string): boolean
  /** Without it nothing is moved to where it should be, and surplus copies stay. */
  readonly balancing?: BalancingParts
}

export interface Keeping {
  /** Fragments that were found scarce in this round, and of those the ones that were seen to. */
  readonly done: number
  readonly of: number
  /** Scarce ones that nobody holds who is there. */
  readonly lost: number
  /** Fragments with more copies than they are to have. */
  readonly surplus: number
}

export interface Keeper {
  /** Something has changed there: it is looked through soon. */
  look(collection: string): void
  /** What was moved and trimmed. */
  balanced(collection: string): Balanced
  /** How far it is; undefined of a collection that was not looked through yet. */
  keeping(collection: string): Keeping | undefined
  stop(): Promise<void>
}

/** Nothing is repaired for so long after the start: pillars are still coming back, and saying what they have. */
export const settleMs = 10 * 60_000
/** How soon a change is noticed, and how often everything is looked through without one. */
const noticeMs = 60_000
export const roundMs = 6 * 3600_000
/** After a round that could not do all: the first pause, and the longest. */
const againMsMin = 60_000
const againMsMax = 3600_000
/** Nobody takes it: the rest of the page waits no longer. */
const stallMs = 2 * 60_000

export function startKeeper(parts: KeeperParts): Keeper {
  const { world, directory } = parts
  const stop = new AbortController()
  const caring = new Map<string, Care>()
  const ended = watch()

  async function watch(): Promise<void> {
    await world.clock.sleep(settleMs, stop.signal)
    while (!stop.signal.aborted) {
      for (const { name, fragments } of directory.document().collections)
        if (fragments && !caring.has(name))
          caring.set(name, careFor(parts, name, fragments.copies, stop.signal))
      for (const care of caring.values()) care.notice()
      await world.clock.sleep(noticeMs, stop.signal)
    }
    await Promise.all([...caring.values()].map((care) => care.ended))
  }
  return {
    look: (collection) => caring.get(collection)?.look(),
    balanced: (collection) => caring.get(collection)?.balanced() ?? nothingDone,
    keeping: (collection) => caring.get(collection)?.keeping(),
    async stop() {
      stop.abort()
      await ended
    },
  }
}

const nothingDone: Balanced = { moved: 0, bytesMoved: 0, trimmed: 0 }

interface Care {
  look(): void
  /** Looks when those that count are others than before. */
  notice(): void
  keeping(): Keeping | undefined
  balanced(): Balanced
  readonly ended: Promise<void>
}

function careFor(
  parts: KeeperParts,
  collection: string,
  copies: number,
  signal: AbortSignal,
): Care {
  const { world, members } = parts
  const isReady = (): boolean => members.isActing() && (parts.isReady?.(collection) ?? true)
  /** Something waits for pillars that are not there. */
  let waits = false
  const whoCounts = (): string => {
    const there = waits && parts.balancing ? parts.balancing.members : undefined
    return JSON.stringify([
      isReady(),
      members.counting(collection).sort(),
      there?.present(collection).sort(),
      there?.surveyed(collection).sort(),
    ])
  }
  let again = new AbortController()
  let walk: Walk | undefined
  let balanced = nothingDone
  const failed = (error: unknown): boolean => {
    if (!signal.aborted) world.log.warn('balance.failed', { collection, why: String(error) })
    return false
  }
  let counted = whoCounts()
  let keeping: Keeping | undefined
  const ended = tend()

  async function tend(): Promise<void> {
    let failedMs = 0
    while (!signal.aborted) {
      again = new AbortController()
      let isWhole = true
      if (isReady())
        try {
          const round = roundOf(parts, collection, copies, signal, (now) => {
            keeping = now
          })
          isWhole = await round
        } catch (error) {
          isWhole = false
          if (!signal.aborted) world.log.warn('keeper.failed', { collection, why: String(error) })
        }
      const done = isWhole && isReady() ? await tidy().catch(failed) : true
      if (done === 'called') continue
      failedMs = isWhole && done ? 0 : Math.min(Math.max(failedMs * 2, againMsMin), againMsMax)
      await world.clock.sleep(failedMs || roundMs, AbortSignal.any([signal, again.signal]))
    }
  }
  /** Brings copies to where they should be, as long as nothing else is to be done. */
  async function tidy(): Promise<boolean | 'called'> {
    const { balancing } = parts
    if (!balancing) return true
    if (walk === undefined && !(await isDue(balancing, collection, keeping?.surplus ?? 0)))
      return true
    const mine = again.signal
    const round = {
      ...{ collection, copies, signal },
      isCalled: () => mine.aborted,
      done(more: Balanced): void {
        balanced = {
          moved: balanced.moved + more.moved,
          bytesMoved: balanced.bytesMoved + more.bytesMoved,
          trimmed: balanced.trimmed + more.trimmed,
        }
      },
    }
    const over = await balance(balancing, round, walk)
    walk = typeof over === 'boolean' ? undefined : over
    waits = over === false
    if (over === true && keeping) keeping = { ...keeping, surplus: 0 }
    return typeof over === 'boolean' ? over : 'called'
  }
  return {
    look: () => again.abort(),
    notice() {
      const now = whoCounts()
      if (now !== counted) again.abort()
      counted = now
    },
    keeping: () => keeping,
    balanced: () => balanced,
    ended,
  }
}

/** Looks through one collection; false when something that is wanted has still not all its copies. */
async function roundOf(
  parts: KeeperParts,
  collection: string,
  copies: number,
  signal: AbortSignal,
  tell: (keeping: Keeping) => void,
): Promise<boolean> {
  const { world, view, members } = parts
  const counting = members.counting(collection)
  const histogram = await view.histogram(collection, counting)
  const among = (wanted: number): number => Math.min(wanted, counting.length)
  const count = (is: (have: number) => boolean): number =>
    [...histogram].reduce((sum, [have, fragments]) => sum + (is(have) ? fragments : 0), 0)
  const surplus = count((have) => have > copies)
  const texts = { allowed: 0 }
  let keeping: Keeping = { done: 0, of: count((have) => have < among(copies)), lost: 0, surplus }
  tell(keeping)
  if (keeping.of > 0) world.log.info('keeper.repairing', { collection, fragments: keeping.of })
  let isWhole = true
  for await (const page of scarceIn(parts, collection, copies, counting, texts)) {
    if (signal.aborted || !members.isActing()) return false
    const free = page.filter(({ hash }) => !parts.distribution.carries(collection, hash))
    const { repaired, lost } = await repair(parts, collection, free, among, copies, signal)
    isWhole &&= repaired === page.length
    keeping = { ...keeping, done: keeping.done + repaired, lost: keeping.lost + lost }
    // Some become scarce while we are at it.
    keeping = { ...keeping, of: Math.max(keeping.of, keeping.done + keeping.lost) }
    tell(keeping)
  }
  tell({ ...keeping, surplus: surplus - texts.allowed })
  if (keeping.of > 0 || keeping.lost > 0)
    world.log.info('keeper.repaired', { collection, ...keeping })
  return isWhole
}

/** Pages of fragments that have too few copies: first of all kinds, then of texts, which have one more. */
async function* scarceIn(
  { view }: KeeperParts,
  collection: string,
  copies: number,
  counting: readonly string[],
  /** Texts with the one copy that they have more than a slice. */
  texts: { allowed: number },
): AsyncGenerator<KnownFragment[]> {
  const limit = limits.batchFilesMax
  const below = Math.min(copies, counting.length)
  for (let after = ''; ; ) {
    const query = { collection, after, limit, scarce: { pillars: counting, below } }
    const page = await view.fragments(query)
    if (page.length > 0) yield page
    if (page.length < limit) break
    after = page.at(-1)?.hash ?? ''
  }
  const isScarce = ({ holders }: KnownFragment): boolean => {
    const have = persistedAmong(holders, counting).length
    if (have === copies + 1) texts.allowed++
    return have < Math.min(copies + 1, counting.length)
  }
  for (let after = ''; ; ) {
    const entries = await view.entries(collection, after, limit)
    const known = await Promise.all(
      entries.map(({ fragment }) => view.fragment(collection, fragment.hash)),
    )
    const page = known.filter((one): one is KnownFragment => one !== undefined && isScarce(one))
    if (page.length > 0) yield page
    if (entries.length < limit) return
    after = entries.at(-1)?.id ?? ''
  }
}

const persistedAmong = (holders: KnownFragment['holders'], counting: readonly string[]): string[] =>
  holders.flatMap(({ pillar, stage }) =>
    stage === 'persisted' && counting.includes(pillar) ? [pillar] : [],
  )

type Fetched = Awaited<ReturnType<Fetch>>

/** Fetches what is scarce, and distributes it anew; as many bytes at a time as a distribution takes. */
async function repair(
  parts: KeeperParts,
  collection: string,
  scarce: readonly KnownFragment[],
  among: (wanted: number) => number,
  copies: number,
  signal: AbortSignal,
): Promise<{ repaired: number; lost: number }> {
  const { world, fetch, distribution } = parts
  let repaired = 0
  let lost = 0
  for (const some of portions(scarce)) {
    const fetched = new Map<string, Fetched>()
    try {
      for (const { hash, size, kind } of some) {
        if (signal.aborted) throw new Stopped('stopped')
        try {
          fetched.set(hash, await fetch(collection, { hash, size, kind }, signal))
        } catch (error) {
          if (signal.aborted) throw error
          lost++
          world.log.error('keeper.lost', { collection, hash, why: String(error) })
        }
      }
      for (const kind of ['slice', 'info'] as const) {
        const all = some.filter((one) => one.kind === kind && fetched.has(one.hash))
        if (all.length === 0) continue
        const enough = among(kind === 'info' ? copies + 1 : copies)
        try {
          const source = (one: Fragment) => fetched.get(one.hash) ?? nothing
          await distribution.spread(collection, all.map(asFragment), source, {
            enough,
            signal,
            stallMs,
          })
          repaired += all.length
        } catch (error) {
          if (signal.aborted) throw error
          world.log.warn('keeper.scarce', { collection, why: String(error) })
        }
      }
    } finally {
      for (const one of fetched.values()) await one.discard()
    }
  }
  return { repaired, lost }
}

const asFragment = ({ hash, size, kind }: Fragment): Fragment => ({ hash, size, kind })
const nothing = {
  size: 0,
  read: () => {
    throw new Error('it was not fetched')
  },
}
