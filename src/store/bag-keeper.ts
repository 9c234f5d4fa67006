/** Keeps the bags up to date in the background: soon after things become quiet, and at the end. */
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { limits } from '../limits.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { appendToBag, type BagGroup, describeBag, renewBag } from './bag.ts'
import type { Health } from './health.ts'

export interface BagKeeper {
  /** Something was stored or deleted. */
  touch(): void
  flush(): Promise<void>
  stop(): Promise<void>
}

/** Where files only pass. */
export const noBag: BagKeeper = {
  touch: () => undefined,
  flush: async () => undefined,
  stop: async () => undefined,
}

/** While files keep coming the manifest follows all the same, after so many times `manifestIdleMs`. */
const busyTurnsMax = 15

export interface BagOptions {
  /** False where there are checksums only: then the lists are no bag, and do not say so. */
  readonly payload?: boolean
  /** What a bag says of those of the same collection on other volumes. */
  group?(collection: string): BagGroup | undefined
}

export function bagKeeper(
  world: World,
  disk: Disk,
  index: Index,
  health: Health,
  { payload = true, group }: BagOptions = {},
): BagKeeper {
  const stopping = new AbortController()
  const one = lock()
  let touched = 0
  let waiting = false
  const flush = (): Promise<void> =>
    one(async () => {
      if (health.trouble() !== undefined) return
      for (const { collection } of await index.summary()) {
        await renewBag(disk, index, health, collection)
        while (await appendToBag(disk, index, health, collection));
        if (payload) await describeBag(world, disk, index, health, collection, group?.(collection))
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
    flush,
    async stop() {
      stopping.abort()
      await flush()
    },
  }
}
