/**
 * One fragment on its way to its copies: what each pillar has said of it, and whom to ask next. Pure: what was heard and
 * the time go in, what is due comes out.
 */
import { limits } from '../limits.ts'
import { type Fragment, sparesAtFirst } from '../protocol/fragments.ts'
import type { Stage } from '../view/view.ts'

/** Times are monotonic milliseconds. */
export type Standing =
  /** It would take the fragment; bytes that it could promise beyond. */
  | { readonly at: 'applied'; readonly room: number }
  /** It was named as a recipient. */
  | { readonly at: 'asked'; readonly since: number }
  /** Since when it is asked to keep it for good; undefined while we wait for others. */
  | { readonly at: 'temporary'; readonly since: number | undefined }
  | { readonly at: 'persisted' }
  | { readonly at: 'failed'; readonly why: string }
  /** It was asked, and is not waited for any more. */
  | { readonly at: 'silent' }

export interface Goal {
  readonly fragment: Fragment
  /** Holders that it is to have. */
  readonly copies: number
  /** Holders at which somebody is content for the time being. */
  readonly enough: number
  /** Only these may get it; anybody when absent. */
  readonly only?: readonly string[]
}

export interface Course extends Goal {
  readonly standings: ReadonlyMap<string, Standing>
  /** They failed or fell silent before: asked only when there is nobody else. */
  readonly tried: ReadonlySet<string>
  readonly ended: Repeat
  /** Who was named, and as what, when the end was said last. */
  readonly named: string
}

/** When it is to be said again. */
export interface Repeat {
  readonly again: number
  readonly pauseMs: number
}

export interface Applicant {
  readonly id: string
  /** Bytes that it has for this fragment. */
  readonly free: number
}

/** What is known of pillars beside what they say of fragments. */
export interface Sight {
  /** Registered: its copies count. */
  counts(pillar: string): boolean
  isPresent(pillar: string): boolean
  /** When it last did anything for us: said something, or fetched bytes. */
  workedAt(pillar: string): number
  /** It may be given more to do. */
  isFree(pillar: string): boolean
  /** The first of those that should hold it, by rank. */
  candidates(fragment: Fragment, count: number): readonly string[]
  /** The applicants in the order in which they are to be asked. */
  recommend(
    fragment: Fragment,
    applicants: readonly Applicant[],
    holders: readonly string[],
    copies: number,
  ): readonly string[]
}

export const patience = {
  /** An asked pillar without any sign of work: a spare one is asked as well; and it is given up. */
  slowMs: 20_000,
  idleMs: 90_000,
  /** The same of one that is known to be off. */
  offlineMs: 5_000,
  /** One that has the bytes, and goes off before it has said that it keeps them. */
  offlineKeepingMs: 30_000,
  /** What is safe enough does not wait longer for the rest before it is kept for good. */
  restMs: 5_000,
} as const

const never = Number.POSITIVE_INFINITY
export const first: Repeat = { again: 0, pauseMs: limits.resendMsMin }

/** @param holders who holds it already, as far as is known */
export function courseOf(
  goal: Goal,
  holders: readonly { readonly pillar: string; readonly stage: Stage }[],
): Course {
  const standings = holders.map(({ pillar, stage }): [string, Standing] => [pillar, holding(stage)])
  return {
    ...goal,
    standings: new Map(standings),
    tried: new Set(),
    ended: first,
    named: '',
  }
}
const holding = (stage: Stage): Standing =>
  stage === 'persisted' ? { at: 'persisted' } : { at: 'temporary', since: undefined }

const stand = (course: Course, pillar: string, standing: Standing): Course => ({
  ...course,
  standings: new Map(course.standings).set(pillar, standing),
})
const giveUp = (course: Course, pillar: string, standing: Standing): Course => ({
  ...stand(course, pillar, standing),
  tried: new Set(course.tried).add(pillar),
})

