/** One volume as a store: layout, space, receiving, reading, recovery. */
import type { Disk } from '../disk/disk.ts'
import {
  type Change,
  foldPath,
  type Index,
  type ReceivingFile,
  type StoredFile,
} from '../index/index.ts'
import { limits } from '../limits.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { bagKeeper } from './bag-keeper.ts'
import { groupCommit } from './group-commit.ts'
import { foldsNames, readIdentity } from './identity.ts'
import { audited, openIncoming } from './incoming.ts'
import { partialOf, pathAside, pathOf } from './names.ts'
import { recover } from './recovery.ts'
import { neededBytes, reservations } from './reservations.ts'
import type { NewFile, Standing, Store } from './store.ts'

export interface VolumeOptions {
  readonly pillar: string
  readonly archive: string
  /** Left free for the owner and the file system. */
  readonly reserveBytes: number
  /** Something is wrong with the volume; it takes no more writes. */
  onTrouble?(why: string): void
}

/**
 * Opens an adopted volume: checks whose it is, then finishes or undoes what the last end left. Rejects with
 * `WrongVolume` when it is not ours.
 */
export async function openVolume(
  world: World,
  disk: Disk,
  index: Index,
  options: VolumeOptions,
): Promise<Store> {
  const identity = await readIdentity(disk, options)
  world.log.info('volume.recovered', {
    volume: identity.volume,
    ...(await recover(world, disk, index)),
  })
  const folds = await foldsNames(disk)
  let trouble: string | undefined
  const fail = (error: unknown): void => {
    if (trouble !== undefined) return
    trouble = error instanceof Error ? error.message : String(error)
    // After a failed sync nobody knows what is on the disk: never tried again, only by a new start.
    world.log.error('volume.failed', { volume: identity.volume, why: trouble })
    options.onTrouble?.(trouble)
  }
  const group = groupCommit(disk, index, fail)
  const reserved = reservations(options.reserveBytes)
  const bag = bagKeeper(world, disk, index, () => trouble === undefined)
  const exclusively = lock()

  async function judge(files: readonly NewFile[]): Promise<Standing[]> {
    let open = reserved.space(await disk.free()).bytesOpen
    const standings: Standing[] = []
    for (const file of files) {
      const standing = await judgeOne(file, open)
      if (standing.is === 'welcome') open -= neededBytes(file.size)
      standings.push(standing)
    }
    return standings
  }
  async function judgeOne(file: NewFile, open: number): Promise<Standing> {
    const { collection, id, checksum, size } = file
    const [stored] = await index.stored(collection, [id])
    if (stored)
      return stored.checksum === checksum && stored.size === size
        ? { is: 'held', file: stored }
        : { is: 'other' }
    const [receiving] = await index.receiving(collection, [id])
    const same = receiving?.checksum === checksum && receiving.size === size
    if (receiving && !same && reserved.has(file)) return { is: 'other' }
    const conflict = await index.conflict(collection, id)
    if (conflict !== undefined) return { is: 'conflict', with: conflict }
    if (same && reserved.has(file)) return { is: 'welcome' }
    return neededBytes(size) - (same ? receiving.safe : 0) > open
      ? { is: 'noSpace', bytesFree: open }
      : { is: 'welcome' }
  }
  async function placeOf(file: NewFile): Promise<string> {
    const path = pathOf(world, file.id)
    const taken = folds ? await index.atPath(file.collection, foldPath(path)) : undefined
    // What stands there without a row was put by hand: left alone.
    const free =
      taken === undefined && (await disk.stat(`${file.collection}/data/${path}`)) === undefined
    return free ? path : pathAside(world, file.id)
  }
  /** The row to receive into: the one that is there when it is for these bytes, else a new one. */
  async function rowFor(file: NewFile, changes: Change[]): Promise<ReceivingFile> {
    const [old] = await index.receiving(file.collection, [file.id])
    if (old && old.checksum === file.checksum && old.size === file.size) return old
    if (old) {
      changes.push({ do: 'drop', collection: file.collection, id: file.id })
      await disk.remove(partialOf(world, old))
    }
    const { collection, id, size, checksum, mtime } = file
    const row = {
      collection,
      id,
      size,
      checksum,
      mtime,
      path: await placeOf(file),
      safe: 0,
      since: world.clock.now(),
    }
    changes.push({ do: 'receive', file: row })
    return row
  }

  return {
    volume: identity.volume,
    stored: (collection, ids) => index.stored(collection, ids),
    withBytes: (collection, checksum, size) => index.withBytes(collection, checksum, size),
    list: (query) => index.list(query),
    summary: () => index.summary(),
    read: (file, offset, length) => readSlice(disk, file, offset, length),
    standing: (files) => judge(files),
    accept: (request, files) =>
      exclusively(async () => {
        if (trouble !== undefined) throw new Error(trouble)
        const standings = await judge(files)
        const changes: Change[] = [{ do: 'accept', request }]
        const rows: ReceivingFile[] = []
        for (const [n, file] of files.entries())
          if (standings[n]?.is === 'welcome') rows.push(await rowFor(file, changes))
        await group.commit(changes)
        for (const row of rows) reserved.add(row)
        return standings
      }),
    async incoming(collection, id) {
      const [file] = await index.receiving(collection, [id])
      if (!file) throw new Error(`not accepted: ${id}`)
      const { landed, end: ended } = reserved
      return openIncoming(
        {
          world,
          disk,
          index,
          group: { ...group, store: (ready) => group.store(ready).then(bag.touch) },
          landed,
          ended,
          failed: fail,
        },
        file,
      )
    },
    release(files) {
      for (const file of files) reserved.end(file)
    },
    evict: (before) =>
      exclusively(() => evict(world, disk, index, before, (file) => !reserved.has(file))),
    accepted: () => index.accepted(),
    answer: (key) => index.answer(key),
    conclude: (changes) => group.commit(changes),
    space: async () => reserved.space(await disk.free()),
    receivingCount: async () => (await index.allReceiving()).length,
    trouble: () => trouble,
    flush: () => bag.flush(),
    async close() {
      await bag.stop()
      await index.close()
      await disk.close()
    },
  }
}

async function* readSlice(
  disk: Disk,
  file: StoredFile,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const path = `${file.collection}/data/${file.path}`
  const end = offset + length
  for (let at = offset; at < end; ) {
    const chunk = await disk.read(path, at, Math.min(limits.chunkBytes, end - at))
    if (chunk.length === 0) throw new Error(`${path} ends at ${at}, before ${end}`)
    yield chunk
    at += chunk.length
  }
}

async function evict(
  world: World,
  disk: Disk,
  index: Index,
  before: number,
  idle: (file: ReceivingFile) => boolean,
): Promise<number> {
  const old = (await index.allReceiving()).filter((file) => file.since < before && idle(file))
  for (const file of old) {
    const { collection, id } = file
    await index.commit([
      { do: 'drop', collection, id },
      audited(world, file, { actor: 'eviction', conversation: '' }, 'deletion', 'partial evicted'),
    ])
    await disk.remove(partialOf(world, file))
  }
  return old.length
}
