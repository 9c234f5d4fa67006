/**
 * Deleting, and taking it back. The bytes of a deleted file move to `.retained/` and stay there for a while; a
 * tombstone says what was deleted. Note the intention → move → sync both folders → one commit. A start that finds an
 * intention without its commit undoes it: the request was not answered, and whoever made it says it again.
 */
import { dirname } from 'node:path'
import type { Disk } from '../disk/disk.ts'
import {
  type Change,
  foldPath,
  type Index,
  type ReceivingFile,
  type RetainedFile,
  type StoredFile,
} from '../index/index.ts'
import { digestOf, type World } from '../world/world.ts'
import { folderMaker } from './group-commit.ts'
import type { Health } from './health.ts'
import { audited } from './incoming.ts'
import { partialOf, pathAside } from './names.ts'
import { digestAt } from './recovery.ts'
import type { Actor, Doomed, Purged, Removed, Replaced, Restored } from './store.ts'

export interface RemovalParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly health: Health
  /** The file system takes names that differ only in case for the same. */
  readonly folds: boolean
  /** Bytes that are not on this disk are kept at another place: that they are missing here is no damage. */
  readonly elsewhere: boolean
  /** Somebody is bringing bytes for it now. */
  isComing(file: Pick<ReceivingFile, 'collection' | 'id'>): boolean
}

const folder = '.retained'

/** Where the bytes of one version of a file are kept aside. */
export const retainedPath = (
  world: Pick<World, 'hashing'>,
  { collection, id, version }: Pick<RetainedFile, 'collection' | 'id' | 'version'>,
): string => `${folder}/${digestOf(world, `${collection}\0${id}\0${version}`).slice(0, 32)}`

const payload = (collection: string, path: string): string => `${collection}/data/${path}`

/** The steps that both ways are made of. */
function steps({ disk, index, health }: RemovalParts) {
  const folders = folderMaker(disk, (step) => health.guardSync(step))

  /** The new name first: between the two a power cut may leave both, never none. */
  async function move(from: string, to: string): Promise<void> {
    await folders.ensure(dirname(to))
    await health.guard(disk.rename(from, to))
    await health.guardSync(disk.syncDir(dirname(to)))
    await health.guardSync(disk.syncDir(dirname(from)))
  }
  return {
    move,
    /** Folders without files are in the way of a file that takes their name. */
    async prune(collection: string, path: string): Promise<void> {
      for (let at = path; at.startsWith(`${collection}/data/`); at = dirname(at)) {
        if (!(await disk.rmdir(at))) return
        folders.forget(at)
      }
    },
    commit: (...changes: Change[]): Promise<void> => health.guard(index.commit(changes)),
  }
}

/** One for all: they remember together which folders are there. */
type Steps = ReturnType<typeof steps>

/** Nothing else may be stored or accepted while one of these is at work. */
export function removal(parts: RemovalParts) {
  const { world, disk, index, health } = parts
  const shared = steps(parts)
  const { move, prune, commit } = shared

  async function remove(
    { collection, id, checksum, version }: Doomed,
    by: Actor,
  ): Promise<Removed> {
    const file = await doomed(index, { collection, id, checksum, version })
    if (typeof file === 'string') return file
    const aside = retainedOf(file, 'leaving', world.clock.now())
    await commit({ do: 'retain', file: aside })
    const at = payload(collection, file.path)
    // Bytes that were lost already can not be kept; what the owner wants gone is gone all the same.
    const present = (await disk.stat(at)) !== undefined
    const kept = present || parts.elsewhere
    if (present) await move(at, retainedPath(world, aside))
    await commit(
      kept
        ? { do: 'retain', file: { ...aside, state: 'kept' } }
        : { do: 'release', collection, id, version: aside.version },
      { do: 'remove', collection, id, now: world.clock.now() },
      audited(world, file, by, 'deletion', kept ? 'kept aside' : 'bytes were missing'),
    )
    await prune(collection, dirname(at))
    return 'removed'
  }

  async function restore(
    collection: string,
    id: string,
    checksum: string,
    by: Actor,
  ): Promise<Restored> {
    const [file] = await index.stored(collection, [id])
    if (file) return file.checksum === checksum ? 'stored' : 'otherBytes'
    const kept = (await index.retained({ collection, ids: [id], limit: versionsMax })).filter(
      (one) => one.checksum === checksum && one.state === 'kept',
    )
    const aside = kept.at(-1)
    if (!aside) return 'absent'
    const [receiving] = await index.receiving(collection, [id])
    const inTheWay = await index.conflict(collection, id)
    if (parts.isComing({ collection, id }) || inTheWay !== undefined) return 'otherBytes'
    const from = retainedPath(world, aside)
    const present = (await disk.stat(from)) !== undefined
    if (!present && !parts.elsewhere) return 'damaged'
    if (present && (await digestAt(world, disk, from, aside.size)) !== checksum) return 'damaged'
    const path = await freePath(parts, aside)
    const back = { ...aside, path }
    await commit({ do: 'retain', file: { ...back, state: 'returning' } })
    if (present) await move(from, payload(collection, path))
    const now = world.clock.now()
    const { size, mtime, version } = aside
    await commit(
      { do: 'store', file: { collection, id, size, checksum, mtime, path, provenAt: now }, now },
      { do: 'release', collection, id, version },
      audited(world, back, by, 'recovery', 'taken back from where it was kept aside'),
    )
    // What somebody began to bring, and did not come back for; its row went with the commit.
    if (receiving) await health.guard(disk.remove(partialOf(world, receiving)))
    return 'stored'
  }
  return {
    remove,
    restore,
    replace: replacing(parts, shared),
    purge: purging(parts, shared),
    quarantine: quarantining(parts, shared),
  }
}

