/** Bytes on their way out, hashed while they pass: a file that does not match its checksum is never delivered whole. */
import type { StoredFile } from '../index/index.ts'
import type { Reading } from '../store/store.ts'
import type { World } from '../world/world.ts'

/** The bytes on the disk are not those that were stored. */
export class Rotten extends Error {
  override readonly name = 'Rotten'
}

/**
 * The bytes from `offset` to `end`. For a whole file the last chunk is held back until the digest is known to be right;
 * rejects with `Rotten` instead of yielding it. What came before `offset` is read and hashed too.
 */
export async function* checkedSlice(
  world: World,
  store: Reading,
  file: StoredFile,
  { offset, end, whole }: { offset: number; end: number; whole: boolean },
  right: () => void,
): AsyncGenerator<Uint8Array> {
  if (!whole) return yield* store.read(file, offset, end - offset)
  const hasher = world.hashing.start('sha256')
  if (offset > 0) for await (const bytes of store.read(file, 0, offset)) hasher.update(bytes)
  const judged = (): void => {
    if (hasher.hex() !== file.checksum) throw new Rotten('the stored bytes are damaged')
    right()
  }
  let at = offset
  for await (const bytes of store.read(file, offset, end - offset)) {
    hasher.update(bytes)
    at += bytes.length
    if (at === end) judged()
    yield bytes
  }
  if (offset === end) judged()
}
