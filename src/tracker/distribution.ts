/**
 * Brings fragments to their copies: announces them, collects applications, delivers, and ends it once their holders keep
 * them for good. Goals drive it, not remembered steps: the view says who holds what, and whatever is missing after a
 * restart is distributed again.
 */
import { Stopped } from '../client/line.ts'
import type { Offer } from '../exchange/bench.ts'
import type { Mail } from '../post/post.ts'
import { compareEpochs, type Fragment } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'
import type { Holder, ViewChange } from '../view/view.ts'
import { type Ended, type Heard, hear, isEnough, raise, reconnected } from './distribution-batch.ts'
import type { Sight } from './distribution-course.ts'
import {
  type DistributionParts,
  type Ground,
  keyOf,
  noteWork,
  type Run,
  sightOf,
  startRun,
} from './distribution-run.ts'
import { messagesOf } from './distribution-words.ts'
import { portions } from './portions.ts'
import type { Distribution } from './roles.ts'

export function distribution(parts: DistributionParts): Distribution {
  const stop = new AbortController()
  const ground: Ground = {
    ...parts,
    runs: new Map(),
    workedAt: new Map(),
    ways: new Map(),
    forCopies: new WeakMap(),
    signal: stop.signal,
  }
  return {
    async hear({ message, from }: Mail) {
      if (from.role !== 'pillar' || !parts.members.isActing()) return
      const pillar = from.name
      if (message.type === 'FragmentDistributionRequested') hearApplied(ground, pillar, message)
      if (message.type === 'FragmentDistributionFailed') await hearFailed(ground, pillar, message)
      if (message.type === 'FragmentDistributionObtained')
        await hearObtained(ground, pillar, message)
    },
    connected() {
      for (const run of new Set(ground.runs.values())) {
        if (run.batch) run.batch = reconnected(run.batch)
        run.wakeUp.abort()
      }
    },
    spread: (collection, fragments, source, options) =>
      spread(ground, collection, fragments, source, options),
    bring: (collection, wanted, source, options) =>
      bring(ground, collection, wanted, source, options),
    isBusy: () => ground.runs.size > 0,
    carries: (collection, hash) => ground.runs.has(keyOf(collection, hash)),
    async stop() {
      stop.abort()
      const runs = [...new Set(ground.runs.values())]
      for (const run of runs) run.cancel.abort()
      await Promise.all(runs.map((run) => run.ended))
    },
  }
}

// ---- What pillars say --------------------------------------------------------------------------------------

function feed(ground: Ground, run: Run, pillar: string, heard: Heard): void {
  if (!run.batch) return
  run.batch = hear(run.batch, pillar, heard, ground.world.clock.monotonic())
  run.wakeUp.abort()
}

const isMember = ({ members }: Ground, collection: string, pillar: string): boolean =>
  members.counting(collection).includes(pillar)

const runsOf = (ground: Ground, collection: string, hashes: readonly string[]): Set<Run> =>
  new Set(hashes.flatMap((hash) => ground.runs.get(keyOf(collection, hash)) ?? []))

function hearApplied(
  ground: Ground,
  pillar: string,
  message: MessageOf<'FragmentDistributionRequested'>,
): void {
  const { collection, fragments: hashes, conversation, bytesOpen: room } = message
  if (compareEpochs(message.epoch, ground.members.epoch()) !== 0) return
  if (!isMember(ground, collection, pillar)) return
  for (const run of runsOf(ground, collection, hashes))
    if (run.id === conversation) feed(ground, run, pillar, { is: 'applied', hashes, room })
}

async function hearFailed(
  ground: Ground,
  pillar: string,
  message: MessageOf<'FragmentDistributionFailed'>,
): Promise<void> {
  const { collection, conversation } = message
  if (!isMember(ground, collection, pillar)) return
  const fragments = message.fragments.map(({ hash, reason }) => ({
    hash,
    why: reason ?? 'it did not say why',
  }))
  noteWork(ground, pillar)
  const hashes = fragments.map(({ hash }) => hash)
  for (const run of runsOf(ground, collection, hashes))
    if (run.id === conversation) feed(ground, run, pillar, { is: 'failed', fragments })
  if (!message.gone) return
  await ground.view.change(hashes.map((hash) => ({ do: 'lose', collection, hash, pillar })))
  ground.scarce?.(collection)
}

