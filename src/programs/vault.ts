/** The tracker's disk for collections in fragments: opened in order, closed with the tracker. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { usualFloors } from '../pillar/floors.ts'
import { uuid7 } from '../post/compose.ts'
import { openState } from '../state/sqlite.ts'
import { adoptVolume } from '../store/identity.ts'
import { openVolume } from '../store/volume.ts'
import type { TrackerConfig } from '../system/config-shapes.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import type { FragmentParts } from '../tracker/fragments.ts'
import { openView } from '../view/sqlite.ts'
import type { World } from '../world/world.ts'

/** How long the fragments of deleted files are kept, as files are on pillars. */
const retainMs = 30 * 24 * 3_600_000

export interface VaultDisk {
  readonly parts: FragmentParts
  close(): Promise<void>
}

/** Makes the folder a volume of ours when it is none yet. */
export async function openVaultDisk(world: World, config: TrackerConfig): Promise<VaultDisk> {
  const { name, archive, 'vault.folder': root, 'vault.reserve': reserveBytes } = config
  mkdirSync(root, { recursive: true, mode: 0o700 })
  const isNew = !existsSync(join(root, 'volume.json'))
  const thread = await openVolumeThread({ root })
  const { disk } = thread
  if (isNew) await adoptVolume(world, disk, { pillar: name, archive, volume: uuid7(world) })
  const index = await thread.openIndex('.index.sqlite')
  const options = { pillar: name, archive, reserveBytes, passing: true }
  const volume = await openVolume(world, disk, index, options)
  const view = openView(join(root, '.view.sqlite'))
  const state = openState(join(root, '.state.sqlite'))
  const floors = {
    ...usualFloors,
    changes: config['floor.changes'],
    changesAll: config['floor.changes-all'],
  }
  return {
    parts: { disk, index, volume, view, state, retainMs, floors },
    async close() {
      await view.close()
      await state.close()
      await thread.close()
    },
  }
}
