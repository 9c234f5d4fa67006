/** The agent, put together from its parts: opened in order, closed in reverse. */
import { mkdirSync } from 'node:fs'
import type { ConnectBus } from '../bus/bus.ts'
import { type Controls, offerControl } from '../machine/control.ts'
import { fileSystemId, mountOf, mountsIn, mountTable } from '../machine/mounts.ts'
import { devicesOf, thermometer } from '../machine/temperature.ts'
import { startPillar } from '../pillar/pillar.ts'
import { uuid7 } from '../post/compose.ts'
import type { Leave, Supply } from '../power/power.ts'
import { adoptVolume, readIdentity, readopt } from '../store/identity.ts'
import { synchronised } from '../system/clock.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { cipherName } from '../system/cpu.ts'
import { keepBeside, openMember } from '../system/member.ts'
import { version } from '../system/version.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import { wear } from '../system/wear.ts'
import type { World } from '../world/world.ts'
import { volumeRoot } from './cold.ts'
import { cry } from './cry.ts'
import { openGround } from './ground.ts'
import { keepRenewed } from './renewing.ts'

export interface AgentParts {
  /** Takes the place of the bus that the configuration names. */
  readonly connect?: ConnectBus | undefined
  /** Tells of the power that there is. */
  readonly supply?: Supply
  /** What else can be asked of it. */
  readonly controls?: Controls
}

/** Opens everything in order; the function that closes it in reverse. Rejects with a sentence for the owner. */
export async function runAgent(
  world: World,
  config: AgentConfig,
  parts: AgentParts = {},
): Promise<(leave?: Leave) => Promise<void>> {
  try {
    return await started(world, config, parts)
  } catch (error) {
    // Nobody would know of it else: who does not start says nothing.
    const why = error instanceof Error ? error.message : String(error)
    await cry(
      world,
      config,
      ['COMPONENT_FAILURE', `the pillar can not start: ${why}`],
      parts.connect,
    )
    throw error
  }
}

async function started(
  world: World,
  config: AgentConfig,
  { connect, supply, controls }: AgentParts,
): Promise<(leave?: Leave) => Promise<void>> {
  const ground = await openGround(
    world,
    config,
    (text) => void cry(world, config, ['INTEGRITY_ISSUE', text], connect),
  )
  const { store, state } = ground
  const { name } = config
  const member = await openMember(world, config, state, connect)
  member.directory.watch(() => keepBeside(world, config, member.directory))
  await member
    .refresh()
    .catch((error) => world.log.warn('document.notFetched', { why: String(error) }))
  // To be asked for its temperature wakes some disks, or puts their sleep off.
  const sleeps = (store.sleeping?.workEveryMs() ?? 0) > 0
  const renewing = new AbortController()
  void keepRenewed(world, config, member, renewing.signal)
  const pillar = await startPillar({
    ...member,
    world,
    version,
    store,
    state,
    retainMs: config['volume.retain'],
    floors: {
      changes: config['floor.changes'],
      changesAll: config['floor.changes-all'],
      unwantedPercent: config['floor.unwanted'],
    },
    scrubMs: config['scrub.period'],
    ...{ synchronised, wear, cipher: cipherName() },
    ...(sleeps ? {} : { celsius: thermometer(world.clock, () => disksOf(config)) }),
    ...(config.site === undefined ? {} : { site: config.site }),
    ...(supply === undefined ? {} : { supply, awayMs: config['power.away'] }),
  })
  const quiet = await offerControl(world, config, { ...ground.controls, ...controls })
  world.log.info('agent.started', { pillar: name, volume: store.volume })
  return async (leave) => {
    renewing.abort()
    await quiet()
    await pillar.stop(leave)
    member.dial.close()
    await ground.end()
    world.log.info('agent.stopped', { pillar: name })
  }
}

const disksOf = (config: AgentConfig): string[] =>
  devicesOf([config['volume.mount'], ...config['volume.mounts']], config['volume.search'])

/**
 * Makes the folder `colonnade` on a mount and marks it as this pillar's volume. What is a volume of it already stays as it is,
 * on the file system that it is on now: the owner says so.
 */
export async function adopt(world: World, config: AgentConfig, mount: string): Promise<string> {
  const root = volumeRoot(mount)
  mkdirSync(root, { recursive: true })
  const fileSystem = fileSystemId(mountOf(mountsIn(mountTable()), mount))
  const { name: pillar, archive, kind } = config
  const thread = await openVolumeThread({ root })
  try {
    if (await thread.disk.stat('volume.json')) {
      const identity = await readIdentity(thread.disk, { pillar, archive, kind })
      await readopt(thread.disk, identity, fileSystem)
      return identity.volume
    }
    const owner = { pillar, archive, volume: uuid7(world), kind, fileSystem }
    return (await adoptVolume(world, thread.disk, owner)).volume
  } finally {
    await thread.close()
  }
}
