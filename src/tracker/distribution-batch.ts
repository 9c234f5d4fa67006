/**
 * One distribution: up to 64 fragments that are announced, delivered and ended together. Pure: what pillars said and the
 * time go in, what is to be said comes out; the driver is in distribution.ts.
 */
import { limits } from '../limits.ts'
import { type Fragment, sparesAtFirst } from '../protocol/fragments.ts'
import { bytesOf } from '../protocol/scalars.ts'
import type { Stage } from '../view/view.ts'
import {
  allAnswered,
  applied,
  ask,
  type Course,
  courseOf,
  type Ending,
  endingOf,
  endSaid,
  failed,
  first,
  type Goal,
  hasWaiting,
  holdersOf,
  isAsked,
  isDone,
  isEndDue,
  missing,
  obtained,
  persistedOf,
  pillarsAt,
  type Repeat,
  repeated,
  type Sight,
  sayAgain,
  settle,
  wakeOf,
} from './distribution-course.ts'

export interface Batch {
  /** By hash. */
  readonly courses: ReadonlyMap<string, Course>
  /** Those that are not answered yet. */
  readonly orders: readonly Order[]
  readonly pages: number
  /** How often candidates were asked to apply; -1 before the first time. */
  readonly round: number
  /** Monotonic milliseconds: until when applications are collected. */
  readonly closesAt: number
  /** The last time that a pillar obtained something. */
  readonly movedAt: number
  /** Nothing may move for so long while there is not enough. */
  readonly stallMs: number
  /** Nobody is asked any more; what is on its way is waited for. */
  readonly closing: boolean
}

/** Who is to fetch what: one message, that is said again as it was. */
export interface Order {
  /** Its number in the distribution: pillars know the order by it. */
  readonly page: number
  readonly at: number
  readonly fragments: readonly Delivery[]
  readonly repeat: Repeat
}
type Delivery = Fragment & { readonly recipients: readonly string[] }

export type Heard =
  | { readonly is: 'applied'; readonly hashes: readonly string[]; readonly room: number }
  | { readonly is: 'obtained'; readonly hashes: readonly string[]; readonly stage: Stage }
  | { readonly is: 'failed'; readonly fragments: readonly { hash: string; why: string }[] }

export type Word =
  | {
      readonly say: 'started'
      readonly round: number
      /** The window, milliseconds. */
      readonly closesInMs: number
      readonly fragments: readonly (Fragment & { copies: number; holders: readonly string[] })[]
    }
  | {
      readonly say: 'delivered'
      readonly page: number
      readonly fragments: readonly Delivery[]
    }
  | { readonly say: 'ended'; readonly fragments: readonly Ended[] }

/** `aborted`: it was for nothing, and who has it for the time being gives it up. */
export type Ended = Fragment &
  (Ending | { readonly outcome: 'aborted'; readonly holders: readonly string[] })

export interface Due {
  readonly batch: Batch
  readonly words: readonly Word[]
  /** When to look again, monotonic milliseconds. */
  readonly wake: number
  readonly over: boolean
}

/** Applications are collected for so long; each further round is open twice as long. */
export const windowMsMin = 2_000
const windowMsMax = 30_000
/** Nothing has moved for so long: given up. Shorter once there is enough of everything. */
export const stallMs = 10 * 60_000
const contentMs = 60_000
/** By then everybody is asked. */
const roundMax = 16

const windowMs = (round: number): number => Math.min(windowMsMin * 2 ** round, windowMsMax)
const asksUpTo = ({ copies }: Goal, round: number): number =>
  copies + sparesAtFirst * 2 ** Math.min(round, roundMax)

export function batchOf(
  goals: readonly (Goal & {
    readonly holders: readonly { readonly pillar: string; readonly stage: Stage }[]
  })[],
  now: number,
  patienceMs: number = stallMs,
): Batch {
  return {
    courses: new Map(
      goals.map(({ holders, ...goal }) => [goal.fragment.hash, courseOf(goal, holders)]),
    ),
    orders: [],
    pages: 0,
    round: -1,
    closesAt: now,
    movedAt: now,
    stallMs: patienceMs,
    closing: false,
  }
}

