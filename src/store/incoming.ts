/** One file on its way in: bytes to a partial, hashed while they pass, safe page by page. */
import { type Disk, DiskError } from '../disk/disk.ts'
import type { Change, Index, ReceivingFile, StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import type { Hasher, World } from '../world/world.ts'
import type { GroupCommit, Place } from './group-commit.ts'
import type { Health } from './health.ts'
import { inflow } from './inflow.ts'
import { partialOf, pathAside } from './names.ts'
import type { Actor, Incoming } from './store.ts'

export interface IncomingParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly group: GroupCommit
  readonly health: Health
  /** Tells how many reserved bytes are on the disk now. */
  landed(file: ReceivingFile, bytes: number): void
  ended(file: ReceivingFile): void
  /** Puts the synced partial in the place of what is stored; rejects when that is not what was to be replaced. */
  replace?(file: ReceivingFile, by: Actor): Promise<void>
}

export async function openIncoming(parts: IncomingParts, row: ReceivingFile): Promise<Incoming> {
  const { world, disk, index, group, health } = parts
  const partial = partialOf(world, row)
  const { file, hasher } = await begun(parts, row, partial)
  const { collection, id } = file
  let { safe } = file
  const flow = inflow({
    ...{ disk, path: partial, hasher, from: safe, size: file.size },
    guard: health.guard,
    landed: (bytes) => parts.landed(file, bytes),
  })
  let broken: unknown

  /** What was written after a failure would stand at the wrong place, or look synced and not be. */
  async function step<T>(work: () => Promise<T>): Promise<T> {
    if (broken !== undefined) throw broken
    health.check()
    try {
      return await work()
    } catch (error) {
      broken = error
      throw error
    }
  }
  async function secure(): Promise<void> {
    await flow.flush()
    const written = flow.at()
    if (written === safe) return
    await health.guardSync(disk.sync(partial))
    if (safe === 0) await health.guardSync(disk.syncDir('.incoming'))
    await health.guard(index.commit([{ do: 'safe', collection, id, safe: written }]))
    safe = written
  }
  async function finish(by: Actor): Promise<'stored' | 'wrongChecksum'> {
    await flow.flush()
    if (flow.at() < file.size) throw new RangeError(`${file.size - flow.at()} bytes are missing`)
    if (file.size === 0) await health.guard(disk.write(partial, 0, new Uint8Array(0)))
    if (hasher.hex() !== file.checksum) {
      const outcome = audited(world, file, by, 'ingestion', 'wrong checksum')
      await group.commit([{ do: 'drop', collection, id }, outcome])
      parts.ended(file)
      await disk.remove(partial)
      return 'wrongChecksum'
    }
    if (parts.replace) await parts.replace({ ...file, safe }, by)
    else {
      const places = placesOf(world, { ...file, safe }, by)
      await group.store({ partial, mtime: file.mtime, places })
    }
    parts.ended(file)
    return 'stored'
  }
  return {
    file,
    at: flow.at,
    async write(bytes) {
      if (flow.at() + bytes.length > file.size) throw new RangeError('more bytes than promised')
      await step(() => flow.add(bytes))
    },
    leave: flow.leave,
    secure: () => step(secure),
    finish: (by) => step(() => finish(by)),
  }
}

/** A file that was stored while somebody asked to bring it: nothing is missing. */
export function alreadyHere(stored: StoredFile): Incoming {
  const { collection, id, size, checksum, mtime, path, provenAt } = stored
  return {
    file: { collection, id, size, checksum, mtime, path, safe: size, since: provenAt },
    at: () => size,
    async write(bytes) {
      if (bytes.length > 0) throw new RangeError('more bytes than promised')
    },
    secure: async () => undefined,
    leave: async () => undefined,
    finish: async () => 'stored',
  }
}

/** Its own place; and where it goes when somebody put something there since it was accepted. */
const placesOf = (world: World, file: ReceivingFile, by: Actor): Place[] =>
  [file.path, ...[0, 1, 2].map((turn) => pathAside(world, file.id, turn))]
    .filter((path, n, all) => all.indexOf(path) === n)
    .map((path) => {
      const row = { ...file, path }
      return {
        final: `${file.collection}/data/${path}`,
        moving: { do: 'receive', file: row },
        changes: () => storeChanges(world, row, by),
      }
    })

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
    ...by,
    outcome,
  },
})

/** Where to go on; from the beginning when the disk can not give back what was safe. */
async function begun(
  { world, disk, index, health }: IncomingParts,
  file: ReceivingFile,
  partial: string,
): Promise<{ file: ReceivingFile; hasher: Hasher }> {
  const hasher = await hashPrefix(world, disk, partial, file.safe)
  if (hasher) return { file, hasher }
  const { collection, id } = file
  world.log.warn('partial.lost', { collection, id, safe: file.safe })
  health.check()
  await health.guard(index.commit([{ do: 'safe', collection, id, safe: 0 }]))
  await health.guard(disk.remove(partial))
  return { file: { ...file, safe: 0 }, hasher: world.hashing.start('sha256') }
}

/**
 * Node can not save the state of a digest: going on means reading again what is here. Undefined when the partial was
 * taken away, is shorter, or can not be read.
 */
async function hashPrefix(
  world: World,
  disk: Disk,
  path: string,
  length: number,
): Promise<Hasher | undefined> {
  const hasher = world.hashing.start('sha256')
  try {
    for (let at = 0; at < length; ) {
      const chunk = await disk.read(path, at, Math.min(limits.chunkBytes, length - at))
      if (chunk.length === 0) return undefined
      hasher.update(chunk)
      at += chunk.length
    }
  } catch (error) {
    if (error instanceof DiskError) return undefined
    throw error
  }
  return hasher
}
