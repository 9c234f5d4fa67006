/** What every kind of volume does alike, over its index, its queue of commits and its reservations. */
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import type { World } from '../world/world.ts'
import type { Admission } from './admission.ts'
import type { BagKeeper } from './bag-keeper.ts'
import { evict } from './eviction.ts'
import { findingChanges } from './findings.ts'
import type { GroupCommit } from './group-commit.ts'
import type { Health } from './health.ts'
import type { Reservations } from './reservations.ts'
import type { Answering, Store } from './store.ts'

export interface KeepingParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly health: Health
  readonly group: GroupCommit
  readonly reserved: Reservations
  readonly bag: BagKeeper
  readonly door: Admission
}

type Kept =
  | keyof Answering
  | 'standing'
  | 'accept'
  | 'release'
  | 'evict'
  | 'note'
  | 'oldestProof'
  | 'proofAges'
  | 'versions'
  | 'tombstones'
  | 'receivingCount'
  | 'trouble'
  | 'halt'
  | 'flush'
  | 'close'

export function keeping(parts: KeepingParts): Pick<Store, Kept> {
  const { world, disk, index, health, group, reserved, bag, door } = parts
  return {
    standing: door.standing,
    accept: (request, files) => group.alone(() => door.accept(request, files)),
    release(files) {
      for (const file of files) reserved.end(file)
    },
    evict: (before) =>
      group.alone(() => evict(world, disk, index, health, before, (file) => !reserved.has(file))),
    accepted: () => index.accepted(),
    answer: (key) => index.answer(key),
    conclude: (changes) => group.commit(changes),
    note: (findings, by) => group.commit(findingChanges(findings, by)),
    oldestProof: (collection) => index.oldestProof(collection),
    proofAges: (collection, before) => index.proofAges(collection, before),
    versions: (collection, ids) => index.versions(collection, ids),
    tombstones: (query) => index.tombstones(query),
    receivingCount: async () => (await index.allReceiving()).length,
    trouble: health.trouble,
    halt: (why) => health.fail(why),
    flush: () => bag.flush(),
    async close() {
      try {
        await group.idle()
        await bag.stop()
      } finally {
        await index.close()
        await disk.close()
      }
    },
  }
}
