/** Keeps the bags up to date in the background: soon after things become quiet, and at the end. */
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { limits } from '../limits.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { appendToBag, renewBag } from './bag.ts'
import { describeBag, type Labels, writeTags } from './bag-tags.ts'
import type { Health } from './health.ts'

export interface BagKeeper {
  /** Something was stored or deleted. */
  touch(): void
  flush(): Promise<void>
  /** Runs while nothing is written to the lists. */
  still<T>(work: () => Promise<T>): Promise<T>
  stop(): Promise<void>
}

/** Where files only pass. */
export const noBag: BagKeeper = {
  touch: () => undefined,
  flush: async () => undefined,
  still: (work) => work(),
  stop: async () => undefined,
}

/** While files keep coming the manifest follows all the same, after so many times `manifestIdleMs`. */
const busyTurnsMax = 15

/** Without `labels` there are checksums only: then the lists are no bag, and do not say so. */
export function bagKeeper(
  world: World,
  disk: Disk,
  index: Index,
  health: Health,
  labels?: Labels,
): BagKeeper {
  const stopping = new AbortController()
  const one = lock()
  let touched = 0
  let waiting = false
  const flush = (all = false): Promise<void> =>
    one(async () => {
      if (health.trouble() !== undefined) return
      for (const { collection } of await index.summary()) {
        await renewBag(disk, index, health, collection)
        while (await appendToBag(disk, index, health, collection));
        if (!labels) continue
        await describeBag(world, disk, index, health, labels, collection)
        await writeTags(world, disk, health, collection, all)
      }
    })
  async function whenQuiet(): Promise<void> {
    waiting = true
    let seen: number
    let turns = 0
    do {
      seen = touched
      await world.clock.sleep(limits.manifestIdleMs, stopping.signal)
    } while (seen !== touched && ++turns < busyTurnsMax && !stopping.signal.aborted)
    waiting = false
    if (!stopping.signal.aborted)
      await flush().catch((error) => world.log.error('bag.failed', { why: String(error) }))
  }
  // The last end may have come before the bags were brought up to date.
  void whenQuiet()
  return {
    touch() {
      touched++
      if (!waiting) void whenQuiet()
    },
    flush: () => flush(true),
    still: one,
    async stop() {
      stopping.abort()
      await flush(true)
    },
  }
}
