/** The bytes of spooled objects: one folder an object, one file a segment, so that a window can move. */
import type { Disk } from '../disk/disk.ts'
import { folderMaker } from '../store/group-commit.ts'
import { slices } from '../store/slices.ts'
import type { Parcel } from './parcel.ts'

/** What we make ourselves; whatever else is on that disk is not ours to remove. */
const ours = /^[a-z0-9][a-z0-9-]{0,62}~[A-Za-z0-9_-]{22}$/

const folderOf = (id: string): string => id.replace('/', '~')

export type Segments = ReturnType<typeof segments>

export function segments(disk: Disk, segmentBytes: number) {
  const folders = folderMaker(disk)
  const fileOf = (id: string, at: number): string =>
    `${folderOf(id)}/${Math.floor(at / segmentBytes)}`

  /** Appends and syncs; resolves with the offset reached. */
  async function append(
    id: string,
    offset: number,
    body: AsyncIterable<Uint8Array>,
  ): Promise<number> {
    const touched = new Set<string>()
    let at = offset
    for await (const bytes of body) {
      if (at === offset) await folders.ensure(folderOf(id))
      for (let done = 0; done < bytes.length; ) {
        const place = at % segmentBytes
        const length = Math.min(bytes.length - done, segmentBytes - place)
        // A copy, which `slice` of a Buffer is not: the disk may take the memory over, and the rest is still needed.
        const part = new Uint8Array(bytes.subarray(done, done + length))
        await disk.write(fileOf(id, at), place, part)
        touched.add(fileOf(id, at))
        at += length
        done += length
      }
    }
    for (const file of touched) await disk.sync(file)
    if (touched.size > 0) await disk.syncDir(folderOf(id))
    return at
  }
  async function* read(id: string, offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; ) {
      const from = at % segmentBytes
      const to = Math.min(segmentBytes, from + offset + length - at)
      const end = at + to - from
      for await (const bytes of slices(disk, { path: fileOf(id, at), from, to })) {
        at += bytes.length
        yield bytes
      }
      if (at < end) throw new Error('a spooled segment is too short')
    }
  }
  async function drop(id: string, from: number, to: number): Promise<void> {
    for (let at = from; at < to; at += segmentBytes) await disk.remove(fileOf(id, at))
  }
  const filesOf = async (id: string): Promise<string[]> =>
    (await disk.list(folderOf(id))).flatMap(({ name, kind }) => (kind === 'file' ? [name] : []))
  async function remove(id: string): Promise<void> {
    // By what is there: of a huge object only a window ever was, and a power cut may have brought back what was dropped.
    for (const name of await filesOf(id)) await disk.remove(`${folderOf(id)}/${name}`)
    await disk.rmdir(folderOf(id))
    folders.forget(folderOf(id))
  }
  /** Whether the bytes are there that are said to be. */
  async function isWhole(
    id: string,
    { from, have }: Pick<Parcel, 'from' | 'have'>,
  ): Promise<boolean> {
    for (let at = from; at < have; at += segmentBytes) {
      const size = (await disk.stat(fileOf(id, at)))?.size ?? 0
      if (size < Math.min(segmentBytes, have - at)) return false
    }
    return true
  }
  /** Removes the segments that are in no window. */
  async function trim(id: string, { from, have }: Pick<Parcel, 'from' | 'have'>): Promise<void> {
    for (const name of await filesOf(id)) {
      const at = Number(name) * segmentBytes
      if (!(at >= from && at < have)) await disk.remove(`${folderOf(id)}/${name}`)
    }
  }
  /** Removes folders of ours that no object owns. */
  async function sweep(known: ReadonlySet<string>): Promise<void> {
    for (const { name, kind } of await disk.list(''))
      if (kind === 'folder' && ours.test(name) && !known.has(name.replace('~', '/')))
        await remove(name.replace('~', '/'))
  }
  return { append, read, drop, remove, isWhole, trim, sweep }
}