export function applied(course: Course, pillar: string, room: number): Course {
  const at = course.standings.get(pillar)?.at
  if (at === 'asked' || at === 'temporary' || at === 'persisted') return course
  return stand(course, pillar, { at: 'applied', room })
}

/** Said twice or late it changes nothing: what is kept for good is never only temporary again. */
export function obtained(course: Course, pillar: string, stage: Stage): Course {
  const at = course.standings.get(pillar)?.at
  if (at === 'persisted' || at === stage) return course
  return stand(course, pillar, holding(stage))
}

export function failed(course: Course, pillar: string, why: string): Course {
  const at = course.standings.get(pillar)?.at
  if (at !== 'asked' && at !== 'temporary') return course
  return giveUp(course, pillar, { at: 'failed', why })
}

/** Gives up who was waited for too long. */
export function settle(course: Course, now: number, sight: Sight): Course {
  let settled = course
  for (const [pillar, standing] of course.standings)
    if (now >= endOf(pillar, standing, sight)) settled = giveUp(settled, pillar, { at: 'silent' })
  return settled
}

/** Until when this pillar is waited for. */
function endOf(pillar: string, standing: Standing, sight: Sight): number {
  if (standing.at !== 'asked' && standing.at !== 'temporary') return never
  if (standing.since === undefined) return never
  // One that has left is not waited for; one that is away for less than the grace time still counts.
  if (!sight.counts(pillar)) return standing.since
  const since = Math.max(standing.since, sight.workedAt(pillar))
  if (sight.isPresent(pillar)) return since + patience.idleMs
  return since + (standing.at === 'asked' ? patience.offlineMs : patience.offlineKeepingMs)
}

/** Asked at that time, it has not answered yet. */
export function isAsked(course: Course, pillar: string, since: number): boolean {
  const standing = course.standings.get(pillar)
  return standing?.at === 'asked' && standing.since === since
}

export function pillarsAt(course: Course, ...stages: readonly Standing['at'][]): string[] {
  return [...course.standings].flatMap(([pillar, { at }]) => (stages.includes(at) ? [pillar] : []))
}
export const holdersOf = (course: Course, sight: Sight): string[] =>
  pillarsAt(course, 'temporary', 'persisted').filter(sight.counts)
export const persistedOf = (course: Course, sight: Sight): string[] =>
  pillarsAt(course, 'persisted').filter(sight.counts)

const isSlow = (pillar: string, since: number, now: number, sight: Sight): boolean =>
  now >= slowAt(pillar, since, sight)
const slowAt = (pillar: string, since: number, sight: Sight): number =>
  Math.max(since, sight.workedAt(pillar)) + patience.slowMs

/** How many more are to be asked now. Never are more asked than are missing, and the spares. */
export function missing(course: Course, now: number, sight: Sight): number {
  const held = holdersOf(course, sight).length
  let asked = 0
  let slow = 0
  for (const [pillar, standing] of course.standings) {
    if (standing.at !== 'asked') continue
    asked++
    if (isSlow(pillar, standing.since, now, sight)) slow++
  }
  return Math.max(
    0,
    Math.min(course.copies - held - (asked - slow), course.copies + sparesAtFirst - held - asked),
  )
}

const isAble = ({ only }: Goal, pillar: string, sight: Sight): boolean =>
  sight.counts(pillar) && sight.isPresent(pillar) && (only?.includes(pillar) ?? true)

/** Asks as many of those that applied as are missing; who failed before comes last. */
export function ask(course: Course, now: number, sight: Sight): Course {
  const count = missing(course, now, sight)
  if (count === 0) return course
  const { fragment, standings, tried, copies } = course
  const able: Applicant[] = []
  for (const [id, standing] of standings)
    if (standing.at === 'applied' && isAble(course, id, sight) && sight.isFree(id))
      able.push({ id, free: standing.room + fragment.size })
  const holders = holdersOf(course, sight)
  const order = (some: Applicant[]): readonly string[] =>
    sight.recommend(fragment, some, holders, copies)
  const chosen = [
    ...order(able.filter(({ id }) => !tried.has(id))),
    ...order(able.filter(({ id }) => tried.has(id))),
  ].slice(0, count)
  if (chosen.length === 0) return course
  let next = course
  for (const pillar of chosen) next = stand(next, pillar, { at: 'asked', since: now })
  return next
}

