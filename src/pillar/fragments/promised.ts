/** Room that was applied with, until the fragment is delivered or given to others. In memory: a restart applies anew. */
import type { World } from '../../world/world.ts'

export interface Promised {
  promise(collection: string, hash: string, bytes: number): void
  release(collection: string, hash: string): void
  bytes(): number
}

/** A tracker that has not decided after so long has forgotten us. */
const patienceMs = 120_000

export function promisedRoom({ clock }: Pick<World, 'clock'>): Promised {
  const made = new Map<string, { readonly bytes: number; readonly until: number }>()
  const keyOf = (collection: string, hash: string): string => `${collection} ${hash}`
  return {
    promise(collection, hash, bytes) {
      const key = keyOf(collection, hash)
      // Newest last, so that the sweep may stop at the first that still holds.
      made.delete(key)
      made.set(key, { bytes, until: clock.monotonic() + patienceMs })
    },
    release: (collection, hash) => void made.delete(keyOf(collection, hash)),
    bytes() {
      const now = clock.monotonic()
      for (const [key, { until }] of made) {
        if (until > now) break
        made.delete(key)
      }
      return [...made.values()].reduce((sum, one) => sum + one.bytes, 0)
    },
  }
}
