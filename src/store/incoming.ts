/** One file on its way in: bytes to a partial, hashed while they pass, safe page by page. */
import { type Disk, diskErrorCode } from '../disk/disk.ts'
import type { Change, Index, ReceivingFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import type { Hasher, World } from '../world/world.ts'
import type { GroupCommit } from './group-commit.ts'
import { partialOf } from './names.ts'
import type { Actor, Incoming } from './store.ts'

export interface IncomingParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly group: GroupCommit
  /** Tells how many reserved bytes are on the disk now. */
  landed(file: ReceivingFile, bytes: number): void
  ended(file: ReceivingFile): void
  failed(error: unknown): void
}

export async function openIncoming(parts: IncomingParts, file: ReceivingFile): Promise<Incoming> {
  const { world, disk, index } = parts
  const partial = partialOf(world, file)
  let safe = file.safe
  let written = safe
  const hasher = await hashPrefix(world, disk, partial, safe)
  let buffered: Uint8Array[] = []
  let bufferedBytes = 0

  async function spill(): Promise<void> {
    if (bufferedBytes === 0) return
    const whole = joined(buffered, bufferedBytes)
    buffered = []
    bufferedBytes = 0
    const at = written
    written += whole.length
    hasher.update(whole)
    // A full disk ends this transfer only; it goes on when there is room.
    await disk.write(partial, at, whole).catch((error) => {
      if (diskErrorCode(error) !== 'ENOSPC') parts.failed(error)
      throw error
    })
    parts.landed(file, written)
  }
  const guard = <T>(step: Promise<T>): Promise<T> =>
    step.catch((error) => {
      parts.failed(error)
      throw error
    })
  async function finish(by: Actor): Promise<'stored' | 'wrongChecksum'> {
    await spill()
    if (file.size === 0) await guard(disk.write(partial, 0, new Uint8Array(0)))
    const { collection, id } = file
    if (written !== file.size || hasher.hex() !== file.checksum) {
      await guard(
        parts.group.commit([
          { do: 'drop', collection, id },
          audited(world, file, by, 'ingestion', 'wrong checksum'),
        ]),
      )
      parts.ended(file)
      await disk.remove(partial)
      return 'wrongChecksum'
    }
    await parts.group.store({
      partial,
      final: `${collection}/data/${file.path}`,
      mtime: file.mtime,
      changes: () => storeChanges(world, file, by),
    })
    parts.ended(file)
    return 'stored'
  }
  return {
    file,
    at: () => written + bufferedBytes,
    async write(bytes) {
      if (written + bufferedBytes + bytes.length > file.size)
        throw new RangeError('more bytes than promised')
      buffered.push(bytes)
      bufferedBytes += bytes.length
      if (bufferedBytes >= limits.chunkBytes) await spill()
    },
    async secure() {
      await spill()
      if (written === safe) return
      await guard(disk.sync(partial))
      if (safe === 0) await guard(disk.syncDir('.incoming'))
      await guard(
        index.commit([{ do: 'safe', collection: file.collection, id: file.id, safe: written }]),
      )
      safe = written
    },
    finish,
  }
}

/** The rows that make a received file a stored one. */
export function storeChanges(world: World, file: ReceivingFile, by: Actor): Change[] {
  const { collection, id, size, checksum, mtime, path } = file
  const now = world.clock.now()
  return [
    { do: 'store', file: { collection, id, size, checksum, mtime, path, provenAt: now }, now },
    audited(world, file, by, 'ingestion', 'stored'),
  ]
}

/** An entry of the audit trail, named after the event types of PREMIS 3. */
export const audited = (
  world: World,
  file: { collection: string; id: string },
  by: Actor,
  event: string,
  outcome: string,
): Change => ({
  do: 'audit',
  entry: {
    at: world.clock.now(),
    event,
    collection: file.collection,
    id: file.id,
    actor: by.actor,
    conversation: by.conversation,
    outcome,
  },
})

/** Node can not save the state of a digest: going on means reading again what is here. */
async function hashPrefix(world: World, disk: Disk, path: string, length: number): Promise<Hasher> {
  const hasher = world.hashing.start('sha256')
  for (let at = 0; at < length; ) {
    const chunk = await disk.read(path, at, Math.min(limits.chunkBytes, length - at))
    if (chunk.length === 0)
      throw new Error(`the partial is shorter than the ${length} bytes that were safe`)
    hasher.update(chunk)
    at += chunk.length
  }
  return hasher
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1 && parts[0]?.byteLength === parts[0]?.buffer.byteLength)
    return parts[0] as Uint8Array
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
