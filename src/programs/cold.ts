/** Volumes whose disks sleep: their indexes and states lie elsewhere, and they are opened as any other volume of the pillar. */
import { existsSync, renameSync } from 'node:fs'
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bay } from '../bay/bay.ts'
import { type ColdDisk, coldDisk, stretch } from '../bay/cold-disk.ts'
import { type Controller, controller } from '../bay/controller.ts'
import { poweredBay, selfSleepingBay } from '../bay/powered.ts'
import { systemMount } from '../bay/system-mount.ts'
import type { Disk } from '../disk/disk.ts'
import { mountUnit } from '../machine/mounting.ts'
import { fileSystemId, mountOf, mountsIn, mountTable } from '../machine/mounts.ts'
import { systemSerial } from '../serial/node.ts'
import { openState } from '../state/sqlite.ts'
import { readIdentity, WrongVolume, writeWhole } from '../store/identity.ts'
import { indexFile } from '../store/sound-index.ts'
import type { Candidate } from '../store/taking.ts'
import { ConfigError } from '../system/config.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import type { World } from '../world/world.ts'
import { run } from './run.ts'

export const stateFile = '.state.sqlite'
/** Stands on a disk whose index is kept elsewhere, and says where. */
export const elsewhereFile = '.index-is-elsewhere.txt'

/** Where a volume lives on its mount. */
export const volumeRoot = (mount: string): string => join(mount, 'colonnade')

export const noVolumeAt = (root: string): string =>
  `there is no volume at ${root}: the disk is not plugged in, or was never adopted`

/** How a disk is, for people on the board. */
export interface BayState {
  readonly mount: string
  readonly slot?: number
  readonly state: 'awake' | 'asleep' | 'failed'
  /** Milliseconds until it could be read. */
  readonly msToWake: number
  readonly text?: string
}

export interface ColdVolumes {
  /** Whether the disk that is mounted there sleeps. */
  has(mount: string): boolean
  /** Whether its power is switched, so that its mount comes and goes by us. */
  isSwitched(mount: string): boolean
  /** Wakes the disk to see what it is; once it was there it is known. */
  candidateAt(mount: string): Promise<Candidate | { readonly why: string }>
  /** All that was found is opened by now. */
  settled(): void
  bays(): BayState[]
  /** Of what was let go of before. */
  close(): Promise<void>
}

const none: ColdVolumes = {
  has: () => false,
  isSwitched: () => false,
  candidateAt: async () => ({ why: 'it does not sleep' }),
  settled: () => undefined,
  bays: () => [],
  close: async () => undefined,
}

/** Throws `ConfigError`. */
export function coldVolumes(world: World, config: AgentConfig): ColdVolumes {
  const folder = config['bay.index']
  if (folder === undefined) return none
  const slots = slotsOf(config)
  const path = config['bay.controller']
  const host =
    path === undefined
      ? undefined
      : controller(world, systemSerial, {
          ...{ path, baud: config['bay.baud'] },
          ...(config['bay.on-max'] === undefined ? {} : { onMax: config['bay.on-max'] }),
        })
  const waking = stretch(world.clock)
  const disks = new Map<string, ColdDisk>()
  const holds = new Set<() => void>()
  return {
    has: (mount) => slots.has(mount),
    isSwitched: (mount) => host !== undefined && slots.has(mount),
    async candidateAt(mount) {
      let volume: string | undefined
      let known: string | undefined
      const disk = coldDisk(world, {
        bay: bayAt(world, config, { host, mount, slot: slots.get(mount) ?? 0 }),
        ...{ lingerMs: config['bay.linger'], workEveryMs: config['bay.work-every'], waking },
        async open() {
          const one = await opened(mount, config)
          const isOther = volume !== undefined && volume !== one.volume
          const isCopy = known !== undefined && known !== (one.fileSystem ?? known)
          if (isOther || isCopy) {
            await one.disk.close()
            throw new WrongVolume(`another disk was put in, in the place of ${volume}`)
          }
          volume = one.volume
          known ??= one.fileSystem
          return one.disk
        },
      })
      disks.set(mount, disk)
      // It is asked again when the others are awake.
      holds.add(disk.hold())
      const end = async (): Promise<void> => {
        if (disks.get(mount) === disk) disks.delete(mount)
        await disk.close()
      }
      try {
        await disk.stat('volume.json')
        const own = join(folder, volume ?? '')
        await settle(disk, volumeRoot(mount), own)
        const thread = await openVolumeThread({ root: own })
        return {
          ...{ where: mount, fileSystem: known, disk, sleeper: disk },
          openIndex: () => thread.openIndex(indexFile),
          openState: () => thread.openState(stateFile),
          async end() {
            await end()
            await thread.close()
          },
          async abandon() {
            void end().catch(() => undefined)
            await thread.abandon()
          },
        }
      } catch (error) {
        await end()
        return { why: error instanceof Error ? error.message : String(error) }
      }
    },
    settled() {
      for (const release of holds) release()
      holds.clear()
    },
    bays: () =>
      [...disks].map(([mount, disk]) => {
        const [fault, slot] = [disk.fault(), slots.get(mount)]
        return {
          ...{ mount, msToWake: disk.msToWake() },
          ...(host === undefined || slot === undefined ? {} : { slot }),
          state: fault !== undefined ? 'failed' : disk.asleep() ? 'asleep' : 'awake',
          ...(fault === undefined ? {} : { text: fault }),
        }
      }),
    close: async () => host?.close(),
  }
}

