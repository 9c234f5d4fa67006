/**
 * What a client lays out while an operation runs: the files it offers, and the places where fetched ones land.
 * Bytes come from and go to their own files; nothing is spooled.
 */
import { lock } from '../world/lock.ts'
import { arriving, Superseded } from './arriving.ts'
import type { Put, Shelf, Slice, Written } from './shelf.ts'

/** A file to be fetched by pillars. */
export interface Offer {
  readonly size: number
  /** @param by who fetches it */
  read(offset: number, length: number, by?: string): AsyncIterable<Uint8Array>
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
  knows(name: string): boolean
  offer(name: string, offer: Offer): void
  land(name: string, landing: Landing): void
  /**
   * The bytes come another way from now on. Resolves once no sender's bytes touch the landing any more: with true when
   * it may be used, with false when it is finished, or nothing was to land.
   */
  withdraw(name: string): Promise<boolean>
  /** Nothing more is served or taken under these names. */
  clear(names: readonly string[]): void
}

interface Place {
  readonly landing: Landing
  readonly one: ReturnType<typeof lock>
  /** Whole size, once a sender has said it. */
  size: number | undefined
  complete: boolean
  withdrawn: boolean
  /** Stops the upload that is under way. */
  upload: AbortController | undefined
}

const placeFor = (landing: Landing): Place => ({
  landing,
  one: lock(),
  size: undefined,
  complete: false,
  withdrawn: false,
  upload: undefined,
})

function withdraw(place: Place): void {
  place.withdrawn = true
  place.upload?.abort()
}

export function bench(): Bench {
  const offers = new Map<string, Offer>()
  const places = new Map<string, Place>()
  return {
    knows: (name) => offers.has(name) || places.has(name),
    offer: (name, offer) => void offers.set(name, offer),
    land: (name, landing) => void places.set(name, placeFor(landing)),
    async withdraw(name) {
      const place = places.get(name)
      if (!place) return false
      withdraw(place)
      // Not only a write: also the end of an upload, which checks and keeps what came.
      return place.one(async () => !place.complete)
    },
    clear(names) {
      for (const name of names) {
        offers.delete(name)
        const place = places.get(name)
        if (place) withdraw(place)
        places.delete(name)
      }
    },
    async status({ name }, role) {
      const place = places.get(name)
      if (!place) return undefined
      if (role === 'sender') place.upload?.abort()
      return place.one(async () =>
        place.withdrawn && !place.complete
          ? 'elsewhere'
          : { offset: place.landing.at(), size: place.size, complete: place.complete },
      )
    },
    async read({ name }, { peer, offset, length }): Promise<Slice> {
      const offer = offers.get(name)
      if (!offer) return { is: 'gone' }
      if (offset >= offer.size) return { is: 'beyond', size: offer.size }
      const part = Math.min(length, offer.size - offset)
      return { is: 'bytes', size: offer.size, length: part, bytes: offer.read(offset, part, peer) }
    },
    async write({ name }, put): Promise<Written> {
      const place = places.get(name)
      if (!place) return { is: 'refused', why: 'nothing is expected under this name' }
      return place.one(() => take(place, put))
    },
    release: async () => undefined,
  }
}

async function take(place: Place, put: Put): Promise<Written> {
  const { landing } = place
  if (place.withdrawn && !place.complete) return { is: 'elsewhere' }
  if (place.complete || put.offset !== landing.at())
    return { is: 'moved', offset: landing.at(), complete: place.complete }
  if (place.size !== undefined && place.size !== put.size)
    return { is: 'refused', why: 'another size than was said before' }
  const upload = new AbortController()
  place.upload = upload
  const { bytes, broken } = arriving(put.body, upload.signal)
  for await (const some of bytes) await landing.write(some)
  place.upload = undefined
  if (landing.at() > put.offset) {
    place.size = put.size
    await landing.secure()
  }
  const why = broken()
  if (why instanceof Superseded) return { is: 'moved', offset: landing.at(), complete: false }
  if (why) throw why
  if (landing.at() < put.size) return { is: 'written', offset: landing.at(), complete: false }
  const fault = await landing.finish(put.size)
  if (fault === undefined) {
    place.complete = true
    return { is: 'written', offset: put.size, complete: true }
  }
  place.size = undefined
  return { is: 'refused', why: fault }
}
