/** Receivers that asked for an object which is not here yet, and from where they need it. */
import type { Clock } from '../world/world.ts'

export interface Wishes {
  /** True when it is news. */
  add(id: string, peer: string, offset: number): boolean
  /** Who waits, and from where he needs it. */
  of(id: string): ReadonlyMap<string, number>
  /** They will be served. */
  forget(id: string): void
  size(): number
}

/** Who waits asks again within a minute: the request is held for a while, then comes a pause that grows to 45 s. */
const wishMs = 2 * 60_000
/** Beyond that the oldest are forgotten; who still waits says it again. */
const wishedMax = 10_000

export function wishes(clock: Clock): Wishes {
  /** By object, the one wished for longest ago first. */
  const all = new Map<string, Map<string, { readonly offset: number; readonly until: number }>>()
  const live = (id: string): [string, { readonly offset: number; readonly until: number }][] =>
    [...(all.get(id) ?? [])].filter(([, { until }]) => until >= clock.monotonic())
  function tidy(): void {
    for (const id of all.keys()) {
      if (all.size <= wishedMax && live(id).length > 0) break
      all.delete(id)
    }
  }
  return {
    add(id, peer, offset) {
      const known = new Map(live(id))
      const news = known.get(peer)?.offset !== offset
      known.set(peer, { offset, until: clock.monotonic() + wishMs })
      all.delete(id)
      all.set(id, known)
      tidy()
      return news
    },
    of: (id) => new Map(live(id).map(([peer, { offset }]) => [peer, offset])),
    forget: (id) => void all.delete(id),
    size: () => all.size,
  }
}
