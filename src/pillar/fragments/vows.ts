/**
 * What this pillar has confirmed to others, so that they may trim their copies: it does not trim its own for longer than
 * its word may be used. Durable before the word is given; a start gives each of them the whole time again, since nobody
 * knows how long it was off.
 */
import type { State } from '../../state/state.ts'
import type { Clock } from '../../world/world.ts'
import { nonceMs } from './nonces.ts'

export interface Vows {
  /** Resolves only once they would survive a power cut. */
  make(collection: string, ids: readonly string[]): Promise<void>
  binds(collection: string, id: string): Promise<boolean>
}

/** Whoever uses our word has given the nonce before we gave it: so long is enough, and as long again for safety. */
export const vowMs = 2 * nonceMs

const prefix = 'fragment vowed '

export function vows(state: State, clock: Pick<Clock, 'monotonic'>): Vows {
  const until = new Map<string, number>()
  const loaded = load()
  // Heard by whoever asks first.
  loaded.catch(() => undefined)

  async function load(): Promise<void> {
    for (const [key] of await state.list(prefix)) until.set(key, clock.monotonic() + vowMs)
  }
  const keyOf = (collection: string, id: string): string => `${prefix}${collection} ${id}`
  return {
    async make(collection, ids) {
      await loaded
      const over = [...until].flatMap(([key, at]) => (at <= clock.monotonic() ? [key] : []))
      const keys = ids.map((id) => keyOf(collection, id))
      for (const key of over) until.delete(key)
      for (const key of keys) until.set(key, clock.monotonic() + vowMs)
      await state.change([
        ...over.flatMap((key) => (until.has(key) ? [] : [[key, undefined] as const])),
        ...keys.map((key) => [key, ''] as const),
      ])
    },
    async binds(collection, id) {
      await loaded
      return (until.get(keyOf(collection, id)) ?? Number.NEGATIVE_INFINITY) > clock.monotonic()
    },
  }
}
