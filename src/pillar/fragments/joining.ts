/**
 * How a pillar becomes a registered client of the tracker that acts. Pure: what was heard and the time go in, what is to
 * be said comes out. What is lost on the way, in either direction, is said again; a refusal is asked again later, or when
 * a tracker says hello.
 */
import { compareEpochs, type Epoch } from '../../protocol/fragments.ts'

export type Joining =
  /** No tracker has said hello yet. */
  | { readonly at: 'waiting' }
  /** Asked, and not answered; or answered and applied, and not registered. Said again at `nextAt`. */
  | {
      readonly at: 'asking' | 'applied'
      readonly epoch: Epoch
      readonly attempt: string
      readonly tries: number
      /** Monotonic milliseconds. */
      readonly nextAt: number
    }
  | {
      readonly at: 'denied'
      readonly epoch: Epoch
      readonly tries: number
      readonly nextAt: number
    }
  | { readonly at: 'registered'; readonly epoch: Epoch }

export type JoinEvent =
  | { readonly is: 'hello'; readonly epoch: Epoch }
  /** A tracker says hello by an older epoch than the one we know: it lost its disk, or took the other's place. */
  | { readonly is: 'olderHello'; readonly epoch: Epoch; readonly by: string }
  /** The bus is there again, and may have forgotten everything. */
  | { readonly is: 'connected' }
  /** The answer to our attempt was applied, or could not be. */
  | { readonly is: 'applied' | 'notApplied'; readonly attempt: string }
  | { readonly is: 'denied'; readonly attempt: string }
  /** The tracker has told all that we are a member. */
  | { readonly is: 'registered'; readonly epoch: Epoch }
  | { readonly is: 'time' }

/** What is to be said now. */
export type JoinWord = 'requested' | 'succeeded' | 'failed'

export interface JoinStep {
  readonly state: Joining
  readonly say?: JoinWord
}

const pauseMsMin = 2_000
const pauseMsMax = 60_000
/** After a refusal: whatever it was about takes people a while to change. */
const refusedMsMin = 60_000
const refusedMsMax = 3_600_000

const pause = (tries: number): number => Math.min(pauseMsMax, pauseMsMin * 2 ** tries)

/** @param attempt a fresh name, used when a new attempt begins */
export function joinStep(state: Joining, event: JoinEvent, now: number, attempt: string): JoinStep {
  const ask = (epoch: Epoch, tries = 0): JoinStep => ({
    state: { at: 'asking', epoch, attempt, tries, nextAt: now + pause(tries) },
    say: 'requested',
  })
  switch (event.is) {
    case 'hello': {
      const known = state.at === 'waiting' ? undefined : state.epoch
      // The same hello comes with every connection, since it is retained.
      if (known && compareEpochs(event.epoch, known) <= 0) return { state }
      return ask(event.epoch)
    }
    case 'olderHello':
      return rises(state, event.epoch, event.by) ? ask(event.epoch) : { state }
    case 'connected':
      return state.at === 'waiting' ? { state } : ask(state.epoch)
    case 'applied':
    case 'notApplied': {
      if (state.at !== 'asking' && state.at !== 'applied') return { state }
      if (state.attempt !== event.attempt) return { state }
      if (event.is === 'notApplied') return refused(state.epoch, 0, now, 'failed')
      return {
        state: { ...state, at: 'applied', nextAt: now + pause(state.tries) },
        say: 'succeeded',
      }
    }
    case 'denied': {
      if (state.at !== 'asking' && state.at !== 'applied') return { state }
      if (state.attempt !== event.attempt) return { state }
      return refused(state.epoch, state.tries, now)
    }
    case 'registered': {
      if (state.at === 'waiting' || compareEpochs(event.epoch, state.epoch) < 0) return { state }
      // Told of another attempt of ours, which came through after all: it is all the same.
      return { state: { at: 'registered', epoch: event.epoch } }
    }
    case 'time': {
      if (!('nextAt' in state) || now < state.nextAt) return { state }
      if (state.at === 'denied') return ask(state.epoch, state.tries)
      const tries = state.tries + 1
      return {
        state: { ...state, tries, nextAt: now + pause(tries) },
        say: state.at === 'asking' ? 'requested' : 'succeeded',
      }
    }
  }
}

/**
 * Whether that tracker is told by our request of which epoch we know, to rise above it. Not while one of another name acts,
 * which answers such a hello itself; nor again while it is being said.
 */
function rises(state: Joining, epoch: Epoch, by: string): boolean {
  if (state.at === 'registered') return state.epoch.tracker === by
  const asks = state.at === 'asking' || state.at === 'applied'
  return !(asks && compareEpochs(epoch, state.epoch) <= 0)
}

function refused(epoch: Epoch, tries: number, now: number, say?: JoinWord): JoinStep {
  const wait = Math.min(refusedMsMax, refusedMsMin * 2 ** tries)
  const state = { at: 'denied', epoch, tries: tries + 1, nextAt: now + wait } as const
  return say === undefined ? { state } : { state, say }
}
