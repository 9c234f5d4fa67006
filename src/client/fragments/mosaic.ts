/**
 * A file that comes together of pieces in any order: each is written to its place in the partial file, and what is there
 * is noted beside it, so that a later run goes on with it. A note is written only after the bytes are safe.
 */
import type { Disk } from '../../disk/disk.ts'
import { limits } from '../../limits.ts'
import { lock } from '../../world/lock.ts'
import type { Hasher, World } from '../../world/world.ts'

export interface Mosaic {
  /** Of the piece that begins here, so many bytes came in an earlier run. */
  have(at: number): number
  /** What is there of it, as far as it is part of what is wanted: rejects when the disk does. */
  read(at: number, length: number): AsyncIterable<Uint8Array>
  /** Bytes of the file from this place on; what is not wanted of them is left out. */
  write(at: number, bytes: Uint8Array): Promise<void>
  /**
   * So much of the piece that begins here is here; `whole` when it is all of it, and right. Not to be said of all of it
   * before that is known.
   */
  came(at: number, bytes: number, whole: boolean): Promise<void>
  /** All pieces are here. Says why it is not right, and forgets all of it then. */
  finish(): Promise<string | undefined>
  /** Removes what is here. */
  forget(): Promise<void>
  /** Notes what is here. */
  close(): Promise<void>
}

export interface MosaicOptions {
  readonly partial: string
  readonly final: string
  /** The part of the file that is wanted. */
  readonly offset: number
  readonly length: number
  /** Of all that is wanted. */
  readonly checksum?: string
  /** Milliseconds since 1970. */
  readonly mtime?: number
}

/** A kill costs at most what came since the last note: so many bytes, or what came in so long. */
const notedEachBytes = limits.transferPageBytes
const notedEachMs = 1_000

export async function openMosaic(
  world: World,
  disk: Disk,
  options: MosaicOptions,
): Promise<Mosaic> {
  const { partial, final, offset, length } = options
  const end = offset + length
  const notes = await openNotes(disk, partial)
  const one = lock()
  const digest = digestOfAll(world, disk, options)
  let dirty = 0
  let named = false
  let flushed = world.clock.monotonic()
  let unnoted = new Map<number, number>()

  async function flush(): Promise<void> {
    if (dirty === 0 && unnoted.size === 0) return
    const now = unnoted
    dirty = 0
    unnoted = new Map()
    flushed = world.clock.monotonic()
    if ((await disk.stat(partial)) === undefined) return
    await disk.sync(partial)
    await notes.add(now)
    // Both are new in their folder; once is enough.
    if (!named) await disk.syncDir(partial.slice(0, Math.max(0, partial.lastIndexOf('/'))))
    named = true
  }
  async function forget(): Promise<void> {
    await disk.remove(partial)
    await notes.remove()
    ;[dirty, unnoted] = [0, new Map()]
  }
  return {
    forget: () => one(forget),
    have: (at) => notes.found.get(at) ?? 0,
    async *read(at, length) {
      for (let from = at; from < at + length; ) {
        const wanted = Math.min(limits.chunkBytes, at + length - from)
        const some = await disk.read(partial, from - offset, wanted)
        if (some.length === 0) throw new Error(`${partial} is shorter than was noted`)
        yield some
        from += some.length
      }
    },
    async write(at, bytes) {
      const [from, to] = [Math.max(at, offset), Math.min(at + bytes.length, end)]
      if (from >= to) return
      dirty += to - from
      // A copy, which `slice` of a Buffer is not: the disk may take the memory over.
      await disk.write(partial, from - offset, new Uint8Array(bytes.subarray(from - at, to - at)))
    },
    came: (at, bytes, whole) =>
      one(async () => {
        if (notes.found.get(at) !== bytes) unnoted.set(at, bytes)
        const old = world.clock.monotonic() - flushed > notedEachMs
        if (dirty >= notedEachBytes || (dirty > 0 && old)) await flush()
        if (whole) await digest.came(at, bytes)
      }),
    finish: () =>
      one(async () => {
        if (length === 0) await disk.write(partial, 0, new Uint8Array(0))
        if (!digest.isRight()) {
          await forget()
          return 'the bytes that came are not those of the file'
        }
        if (options.mtime !== undefined) await disk.touch(partial, options.mtime)
        await disk.sync(partial)
        await disk.rename(partial, final)
        await forget()
        return undefined
      }),
    close: () => one(flush),
  }
}

/** The digest of all that is wanted, of pieces in whatever order: each is read back when it is its turn. */
function digestOfAll(world: World, disk: Disk, { partial, length, checksum }: MosaicOptions) {
  const hasher: Hasher = world.hashing.start('sha256')
  const ready = new Map<number, number>()
  let next = 0
  return {
    async came(at: number, bytes: number): Promise<void> {
      if (checksum === undefined) return
      ready.set(at, bytes)
      for (let size = ready.get(next); size !== undefined; size = ready.get(next)) {
        ready.delete(next)
        const end = next + size
        while (next < end) {
          const some = await disk.read(partial, next, Math.min(limits.chunkBytes, end - next))
          if (some.length === 0) throw new Error(`${partial} is shorter than what was written`)
          hasher.update(some)
          next += some.length
        }
      }
    },
    /** Where only a part is wanted, its pieces speak for it. */
    isRight: (): boolean =>
      checksum === undefined || (next === length && hasher.hex() === checksum),
  }
}

/** Lines of where a piece begins and how much of it is here; the last one of a piece holds. */
async function openNotes(disk: Disk, partial: string) {
  const path = `${partial}.notes`
  const found = new Map<number, number>()
  let size = 0
  const have = ((await disk.stat(partial))?.size ?? 0) > 0
  const length = have ? ((await disk.stat(path))?.size ?? 0) : 0
  const text = new TextDecoder().decode(await whole(disk, path, length))
  // What a power cut has torn is no line.
  for (const [line, at, bytes] of text.matchAll(/(\d{1,16}) (\d{1,16})\n/g)) {
    found.set(Number(at), Number(bytes))
    size += line.length
  }
  // Something else stands there: nothing of it is believed.
  if (size < text.lastIndexOf('\n') + 1) found.clear()
  if (size === 0 || found.size === 0) {
    size = 0
    await disk.remove(path)
  }
  return {
    found: found as ReadonlyMap<number, number>,
    async add(more: ReadonlyMap<number, number>): Promise<void> {
      if (more.size === 0) return
      const lines = [...more].map(([at, bytes]) => `${at} ${bytes}\n`).join('')
      const packed = new TextEncoder().encode(lines)
      const at = size
      size += packed.length
      await disk.write(path, at, packed)
      await disk.sync(path)
    },
    remove: () => disk.remove(path),
  }
}

async function whole(disk: Disk, path: string, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; ) {
    const some = await disk.read(path, at, Math.min(limits.chunkBytes, length - at))
    if (some.length === 0) break
    bytes.set(some, at)
    at += some.length
  }
  return bytes
}
