/**
 * Brings one id of the catalogue to the pillars: the slices of its bytes, and the text that tells of it. What is on our
 * own disk is not safe on pillars yet, and goes from there only once it is: the payload itself is the note that there is
 * something to do, so that a power cut at any moment leaves either the bytes here or enough copies there.
 */
import type { Disk } from '../disk/disk.ts'
import type { Offer } from '../exchange/bench.ts'
import type { Index, StoredFile, Tombstone } from '../index/index.ts'
import { limits } from '../limits.ts'
import type { Fragment } from '../protocol/fragments.ts'
import type { Store } from '../store/store.ts'
import type { Distribution, Fetch } from '../tracker/roles.ts'
import type { Directory } from '../trust/directory.ts'
import type { Entry, View, ViewChange, ViewFile } from '../view/view.ts'
import { gate, lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { entryOf, understood } from './text.ts'

export interface VaultParts {
  readonly world: World
  /** Where files stand until they are safe on pillars. */
  readonly disk: Disk
  readonly index: Index
  /** The volume of these, through which files only pass; what it knows of files is the catalogue. */
  readonly volume: Store
  readonly view: View
  readonly directory: Pick<Directory, 'collection' | 'document'>
  readonly distribution: Pick<Distribution, 'spread'>
  readonly fetch: Fetch
  /** Whether what this pillar holds counts, and its room does; all that are registered when absent. */
  readonly counts?: (pillar: string) => boolean
  /** Pillars of the collection that are there now. */
  present(collection: string): readonly string[]
  /** Ends what goes on; the next start goes on with it. */
  readonly signal: AbortSignal
  /** This id, with these fragments, is safe on pillars. */
  onSafe?(entry: Entry, row: StoredFile | undefined, slices: readonly Fragment[]): void
}

export const fileOf = ({ collection, checksum, size }: ViewFile): ViewFile => ({
  collection,
  checksum,
  size,
})
export const payloadOf = ({ collection, path }: Pick<StoredFile, 'collection' | 'path'>): string =>
  `${collection}/data/${path}`

/** Ids that are stored here, and not safe yet: no listing tells of them before. */
function unsafeIds() {
  const keys = new Set<string>()
  return {
    expect: (collection: string, id: string): void => void keys.add(keyOf(collection, id)),
    settled: (collection: string, id: string): void => void keys.delete(keyOf(collection, id)),
    isSafe: (collection: string, id: string): boolean => !keys.has(keyOf(collection, id)),
  }
}

const keyOf = (collection: string, id: string): string => `${collection}\0${id}`

/** What is to be brought to pillars. */
interface Goal {
  readonly entry: Entry
  readonly row: StoredFile | undefined
  readonly slices: readonly Fragment[]
  /** The bytes are here. */
  readonly isHere: boolean
}

export type Settling = ReturnType<typeof settling>

export function settling(parts: VaultParts) {
  const { disk, volume, view, distribution, directory, signal } = parts
  const one = lock()
  const cut = cutting(parts)
  const unsafe = unsafeIds()
  const busy = new Map<string, Promise<void>>()

  const isHere = async (row: StoredFile): Promise<boolean> =>
    (await disk.stat(payloadOf(row))) !== undefined

  /** Notes in the view of what the file consists and what is told of it; undefined when the id is unknown. */
  async function goalOf(collection: string, id: string): Promise<Goal | 'changed' | undefined> {
    const [row] = await volume.stored(collection, [id])
    const here = row !== undefined && (await isHere(row))
    const known = row && ((await view.slices(fileOf(row))) ?? (here ? await cut(row) : []))
    return one(async () => {
      const [now] = await volume.stored(collection, [id])
      if (now?.sequence !== row?.sequence) return 'changed'
      const stone = row ? undefined : await buried(volume, collection, id)
      const about = row ?? stone
      if (!about) return undefined
      const slices = known ?? []
      const total = slices.reduce((sum, { size }) => sum + size, 0)
      if (row && total !== row.size) throw new Error(`nobody knows of what ${id} consists`)
      const old = await view.entry(collection, id)
      const entry = entryFor(parts.world, about, row ? 'stored' : 'deleted', slices, old)
      const changes: ViewChange[] = []
      if (row && !(await view.slices(fileOf(row))))
        changes.push({ do: 'file', file: fileOf(row), slices })
      if (entry !== old) changes.push({ do: 'entry', entry, at: parts.world.clock.now() })
      if (changes.length > 0) await view.change(changes)
      return { entry, row, slices, isHere: here }
    })
  }
  /** The bytes here are not needed any more; false when the id has changed since. */
  function cleared({ entry: { collection, id }, row, isHere }: Goal): Promise<boolean> {
    return one(async () => {
      const [now] = await volume.stored(collection, [id])
      if (now?.sequence !== row?.sequence) return false
      // Without a sync: when it comes back after a power cut, it is found safe and goes again.
      if (row && isHere) await disk.remove(payloadOf(row))
      return true
    })
  }
  async function settle(collection: string, id: string): Promise<void> {
    for (;;) {
      signal.throwIfAborted()
      const goal = await goalOf(collection, id)
      if (goal === 'changed') continue
      if (!goal) {
        unsafe.settled(collection, id)
        return
      }
      const { entry, row, slices } = goal
      const wanted = new Map(slices.map((slice) => [slice.hash, slice]))
      const fragments = [...(goal.isHere ? wanted.values() : []), entry.fragment]
      const enough = directory.collection(collection)?.copiesMin ?? 1
      await distribution.spread(collection, fragments, sourceOf(parts, goal), { enough, signal })
      if (!(await cleared(goal))) continue
      unsafe.settled(collection, id)
      parts.onSafe?.(entry, row, slices)
      return
    }
  }
  return {
    isHere,
    ...unsafe,
    /** Steps that change what is stored, or that decide by it. */
    alone: one,
    /** Resolves once what the catalogue says of this id is safe on pillars. */
    async settle(collection: string, id: string): Promise<void> {
      const key = keyOf(collection, id)
      const before = busy.get(key) ?? Promise.resolve()
      // After who is at it: he may have looked before the last change.
      const mine = before.catch(() => undefined).then(() => settle(collection, id))
      busy.set(key, mine)
      await mine.finally(() => busy.get(key) === mine && busy.delete(key))
    },
    idle: async (): Promise<void> => void (await Promise.allSettled(busy.values())),
  }
}

async function buried(
  volume: Store,
  collection: string,
  id: string,
): Promise<Tombstone | undefined> {
  return (await volume.tombstones({ collection, ids: [id], limit: 1 })).tombstones[0]
}

/** The entry that is known when it says the same, else its successor. */
export function entryFor(
  world: World,
  about: Pick<StoredFile, 'collection' | 'id' | 'size' | 'checksum' | 'mtime'>,
  state: 'stored' | 'deleted',
  slices: readonly Fragment[],
  old: Entry | undefined,
): Entry {
  const { collection, id, size, checksum, mtime } = about
  const told = old && understood(old.text)
  const same =
    told?.state === state &&
    told.checksum === checksum &&
    told.size === size &&
    (state === 'deleted' || told.mtime === mtime)
  if (old && same) return old
  // By the clock, so that a tracker that lost its memory goes on above what it said before.
  const version = Math.max(Math.floor(world.clock.now()), (old?.version ?? 0) + 1)
  return entryOf(world, { collection, id, version, state, size, checksum, mtime, slices })
}

/** A batch of files comes to its end at once: as few are read at a time as keep the processor busy. */
function cutting(parts: VaultParts) {
  const slots = gate(2)
  return async (row: StoredFile): Promise<Fragment[]> => {
    const leave = await slots.enter()
    return slicesOf(parts, row).finally(leave)
  }
}

/** Reads the payload and names its slices. */
async function slicesOf(
  { world, volume, directory, signal }: VaultParts,
  row: StoredFile,
): Promise<Fragment[]> {
  const bytes = directory.collection(row.collection)?.fragments?.bytes
  if (bytes === undefined) throw new Error(`${row.collection} is not kept in fragments`)
  const slices: Fragment[] = []
  for (let at = 0; at < row.size; at += bytes) {
    signal.throwIfAborted()
    const size = Math.min(bytes, row.size - at)
    const hasher = world.hashing.start('sha256')
    for await (const some of volume.read(row, at, size)) hasher.update(some)
    slices.push({ hash: hasher.hex(), size, kind: 'slice' })
  }
  return slices
}

/** Where the bytes of a fragment come from: the text itself, our disk, or, once they are gone from there, pillars. */
function sourceOf(
  { disk, fetch, signal }: VaultParts,
  { entry, row, slices }: Goal,
): (fragment: Fragment) => Offer {
  const places = new Map<string, number>()
  let at = 0
  for (const { hash, size } of slices) {
    if (!places.has(hash)) places.set(hash, at)
    at += size
  }
  return (fragment) => {
    if (fragment.hash === entry.fragment.hash) return textOffer(entry.text)
    const place = places.get(fragment.hash)
    if (!row || place === undefined) throw new Error(`${fragment.hash} is no part of ${entry.id}`)
    const path = payloadOf(row)
    async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
      let from = offset
      const end = offset + length
      while (from < end && (await disk.stat(path))) {
        const some = await disk
          .read(path, (place ?? 0) + from, Math.min(limits.offeredChunkBytes, end - from))
          .catch(() => new Uint8Array(0))
        if (some.length === 0) break
        yield some
        from += some.length
      }
      if (from === end) return
      const fetched = await fetch(entry.collection, fragment, signal)
      try {
        yield* fetched.read(from, end - from)
      } finally {
        await fetched.discard()
      }
    }
    return { size: fragment.size, read }
  }
}

export function textOffer(text: string): Offer {
  const bytes = new TextEncoder().encode(text)
  async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
    if (length > 0) yield bytes.slice(offset, offset + length)
  }
  return { size: bytes.length, read }
}
