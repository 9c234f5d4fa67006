/** Going on: one engine for both directions tries, waits with back-off, and gives up only after a long standstill. */
import { limits } from '../limits.ts'
import { jittered, type World } from '../world/world.ts'
import type { Hop, Route } from './route.ts'
import { Cut, Unreachable, type Urgency } from './transfer.ts'
import type { Windows } from './windows.ts'

export type Outcome =
  | 'complete'
  /** More can be done at once. */
  | 'again'
  /** The exchange is well and has nothing for us yet; it has held our request for a while already. */
  | 'wait'
  /** This exchange can not go on with it now: another one, if there is one. */
  | 'avoid'

export class TransferFailed extends Error {
  override readonly name = 'TransferFailed'
}

export interface Attempts {
  readonly world: World
  readonly route: Route
  /** Where to go now; may change while we are at it, when a newer token came. */
  hops(): readonly Hop[]
  /** How far the transfer is; any change is progress. */
  at(): number
  /** We turn to an exchange that is not the issuer's own. */
  waitingAt?(identity: string): void
  readonly signal: AbortSignal
  /** What the bytes are for; `store` when absent. */
  readonly urgency?: Urgency
  /** When the link may be used for what can wait; at all times when absent. */
  readonly windows?: Windows | undefined
  /** It waits for the next window, so many milliseconds from now; undefined once it does not any more. */
  closedFor?(ms: number | undefined): void
}

/** Whoever waits for a window looks again after so long. */
const windowLookMs = 60_000

/** The exchange answered `wait`: it is asked again after about so long. */
const askAgainMs = 1_000

/**
 * Repeats `attempt` until it is complete. `again` goes on at once, `wait` after a moment; a cut connection is a pause
 * that grows; an exchange that can not be reached, or can not serve us, is avoided for a while. Rejects with
 * `TransferFailed` after `transferStallMs` without progress, and as soon as the signal is aborted.
 */
export async function persist(
  task: Attempts,
  attempt: (hop: Hop) => Promise<Outcome>,
): Promise<void> {
  const { clock } = task.world
  let last = { at: task.at(), when: clock.monotonic() }
  let fruitless = 0
  let pauseMs: number = limits.reconnectMsMin
  for (;;) {
    if (task.signal.aborted) throw new TransferFailed('stopped')
    const hop = task.route.next(task.hops())
    if (!hop) throw new TransferFailed('no exchange that may be dialled')
    if (hop.relay) task.waitingAt?.(hop.identity)
    const closedMs = task.urgency === 'restore' ? 0 : (task.windows?.waitMs(hop) ?? 0)
    task.closedFor?.(closedMs > 0 ? closedMs : undefined)
    if (closedMs > 0) {
      // Not longer: the clock may be set, and who brings the bytes may come near.
      await clock.sleep(Math.min(closedMs, windowLookMs), task.signal)
      last = { at: task.at(), when: clock.monotonic() }
      continue
    }
    const outcome = await tryOnce(task, hop, attempt)
    if (outcome === 'complete') return
    if (task.at() !== last.at) {
      last = { at: task.at(), when: clock.monotonic() }
      fruitless = 0
      pauseMs = limits.reconnectMsMin
    } else fruitless++
    // One attempt may take longer than that and break just before we learn how far it came: the next one asks.
    if (fruitless > 1 && clock.monotonic() - last.when > limits.transferStallMs)
      throw new TransferFailed('nothing moved for too long')
    if (outcome === 'again') continue
    if (outcome === 'avoid') {
      task.route.avoid(hop)
      if (task.route.next(task.hops())?.url !== hop.url) continue
    }
    await clock.sleep(jittered(task.world, outcome === 'wait' ? askAgainMs : pauseMs), task.signal)
    if (outcome !== 'wait') pauseMs = Math.min(pauseMs * 2, limits.reconnectMsMax)
  }
}

async function tryOnce(
  task: Attempts,
  hop: Hop,
  attempt: Parameters<typeof persist>[1],
): Promise<Outcome | 'cut'> {
  const { log } = task.world
  const { identity, url } = hop
  try {
    return await attempt(hop)
  } catch (error) {
    if (error instanceof Unreachable) {
      log.info('transfer.unreachable', { identity, url })
      return 'avoid'
    }
    if (!(error instanceof Cut)) throw error
    log.info('transfer.cut', { identity, at: task.at(), why: error.message })
    return 'cut'
  }
}
