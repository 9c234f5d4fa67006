/**
 * The bounded queue behind the bus: a message is acknowledged once it is in here, and nothing slow runs in the bus
 * client's callback. A full queue drops: the sender's outbox says it again.
 */
import { limits } from '../limits.ts'
import type { Log } from '../world/world.ts'

export interface Inbox<T> {
  /** Never blocks; false when it was dropped. */
  put(item: T): boolean
  /** Nothing is handled after it. */
  stop(): void
  dropped(): number
}

export function inbox<T>(log: Log, handle: (item: T) => Promise<void>, atOnce = 16): Inbox<T> {
  const waiting: T[] = []
  let running = 0
  let dropped = 0
  let stopped = false
  async function work(item: T): Promise<void> {
    running++
    try {
      await handle(item)
    } catch (error) {
      log.error('inbox.failed', { why: error instanceof Error ? error.message : String(error) })
    }
    running--
    next()
  }
  function next(): void {
    while (!stopped && running < atOnce) {
      const item = waiting.shift()
      if (item === undefined) return
      void work(item)
    }
  }
  return {
    put(item) {
      if (stopped || waiting.length >= limits.inboxMessagesMax) {
        dropped++
        if (dropped % 100 === 1) log.warn('inbox.full', { dropped })
        return false
      }
      waiting.push(item)
      next()
      return true
    },
    stop() {
      stopped = true
      waiting.length = 0
    },
    dropped: () => dropped,
  }
}
