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

interface Heard {
  readonly party: Party
  /** Monotonic milliseconds: when it was last heard, or first asked. */
  readonly heard: number
  /** When the request was last said to it, and when it is to be said again. */
  readonly again: number
  readonly pauseMs: number
}

export interface Conversation {
  readonly parties: ReadonlyMap<string, Heard>
}

export interface Patience {
  /** Silent for so long: given up. */
  readonly idleMs: number
  /** Known to be off: given up after so long. */
  readonly offlineMs: number
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
  const asked = { ...known, heard: now, again: now, pauseMs: limits.resendMsMin }
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
  for (const [name, known] of parties) {
    if (known.party.at === 'answered' || known.party.at === 'silent') continue
    const end =
      known.heard +
      (isOffline(name) ? Math.min(patience.offlineMs, patience.idleMs) : patience.idleMs)
    if (now >= end) {
      parties.set(name, { ...known, party: { at: 'silent' } })
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
