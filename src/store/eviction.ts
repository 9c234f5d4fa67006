/** Giving up partials that nobody came back for. */
import type { Disk } from '../disk/disk.ts'
import type { Index, ReceivingFile } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { audited } from './incoming.ts'
import { partialOf } from './names.ts'

/** Those accepted before `before` that are `idle`; resolves with how many they were. */
export async function evict(
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