/** The stored file, when it may be deleted; else what is to be answered. */
export async function doomed(
  index: Index,
  { collection, id, checksum, version }: Doomed,
): Promise<StoredFile | Removed> {
  const [file] = await index.stored(collection, [id])
  if (!file) {
    const [stone] = (await index.tombstones({ collection, ids: [id], limit: 1 })).tombstones
    return stone?.checksum === checksum ? 'removed' : 'absent'
  }
  if (file.checksum !== checksum) return 'otherBytes'
  const [newest] = await index.versions(collection, [id])
  return newest === version ? file : 'newer'
}

/** The stored file that other bytes shall take the place of; rejects when it is not what was seen. */
export async function replaceable(
  index: Index,
  { collection, id }: Pick<StoredFile, 'collection' | 'id'>,
  replaces: Replaced,
): Promise<StoredFile> {
  const [old] = await index.stored(collection, [id])
  const [version] = await index.versions(collection, [id])
  if (!old || old.checksum !== replaces.checksum || version !== replaces.version)
    throw new Error('what was to be replaced has changed meanwhile')
  return old
}

/** Damaged bytes are put aside as deleted ones are, but nothing says that they were deleted: they may come again. */
function quarantining({ world, disk, index }: RemovalParts, { move, prune, commit }: Steps) {
  /** `stays`: nobody can tell here whether these are the right bytes after all. */
  return async (file: StoredFile, how: string, by: Actor, stays: boolean): Promise<boolean> => {
    const { collection, id } = file
    const [now] = await index.stored(collection, [id])
    if (now?.sequence !== file.sequence) return false
    if (stays) {
      await commit(
        { do: 'lose', collection, id, now: world.clock.now() },
        audited(world, file, by, 'quarantine', `${how}, or index and manifest are; left in place`),
      )
      return true
    }
    const aside = retainedOf(file, 'leaving', world.clock.now())
    await commit({ do: 'retain', file: aside })
    const at = payload(collection, file.path)
    const present = (await disk.stat(at)) !== undefined
    if (present) await move(at, retainedPath(world, aside))
    await commit(
      present
        ? { do: 'retain', file: { ...aside, state: 'kept' } }
        : { do: 'release', collection, id, version: aside.version },
      { do: 'lose', collection, id, now: world.clock.now() },
      audited(world, file, by, 'quarantine', how),
    )
    await prune(collection, dirname(at))
    return true
  }
}

