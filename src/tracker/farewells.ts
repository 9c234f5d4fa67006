/**
 * Copies that pillars were told to give up: what they have said of them before that, and comes late or twice, does not make
 * them holders again. By the pillar's own clock; in memory, since nothing comes so late that we were started meanwhile.
 */
import type { Clock } from '../world/world.ts'

export interface Farewells {
  /** Until then, as the pillar told the time, it had them. */
  note(collection: string, pillar: string, hashes: readonly string[], until: number): void
  isLate(collection: string, pillar: string, hash: string, sentAt: number): boolean
}

const keptMs = 3_600_000
const keptMax = 100_000

export function farewells({ monotonic }: Pick<Clock, 'monotonic'>): Farewells {
  const noted = new Map<string, { readonly until: number; readonly at: number }>()
  const keyOf = (collection: string, pillar: string, hash: string): string =>
    `${collection} ${pillar} ${hash}`
  return {
    note(collection, pillar, hashes, until) {
      const at = monotonic()
      for (const hash of hashes) {
        const key = keyOf(collection, pillar, hash)
        // Newest last, so that the sweep may stop at the first that still holds.
        noted.delete(key)
        noted.set(key, { until, at })
      }
      for (const [key, one] of noted) {
        if (noted.size <= keptMax && at - one.at < keptMs) break
        noted.delete(key)
      }
    },
    isLate(collection, pillar, hash, sentAt) {
      const one = noted.get(keyOf(collection, pillar, hash))
      return one !== undefined && monotonic() - one.at < keptMs && sentAt <= one.until
    },
  }
}
