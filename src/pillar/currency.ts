/**
 * Whether what we know of the archive, and the time, is right now: after each connect the tracker itself is asked. Requests that
 * destroy may have waited at the broker while whoever sent them was turned out.
 */
import { limits } from '../limits.ts'
import { newBell } from '../world/bell.ts'
import { jittered } from '../world/world.ts'
import type { PillarParts } from './pillar.ts'

export interface Currency {
  /** There is a new connection to the broker: nothing is confirmed any more. */
  connected(): void
  /** The tracker says that it has this version of the archive document. */
  told(version: number): void
  /** Whether the document was confirmed since the last connect. */
  isConfirmed(): boolean
  /** Resolves once it is, or after a while. */
  confirmed(): Promise<boolean>
  /** Why nothing may be destroyed by our clock; undefined when it is trusted. */
  clockFault(): string | undefined
}

type Parts = Pick<PillarParts, 'world' | 'directory' | 'refresh' | 'synchronised'>

export function currency(
  { world, directory, refresh, synchronised }: Parts,
  stopping: AbortSignal,
  isConnected: () => boolean,
): Currency {
  const { clock, log } = world
  let connections = 0
  let confirmedFor = 0
  let wanted = 0
  let asking = false
  const settled = newBell()
  const hints = clockHints(clock)
  const isUpToDate = (): boolean =>
    confirmedFor === connections && directory.document().version >= wanted
  // A broker delivers what has waited before the connection is told to be there.
  const isConfirmed = (): boolean => isConnected() && isUpToDate()

  async function ask(): Promise<void> {
    const [connection, version] = [connections, wanted]
    const began = clock.monotonic()
    hints.take(await refresh(), clock.monotonic() - began)
    confirmedFor = connection
    // It was announced, and is not handed out: there is nothing more to be had.
    if (wanted === version) wanted = 0
    if (isUpToDate()) settled.ring()
  }
  async function run(): Promise<void> {
    if (asking) return
    asking = true
    let pauseMs: number = limits.confirmMsMin
    while (!isUpToDate() && !stopping.aborted) {
      try {
        await ask()
      } catch (error) {
        log.warn('document.notFetched', { why: String(error) })
        await clock.sleep(jittered(world, pauseMs), stopping)
        pauseMs = Math.min(2 * pauseMs, limits.confirmMsMax)
      }
    }
    asking = false
  }
  return {
    connected() {
      connections++
      void run()
    },
    told(version) {
      wanted = Math.max(wanted, version)
      void run()
    },
    isConfirmed,
    async confirmed() {
      if (!isConfirmed())
        await clock.sleep(limits.confirmWaitMs, AbortSignal.any([settled.next(), stopping]))
      return isConfirmed()
    },
    clockFault: () => (synchronised?.() ? undefined : hints.fault()),
  }
}

/**
 * A clock is trusted when the tracker, asked by us over a connection that both sides have just proved, said nearly the same, and
 * it has run steadily since. Undefined as its answer: nobody else keeps the time, this is the tracker's own.
 */
function clockHints(clock: Parts['world']['clock']) {
  let last: { readonly wall: number; readonly run: number; readonly offMs: number } | undefined
  return {
    take(said: number | undefined, tookMs: number): void {
      const wall = clock.now()
      const offMs = said === undefined ? 0 : Math.max(0, Math.abs(wall - said) - tookMs)
      last = { wall, run: clock.monotonic(), offMs }
    },
    fault(): string | undefined {
      if (last === undefined) return 'nobody has told yet whether my clock is right'
      const jumpMs = Math.abs(clock.now() - last.wall - (clock.monotonic() - last.run))
      if (last.offMs + jumpMs <= limits.skewMs) return undefined
      return `my clock is off by ${Math.round((last.offMs + jumpMs) / 60_000)} min`
    },
  }
}