/** Removes for good what was put aside before; resolves with how many they were. */
function purging({ world, disk, index, health }: RemovalParts, { commit }: Steps) {
  return async (before: number, of?: Purged): Promise<number> => {
    const old = await index.retained({ ...of, keptBefore: before, limit: purgeMax })
    if (old.length === 0) return 0
    for (const aside of old) await health.guard(disk.remove(retainedPath(world, aside)))
    // Else a power cut may bring names back of which nobody knows any more.
    await health.guardSync(disk.syncDir(folder))
    await commit(
      ...old.flatMap((aside): Change[] => [
        { do: 'release', collection: aside.collection, id: aside.id, version: aside.version },
        audited(world, aside, self, 'deletion', 'no longer kept aside'),
      ]),
    )
    return old.length
  }
}

/** The old bytes are kept aside, the new ones take their place; in one commit the row tells of both. */
function replacing(
  { world, disk, index, health, elsewhere }: RemovalParts,
  { move, commit }: Steps,
) {
  return async (file: ReceivingFile, replaces: Replaced, by: Actor): Promise<void> => {
    const { collection, id, size, checksum, mtime } = file
    const old = await replaceable(index, file, replaces)
    const partial = partialOf(world, file)
    await disk.touch(partial, mtime).catch(() => undefined)
    await health.guardSync(disk.sync(partial))
    const now = world.clock.now()
    const aside = retainedOf(old, 'leaving', now)
    await commit({ do: 'retain', file: aside })
    const place = payload(collection, old.path)
    const present = (await disk.stat(place)) !== undefined
    if (present) await move(place, retainedPath(world, aside))
    await move(partial, place)
    const { path } = old
    await commit(
      present || elsewhere
        ? { do: 'retain', file: { ...aside, state: 'kept' } }
        : { do: 'release', collection, id, version: aside.version },
      { do: 'store', file: { collection, id, size, checksum, mtime, path, provenAt: now }, now },
      audited(world, file, by, 'replacement', `in the place of ${old.checksum}`),
    )
  }
}

/** Where it stood before, or aside when something else has taken that place since. */
async function freePath(
  { world, disk, index, folds }: RemovalParts,
  { collection, id, path }: RetainedFile,
): Promise<string> {
  const folded = foldPath(path)
  const taken = folds && (await index.atPath(collection, folded)) !== undefined
  const free = !taken && (await disk.stat(payload(collection, path))) === undefined
  return free ? path : pathAside(world, id)
}

const self = { actor: 'retention', conversation: '' }
/** Of one id, deleted and put again over and over within the time that bytes are kept aside. */
const versionsMax = 10_000
/** At a time, so that others get their turn. */
export const purgeMax = 100

const retainedOf = (
  { collection, id, size, checksum, mtime, path, sequence: version }: StoredFile,
  state: RetainedFile['state'],
  since: number,
): RetainedFile => ({ collection, id, version, size, checksum, mtime, path, state, since })

/** Undoes what the last end left half done; resolves with how many they were. */
export async function recoverRemovals(
  world: World,
  disk: Disk,
  index: Index,
  elsewhere: boolean,
): Promise<number> {
  const moving = await index.retained({ moving: true, limit: versionsMax })
  const folders = folderMaker(disk)
  const move = async (from: string, to: string): Promise<void> => {
    await disk.rename(from, to)
    await disk.syncDir(await folders.ensure(dirname(to)))
    await disk.syncDir(dirname(from))
  }
  for (const aside of moving) {
    const { collection, id, version } = aside
    const [kept, stood] = [retainedPath(world, aside), payload(collection, aside.path)]
    const [isKept, stands] = [await disk.stat(kept), await disk.stat(stood)]
    if (aside.state === 'leaving') {
      // What was to take its place goes back among the partials: it is received, and not stored yet.
      const [next] = stands ? await index.receiving(collection, [id]) : []
      // Bytes that were elsewhere have left nothing aside: then those that stand tell by themselves which they are.
      const isNext =
        next &&
        (isKept ||
          (elsewhere &&
            stands?.size === next.size &&
            (await digestAt(world, disk, stood, next.size)) === next.checksum))
      const partial = isNext && partialOf(world, next)
      if (partial && !(await disk.stat(partial))) await move(stood, partial)
      if (isKept && !(await disk.stat(stood))) {
        await folders.ensure(dirname(stood))
        await move(kept, stood)
      }
      await index.commit([{ do: 'release', collection, id, version }])
    } else {
      if (stands && !isKept) await move(stood, kept)
      await index.commit([{ do: 'retain', file: { ...aside, state: 'kept' } }])
    }
  }
  return moving.length
}
