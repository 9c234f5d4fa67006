/** What a pillar stands on: its disk, the index of what is there, its own state. Of a disk that sleeps these two lie elsewhere. */
import { existsSync, renameSync } from 'node:fs'
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Bay, Sleeper } from '../bay/bay.ts'
import { coldDisk } from '../bay/cold-disk.ts'
import { controller } from '../bay/controller.ts'
import { poweredBay, selfSleepingBay } from '../bay/powered.ts'
import { systemMount } from '../bay/system-mount.ts'
import type { Disk } from '../disk/disk.ts'
import type { Controls } from '../machine/control.ts'
import { mountUnit } from '../machine/mounting.ts'
import { systemSerial } from '../serial/node.ts'
import { openState } from '../state/sqlite.ts'
import type { State } from '../state/state.ts'
import { readIdentity, writeWhole } from '../store/identity.ts'
import { indexFile } from '../store/sound-index.ts'
import type { Store } from '../store/store.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { openVolumeThread } from '../system/volume-thread.ts'
import type { World } from '../world/world.ts'
import {
  type Disks,
  elsewhereFile,
  noVolumeAt,
  openDisks,
  stateFile,
  storeOf,
  volumeRoot,
} from './disks.ts'

export interface Ground {
  readonly store: Store
  readonly state: State
  readonly sleeper?: Sleeper
  /** What commands on the same board may ask of it. */
  readonly controls: Controls
  /** Of what the pillar has closed. */
  end(): Promise<void>
}

/** Rejects with a sentence for the owner. An index that was lost is made anew, which `lost` is told. */
export async function openGround(
  world: World,
  config: AgentConfig,
  lost: (text: string) => void,
): Promise<Ground> {
  const folder = config['bay.index']
  if (folder === undefined) return awake(await openDisks(world, config, lost))
  return asleep(world, config, { root: volumeRoot(config['volume.mount']), folder })
}

function awake({ pool, state, eject, look, places, end }: Disks): Ground {
  const named = ({ volume }: Readonly<Record<string, unknown>>): string => String(volume ?? '')
  const controls: Controls = {
    // What the indexes say, for `doctor`: nobody else may open them.
    index: () => pool.summaries(),
    volumes: async () => ({ volumes: await pool.volumes(), places: places() }),
    eject: (about) => eject(named(about)),
    async forget(about) {
      await pool.forget(named(about))
      return {}
    },
    async look({ again }) {
      await look(again === true)
      return { places: places() }
    },
  }
  return {
    ...{ store: pool, state, controls },
    async end() {
      await state.close()
      await end()
    },
  }
}

/** The volume, if it is there and ours. */
async function opened(root: string, config: AgentConfig) {
  // Before anything is opened: an unplugged disk must never mean writing to the disk below.
  if (!existsSync(join(root, 'volume.json'))) throw new Error(noVolumeAt(root))
  const thread = await openVolumeThread({ root })
  const { name: pillar, archive, kind } = config
  try {
    const identity = await readIdentity(thread.disk, { pillar, archive, kind })
    return { thread, identity, disk: { ...thread.disk, close: thread.close } }
  } catch (error) {
    await thread.close()
    throw error
  }
}

async function asleep(
  world: World,
  config: AgentConfig,
  { root, folder }: { readonly root: string; readonly folder: string },
): Promise<Ground> {
  let volume = ''
  const { bay, close } = bayOf(world, config, root)
  const disk = coldDisk(world, {
    bay,
    lingerMs: config['bay.linger'],
    workEveryMs: config['bay.work-every'],
    async open() {
      const one = await opened(root, config)
      const found = one.identity.volume
      if (volume !== '' && volume !== found) {
        await one.thread.close()
        throw new Error(`another disk was put in: ${found} in the place of ${volume}`)
      }
      volume = found
      return one.disk
    },
  })
  const lay = async (): Promise<void> => {
    await disk.close()
    await close()
  }
  try {
    await disk.stat('volume.json')
    const own = join(folder, volume)
    await settle(disk, root, own)
    const thread = await openVolumeThread({ root: own })
    const index = await thread.openIndex(indexFile)
    const state = openState(join(own, stateFile))
    const store = await storeOf(world, config)(disk, index, { whenSilent: thread.whenSilent })
    return {
      ...{ store, state, sleeper: disk },
      controls: { index: async () => ({ [store.volume]: await store.summary() }) },
      async end() {
        await lay()
        await state.close()
        await thread.close()
      },
    }
  } catch (error) {
    await lay()
    throw error
  }
}

/** How its power is switched; and the end of that. */
function bayOf(
  world: World,
  config: AgentConfig,
  root: string,
): { readonly bay: Bay; close(): Promise<void> } {
  const path = config['bay.controller']
  const mount = config['volume.mount']
  if (path === undefined) {
    const isThere = (): boolean => existsSync(join(root, 'volume.json'))
    return { bay: selfSleepingBay({ isThere }), close: async () => undefined }
  }
  const host = controller(world, systemSerial, { path, baud: config['bay.baud'] })
  const requests = join(process.env.RUNTIME_DIRECTORY ?? '/run/colonnade-agent', 'release')
  const place = systemMount({ mount, requests, unit: mountUnit(mount) })
  return { bay: poweredBay(world, host.bay(config['bay.slot']), place), close: host.close }
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
