/**
 * The nonces that this pillar gives before it is ordered to trim, in memory: a restart voids them. Others sign by them, so
 * that how old a confirmation is follows from our own clocks alone, whatever theirs say.
 */
import type { World } from '../../world/world.ts'

export interface Nonces {
  /** A nonce for these ids. */
  give(collection: string, ids: readonly string[]): string
  /** Whether it was given for this id, and not long ago. */
  isGood(nonce: string, collection: string, id: string): boolean
  /** We say, or have said, that these are here: who heard it may count on it. All of them when none is named. */
  void(collection?: string, ids?: readonly string[]): void
}

/** A confirmation may be used for so long after the nonce was given. */
export const nonceMs = 10 * 60_000
const openMax = 64

interface Given {
  readonly collection: string
  readonly ids: Set<string>
  readonly wall: number
  readonly run: number
}

export function nonces({ clock, random }: Pick<World, 'clock' | 'random'>): Nonces {
  const given = new Map<string, Given>()
  // By both clocks: one may have stood still while the board slept, the other may be set.
  const isFresh = ({ wall, run }: Given): boolean =>
    clock.monotonic() - run <= nonceMs && Math.abs(clock.now() - wall) <= nonceMs
  return {
    give(collection, ids) {
      const nonce = Buffer.from(random.bytes(16)).toString('hex')
      const about = { collection, ids: new Set(ids), wall: clock.now(), run: clock.monotonic() }
      given.set(nonce, about)
      for (const oldest of given.keys()) {
        if (given.size <= openMax) break
        given.delete(oldest)
      }
      return nonce
    },
    isGood(nonce, collection, id) {
      const one = given.get(nonce)
      return one?.collection === collection && one.ids.has(id) && isFresh(one)
    },
    void(collection, ids) {
      if (collection === undefined) given.clear()
      for (const one of given.values())
        if (one.collection === collection) for (const id of ids ?? []) one.ids.delete(id)
    },
  }
}
