/** Lets those who wait for something know that it may have happened. */
import type { Clock } from '../world/world.ts'

export interface Bell {
  /** To be taken before one looks, and handed to `wait`: what rings in between is not missed. */
  count(): number
  ring(key: string): void
  /** Resolves at the next ring of one of these keys, after `ms`, or when aborted. */
  wait(keys: readonly string[], since: number, ms: number, abort: AbortSignal): Promise<void>
}

export function bell(clock: Clock): Bell {
  const waiting = new Map<string, Set<() => void>>()
  let rung = 0
  const leave = (key: string, wake: () => void): void => {
    const all = waiting.get(key)
    all?.delete(wake)
    if (all?.size === 0) waiting.delete(key)
  }
  return {
    count: () => rung,
    ring(key) {
      rung++
      for (const wake of [...(waiting.get(key) ?? [])]) wake()
    },
    async wait(keys, since, ms, abort) {
      if (rung !== since || abort.aborted) return
      const over = new AbortController()
      const wake = (): void => over.abort()
      for (const key of keys) waiting.set(key, (waiting.get(key) ?? new Set()).add(wake))
      abort.addEventListener('abort', wake)
      await clock.sleep(ms, over.signal)
      abort.removeEventListener('abort', wake)
      for (const key of keys) leave(key, wake)
    },
  }
}
