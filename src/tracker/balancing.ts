/**
 * Brings fragments to where they should be by the newest membership, and takes surplus copies away: page by page, behind
 * everything else, with rests. What nobody has needed for long goes, too.
 */
import { Stopped } from '../client/line.ts'
import { candidates } from '../placement/order.ts'
import { recommend } from '../placement/recommend.ts'
import type { Fragment, Membership } from '../protocol/fragments.ts'
import type { KnownFragment, View } from '../view/view.ts'
import type { World } from '../world/world.ts'
import { nextStep, type Placed, type Step } from './balance.ts'
import { portions } from './portions.ts'
import type { Distribution, Fetch, Members } from './roles.ts'
import { type Surplus, type Trim, trimmedAtOnce } from './trimming.ts'

export interface BalancingParts {
  readonly world: World
  readonly view: View
  readonly members: Pick<Members, 'isActing' | 'counting' | 'present' | 'surveyed' | 'fair'>
  readonly distribution: Pick<Distribution, 'bring' | 'carries' | 'isBusy'>
  readonly fetch: Fetch
  readonly trim: Trim
  /** What nobody has needed since then may go, milliseconds since 1970; nothing when undefined. */
  unwantedBefore(collection: string): Promise<number | undefined>
}

/** What was done since the tracker started. */
export interface Balanced {
  readonly moved: number
  readonly bytesMoved: number
  readonly trimmed: number
}

export interface Round {
  readonly collection: string
  readonly copies: number
  readonly signal: AbortSignal
  /** There is something to repair: that comes first. */
  isCalled(): boolean
  done(more: Balanced): void
}

/** How far a walk has come that was called away. */
export interface Walk {
  readonly after: string
  readonly isWhole: boolean
}

class CalledAway extends Error {}

const pageSize = 500
/** Others come first; but not for ever. */
const patienceMs = 10 * 60_000
const lookMs = 5_000
/** Between two pages, and at least after each step. */
const breathMs = 20
const restMsMin = 1_000
/** Who does not take it within this is full, for this round. */
const stallMs = 2 * 60_000

const balancedFact = (collection: string): string => `balanced ${collection}`

/** Whether there is something to walk for: another membership than the last time, surplus copies, or what nobody needs. */
export async function isDue(
  { view, members, unwantedBefore }: BalancingParts,
  collection: string,
  surplus: number,
): Promise<boolean> {
  const fair = members.fair(collection)
  if (!fair) return false
  if (surplus > 0 || (await view.fact(balancedFact(collection))) !== `${fair.version}`) return true
  const before = await unwantedBefore(collection)
  if (before === undefined) return false
  return (await view.fragments({ collection, limit: 1, unwantedBefore: before })).length > 0
}

/**
 * Walks through one collection, from where it was called away. False when something is still to be done that could not be
 * done now.
 */
export async function balance(
  parts: BalancingParts,
  round: Round,
  from: Walk = { after: '', isWhole: true },
): Promise<boolean | Walk> {
  const { world, view, members } = parts
  const { collection, signal } = round
  const version = members.fair(collection)?.version
  const full = new Set<string>()
  let walk = from
  try {
    for (;;) {
      const page = await view.fragments({ collection, after: walk.after, limit: pageSize })
      const isWhole = await settlePage(parts, round, page, full)
      walk = { after: page.at(-1)?.hash ?? '', isWhole: walk.isWhole && isWhole }
      if (page.length < pageSize) break
      await world.clock.sleep(breathMs, signal)
      goOn(parts, round)
    }
  } catch (error) {
    if (error instanceof CalledAway) return walk
    throw error
  }
  const isWhole = walk.isWhole && full.size === 0 && members.fair(collection)?.version === version
  if (isWhole)
    await view.change([{ do: 'fact', key: balancedFact(collection), value: `${version}` }])
  return isWhole
}

