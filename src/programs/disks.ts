/** The disks of a running pillar: found by the table of mounts, which is watched; each in a thread of its own. */
import { setTimeout } from 'node:timers/promises'
import { limits } from '../limits.ts'
import {
  disksBelow,
  fileSystemId,
  type Mount,
  mountOf,
  mountsIn,
  mountTable,
} from '../machine/mounts.ts'
import { openChecksumVolume } from '../store/checksum-volume.ts'
import { writeWhole } from '../store/identity.ts'
import { openSoundIndex } from '../store/sound-index.ts'
import { type Candidate, type OpenStore, openVolumes, type Volumes } from '../store/taking.ts'
import { openVolume } from '../store/volume.ts'
import { asset } from '../system/assets.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { openVolumeThread, type VolumeThread } from '../system/volume-thread.ts'
import type { World } from '../world/world.ts'
import {
  type BayState,
  type ColdVolumes,
  coldVolumes,
  elsewhereFile,
  noVolumeAt,
  stateFile,
  volumeRoot,
} from './cold.ts'

export interface Disks extends Pick<Volumes, 'pool' | 'state'> {
  /**
   * Looks at the mounts now, with `again` also at those that were refused or ejected; resolves when what was found is taken
   * or refused.
   */
  look(again: boolean): Promise<void>
  /** By its id, or by where it is mounted. Resolves with both. */
  eject(what: string): Promise<{ readonly volume: string; readonly mount: string }>
  /** Where each volume is mounted that is here. */
  places(): Record<string, string>
  /** Of the disks that sleep. */
  bays(): BayState[]
  /** Of what the pillar has closed. */
  end(): Promise<void>
}

/** A disk that is mounted, or a folder that was named: it stays the same as long as this mount is there. */
interface Place {
  readonly at: string
  /** Of the mount that it lies on; another one when something is mounted there anew. */
  readonly mountId: string | undefined
  readonly fileSystem: string | undefined
  /** The configuration names it: that there is nothing is worth an alarm. */
  readonly named: boolean
}

/** The mount that a place lies on; one that comes and goes by us is always the same. */
type MountIdOf = (mounts: readonly Mount[], at: string) => string | undefined

interface Held extends Place {
  readonly volume: string
  end(): Promise<void>
}

/** Opens all that is there; rejects with a sentence when there is no volume at all. */
export async function openDisks(
  world: World,
  config: AgentConfig,
  lost: (text: string) => void,
): Promise<Disks> {
  const cold = coldVolumes(world, config)
  const mountIdOf: MountIdOf = (mounts, at) =>
    cold.isSwitched(at) ? 'switched' : mountOf(mounts, at)?.id
  const candidateAt = opening(world, cold, lost)
  let table = mountTable()
  const opened = await Promise.all(
    placesIn(table, config, mountIdOf).map(async (place) => ({
      place,
      found: await candidateAt(place),
    })),
  )
  const there = opened.flatMap(({ found }) => ('why' in found ? [] : [found]))
  const missing = opened.flatMap(({ place, found }) =>
    'why' in found && place.named ? [{ where: place.at, why: found.why }] : [],
  )
  if (there.length === 0) {
    await cold.close()
    throw new Error(missing[0]?.why ?? 'there is no volume')
  }
  const { name: pillar, archive, kind } = config
  const volumes = await openVolumes(
    world,
    { pillar, archive, kind },
    there,
    storeOf(world, config),
  ).catch(async (error) => {
    // None is left with its power on.
    await Promise.all(there.map((one) => one.end().catch(() => undefined)))
    await cold.close()
    throw error
  })
  cold.settled()
  const { pool, state } = volumes
  for (const { where, why } of missing) pool.refused(where, why)

  const keeper = keeping(world, volumes, candidateAt, mountIdOf)
  keeper.begun(opened)
  const stop = new AbortController()
  const look = (again: (place: Place) => boolean): Promise<void> =>
    keeper.look(mountsIn(table), placesIn(table, config, mountIdOf), again).finally(cold.settled)
  const looking = (again: (place: Place) => boolean): void => {
    // Not waited for: one disk that hangs must not hide the others.
    void look(again).catch((error) => world.log.error('volume.look', { why: String(error) }))
  }
  async function watch(): Promise<void> {
    let triedAt = world.clock.monotonic()
    while (!stop.signal.aborted) {
      await world.clock.sleep(limits.mountsMs, stop.signal)
      if (stop.signal.aborted) return
      const now = mountTable()
      const isTime = world.clock.monotonic() - triedAt >= bayAgainMs
      if (now === table && !isTime) continue
      table = now
      if (isTime) triedAt = world.clock.monotonic()
      looking(({ at }) => isTime && cold.isSwitched(at) && !keeper.isLetGo(at))
    }
  }
  const watching = watch()
  return {
    ...{ pool, state, bays: cold.bays, eject: keeper.eject, places: keeper.places },
    async look(again) {
      table = mountTable()
      await look(() => again)
    },
    async end() {
      stop.abort()
      await watching
      await keeper.end()
      await cold.close()
    },
  }
}

/** A disk in a bay that was not there is looked for so often: nothing else tells that it is. */
const bayAgainMs = 3_600_000

interface OpenedPlace {
  readonly place: Place
  readonly found: Candidate | { readonly why: string }
}

