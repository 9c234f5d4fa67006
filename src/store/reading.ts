/** What is stored, and its bytes: goes on when nothing may be written any more. */
import type { Disk } from '../disk/disk.ts'
import type { Index, StoredFile } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { slices } from './slices.ts'
import type { Reading } from './store.ts'
import { trail } from './trail.ts'

export const reading = (world: World, disk: Disk, index: Index): Reading => ({
  ...trail(world, index),
  stored: (collection, ids) => index.stored(collection, ids),
  withBytes: (collection, checksum, size) => index.withBytes(collection, checksum, size),
  list: (query) => index.list(query),
  summary: () => index.summary(),
  read: (file, offset, length) => readSlice(disk, file, offset, length),
})

/** What is on the medium of a stored file, in order. */
export const readMedium = (disk: Disk, file: StoredFile): AsyncGenerator<Uint8Array> =>
  whole(disk, file, { from: 0, to: file.size, medium: true })

const readSlice = (
  disk: Disk,
  file: StoredFile,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> => whole(disk, file, { from: offset, to: offset + length })

async function* whole(
  disk: Disk,
  { collection, path }: StoredFile,
  part: { readonly from: number; readonly to: number; readonly medium?: boolean },
): AsyncGenerator<Uint8Array> {
  const payload = `${collection}/data/${path}`
  let at = part.from
  for await (const bytes of slices(disk, { path: payload, ...part })) {
    at += bytes.length
    yield bytes
  }
  if (at < part.to) throw new Error(`${payload} ends at ${at}, before ${part.to}`)
}