async function settlePage(
  parts: BalancingParts,
  round: Round,
  page: readonly KnownFragment[],
  full: Set<string>,
): Promise<boolean> {
  const wanted = page.filter((one) => one.wanted > 0)
  const isWhole = await settle(parts, round, wanted, full)
  const before = await parts.unwantedBefore(round.collection)
  const unwanted = page.filter(
    ({ wanted, unwantedSince: since }) =>
      wanted === 0 && since !== undefined && before !== undefined && since < before,
  )
  if (unwanted.length > 0) await giveUp(parts, round, unwanted)
  return isWhole
}

function goOn({ members }: BalancingParts, { signal, isCalled }: Round): void {
  if (signal.aborted || !members.isActing()) throw new Stopped('stopped')
  if (isCalled()) throw new CalledAway('called away')
}

/** Steps of these fragments until there is none; false when some of them wait. */
async function settle(
  parts: BalancingParts,
  round: Round,
  fragments: readonly KnownFragment[],
  full: Set<string>,
): Promise<boolean> {
  const { collection, copies } = round
  const tried = new Set<string>()
  let left = fragments
  let isWhole = true
  for (;;) {
    const steps = plan(parts, round, left, full).filter(({ one, step }) => {
      if (step.do === 'nothing') isWhole &&= !step.waits
      return step.do !== 'nothing' && !parts.distribution.carries(collection, one.hash)
    })
    const brought = steps.flatMap(({ one, step }) =>
      step.do === 'bring' ? [{ ...one, to: step.to }] : [],
    )
    for (const some of portions(brought)) await bring(parts, round, some, full)
    const surplus = new Map<string, Surplus[]>()
    for (const { one, step } of steps) {
      if (step.do !== 'trim') continue
      const key = `${one.hash} ${step.from}`
      // It did not go: later, perhaps.
      if (tried.has(key)) isWhole = false
      else {
        tried.add(key)
        const { hash, size, kind } = one
        const mine = surplus.get(step.from) ?? []
        surplus.set(step.from, [...mine, { hash, size, kind, confirm: step.confirm }])
      }
    }
    for (const [pillar, all] of surplus)
      for (const some of portions(all, trimmedAtOnce(copies + 1)))
        await trim(parts, round, pillar, some, false)
    if (brought.length === 0 && surplus.size === 0) return isWhole
    const known = await Promise.all(
      steps.map(({ one }) => parts.view.fragment(collection, one.hash)),
    )
    left = known.filter((one): one is KnownFragment => one !== undefined && one.wanted > 0)
  }
}

interface Planned {
  readonly one: KnownFragment
  readonly step: Step
}

function plan(
  { members }: BalancingParts,
  { collection, copies }: Round,
  fragments: readonly KnownFragment[],
  full: ReadonlySet<string>,
): Planned[] {
  const membership = members.fair(collection)
  if (!membership || fragments.length === 0) return []
  const counting = new Set(members.counting(collection))
  const present = new Set(members.present(collection))
  const right = new Set(members.surveyed(collection))
  const forCopies = [copies, copies + 1].map(
    (count): Membership => ({ ...membership, copies: count }),
  )
  return fragments.map((one) => {
    const wanted = Math.min(one.kind === 'info' ? copies + 1 : copies, counting.size)
    const weighed = forCopies[one.kind === 'info' ? 1 : 0] ?? membership
    const placed: Placed = {
      copies: wanted,
      ideal: candidates(one.hash, weighed, wanted),
      holders: one.holders.flatMap(({ pillar, stage }) =>
        stage === 'persisted' && counting.has(pillar) ? [pillar] : [],
      ),
      rest(holders, kept) {
        const applicants = holders.map((id) => ({ id, free: Number.POSITIVE_INFINITY }))
        const { chosen, next } = recommend(applicants, one.hash, weighed, {
          ...{ size: one.size, holders: kept },
        })
        return [...chosen, ...next]
      },
      isThere: (pillar) => present.has(pillar) && right.has(pillar),
      isFull: (pillar) => full.has(pillar),
    }
    return { one, step: nextStep(placed) }
  })
}