/** What is held where, and what was looked at in vain. */
function keeping(world: World, volumes: Volumes, candidateAt: CandidateAt, mountIdOf: MountIdOf) {
  const held = new Map<string, Held>()
  /** By place, with its mount: not looked at again before something else is mounted there. */
  const seen = new Map<string, string | undefined>()
  /** Ejected: not taken again by itself. */
  const letGo = new Set<string>()

  async function take(place: Place): Promise<void> {
    seen.set(place.at, place.mountId)
    const found = await candidateAt(place)
    if ('why' in found) {
      if (place.named) volumes.pool.refused(place.at, found.why)
      return
    }
    try {
      held.set(place.at, { ...place, volume: await volumes.take(found), end: found.end })
      letGo.delete(place.at)
    } catch (error) {
      world.log.warn('volume.refused', { where: place.at, why: String(error) })
    }
  }
  return {
    begun(opened: readonly OpenedPlace[]): void {
      const taken = volumes.held()
      for (const { place, found } of opened) {
        seen.set(place.at, place.mountId)
        const volume = taken.get(place.at)
        if (volume !== undefined && !('why' in found))
          held.set(place.at, { ...place, volume, end: found.end })
      }
    },
    async look(
      mounts: readonly Mount[],
      places: readonly Place[],
      again: (place: Place) => boolean,
    ): Promise<void> {
      for (const [at, { volume, mountId }] of [...held])
        if (mountIdOf(mounts, at) !== mountId) {
          held.delete(at)
          volumes.lost(volume)
        }
      // The kernel gives the number of a mount that is gone to another one.
      for (const [at, mountId] of [...seen]) if (mountIdOf(mounts, at) !== mountId) seen.delete(at)
      const fresh = places.filter(
        (place) => !held.has(place.at) && (again(place) || !seen.has(place.at)),
      )
      await Promise.all(fresh.map(take))
    },
    async eject(what: string): Promise<{ volume: string; mount: string }> {
      const all = [...held.values()]
      const one = all.find(({ volume, at }) => volume === what || at === what.replace(/\/$/, ''))
      if (!one) {
        const known = all.map(({ volume, at }) => `${volume} at ${at}`).join(', ')
        throw new Error(`there is no volume ${what}; there is: ${known || 'none'}`)
      }
      await volumes.eject(one.volume, limits.ejectMs)
      held.delete(one.at)
      letGo.add(one.at)
      return { volume: one.volume, mount: one.at }
    },
    isLetGo: (at: string): boolean => letGo.has(at),
    places: (): Record<string, string> =>
      Object.fromEntries([...held.values()].map(({ volume, at }) => [volume, at])),
    async end(): Promise<void> {
      await Promise.all([...held.values()].map((one) => one.end().catch(() => undefined)))
    },
  }
}

function placesIn(table: string, config: AgentConfig, mountIdOf: MountIdOf): Place[] {
  const mounts = mountsIn(table)
  const named = [config['volume.mount'], ...config['volume.mounts']]
  const found = disksBelow(mounts, config['volume.search']).map(({ at }) => at)
  return [...new Set([...named, ...found])].map((at) => {
    return {
      at,
      mountId: mountIdOf(mounts, at),
      fileSystem: fileSystemId(mountOf(mounts, at)),
      named: named.includes(at),
    }
  })
}

type CandidateAt = (place: Place) => Promise<Candidate | { readonly why: string }>

/** The thread opens it and looks for `volume.json`: the event loop touches no disk. `lost` is told of an index that is lost. */
const opening =
  (world: World, cold: ColdVolumes, lost: (text: string) => void): CandidateAt =>
  async ({ at, fileSystem }) => {
    if (cold.has(at)) return cold.candidateAt(at)
    const root = volumeRoot(at)
    const missing = noVolumeAt(root)
    try {
      const thread = await openVolumeThread({ root })
      if (!(await thread.disk.stat('volume.json'))) {
        await thread.close()
        return { why: missing }
      }
      if (await thread.disk.stat(elsewhereFile)) {
        await thread.close()
        return {
          why: `the index of the volume at ${root} is kept elsewhere: set bay.index as ${elsewhereFile} there says`,
        }
      }
      return {
        ...{ where: at, fileSystem, disk: thread.disk },
        openIndex: (identity) =>
          openSoundIndex({ world, disk: thread.disk, identity, open: thread.openIndex, lost }),
        openState: () => thread.openState(stateFile),
        end: () => ended(thread),
        abandon: thread.abandon,
      }
    } catch {
      return { why: missing }
    }
  }

/** A disk that hangs keeps nobody from ending. */
async function ended(thread: VolumeThread): Promise<void> {
  const late = new AbortController()
  const over = setTimeout(endMs, undefined, { signal: late.signal }).catch(() => undefined)
  await Promise.race([thread.close().catch(() => undefined), over])
  late.abort()
  void thread.abandon().catch(() => undefined)
}

const endMs = 5_000

/** How a volume of this pillar is opened, with what makes its disk of use without us. */
export function storeOf(world: World, config: AgentConfig): OpenStore {
  const { name: pillar, archive } = config
  const reserveBytes = config['volume.reserve']
  return async (disk, index, more) => {
    const options = { pillar, archive, reserveBytes, ...more }
    if (config.kind === 'checksum')
      return openChecksumVolume(world, disk, index, { ...options, told: config['checksum.told'] })
    const store = await openVolume(world, disk, index, options)
    // What makes the disk of use without us: it is checked by one script, and fragments become files by the other.
    for (const name of ['assemble.sh', 'check.sh'])
      await writeWhole(disk, name, asset(`deploy/${name}`)).catch((error) =>
        world.log.warn('volume.noScript', { name, why: String(error) }),
      )
    return store
  }
}