/** By whatever distribution it came: that the pillar has it is what matters. Noted before anything depends on it. */
async function hearObtained(
  ground: Ground,
  pillar: string,
  message: MessageOf<'FragmentDistributionObtained'>,
): Promise<void> {
  const { view } = ground
  const { collection, stage, conversation } = message
  if (!isMember(ground, collection, pillar)) return
  noteWork(ground, pillar)
  const isLate = (hash: string): boolean =>
    ground.farewells?.isLate(collection, pillar, hash, timeValue(message.sentAt)) ?? false
  const hashes = [...new Set(message.fragments)].filter((hash) => !isLate(hash))
  const known = await knownOf(ground, collection, hashes)
  const holders = await view.holders(collection, hashes)
  const changes = hashes.flatMap((hash, n): ViewChange[] => {
    const fragment = known.get(hash)
    const noted = holders[n]?.find((one) => one.pillar === pillar)?.stage
    // What is noted already needs no commit.
    if (!fragment || noted === 'persisted' || noted === stage) return []
    return [{ do: 'hold', collection, fragment, pillar, stage }]
  })
  if (changes.length > 0) await view.change(changes)
  for (const run of runsOf(ground, collection, hashes))
    feed(ground, run, pillar, { is: 'obtained', hashes, stage })
  if (hashes.some((hash) => !known.has(hash))) ground.members.astray(collection, pillar)
  if (stage === 'temporary') await answerByView(ground, collection, conversation, hashes)
}

/** Those that are being distributed, and those of the view; a pillar can not make up fragments of its own. */
async function knownOf(
  ground: Ground,
  collection: string,
  hashes: readonly string[],
): Promise<Map<string, Fragment>> {
  const known = new Map<string, Fragment>()
  for (const hash of hashes) {
    const goal = ground.runs.get(keyOf(collection, hash))?.goals.get(hash)
    const fragment = goal?.fragment ?? (await ground.view.fragment(collection, hash))
    if (fragment) known.set(hash, { hash, size: fragment.size, kind: fragment.kind })
  }
  return known
}

/** Temporary copies of what nobody needs are given up after so long; until then it may be put again. */
export const abandonMs = 7 * 24 * 3600_000

/**
 * A pillar that holds something since an earlier distribution is told to keep it, when it is wanted; or that it was for
 * nothing, when nobody has needed it for long. Of what the view does not know nothing is said: it may be rebuilt.
 */
async function answerByView(
  ground: Ground,
  collection: string,
  conversation: string,
  hashes: readonly string[],
): Promise<void> {
  const { view, members, topics, send, world } = ground
  const left = hashes.filter((hash) => !ground.runs.has(keyOf(collection, hash)))
  const known = await Promise.all(left.map((hash) => view.fragment(collection, hash)))
  const counting = new Set(members.counting(collection))
  const abandoned = world.clock.now() - abandonMs
  const fragments = known.flatMap((one): Ended[] => {
    if (!one) return []
    const { hash, size, kind, wanted, unwantedSince, holders } = one
    if (wanted === 0)
      return unwantedSince !== undefined && unwantedSince < abandoned
        ? [{ hash, size, kind, outcome: 'aborted', holders: [] }]
        : []
    const names = holders.map(({ pillar }) => pillar).filter((pillar) => counting.has(pillar))
    const isComplete = names.length >= copiesOf(ground, collection, { kind })
    return [{ hash, size, kind, outcome: isComplete ? 'complete' : 'partial', holders: names }]
  })
  const membership = members.membership(collection)
  if (fragments.length === 0 || !membership) return
  const occasion = {
    conversation,
    collection,
    epoch: members.epoch(),
    membership: membership.version,
  }
  for (const answer of messagesOf(ground, occasion, { say: 'ended', fragments }))
    await send(topics.event(answer.type), answer)
}

// ---- What the tracker wants --------------------------------------------------------------------------------

/** Holders that each fragment is to have; a text that says of what a file consists has one more. */
function copiesOf({ directory }: Ground, collection: string, { kind }: Pick<Fragment, 'kind'>) {
  const copies = directory.collection(collection)?.fragments?.copies ?? 0
  return kind === 'info' ? copies + 1 : copies
}

type SpreadOptions = Parameters<Distribution['spread']>[3]

