/**
 * The volume of a checksum pillar: what is known of files, and none of their bytes. They are hashed while they come and
 * forgotten, or not even fetched. The same index, guards and lists as where files are kept; a change is one commit.
 */
import type { Disk } from '../disk/disk.ts'
import type { Index, ReceivingFile } from '../index/index.ts'
import type { Hasher, World } from '../world/world.ts'
import { admission } from './admission.ts'
import { bagKeeper } from './bag-keeper.ts'
import { folderMaker, type GroupCommit, groupCommit } from './group-commit.ts'
import { type Health, health } from './health.ts'
import { readIdentity } from './identity.ts'
import { alreadyHere, audited } from './incoming.ts'
import { keeping } from './keeping.ts'
import { newsDesk } from './news.ts'
import { reading } from './reading.ts'
import { recover } from './recovery.ts'
import { doomed, replaceable } from './removal.ts'
import { reservations } from './reservations.ts'
import type { Actor, Incoming, Receiving, Removed, Replaced, Store } from './store.ts'
import { heralded, type VolumeOptions } from './volume.ts'

export interface ChecksumVolumeOptions extends VolumeOptions {
  /** Takes the checksum as the request says it; else the bytes are fetched and hashed. */
  readonly told: boolean
}

/** Opens an adopted volume of this kind. Rejects with `WrongVolume` when it is not ours, or keeps files. */
export async function openChecksumVolume(
  world: World,
  disk: Disk,
  index: Index,
  options: ChecksumVolumeOptions,
): Promise<Store> {
  const { volume } = await readIdentity(disk, { ...options, kind: 'checksum' })
  world.log.info('volume.recovered', { volume, ...(await recover(world, disk, index)) })
  const news = newsDesk()
  const state = health(world.log, volume, heralded(volume, news, options))
  const group = groupCommit(disk, index, state)
  const reserved = reservations(options.reserveBytes, () => 0)
  const bag = bagKeeper(world, disk, index, state)
  const door = admission({ world, disk, index, health: state, reserved, folds: false })
  const alone = <T>(step: () => Promise<T>): Promise<T> => group.alone(step).finally(bag.touch)
  const parts: Parts = { world, disk, index, health: state, group, alone }
  const arrivals = arriving(parts, options.told, (file) => {
    reserved.end(file)
    bag.touch()
  })
  const read = reading(world, disk, index)
  return {
    volume,
    kind: 'checksum',
    ...read,
    withBytes: async () => undefined,
    read: nothing,
    ...keeping({ world, disk, index, health: state, group, reserved, bag, door }),
    incoming: arrivals,
    // Nothing to read: nothing is ever due.
    leastProven: async () => [],
    readMedium: nothing,
    quarantine: async () => false,
    contradicted: async () => false,
    inspect: async () => [],
    watch: news.watch,
    remove: (file, by) => alone(() => forget(parts, file, by)),
    restore: async () => 'absent',
    restorable: async () => [],
    purge: async () => 0,
    space: async () => ({ ...reserved.space(await disk.free()), bytesRetained: 0 }),
  }
}

interface Parts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly health: Health
  readonly group: GroupCommit
  alone<T>(step: () => Promise<T>): Promise<T>
}

// biome-ignore lint/correctness/useYield: there is nothing to give
async function* nothing(): AsyncGenerator<Uint8Array> {
  throw new Error('this pillar keeps checksums only')
}

async function forget(
  { world, index, health }: Parts,
  file: Parameters<typeof doomed>[1],
  by: Actor,
): Promise<Removed> {
  const found = await doomed(index, file)
  if (typeof found === 'string') return found
  const { collection, id } = found
  const now = world.clock.now()
  await health.guard(
    index.commit([
      { do: 'remove', collection, id, now },
      audited(world, found, by, 'deletion', 'checksum forgotten'),
    ]),
  )
  return 'removed'
}

/** How far one file is hashed. In memory only: after a restart its bytes are asked for from the first. */
interface Hashed {
  readonly hasher: Hasher
  at: number
}

/** So many interrupted files are remembered; the oldest begin anew. */
const hashedMax = 256

function arriving(
  parts: Parts,
  told: boolean,
  ended: (file: ReceivingFile) => void,
): Receiving['incoming'] {
  const { index, world } = parts
  const begun = new Map<string, Hashed>()
  const store = storing(parts, told)
  const hashedOf = (key: string): Hashed => {
    const known = begun.get(key) ?? { hasher: world.hashing.start('sha256'), at: 0 }
    begun.set(key, known)
    for (const old of begun.keys()) {
      if (begun.size <= hashedMax) break
      begun.delete(old)
    }
    return known
  }
  return async (collection, id, replaces) => {
    const [file] = await index.receiving(collection, [id])
    if (!file) {
      const [stored] = await index.stored(collection, [id])
      if (stored) return alreadyHere(stored)
      throw new Error(`not accepted: ${id}`)
    }
    const key = JSON.stringify([collection, id, file.size, file.checksum])
    const hashed = told ? undefined : hashedOf(key)
    return incoming(file, hashed, async (right, by) => {
      begun.delete(key)
      const outcome = await store(file, right, by, replaces)
      ended(file)
      return outcome
    })
  }
}

function incoming(
  file: ReceivingFile,
  hashed: Hashed | undefined,
  end: (right: boolean, by: Actor) => ReturnType<Incoming['finish']>,
): Incoming {
  const at = (): number => hashed?.at ?? file.size
  return {
    file,
    at,
    async write(bytes) {
      if (at() + bytes.length > file.size) throw new RangeError('more bytes than promised')
      if (!hashed) return
      hashed.hasher.update(bytes)
      hashed.at += bytes.length
    },
    // Nothing is kept of the bytes, so that nothing has to be safe.
    secure: async () => undefined,
    leave: async () => undefined,
    async finish(by) {
      if (at() < file.size) throw new RangeError(`${file.size - at()} bytes are missing`)
      return end(!hashed || hashed.hasher.hex() === file.checksum, by)
    },
  }
}

/** The end of one file: its row and the audit entry in one commit. */
function storing({ world, disk, index, health, group, alone }: Parts, told: boolean) {
  const folders = folderMaker(disk, (step) => health.guardSync(step))
  return async (
    file: ReceivingFile,
    right: boolean,
    by: Actor,
    replaces: Replaced | undefined,
  ): ReturnType<Incoming['finish']> => {
    const { collection, id, size, checksum, mtime, path } = file
    if (!right) {
      const outcome = audited(world, file, by, 'ingestion', 'wrong checksum')
      await group.commit([{ do: 'drop', collection, id }, outcome])
      return 'wrongChecksum'
    }
    // For the lists, which are written later.
    await folders.ensure(collection)
    const now = world.clock.now()
    // What was only told was never proven.
    const row = { collection, id, size, checksum, mtime, path, provenAt: told ? 0 : now }
    const how = told ? 'checksum told' : 'checksum computed'
    if (!replaces) {
      const outcome = audited(world, file, by, 'ingestion', how)
      await group.commit([{ do: 'store', file: row, now }, outcome])
      return 'stored'
    }
    await alone(async () => {
      const old = await replaceable(index, file, replaces)
      const outcome = audited(world, file, by, 'replacement', `in the place of ${old.checksum}`)
      await health.guard(index.commit([{ do: 'store', file: row, now }, outcome]))
    })
    return 'stored'
  }
}
