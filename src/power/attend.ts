/**
 * Runs a pillar as long as there is power for it: opens it, closes it in order when the battery ends, parks the disk, has
 * the machine switched off; and opens it again when the power is back and the machine still there.
 */
import type { World } from '../world/world.ts'
import type { Leave, Supply } from './power.ts'
import type { Watch } from './watch.ts'

/** What is run by the power that there is. Each step may fail; the next one is tried all the same. */
export interface Attended {
  open(supply: Supply): Promise<{ stop(leave?: Leave): Promise<void> }>
  /** The disk is not used any more: may be unmounted, and is to be there again. */
  park(): Promise<void>
  unpark(): Promise<void>
  /** Tells the UPS to cut its output soon, where that is wished; what comes then is the last. */
  readonly cut?: (() => Promise<void>) | undefined
  /** Switches the machine off; resolves when that was asked for. */
  shutDown(): Promise<void>
}

export interface AttendOptions {
  /** For so long others are asked to wait for it, milliseconds. */
  readonly awayMs: number
}

export interface Attendance {
  /** Resolves once the pillar is open, or it is known that there is no power for it. Rejects when it can not be opened. */
  readonly begun: Promise<void>
  stop(): Promise<void>
}

/** Closing in order may take so long; what is not written by then the next start repairs. */
const closeMsMax = 60_000
/** What could not be opened again is tried again. */
const againMs = 30_000

type Running = Awaited<ReturnType<Attended['open']>>

export function attend(
  world: Pick<World, 'clock' | 'log'>,
  watch: Watch,
  attended: Attended,
  options: AttendOptions,
): Attendance {
  const { clock, log } = world
  const stop = new AbortController()
  let running: Running | undefined
  let isFirst = true
  let told = { begun: (): void => undefined, failed: (_: unknown): void => undefined }
  const begun = new Promise<void>((resolve, reject) => {
    told = { begun: resolve, failed: reject }
  })

  async function work(): Promise<void> {
    await watch.looked
    while (!stop.signal.aborted) {
      if (watch.plan().stop) {
        told.begun()
        if (isFirst) log.warn('power.notBegun', { why: watch.standing().text })
      } else if (!(await opened())) continue
      isFirst = false
      await watch.until((plan) => plan.stop, stop.signal)
      if (stop.signal.aborted) break
      await goes()
      await watch.until((plan) => !plan.stop, stop.signal)
      if (stop.signal.aborted) break
      log.info('power.back', {})
      await step('unpark', attended.unpark)
    }
    await running?.stop()
  }
  async function opened(): Promise<boolean> {
    try {
      running = await attended.open(watch)
      told.begun()
      return true
    } catch (error) {
      if (isFirst) throw error
      log.error('power.notOpened', { why: String(error) })
      await clock.sleep(againMs, stop.signal)
      return false
    }
  }
  async function goes(): Promise<void> {
    const going = running
    running = undefined
    if (going) {
      const closing = going.stop({ until: clock.now() + options.awayMs })
      await step('close', () => within(clock, closeMsMax, closing))
    }
    await step('park', attended.park)
    // Back in the meantime: nobody wants it off any more.
    if (!watch.plan().stop || stop.signal.aborted) return
    if (attended.cut) await step('cut', attended.cut)
    await step('shutDown', attended.shutDown)
  }
  async function step(name: string, act: () => Promise<void>): Promise<void> {
    log.info('power.step', { step: name })
    await act().catch((error) => log.error('power.stepFailed', { step: name, why: String(error) }))
  }
  const ended = work().catch((error) => {
    log.error('power.failed', { why: String(error) })
    told.failed(error)
  })
  return {
    begun,
    async stop() {
      stop.abort()
      await ended
      await watch.close()
    },
  }
}

async function within(
  { sleep }: Pick<World['clock'], 'sleep'>,
  ms: number,
  work: Promise<void>,
): Promise<void> {
  // Whatever becomes of it later, nobody waits for it any more.
  work.catch(() => undefined)
  const done = new AbortController()
  const late = sleep(ms, done.signal).then(() => {
    if (!done.signal.aborted) throw new Error(`it took longer than ${ms} ms`)
  })
  try {
    await Promise.race([work, late])
  } finally {
    done.abort()
  }
}