/** Somebody has applied who may be asked once he has less to do. */
export const hasWaiting = (course: Course, sight: Sight): boolean =>
  pillarsAt(course, 'applied').some(
    (pillar) => isAble(course, pillar, sight) && !sight.isFree(pillar),
  )

/** All that were likely to answer have done so. */
export function allAnswered(course: Course, count: number, sight: Sight): boolean {
  const likely = sight
    .candidates(course.fragment, count)
    .filter((pillar) => isAble(course, pillar, sight))
  return likely.length > 0 && likely.every((pillar) => course.standings.has(pillar))
}

export interface Ending {
  readonly outcome: 'complete' | 'partial'
  readonly holders: readonly string[]
}

/**
 * What is to be said of the end: as soon as all copies are there, or nobody is on the way, or what is there is enough and
 * the rest takes its time. Undefined when nobody waits for it.
 */
export function endingOf(
  course: Course,
  now: number,
  sight: Sight,
  isClosed: boolean,
): Ending | undefined {
  const holders = holdersOf(course, sight).sort()
  const keep = holders.some((pillar) => course.standings.get(pillar)?.at === 'temporary')
  if (!keep) return undefined
  const outcome = holders.length >= course.copies ? 'complete' : 'partial'
  if (outcome === 'complete') return { outcome, holders }
  const oldest = askedSince(course)
  const ripe =
    oldest === undefined
      ? isClosed
      : holders.length >= course.enough && now >= oldest + patience.restMs
  return ripe ? { outcome, holders } : undefined
}

/** Since when the one that was asked first of those that are still at it. */
function askedSince(course: Course): number | undefined {
  let oldest: number | undefined
  for (const standing of course.standings.values())
    if (standing.at === 'asked') oldest = Math.min(oldest ?? never, standing.since)
  return oldest
}

/** The end is said: from now on its holders are waited for. */
export function endSaid(course: Course, ending: Ending, now: number): Course {
  const named = JSON.stringify(ending)
  const standings = new Map(course.standings)
  for (const pillar of ending.holders) {
    const standing = standings.get(pillar)
    if (standing?.at === 'temporary' && standing.since === undefined)
      standings.set(pillar, { ...standing, since: now })
  }
  const before = named === course.named ? course.ended : first
  return { ...course, standings, named, ended: repeated(before, now) }
}
export const isEndDue = (course: Course, ending: Ending, now: number): boolean =>
  now >= course.ended.again || JSON.stringify(ending) !== course.named

export const repeated = ({ pauseMs }: Repeat, now: number): Repeat => ({
  again: now + pauseMs,
  pauseMs: Math.min(pauseMs * 2, limits.resendMsMax),
})
/** What was said may be lost: it is due again. */
export const sayAgain = (course: Course): Course => ({ ...course, ended: first })

/** All copies are kept for good; or, with `closing`, everything that is there is. */
export function isDone(course: Course, sight: Sight, closing: boolean): boolean {
  const keeping = pillarsAt(course, 'temporary').some(sight.counts)
  if (keeping || pillarsAt(course, 'asked').length > 0) return false
  return closing || persistedOf(course, sight).length >= course.copies
}

/** When time alone changes something; repetitions included. */
export function wakeOf(course: Course, now: number, sight: Sight, ending?: Ending): number {
  let wake = ending ? course.ended.again : never
  for (const [pillar, standing] of course.standings) {
    wake = Math.min(wake, endOf(pillar, standing, sight))
    if (standing.at !== 'asked') continue
    const times = [slowAt(pillar, standing.since, sight), standing.since + patience.restMs]
    for (const at of times) if (at > now) wake = Math.min(wake, at)
  }
  return wake
}
