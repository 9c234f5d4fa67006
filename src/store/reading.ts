/** What is stored, and its bytes: goes on when nothing may be written any more. */
import type { Disk } from '../disk/disk.ts'
import type { Index, StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'
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

export async function* readMedium(disk: Disk, file: StoredFile): AsyncGenerator<Uint8Array> {
  const path = payload(file)
  for (let at = 0; at < file.size; ) {
    const chunk = await disk.readMedium(path, at, limits.chunkBytes)
    if (chunk.length === 0) throw new Error(`${path} ends at ${at}, before ${file.size}`)
    yield chunk.subarray(0, file.size - at)
    at += chunk.length
  }
}

const payload = ({ collection, path }: StoredFile): string => `${collection}/data/${path}`

async function* readSlice(
  disk: Disk,
  file: StoredFile,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const path = payload(file)
  const end = offset + length
  for (let at = offset; at < end; ) {
    const chunk = await disk.read(path, at, Math.min(limits.chunkBytes, end - at))
    if (chunk.length === 0) throw new Error(`${path} ends at ${at}, before ${end}`)
    yield chunk
    at += chunk.length
  }
}
