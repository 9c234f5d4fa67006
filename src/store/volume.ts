/** One volume as a store: what its parts are and how they hang together. */
import type { Disk } from '../disk/disk.ts'
import type { Index, IndexDamage, ReceivingFile } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { admission } from './admission.ts'
import { bagKeeper, noBag } from './bag-keeper.ts'
import type { BagGroup } from './bag-tags.ts'
import { foundHere } from './found.ts'
import { type GroupCommit, groupCommit } from './group-commit.ts'
import { health } from './health.ts'
import { foldsNames, indexDamaged, readIdentity, writeWhole } from './identity.ts'
import { alreadyHere, type IncomingParts, openIncoming } from './incoming.ts'
import { type InspectionParts, inspect } from './inspection.ts'
import { keeping } from './keeping.ts'
import { mending } from './mending.ts'
import { type NewsDesk, newsDesk } from './news.ts'
import { reading, readMedium } from './reading.ts'
import { recover } from './recovery.ts'
import { recoverRemovals, removal } from './removal.ts'
import { reservations } from './reservations.ts'
import type { Actor, Receiving, Removing, Replaced, Store } from './store.ts'

export interface VolumeOptions {
  readonly pillar: string
  readonly archive: string
  /** Left free for the owner and the file system; by the size of the disk when absent. */
  readonly reserveBytes?: number | undefined
  /**
   * What is stored here leaves for another place once it is safe there: files without bytes are no damage, and there is no
   * bag.
   */
  readonly passing?: boolean
  /** What a bag says of those of the same collection on other volumes. */
  group?(collection: string): BagGroup | undefined
  /** Has it told when the disk has not answered a call for long, with the milliseconds. */
  whenSilent?(tell: (ms: number) => void): void
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
  const news = newsDesk()
  // First: what was half deleted stands where it stood, when the rest is looked at.
  const undone = await recoverRemovals(world, disk, index, passing)
  world.log.info('volume.recovered', { volume, undone, ...(await recover(world, disk, index)) })
  const folds = await foldsNames(disk)
  const state = health(world.log, volume, heralded(volume, news, options))
  options.whenSilent?.((ms) => {
    const text = `the disk of the volume ${volume} has not answered for ${Math.round(ms / 1000)} s; it is waited for`
    news.tell({ code: 'COMPONENT_FAILURE', text })
  })
  const group = groupCommit(disk, index, state)
  const reserved = reservations(options.reserveBytes)
  const labels = { volume, ...options }
  const bag = passing ? noBag : bagKeeper(world, disk, index, state, labels)
  const door = admission({ world, disk, index, health: state, reserved, folds })
  const removals = removal({
    ...{ world, disk, index, health: state, folds },
    isComing: reserved.has,
    elsewhere: passing,
  })
  const alone = <T>(step: () => Promise<T>): Promise<T> => group.alone(step).finally(bag.touch)
  const mend = mending({ world, disk, index, health: state, news })
  const about = { world, disk, health: state, mend, alone, passing }
  await index.watch((found) => onDamage(found, about))
  const arrivals = arriving(
    { world, disk, index, health: state, landed: reserved.landed, ended: reserved.end },
    { ...group, store: (ready) => group.store(ready).then(bag.touch) },
    {
      replace: (file, replaces, by) => alone(() => removals.replace(file, replaces, by)),
      found: (file) => foundHere({ world, disk, index, health: state }, alone, file),
    },
  )

  return {
    volume,
    kind: 'file',
    ...reading(world, disk, index),
    ...keeping({ world, disk, index, health: state, group, reserved, bag, door }),
    incoming: arrivals,
    leastProven: (collection, limit) => index.leastProven(collection, limit),
    readMedium: (file) => readMedium(disk, file),
    quarantine: (file, how, by) =>
      alone(async () => removals.quarantine(file, how, by, await mend.isUndecided(file))),
    contradicted: (file, by) => alone(() => mend.contradicted(file, by)),
    inspect: () => inspect({ world, disk, index, health: state, news, bag, mend, alone }),
    watch: news.watch,
    ...removing(index, removals, alone),
    async purge(before, of) {
      const gone = await group.alone(() => removals.purge(before, of))
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

/** Trouble is told to people, whoever else wants to know of it. */
export const heralded =
  (volume: string, news: NewsDesk, { onTrouble }: Pick<VolumeOptions, 'onTrouble'>) =>
  (why: string): void => {
    onTrouble?.(why)
    const text = `the volume ${volume} takes no more writes: ${why}`
    news.tell({ code: 'COMPONENT_FAILURE', text })
  }

/** A row that was altered is mended at once. A database that is damaged itself is made anew by the next start. */
function onDamage(
  found: IndexDamage,
  parts: Pick<InspectionParts, 'world' | 'disk' | 'health' | 'mend' | 'alone'> & {
    readonly passing: boolean
  },
): void {
  const { world, disk, health, mend, alone } = parts
  // The bytes are elsewhere: nothing here can tell what is true.
  if (found.is === 'row' && parts.passing) return
  const step =
    found.is === 'row'
      ? alone(() => mend.row(found.row))
      : writeWhole(disk, indexDamaged, found.why).finally(() =>
          health.fail(`${found.why}; the next start makes the index anew from the bags`),
        )
  step.catch((error) => world.log.error('index.notMended', { why: String(error) }))
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
  ways: {
    replace(file: ReceivingFile, replaces: Replaced, by: Actor): Promise<void>
    found(file: ReceivingFile): Promise<boolean>
  },
): Receiving['incoming'] {
  const { index } = parts
  return async (collection, id, replaces) => {
    const [file] = await index.receiving(collection, [id])
    const inPlace = replaces && {
      replace: (row: ReceivingFile, by: Actor) => ways.replace(row, replaces, by),
    }
    const isHere = file !== undefined && !replaces && (await ways.found(file))
    if (isHere) parts.ended(file)
    if (file && !isHere) return openIncoming({ ...parts, group, ...inPlace }, file)
    const [stored] = await index.stored(collection, [id])
    if (stored) return alreadyHere(stored)
    throw new Error(`not accepted: ${id}`)
  }
}
