/** A positive answer to identify promises one thing: for a while, no other bytes get a positive answer under that id. */
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'

export interface Promises {
  /** False when other bytes were promised a moment ago; those that are to be `replaced` have come since. */
  promise(collection: string, id: string, checksum: string, replaced?: string): boolean
}

export function promises({ clock }: Pick<World, 'clock'>): Promises {
  const made = new Map<string, { checksum: string; until: number }>()
  return {
    promise(collection, id, checksum, replaced) {
      const now = clock.monotonic()
      for (const [key, { until }] of made) {
        if (until > now) break
        made.delete(key)
      }
      const key = `${collection}\0${id}`
      const old = made.get(key)
      const isOther = old?.checksum !== checksum && old?.checksum !== replaced
      if (old && old.until > now && isOther) return false
      // Newest last, so that the sweep above may stop at the first that still holds.
      made.delete(key)
      made.set(key, { checksum, until: now + limits.promiseMs })
      return true
    },
  }
}
