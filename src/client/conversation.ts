/**
 * One primitive: a request to some parties and all their answers. The state is pure; the driver below says the
 * request again while somebody is silent, and ends definitely, naming who was.
 */
import { limits } from '../limits.ts'
import { isProgress } from '../protocol/codes.ts'
import type { AnswerMessage } from '../protocol/messages.ts'

export type Party =
  /** Nothing heard yet. */
  | { readonly at: 'asked' }
  /** It said that it is at it. */
  | { readonly at: 'working' }
  | { readonly at: 'answered'; readonly answer: AnswerMessage }
  | { readonly at: 'silent' }
  /** It said again and again that it is at it, and nothing came of that. */
  | { readonly at: 'stuck' }

interface Heard {
  readonly party: Party
  /** Monotonic milliseconds: when it was last heard, or first asked. */
  readonly heard: number
  /** When the request was last said to it, and when it is to be said again. */
  readonly again: number
  readonly pauseMs: number
  /** How far it was when it was last seen to have got on, and when that was. */
  readonly mark: number
  readonly moved: number
}

export interface Conversation {
  readonly parties: ReadonlyMap<string, Heard>
}

export interface Patience {
  /** Silent for so long: given up. */
  readonly idleMs: number
  /** Known to be off: given up after so long. */
  readonly offlineMs: number
  /** Getting no further for so long: given up, whatever it says; waited for as long as it says something when absent. */
  readonly stallMs?: number | undefined
  /** How far a party is, a number that only grows; not by its word where it can be known otherwise. */
  mark?(name: string): number
}

export const begin = (names: readonly string[], now: number): Conversation => ({
  parties: new Map(
    names.map((name) => [
      name,
      {
        party: { at: 'asked' },
        heard: now,
        again: now + limits.resendMsMin,
        pauseMs: limits.resendMsMin,
        mark: 0,
        moved: now,
      },
    ]),
  ),
})

/** An answer came. Answers by strangers and after the end change nothing. */
export function hear(state: Conversation, answer: AnswerMessage, now: number): Conversation {
  const known = state.parties.get(answer.from)
  if (!known || known.party.at === 'answered') return state
  const party: Party = isProgress(answer.responseInfo.code)
    ? { at: 'working' }
    : { at: 'answered', answer }
  const heard = {
    ...known,
    party,
    heard: now,
    again: now + 3 * limits.progressMs,
    pauseMs: limits.resendMsMin,
  }
  return { parties: new Map(state.parties).set(answer.from, heard) }
}

/** It has started anew, and may know nothing of what it was at: the request is due to it at once. */
export function begunAnew(state: Conversation, name: string, now: number): Conversation {
  const known = state.parties.get(name)
  if (known?.party.at !== 'asked' && known?.party.at !== 'working') return state
  const asked = { ...known, heard: now, moved: now, again: now, pauseMs: limits.resendMsMin }
  return { parties: new Map(state.parties).set(name, asked) }
}

export interface Due {
  readonly state: Conversation
  /** To whom the request is to be said again. */
  readonly again: readonly string[]
  readonly over: boolean
  /** When to look again, monotonic milliseconds. */
  readonly wake: number
}

const isOver = ({ at }: Party): boolean => at !== 'asked' && at !== 'working'

/** What is due now. */
export function due(
  state: Conversation,
  now: number,
  patience: Patience,
  isOffline: (name: string) => boolean,
): Due {
  const parties = new Map(state.parties)
  const again: string[] = []
  let wake = Number.POSITIVE_INFINITY
  for (const [name, before] of parties) {
    if (isOver(before.party)) continue
    const mark = patience.mark?.(name) ?? before.mark
    const known = mark > before.mark ? { ...before, mark, moved: now } : before
    parties.set(name, known)
    const silent =
      known.heard +
      (isOffline(name) ? Math.min(patience.offlineMs, patience.idleMs) : patience.idleMs)
    const stuck = known.moved + (patience.stallMs ?? Number.POSITIVE_INFINITY)
    const end = Math.min(silent, stuck)
    if (now >= end) {
      parties.set(name, { ...known, party: { at: now >= silent ? 'silent' : 'stuck' } })
      continue
    }
    let next = known
    if (now >= known.again) {
      again.push(name)
      const pauseMs = Math.min(known.pauseMs * 2, limits.resendMsMax)
      next = { ...known, again: now + pauseMs, pauseMs }
      parties.set(name, next)
    }
    wake = Math.min(wake, end, next.again)
  }
  return { state: { parties }, again, over: wake === Number.POSITIVE_INFINITY, wake }
}