async function spread(
  ground: Ground,
  collection: string,
  fragments: readonly Fragment[],
  source: (fragment: Fragment) => Offer,
  { enough, signal, stallMs }: SpreadOptions,
): Promise<void> {
  const mine: Run[] = []
  // An operation that was given up takes its source away: others that wait for the same begin with theirs.
  const cancel = (): void => {
    for (const run of mine) run.cancel.abort()
  }
  signal.addEventListener('abort', cancel)
  try {
    let scarce = await below(ground, collection, unique(fragments), undefined)
    for (;;) {
      if (signal.aborted || ground.signal.aborted) throw new Stopped('stopped')
      const anew = scarce.filter(({ hash }) => !ground.runs.has(keyOf(collection, hash)))
      const own = portions(anew).map((batch) => {
        const goals = batch.map((fragment) => {
          const copies = copiesOf(ground, collection, fragment)
          return { fragment, copies, enough: Math.min(enough, copies) }
        })
        return startRun(ground, collection, goals, source, stallMs)
      })
      mine.push(...own)
      const waited = await Promise.all(
        scarce.map(({ hash }) => enoughOf(ground, collection, hash, enough, signal)),
      )
      const left = scarce.filter((_, n) => !waited[n])
      if (left.length === 0) return
      if (signal.aborted || ground.signal.aborted) continue
      const failed = own.find((run) => left.some(({ hash }) => run.goals.has(hash)))
      scarce = await below(ground, collection, left, enough)
      if (failed && scarce.length > 0)
        throw new Error(failed.why ?? 'the distribution was interrupted')
    }
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

type BringOptions = Parameters<Distribution['bring']>[3]

async function bring(
  ground: Ground,
  collection: string,
  wanted: Parameters<Distribution['bring']>[1],
  source: (fragment: Fragment) => Offer,
  { signal, stallMs }: BringOptions,
): Promise<void> {
  const anew = wanted.filter(({ fragment: { hash } }) => !ground.runs.has(keyOf(collection, hash)))
  const hashes = anew.map(({ fragment: { hash } }) => hash)
  const holders = await ground.view.holders(collection, hashes)
  const counting = new Set(ground.members.counting(collection))
  const goals = anew.flatMap(({ fragment, to }, n) => {
    const held = holders[n]?.filter(
      ({ pillar, stage }) => stage === 'persisted' && counting.has(pillar) && !to.includes(pillar),
    )
    const copies = (held?.length ?? 0) + to.length
    // Somebody else may have begun with it meanwhile.
    return ground.runs.has(keyOf(collection, fragment.hash))
      ? []
      : [{ fragment, copies, enough: copies, only: to }]
  })
  if (signal.aborted || goals.length === 0) return
  const run = startRun(ground, collection, goals, source, stallMs)
  const cancel = (): void => run.cancel.abort()
  signal.addEventListener('abort', cancel)
  await run.ended.finally(() => signal.removeEventListener('abort', cancel))
}

const unique = (fragments: readonly Fragment[]): Fragment[] => [
  ...new Map(fragments.map((fragment) => [fragment.hash, fragment])).values(),
]

/** Those with fewer holders for good than this; than their copies when it is not said. */
async function below(
  ground: Ground,
  collection: string,
  fragments: readonly Fragment[],
  enough: number | undefined,
): Promise<Fragment[]> {
  const counting = new Set(ground.members.counting(collection))
  const hashes = fragments.map(({ hash }) => hash)
  const holders = await ground.view.holders(collection, hashes)
  const counts = (one: Holder): boolean => one.stage === 'persisted' && counting.has(one.pillar)
  return fragments.filter(
    (fragment, n) =>
      (holders[n]?.filter(counts).length ?? 0) < (enough ?? copiesOf(ground, collection, fragment)),
  )
}

/** Resolves once so many keep it for good, with true; with false when its distribution ends before. */
function enoughOf(
  ground: Ground,
  collection: string,
  hash: string,
  enough: number,
  signal: AbortSignal,
): Promise<boolean> {
  const run = ground.runs.get(keyOf(collection, hash))
  if (!run || signal.aborted) return Promise.resolve(false)
  const goal = run.goals.get(hash)
  if (goal && goal.enough < enough)
    run.goals.set(hash, { ...goal, enough: Math.min(enough, goal.copies) })
  if (run.batch) run.batch = raise(run.batch, hash, Math.min(enough, goal?.copies ?? enough))
  return new Promise((resolve) => {
    const end = (isThere: boolean): void => {
      run.watchers.delete(watch)
      signal.removeEventListener('abort', give)
      resolve(isThere)
    }
    const give = (): void => end(false)
    const watch = (sight: Sight): void => {
      const course = run.batch?.courses.get(hash)
      if (course && isEnough(course, course.enough, sight)) end(true)
      else if (run.isOver) end(false)
    }
    signal.addEventListener('abort', give)
    run.watchers.add(watch)
    watch(sightOf(ground, collection))
  })
}