/** What is said of fragments that are not in it changes nothing. */
export function hear(batch: Batch, pillar: string, heard: Heard, now: number): Batch {
  const courses = new Map(batch.courses)
  let moved = false
  const each = (hash: string, change: (course: Course) => Course): void => {
    const course = courses.get(hash)
    if (!course) return
    const next = change(course)
    courses.set(hash, next)
    if (heard.is === 'obtained' && next !== course) moved = true
  }
  if (heard.is === 'applied')
    for (const hash of heard.hashes) each(hash, (course) => applied(course, pillar, heard.room))
  if (heard.is === 'obtained')
    for (const hash of heard.hashes) each(hash, (course) => obtained(course, pillar, heard.stage))
  if (heard.is === 'failed')
    for (const { hash, why } of heard.fragments) each(hash, (course) => failed(course, pillar, why))
  return { ...batch, courses, movedAt: moved ? now : batch.movedAt }
}

/** Somebody else needs more copies of this fragment at once. */
export function raise(batch: Batch, hash: string, enough: number): Batch {
  const course = batch.courses.get(hash)
  if (!course || course.enough >= enough) return batch
  return { ...batch, courses: new Map(batch.courses).set(hash, { ...course, enough }) }
}

/** The broker may have forgotten what was said: all of it is due again. */
export const reconnected = (batch: Batch): Batch => ({
  ...batch,
  courses: new Map([...batch.courses].map(([hash, course]) => [hash, sayAgain(course)])),
  orders: batch.orders.map((order) => ({ ...order, repeat: first })),
})

export function due(batch: Batch, now: number, sight: Sight): Due {
  const courses = new Map(
    [...batch.courses].map(([hash, course]) => [hash, settle(course, now, sight)]),
  )
  const isClosed = batch.closing || now >= batch.closesAt || areAllHere(batch, courses, now, sight)
  const fresh = isClosed && !batch.closing ? askMore(batch, courses, now, sight) : []
  const call =
    batch.closing || now < batch.closesAt ? undefined : calling(batch, courses, now, sight)
  const orders = [...batch.orders, ...fresh].filter((order) => isOpen(order, courses))
  const spoken = orders.map((order) => saidIfDue(order, now))
  const words: Word[] = [
    ...(call ? [call.word] : []),
    ...spoken.flatMap(({ word }) => word ?? []),
    ...endings(courses, now, sight, isClosed),
  ]
  const next: Batch = {
    ...batch,
    courses,
    orders: spoken.map(({ order }) => order),
    pages: batch.pages + fresh.length,
    round: call?.round ?? batch.round,
    closesAt: call?.closesAt ?? batch.closesAt,
  }
  const over = isOver(next, now, sight)
  return { batch: next, words, over, wake: wake(next, now, sight, isClosed) }
}

/** Opens another round for those that miss copies, with nobody to ask. */
function calling(
  batch: Batch,
  courses: ReadonlyMap<string, Course>,
  now: number,
  sight: Sight,
): { word: Word; round: number; closesAt: number } | undefined {
  const open = [...courses.values()].filter(
    (course) => missing(course, now, sight) > 0 && !hasWaiting(course, sight),
  )
  if (open.length === 0) return undefined
  const round = batch.round + 1
  const closesInMs = windowMs(round)
  const fragments = open.map((course) => ({
    ...course.fragment,
    copies: course.copies,
    holders: holdersOf(course, sight),
  }))
  const word: Word = { say: 'started', round: Math.min(round, roundMax), closesInMs, fragments }
  return { word, round, closesAt: now + closesInMs }
}

/** Whoever was likely to apply has answered, for every fragment that misses copies. */
function areAllHere(
  batch: Batch,
  courses: ReadonlyMap<string, Course>,
  now: number,
  sight: Sight,
): boolean {
  if (batch.round < 0) return false
  return [...courses.values()].every(
    (course) =>
      missing(course, now, sight) === 0 ||
      allAnswered(course, asksUpTo(course, batch.round), sight),
  )
}

/** Orders for those that applied, as far as they are needed. */
function askMore(batch: Batch, courses: Map<string, Course>, now: number, sight: Sight): Order[] {
  const deliveries: Delivery[] = []
  for (const [hash, course] of courses) {
    const next = ask(course, now, sight)
    if (next === course) continue
    courses.set(hash, next)
    const recipients = pillarsAt(next, 'asked').filter(
      (pillar) => course.standings.get(pillar)?.at !== 'asked',
    )
    deliveries.push({ ...course.fragment, recipients: recipients.sort() })
  }
  return inPages(deliveries).map((fragments, n) => ({
    page: batch.pages + n,
    at: now,
    fragments,
    repeat: first,
  }))
}

