/**
 * A fragment on its way: wherever it stands in the files that are fetched, it comes once. Its bytes are hashed while they
 * pass, and count only when they are those that its name says.
 */
import type { Landing } from '../../exchange/bench.ts'
import type { Fragment } from '../../protocol/fragments.ts'
import { lock } from '../../world/lock.ts'
import type { Hasher, World } from '../../world/world.ts'
import type { Mosaic } from './mosaic.ts'

/** Where the fragment stands. */
export interface Place {
  /** Of the file, among those that are fetched. */
  readonly file: number
  /** In the file. */
  readonly at: number
  readonly mosaic: Mosaic
  /** How many of the bytes from here to there are wanted. */
  wanted(from: number, to: number): number
}

export interface Unit {
  readonly key: string
  /** Undefined of a part of a file of which no fragments are known: it can not be compared. */
  readonly hash: string | undefined
  readonly size: number
  readonly kind: Fragment['kind']
  /** Pillars that have it, by the word of the tracker. */
  readonly holders: readonly string[]
  readonly places: readonly Place[]
  /** Takes up what came of it in an earlier run; how many bytes that is. */
  begin(): Promise<number>
  /** Where the bytes of one sender land; the one before must be closed. */
  landing(by: string, wrong: (sure: boolean) => void): Landing & { close(): Promise<void> }
}

export interface UnitParts extends Pick<Unit, 'hash' | 'size' | 'kind' | 'holders' | 'places'> {
  readonly world: World
  /** Bytes that came; less than nothing when they were wrong. */
  moved(bytes: number): void
  /** All of it is here, and right. */
  done(): void
}

/** Of an earlier run. */
const unknownSender = ''

export function unitOf(parts: UnitParts & Pick<Unit, 'key'>): Unit {
  const { world, hash, size, places, moved } = parts
  const one = lock()
  /** Who has brought what is here. */
  const senders = new Set<string>()
  let at = 0
  let hasher: Hasher | undefined
  const count = (from: number, to: number): number =>
    places.reduce((sum, place) => sum + place.wanted(place.at + from, place.at + to), 0)

  async function write(bytes: Uint8Array): Promise<void> {
    if (at + bytes.length > size) throw new RangeError('more bytes than the fragment has')
    hasher ??= world.hashing.start('sha256')
    hasher.update(bytes)
    for (const place of places) await place.mosaic.write(place.at + at, bytes)
    at += bytes.length
    moved(count(at - bytes.length, at))
  }
  async function came(whole: boolean): Promise<void> {
    for (const { mosaic, at: begin } of places) await mosaic.came(begin, at, whole)
  }
  /** Says why it is not right, and forgets it then. */
  async function finish(wrong: (sure: boolean) => void): Promise<string | undefined> {
    const digest = hasher?.hex()
    hasher = undefined
    if (at === size && (hash === undefined || digest === hash)) {
      await came(true)
      parts.done()
      return undefined
    }
    moved(-count(0, at))
    at = 0
    await came(false)
    // Of bytes by several nobody knows whose are wrong.
    wrong(senders.size === 1)
    senders.clear()
    return 'the bytes that came are not those of the fragment'
  }
  return {
    ...parts,
    async begin() {
      if (places.every(({ mosaic, at: begin }) => mosaic.have(begin) === size)) {
        at = size
        await came(true)
        return at
      }
      const [first, other] = places
      const have = first?.mosaic.have(first.at) ?? 0
      // Of what stands in several places, or is not wanted as a whole, not all that came was kept.
      if (!first || other || have >= size || count(0, size) < size) return 0
      const started = world.hashing.start('sha256')
      for await (const bytes of first.mosaic.read(first.at, have)) started.update(bytes)
      hasher = started
      at = have
      if (at > 0) senders.add(unknownSender)
      return at
    },
    landing(by, wrong) {
      let open = true
      const checked = <T>(work: () => Promise<T>): Promise<T> =>
        one(async () => {
          if (!open) throw new Error('another brings it now')
          return work()
        })
      return {
        at: () => at,
        write: (bytes) =>
          checked(() => {
            senders.add(by)
            return write(bytes)
          }),
        // What is whole is not said to be here before it was compared.
        secure: () => checked(async () => (at < size ? came(false) : undefined)),
        finish: () => checked(() => finish(wrong)),
        close: () =>
          one(async () => {
            open = false
          }),
      }
    },
  }
}