/** Which of the disks sleep: with a controller those that have a bay, without one all that are named. */
function slotsOf(config: AgentConfig): Map<string, number> {
  const mounts = [config['volume.mount'], ...config['volume.mounts']]
  const named = config['bay.slots'].map(Number)
  const isWrong = named.some((slot) => !Number.isSafeInteger(slot) || slot < 0)
  const slots = [config['bay.slot'], ...named]
  if (isWrong || new Set(slots).size < slots.length || slots.length > mounts.length)
    throw new ConfigError(
      'the key "bay.slots" is not right',
      'bay.slots: one number for each of volume.mounts, none of them twice',
    )
  const asleep = config['bay.controller'] === undefined ? mounts : mounts.slice(0, slots.length)
  return new Map(asleep.map((mount, n) => [mount, slots[n] ?? n]))
}

function bayAt(
  world: World,
  config: AgentConfig,
  { host, mount, slot }: { readonly host: Controller | undefined; mount: string; slot: number },
): Bay {
  if (host === undefined) {
    const idOf = (): string | undefined => mountOf(mountsIn(mountTable()), mount)?.id
    const [id, stop] = [idOf(), config['bay.stop']]
    return selfSleepingBay({ isThere: () => idOf() === id }, async () => {
      if (stop.length > 0) await run(world, [...stop, mount])
    })
  }
  const requests = join(process.env.RUNTIME_DIRECTORY ?? '/run/colonnade-agent', 'release')
  const place = systemMount({ mount, requests, unit: mountUnit(mount) })
  return poweredBay(world, host.bay(slot), place)
}

/** The volume, if it is there and ours. */
async function opened(mount: string, config: AgentConfig) {
  const root = volumeRoot(mount)
  const { name: pillar, archive, kind } = config
  const thread = await openVolumeThread({ root }).catch(() => {
    throw new Error(noVolumeAt(root))
  })
  try {
    // Before anything is opened: an unplugged disk must never mean writing to the disk below.
    if (!(await thread.disk.stat('volume.json'))) throw new Error(noVolumeAt(root))
    const { volume } = await readIdentity(thread.disk, { pillar, archive, kind })
    const fileSystem = fileSystemId(mountOf(mountsIn(mountTable()), mount))
    return { volume, fileSystem, disk: { ...thread.disk, close: thread.close } satisfies Disk }
  } catch (error) {
    await thread.close()
    throw error
  }
}

/** Sees to it that the index is where it is to be: brought from the disk once, never begun anew where there was one. */
async function settle(disk: Disk, root: string, own: string): Promise<void> {
  await mkdir(own, { recursive: true })
  const there = join(own, indexFile)
  const before = join(root, indexFile)
  if (!existsSync(there) && existsSync(before)) await bring(root, own)
  if (!existsSync(there) && (await disk.stat(elsewhereFile)))
    throw new Error(
      `the index of the volume at ${root} was kept elsewhere, and is not at ${own}; bring it back, or: colonnade-agent rebuild index`,
    )
  await writeWhole(disk, elsewhereFile, `${own}\n`)
  // As it is from now on, it would be believed by nobody.
  if (existsSync(there) && existsSync(before)) renameSync(before, `${before}.moved`)
}

/** The state first: where there is an index, all of it was brought. */
async function bring(root: string, own: string): Promise<void> {
  const thread = await openVolumeThread({ root, index: indexFile })
  await thread.close()
  if (existsSync(join(root, stateFile))) {
    await openState(join(root, stateFile)).close()
    await copied(join(root, stateFile), join(own, stateFile))
  }
  await copied(join(root, indexFile), join(own, indexFile))
}

async function copied(from: string, to: string): Promise<void> {
  await rm(`${to}.new`, { force: true })
  await copyFile(from, `${to}.new`)
  const file = await open(`${to}.new`, 'r+')
  await file.sync()
  await file.close()
  await rename(`${to}.new`, to)
  const folder = await open(join(to, '..'), 'r')
  await folder.sync()
  await folder.close()
}
