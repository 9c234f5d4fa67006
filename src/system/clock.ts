import { existsSync } from 'node:fs'
import type { Clock } from '../world/world.ts'

/** The most that one timer of Node.js can wait; a longer one would fire at once. */
const timerMsMax = 0x7fff_ffff

export function systemClock(): Clock {
  const clock: Clock = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    async sleep(ms, signal) {
      const until = performance.now() + ms
      for (;;) {
        const left = until - performance.now()
        if (signal?.aborted || !(left > 0)) return
        await wait(Math.min(Math.ceil(left), timerMsMax), signal)
      }
    },
  }
  return clock
}

function wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal?.addEventListener('abort', end)
  })
}

/** Minutes that this machine's own time is ahead of UTC at that moment. */
export const minutesEast = (at: number): number => -new Date(at).getTimezoneOffset()

/** Whether systemd-timesyncd has set the clock since the start; what others do can not be told without asking them. */
export const synchronised = (): boolean => existsSync('/run/systemd/timesync/synchronized')
