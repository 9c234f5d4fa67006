/**
 * One attempt of a pillar to join, as the tracker sees it. Pure: what was heard and the time go in, what is to be said
 * comes out. Whatever is lost in either direction is said again by one side or the other, until the pillar is registered
 * or the attempt is over.
 */
import type { Denial } from '../protocol/fragments.ts'

export type Join =
  | { readonly at: 'new' }
  /** Waits for what the pillar makes of it; said again at `nextAt`, forgotten at `endAt`. */
  | {
      readonly at: 'accepted'
      readonly tries: number
      /** Monotonic milliseconds. */
      readonly nextAt: number
      readonly endAt: number
    }
  /** Kept for a while, for whoever asks again. */
  | {
      readonly at: 'denied'
      readonly reasonCode: Denial
      readonly reason: string
      readonly endAt: number
    }
  | { readonly at: 'registered'; readonly endAt: number }
  /** The pillar could not apply it, or was not heard of any more. */
  | { readonly at: 'over' }

export type Verdict =
  | { readonly is: 'fine' }
  | { readonly is: 'denied'; readonly reasonCode: Denial; readonly reason: string }

export type JoinEvent =
  | { readonly is: 'requested'; readonly verdict: Verdict }
  | { readonly is: 'succeeded' | 'failed' | 'time' }

export type JoinWord = 'accepted' | 'denied' | 'registered'

export interface JoinStep {
  readonly join: Join
  readonly say?: JoinWord
  /** The pillar is a member from now on: to be made durable before it is said. */
  readonly register?: true
}

const pauseMsMin = 2_000
const pauseMsMax = 60_000
/** An answer to an attempt that is as old as this begins nothing any more. */
const attemptMs = 10 * 60_000

const pause = (tries: number): number => Math.min(pauseMsMax, pauseMsMin * 2 ** tries)

export function joinStep(join: Join, event: JoinEvent, now: number): JoinStep {
  switch (event.is) {
    case 'time':
      return waited(join, now)
    case 'requested':
      return answered(join, event.verdict, now)
    case 'succeeded':
      return applied(join, now)
    case 'failed':
      return { join: join.at === 'registered' ? join : { at: 'over' } }
  }
}

function answered(join: Join, verdict: Verdict, now: number): JoinStep {
  // Said again, because the answer was lost: the same answer again.
  if (join.at === 'registered' || join.at === 'denied') return { join, say: join.at }
  const endAt = now + attemptMs
  if (verdict.is === 'denied') {
    const { reasonCode, reason } = verdict
    return { join: { at: 'denied', reasonCode, reason, endAt }, say: 'denied' }
  }
  const tries = join.at === 'accepted' ? join.tries : 0
  return { join: { at: 'accepted', tries, nextAt: now + pause(tries), endAt }, say: 'accepted' }
}

function applied(join: Join, now: number): JoinStep {
  if (join.at === 'registered' || join.at === 'denied') return { join, say: join.at }
  const endAt = now + attemptMs
  if (join.at === 'accepted')
    return { join: { at: 'registered', endAt }, say: 'registered', register: true }
  // Of an attempt that we know nothing of any more: it is to ask anew.
  const reason = 'this attempt is not known here any more'
  return { join: { at: 'denied', reasonCode: 'OTHER', reason, endAt }, say: 'denied' }
}

/** When it wants to be told of the time, monotonic milliseconds. */
export const joinDueAt = (join: Join): number =>
  join.at === 'accepted'
    ? Math.min(join.nextAt, join.endAt)
    : 'endAt' in join
      ? join.endAt
      : Infinity

function waited(join: Join, now: number): JoinStep {
  if ('endAt' in join && now >= join.endAt) return { join: { at: 'over' } }
  if (join.at !== 'accepted' || now < join.nextAt) return { join }
  const tries = join.tries + 1
  return { join: { ...join, tries, nextAt: now + pause(tries) }, say: 'accepted' }
}
