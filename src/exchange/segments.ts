/** The bytes of spooled objects: one folder an object, one file a segment, so that a window can move. */
import type { Disk } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import { folderMaker } from '../store/group-commit.ts'

export const segmentBytes = limits.transferPageBytes

/** What is known of a spooled object; kept as JSON in the state. */
export interface Parcel {
  readonly size: number
  /** Where the window begins; a multiple of a segment. */
  readonly from: number
  /** Bytes that came and are synced. */
  readonly have: number
  readonly complete: boolean
  /** Each receiver, and how far it has the bytes safely. */
  readonly safe: Readonly<Record<string, number>>
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly since: number
}

export function segments(disk: Disk) {
  const folders = folderMaker(disk)
  const folderOf = (id: string): string => id.replace('/', '~')
  const fileOf = (id: string, at: number): string =>
    `${folderOf(id)}/${Math.floor(at / segmentBytes)}`

  /** Appends and syncs; resolves with the offset reached. */
  async function append(
    id: string,
    offset: number,
    body: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    await folders.ensure(folderOf(id))
    const touched = new Set<string>()
    let at = offset
    for await (const bytes of body)
      for (let done = 0; done < bytes.length; ) {
        const room = segmentBytes - (at % segmentBytes)
        // A copy: the disk may take the buffer over, and the rest of it is still needed.
        const part = bytes.slice(done, done + room)
        const file = fileOf(id, at)
        touched.add(file)
        at += part.length
        done += part.length
        await disk.write(file, (at - part.length) % segmentBytes, part)
      }
    for (const file of touched) await disk.sync(file)
    await disk.syncDir(folderOf(id))
    return at
  }
  async function* read(id: string, offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; ) {
      const room = segmentBytes - (at % segmentBytes)
      const bytes = await disk.read(
        fileOf(id, at),
        at % segmentBytes,
        Math.min(room, limits.chunkBytes, offset + length - at),
      )
      if (bytes.length === 0) throw new Error('a spooled segment is too short')
      yield bytes
      at += bytes.length
    }
  }
  async function drop(id: string, from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += segmentBytes) await disk.remove(fileOf(id, at))
  }
  async function remove(id: string, parcel: Pick<Parcel, 'from' | 'size'>): Promise<void> {
    await drop(id, parcel.from, Math.max(parcel.size, parcel.from + 1))
    await disk.rmdir(folderOf(id))
    folders.forget(folderOf(id))
  }
  /** Whether the bytes are there that are said to be. */
  async function isWhole(id: string, { from, have }: Pick<Parcel, 'from' | 'have'>): Promise<boolean> {
    for (let at = from; at < have; at += segmentBytes) {
      const size = (await disk.stat(fileOf(id, at)))?.size ?? 0
      if (size < Math.min(segmentBytes, have - at)) return false
    }
    return true
  }
  /** Removes folders that no object owns. */
  async function sweep(known: ReadonlySet<string>): Promise<void> {
    const folders = new Set([...known].map(folderOf))
    for (const { name, kind } of await disk.list('')) {
      if (kind !== 'folder' || folders.has(name)) continue
      for (const entry of await disk.list(name)) await disk.remove(`${name}/${entry.name}`)
      await disk.rmdir(name)
    }
  }
  return { append, read, drop, remove, sweep, isWhole }
}