type Brought = KnownFragment & { readonly to: readonly string[] }

async function bring(
  parts: BalancingParts,
  round: Round,
  some: readonly Brought[],
  full: Set<string>,
): Promise<void> {
  const { world, fetch, distribution, view } = parts
  const { collection, signal } = round
  await inItsTurn(parts, round)
  const began = world.clock.monotonic()
  const fetched = new Map<string, Awaited<ReturnType<Fetch>>>()
  try {
    for (const { hash, size, kind } of some)
      try {
        fetched.set(hash, await fetch(collection, { hash, size, kind }, signal))
      } catch (error) {
        if (signal.aborted) throw error
        world.log.warn('balance.notFetched', { collection, hash, why: String(error) })
      }
    const offered = some.flatMap(({ hash, size, kind, to }) =>
      fetched.has(hash) ? [{ fragment: { hash, size, kind }, to }] : [],
    )
    const source = ({ hash }: Fragment) => {
      const one = fetched.get(hash)
      if (!one) throw new Error('it was not fetched')
      return one
    }
    await distribution.bring(collection, offered, source, { signal, stallMs })
  } finally {
    for (const one of fetched.values()) await one.discard()
  }
  let [moved, bytesMoved] = [0, 0]
  for (const { hash, size, to } of some) {
    const [holders = []] = await view.holders(collection, [hash])
    for (const pillar of to)
      if (holders.some((one) => one.pillar === pillar && one.stage === 'persisted')) {
        moved++
        bytesMoved += size
      } else full.add(pillar)
  }
  round.done({ moved, bytesMoved, trimmed: 0 })
  await rest(parts, began, signal)
}

async function trim(
  parts: BalancingParts,
  round: Round,
  pillar: string,
  some: readonly Surplus[],
  unwanted: boolean,
): Promise<void> {
  const { world } = parts
  const { collection, signal } = round
  await inItsTurn(parts, round)
  const began = world.clock.monotonic()
  const { trimmed } = await parts.trim(collection, pillar, some, { unwanted, signal })
  if (trimmed.length > 0)
    world.log.info('balance.trimmed', { collection, pillar, fragments: trimmed.length, unwanted })
  round.done({ moved: 0, bytesMoved: 0, trimmed: trimmed.length })
  await rest(parts, began, signal)
}

/** Copies of what nobody needs; once nobody holds it, nobody needs to know of it. */
async function giveUp(
  parts: BalancingParts,
  round: Round,
  unwanted: readonly KnownFragment[],
): Promise<void> {
  const { view, members } = parts
  const { collection } = round
  const there = members.present(collection)
  const right = members.surveyed(collection)
  for (const pillar of there.filter((one) => right.includes(one))) {
    const mine = unwanted.filter(({ holders }) =>
      holders.some((one) => one.pillar === pillar && one.stage === 'persisted'),
    )
    const surplus = mine.map(({ hash, size, kind }) => ({ hash, size, kind, confirm: [] }))
    for (const some of portions(surplus, trimmedAtOnce(0)))
      await trim(parts, round, pillar, some, true)
  }
  // Only those that nobody holds and needs are forgotten.
  await view.change(unwanted.map(({ hash }) => ({ do: 'forget', collection, hash })))
}

/** Puts and repairs come first. */
async function inItsTurn(parts: BalancingParts, round: Round): Promise<void> {
  const { clock } = parts.world
  const until = clock.monotonic() + patienceMs
  while (parts.distribution.isBusy() && clock.monotonic() < until && !round.signal.aborted)
    await clock.sleep(lookMs, round.signal)
  goOn(parts, round)
}

/** As long as it worked: disks and links are there for others. */
const rest = (
  { world: { clock } }: BalancingParts,
  began: number,
  signal: AbortSignal,
): Promise<void> => clock.sleep(Math.max(restMsMin, clock.monotonic() - began), signal)
