/** One volume as a store: what its parts are and how they hang together. */
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { admission } from './admission.ts'
import { bagKeeper } from './bag-keeper.ts'
import { evict } from './eviction.ts'
import { groupCommit } from './group-commit.ts'
import { health } from './health.ts'
import { foldsNames, readIdentity } from './identity.ts'
import { openIncoming } from './incoming.ts'
import { reading } from './reading.ts'
import { recover } from './recovery.ts'
import { reservations } from './reservations.ts'
import type { Store } from './store.ts'

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
  const { volume } = await readIdentity(disk, options)
  world.log.info('volume.recovered', { volume, ...(await recover(world, disk, index)) })
  const folds = await foldsNames(disk)
  const state = health(world.log, volume, options.onTrouble)
  const group = groupCommit(disk, index, state.fail)
  const reserved = reservations(options.reserveBytes)
  const bag = bagKeeper(world, disk, index, () => state.trouble() === undefined)
  const door = admission({ world, disk, index, group, reserved, folds })
  const storing = {
    ...group,
    store: (ready: Parameters<typeof group.store>[0]) => group.store(ready).then(bag.touch),
  }
  const exclusively = lock()

  return {
    volume,
    ...reading(disk, index),
    standing: door.standing,
    accept: (request, files) =>
      exclusively(async () => {
        state.check()
        return door.accept(request, files)
      }),
    async incoming(collection, id) {
      const [file] = await index.receiving(collection, [id])
      if (!file) throw new Error(`not accepted: ${id}`)
      const { landed, end: ended } = reserved
      const { fail: failed } = state
      return openIncoming({ world, disk, index, group: storing, landed, ended, failed }, file)
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
    trouble: state.trouble,
    flush: () => bag.flush(),
    async close() {
      await bag.stop()
      await index.close()
      await disk.close()
    },
  }
}
