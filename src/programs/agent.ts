/** The agent, put together from its parts: opened in order, closed in reverse. */
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ConnectBus } from '../bus/bus.ts'
import type { Disk } from '../disk/disk.ts'
import { controlPaths, serveControl } from '../machine/control.ts'
import { startPillar } from '../pillar/pillar.ts'
import { uuid7 } from '../post/compose.ts'
import type { Leave, Supply } from '../power/power.ts'
import { openState } from '../state/sqlite.ts'
import { openChecksumVolume } from '../store/checksum-volume.ts'
import { adoptVolume, readIdentity, writeWhole } from '../store/identity.ts'
import { openSoundIndex } from '../store/sound-index.ts'
import type { Store } from '../store/store.ts'
import { openVolume } from '../store/volume.ts'
import { asset } from '../system/assets.ts'
import { synchronised } from '../system/clock.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { openMember } from '../system/member.ts'
import { version } from '../system/version.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import type { World } from '../world/world.ts'
import { cry } from './cry.ts'

const stateFile = '.state.sqlite'

/** Where a volume lives on its mount. */
const volumeRoot = (mount: string): string => join(mount, 'colonnade')

/**
 * Opens everything in order; the function that closes it in reverse. Rejects with a sentence for the owner. `connect` takes
 * the place of the bus that the configuration names; `supply` tells of the power that there is.
 */
export async function runAgent(
  world: World,
  config: AgentConfig,
  connect?: ConnectBus,
  supply?: Supply,
): Promise<(leave?: Leave) => Promise<void>> {
  try {
    return await started(world, config, connect, supply)
  } catch (error) {
    // Nobody would know of it else: who does not start says nothing.
    const why = error instanceof Error ? error.message : String(error)
    await cry(world, config, ['COMPONENT_FAILURE', `the pillar can not start: ${why}`], connect)
    throw error
  }
}

async function started(
  world: World,
  config: AgentConfig,
  connect?: ConnectBus,
  supply?: Supply,
): Promise<(leave?: Leave) => Promise<void>> {
  const root = volumeRoot(config['volume.mount'])
  // Before anything is opened: an unplugged disk must never mean writing to the disk below.
  if (!existsSync(join(root, 'volume.json')))
    throw new Error(
      `there is no volume at ${root}: the disk is not plugged in, or was never adopted`,
    )
  const thread = await openVolumeThread({ root })
  const identity = await readIdentity(thread.disk, {
    pillar: config.name,
    archive: config.archive,
    kind: config.kind,
  })
  const index = await openSoundIndex({
    ...{ world, disk: thread.disk, identity, open: thread.openIndex },
    lost: (text) => void cry(world, config, ['INTEGRITY_ISSUE', text], connect),
  })
  const state = openState(join(root, stateFile))
  const member = await openMember(world, config, state, connect)
  const { name, archive } = config
  const { whenSilent } = thread
  const options = { pillar: name, archive, reserveBytes: config['volume.reserve'], whenSilent }
  const store =
    config.kind === 'file'
      ? await openVolume(world, thread.disk, index, options)
      : await openChecksumVolume(world, thread.disk, index, {
          ...options,
          told: config['checksum.told'],
        })
  await member
    .refresh()
    .catch((error) => world.log.warn('document.notFetched', { why: String(error) }))
  if (config.kind === 'file') await layOut(world, thread.disk)
  const pillar = await startPillar({
    ...member,
    world,
    version,
    store,
    state,
    retainMs: config['volume.retain'],
    scrubMs: config['scrub.period'],
    synchronised,
    ...(config.site === undefined ? {} : { site: config.site }),
    ...(supply === undefined ? {} : { supply, awayMs: config['power.away'] }),
  })
  const quiet = await tellDoctor(world, config, store)
  world.log.info('agent.started', { pillar: name, volume: store.volume })
  return async (leave) => {
    await quiet()
    await pillar.stop(leave)
    member.dial.close()
    await state.close()
    await thread.close()
    world.log.info('agent.stopped', { pillar: name })
  }
}

/** What the index says, for `doctor`: nobody else may open it. Without the socket there is a pillar all the same. */
async function tellDoctor(
  world: World,
  config: AgentConfig,
  store: Pick<Store, 'volume' | 'summary'>,
): Promise<() => Promise<void>> {
  const index = async () => ({ [store.volume]: await store.summary() })
  try {
    return await serveControl(controlPaths(config)[0], { index })
  } catch (error) {
    world.log.warn('control.failed', { why: String(error) })
    return async () => undefined
  }
}

/** What makes the disk of use without us: it is checked by one script, and fragments become files by the other. */
async function layOut(world: World, disk: Disk): Promise<void> {
  for (const name of ['assemble.sh', 'check.sh'])
    await writeWhole(disk, name, asset(`deploy/${name}`)).catch((error) =>
      world.log.warn('volume.noScript', { name, why: String(error) }),
    )
}

/** Makes the folder `colonnade` on a mount and marks it as this pillar's volume. */
export async function adopt(world: World, config: AgentConfig, mount: string): Promise<string> {
  const root = volumeRoot(mount)
  mkdirSync(root, { recursive: true })
  const thread = await openVolumeThread({ root })
  try {
    const { volume } = await adoptVolume(world, thread.disk, {
      pillar: config.name,
      archive: config.archive,
      volume: uuid7(world),
      kind: config.kind,
    })
    return volume
  } finally {
    await thread.close()
  }
}
