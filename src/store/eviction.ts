/** Giving up partials that nobody came back for. */
import type { Disk } from '../disk/disk.ts'
import type { Index, ReceivingFile } from '../index/index.ts'
import type { World } from '../world/world.ts'
import type { Health } from './health.ts'
import { audited } from './incoming.ts'
import { partialOf } from './names.ts'

const self = { actor: 'eviction', conversation: '' }

/** Those accepted before `before` that are `idle`; resolves with how many they were. */
export async function evict(
  world: World,
  disk: Disk,
  index: Index,
  health: Health,
  before: number,
  idle: (file: ReceivingFile) => boolean,
): Promise<number> {
  const old = (await index.allReceiving()).filter((file) => file.since < before && idle(file))
  for (const file of old) {
    const { collection, id } = file
    const gone = audited(world, file, self, 'deletion', 'partial evicted')
    await health.guard(index.commit([{ do: 'drop', collection, id }, gone]))
    await health.guard(disk.remove(partialOf(world, file)))
  }
  return old.length
}
