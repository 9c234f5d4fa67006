/** One volume as a store: what its parts are and how they hang together. */
import type { Disk } from '../disk/disk.ts'
import type { Index, ReceivingFile } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { admission } from './admission.ts'
import { bagKeeper, noBag } from './bag-keeper.ts'
import { type GroupCommit, groupCommit } from './group-commit.ts'
import { health } from './health.ts'
import { foldsNames, readIdentity } from './identity.ts'
import { alreadyHere, type IncomingParts, openIncoming } from './incoming.ts'
import { keeping } from './keeping.ts'
import { reading, readMedium } from './reading.ts'
import { recover } from './recovery.ts'
import { recoverRemovals, removal } from './removal.ts'
import { reservations } from './reservations.ts'
import type { Actor, Receiving, Removing, Replaced, Store } from './store.ts'

export interface VolumeOptions {
  readonly pillar: string
  readonly archive: string
  /** Left free for the owner and the file system. */
  readonly reserveBytes: number
  /**
   * What is stored here leaves for another place once it is safe there: files without bytes are no damage, and there is no
   * bag.
   */
  readonly passing?: boolean
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
  const { passing = false } = options
  const { volume } = await readIdentity(disk, options)
  // First: what was half deleted stands where it stood, when the rest is looked at.
  const undone = await recoverRemovals(world, disk, index, passing)
  world.log.info('volume.recovered', { volume, undone, ...(await recover(world, disk, index)) })
  const folds = await foldsNames(disk)
  const state = health(world.log, volume, options.onTrouble)
  const group = groupCommit(disk, index, state)
  const reserved = reservations(options.reserveBytes)
  const bag = passing ? noBag : bagKeeper(world, disk, index, state)
  const door = admission({ world, disk, index, health: state, reserved, folds })
  const removals = removal({
    ...{ world, disk, index, health: state, folds },
    isComing: reserved.has,
    elsewhere: passing,
  })
  const alone = <T>(step: () => Promise<T>): Promise<T> => group.alone(step).finally(bag.touch)
  const arrivals = arriving(
    { world, disk, index, health: state, landed: reserved.landed, ended: reserved.end },
    { ...group, store: (ready) => group.store(ready).then(bag.touch) },
    (file, replaces, by) => alone(() => removals.replace(file, replaces, by)),
  )

  return {
    volume,
    kind: 'file',
    ...reading(world, disk, index),
    ...keeping({ world, disk, index, health: state, group, reserved, bag, door }),
    incoming: arrivals,
    leastProven: (collection, limit) => index.leastProven(collection, limit),
    readMedium: (file) => readMedium(disk, file),
    quarantine: (file, how, by) => alone(() => removals.quarantine(file, how, by)),
    ...removing(index, removals, alone),
    async purge(before) {
      const gone = await group.alone(() => removals.purge(before))
      // Where nothing went no list is to follow, and no disk to be woken.
      if (gone > 0) bag.touch()
      return gone
    },
    space: async () => ({
      ...reserved.space(await disk.free()),
      bytesRetained: await index.retainedBytes(),
    }),
  }
}

/** Deletes and takes back, one after the other, and never while something is being stored. */
function removing(
  index: Index,
  work: ReturnType<typeof removal>,
  alone: <T>(step: () => Promise<T>) => Promise<T>,
): Omit<Removing, 'versions' | 'tombstones' | 'purge'> {
  return {
    remove: (file, by) => alone(() => work.remove(file, by)),
    restore: (collection, id, checksum, by) =>
      alone(() => work.restore(collection, id, checksum, by)),
    async restorable(collection, ids) {
      const limit = Number.MAX_SAFE_INTEGER
      const kept = await index.retained({ collection, ids, limit })
      return kept.flatMap(({ id, checksum, since, state }) =>
        state === 'kept' ? [{ id, checksum, since }] : [],
      )
    },
  }
}

/** Opens accepted files for their bytes. */
function arriving(
  parts: Omit<IncomingParts, 'group' | 'replace'>,
  group: GroupCommit,
  replace: (file: ReceivingFile, replaces: Replaced, by: Actor) => Promise<void>,
): Receiving['incoming'] {
  const { index } = parts
  return async (collection, id, replaces) => {
    const [file] = await index.receiving(collection, [id])
    const inPlace = replaces && {
      replace: (row: ReceivingFile, by: Actor) => replace(row, replaces, by),
    }
    if (file) return openIncoming({ ...parts, group, ...inPlace }, file)
    const [stored] = await index.stored(collection, [id])
    if (stored) return alreadyHere(stored)
    throw new Error(`not accepted: ${id}`)
  }
}
