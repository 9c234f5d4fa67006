/** Going on: one engine for both directions tries, waits with back-off, and gives up only after a long standstill. */
import { limits } from '../limits.ts'
import { jittered, type World } from '../world/world.ts'
import type { Hop, Route } from './route.ts'
import { Cut, Unreachable } from './transfer.ts'

export type Outcome = 'complete' | 'again' | 'wait'

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
}

/**
 * Repeats `attempt` until it is complete. `again` goes on at once, `wait` after a pause; a cut connection is a pause;
 * an unreachable address is avoided for a while. Rejects with `TransferFailed` after `transferStallMs` without progress.
 */
export async function persist(
  task: Attempts,
  attempt: (hop: Hop) => Promise<Outcome>,
): Promise<void> {
  const { clock, log } = task.world
  let last = { at: task.at(), when: clock.monotonic() }
  let pauseMs: number = limits.reconnectMsMin
  for (;;) {
    if (task.signal.aborted) throw new TransferFailed('stopped')
    if (clock.monotonic() - last.when > limits.transferStallMs)
      throw new TransferFailed('nothing moved for too long')
    const hop = task.route.next(task.hops())
    if (!hop) throw new TransferFailed('no exchange that may be dialled')
    if (hop.relay) task.waitingAt?.(hop.identity)
    const outcome = await tryOnce(task, hop, attempt)
    if (outcome === 'complete') return
    if (outcome === 'unreachable') {
      log.info('transfer.unreachable', { identity: hop.identity, url: hop.url })
      task.route.avoid(hop)
    }
    if (task.at() !== last.at) {
      last = { at: task.at(), when: clock.monotonic() }
      pauseMs = limits.reconnectMsMin
    }
    if (outcome === 'again') continue
    const another = outcome === 'unreachable' && task.route.next(task.hops())?.url !== hop.url
    if (another) continue
    await clock.sleep(jittered(task.world, pauseMs), task.signal)
    pauseMs = Math.min(pauseMs * 2, limits.reconnectMsMax)
  }
}

async function tryOnce(
  task: Attempts,
  hop: Hop,
  attempt: (hop: Hop) => Promise<Outcome>,
): Promise<Outcome | 'unreachable'> {
  try {
    return await attempt(hop)
  } catch (error) {
    if (error instanceof Unreachable) return 'unreachable'
    if (!(error instanceof Cut)) throw error
    task.world.log.info('transfer.cut', {
      identity: hop.identity,
      at: task.at(),
      why: error.message,
    })
    return 'wait'
  }
}
