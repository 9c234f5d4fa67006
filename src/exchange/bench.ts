/**
 * What a client lays out while an operation runs: the files it offers, and the places where fetched ones land.
 * Bytes come from and go to their own files; nothing is spooled.
 */
import { lock } from '../world/lock.ts'
import type { Shelf, Slice, Written } from './shelf.ts'

/** A file to be fetched by pillars. */
export interface Offer {
  readonly size: number
  read(offset: number, length: number): AsyncIterable<Uint8Array>
}

/** A place where a pillar's bytes land. Calls never overlap. */
export interface Landing {
  /** Bytes that are here and safe. */
  at(): number
  write(bytes: Uint8Array): Promise<void>
  /** Resolves only once what came would survive a power cut. */
  secure(): Promise<void>
  /** All is here: checks and keeps it; says why when it is not right, and forgets it then. */
  finish(size: number): Promise<string | undefined>
}

export interface Bench extends Shelf {
  offer(name: string, offer: Offer): void
  land(name: string, landing: Landing): void
  /** The bytes come another way from now on; resolves when no write of a sender is under way. */
  withdraw(name: string): Promise<void>
  clear(names: readonly string[]): void
}

interface Place {
  readonly landing: Landing
  readonly one: ReturnType<typeof lock>
  /** Whole size, once a sender has said it. */
  size?: number
  complete: boolean
  withdrawn: boolean
  writing: Promise<void>
}

export function bench(): Bench {
  const offers = new Map<string, Offer>()
  const places = new Map<string, Place>()
  return {
    offer: (name, offer) => void offers.set(name, offer),
    land: (name, landing) =>
      void places.set(name, {
        landing,
        one: lock(),
        complete: false,
        withdrawn: false,
        writing: Promise.resolve(),
      }),
    async withdraw(name) {
      const place = places.get(name)
      if (!place) return
      place.withdrawn = true
      await place.writing
    },
    clear(names) {
      for (const name of names) {
        offers.delete(name)
        places.delete(name)
      }
    },
    async status({ name }) {
      const place = places.get(name)
      if (!place) return undefined
      return place.one(async () => ({
        offset: place.landing.at(),
        size: place.size,
        complete: place.complete,
      }))
    },
    async read({ name }, { offset, length }): Promise<Slice> {
      const offer = offers.get(name)
      if (!offer) return { is: 'gone' }
      if (offset >= offer.size) return { is: 'beyond', size: offer.size }
      const part = Math.min(length, offer.size - offset)
      return { is: 'bytes', size: offer.size, length: part, bytes: offer.read(offset, part) }
    },
    async write({ name }, put): Promise<Written> {
      const place = places.get(name)
      if (!place) return { is: 'refused', why: 'nothing is expected under this name' }
      return place.one(() => take(place, put))
    },
    release: async () => undefined,
  }
}

async function take(place: Place, put: Parameters<Shelf['write']>[1]): Promise<Written> {
  const { landing } = place
  if (place.complete || put.offset !== landing.at())
    return { is: 'elsewhere', offset: landing.at(), complete: place.complete }
  if (place.withdrawn) return { is: 'refused', why: 'the bytes come another way' }
  place.size = put.size
  try {
    for await (const bytes of put.body) {
      if (place.withdrawn) return { is: 'refused', why: 'the bytes come another way' }
      place.writing = landing.write(bytes)
      await place.writing
    }
  } finally {
    if (!place.withdrawn) await landing.secure()
  }
  if (landing.at() < put.offset + put.length)
    return { is: 'refused', why: 'fewer bytes than announced' }
  if (landing.at() < put.size) return { is: 'written', offset: landing.at(), complete: false }
  const fault = await landing.finish(put.size)
  if (fault !== undefined) return { is: 'refused', why: fault }
  place.complete = true
  return { is: 'written', offset: put.size, complete: true }
}
