/**
 * Bytes that stand in the place of a file without any row or line of theirs: after the index was made anew, or after somebody
 * put them there. They prove nothing by themselves. When the same file is offered, its checksum comes from those who have
 * it: if these are the bytes, nothing has to be sent.
 */
import type { Disk } from '../disk/disk.ts'
import type { Index, ReceivingFile } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { folderMaker } from './group-commit.ts'
import type { Health } from './health.ts'
import { audited, storeChanges } from './incoming.ts'
import { pathOf } from './names.ts'
import { digestAt, syncUpwards } from './recovery.ts'

interface FoundParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly health: Health
}

const self = { actor: 'recovery', conversation: '' }

/** True when they were what was offered: then they are stored. */
export async function foundHere(
  { world, disk, index, health }: FoundParts,
  alone: <T>(step: () => Promise<T>) => Promise<T>,
  file: ReceivingFile,
): Promise<boolean> {
  const { collection, id } = file
  const path = pathOf(world, id)
  const at = `${collection}/data/${path}`
  if (file.safe > 0 || file.path === path) return false
  const stands = async (): Promise<boolean> => {
    const stat = await disk.stat(at)
    return stat?.kind === 'file' && stat.size === file.size
  }
  if (!(await stands()) || (await index.strangers(collection, [path])).length === 0) return false
  if ((await digestAt(world, disk, at, file.size).catch(() => undefined)) !== file.checksum)
    return false
  const row = { ...file, path }
  return alone(async () => {
    // A start in between finds it in its place, and finishes.
    await health.guard(index.commit([{ do: 'receive', file: row }]))
    await health.guardSync(syncUpwards(disk, folderMaker(disk), row))
    const how = 'found in its place, and equal to what was offered'
    await health.guard(
      index.commit([...storeChanges(world, row, self), audited(world, row, self, 'recovery', how)]),
    )
    return true
  })
}