/** Somebody has not answered it yet. */
const isOpen = ({ at, fragments }: Order, courses: ReadonlyMap<string, Course>): boolean =>
  fragments.some(({ hash, recipients }) => {
    const course = courses.get(hash)
    return course && recipients.some((pillar) => isAsked(course, pillar, at))
  })

function saidIfDue(order: Order, now: number): { order: Order; word?: Word } {
  const { page, fragments, repeat } = order
  if (now < repeat.again) return { order }
  const word: Word = { say: 'delivered', page, fragments }
  return { order: { ...order, repeat: repeated(repeat, now) }, word }
}

/** As many as one message takes; names stand in it twice, and the token names its objects and holders once more. */
export function inPages<T>(items: readonly T[]): T[][] {
  const pages: T[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const item of items) {
    const cost = 2 * bytesOf(JSON.stringify(item))
    if (bytes + cost > limits.pageBytesMax) {
      pages.push([])
      bytes = 0
    }
    pages.at(-1)?.push(item)
    bytes += cost
  }
  return pages
}

function endings(
  courses: Map<string, Course>,
  now: number,
  sight: Sight,
  isClosed: boolean,
): Word[] {
  const fragments: (Fragment & Ending)[] = []
  for (const [hash, course] of courses) {
    const ending = endingOf(course, now, sight, isClosed)
    if (!ending || !isEndDue(course, ending, now)) continue
    fragments.push({ ...course.fragment, ...ending })
    courses.set(hash, endSaid(course, ending, now))
  }
  return fragments.length === 0 ? [] : [{ say: 'ended', fragments }]
}

export const isEnough = (course: Course, enough: number, sight: Sight): boolean =>
  persistedOf(course, sight).length >= enough

function stalledAt(batch: Batch, sight: Sight): number {
  let moved = batch.movedAt
  let content = true
  for (const course of batch.courses.values()) {
    content &&= isEnough(course, course.enough, sight)
    for (const pillar of pillarsAt(course, 'asked')) moved = Math.max(moved, sight.workedAt(pillar))
  }
  return moved + (content ? Math.min(contentMs, batch.stallMs) : batch.stallMs)
}

function isOver(batch: Batch, now: number, sight: Sight): boolean {
  if (now >= stalledAt(batch, sight)) return true
  return [...batch.courses.values()].every((course) => isDone(course, sight, batch.closing))
}

function wake(batch: Batch, now: number, sight: Sight, isClosed: boolean): number {
  let at = stalledAt(batch, sight)
  if (batch.closesAt > now) at = Math.min(at, batch.closesAt)
  for (const { repeat } of batch.orders) at = Math.min(at, repeat.again)
  for (const course of batch.courses.values()) {
    const ending = endingOf(course, now, sight, isClosed)
    at = Math.min(at, wakeOf(course, now, sight, ending))
  }
  return at
}

/** Who stood in the way, in one sentence; fragments that have enough are left out. */
export function reproach(batch: Batch, members: readonly string[], sight: Sight): string {
  const silent = new Set<string>()
  const full = new Set<string>()
  const broken = new Map<string, string>()
  let short = 0
  for (const course of batch.courses.values()) {
    if (isEnough(course, course.enough, sight)) continue
    short++
    for (const pillar of members) {
      const standing = course.standings.get(pillar)
      if (!standing) (sight.isPresent(pillar) ? full : silent).add(pillar)
      if (standing?.at === 'silent' || standing?.at === 'asked') silent.add(pillar)
      if (standing?.at === 'failed') broken.set(pillar, standing.why)
    }
  }
  const parts = [
    ...(silent.size > 0 ? [`${[...silent].join(', ')} did not answer`] : []),
    ...(full.size > 0 ? [`${[...full].join(', ')} did not apply, being full or not chosen`] : []),
    ...[...broken].map(([pillar, why]) => `${pillar} failed (${why})`),
  ]
  const who = parts.length > 0 ? parts.join('; ') : 'there are too few pillars'
  return `${short} of ${batch.courses.size} fragments did not get enough copies: ${who}`
}
