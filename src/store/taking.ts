/**
 * Taking a disk that is mounted somewhere: recognised by its `volume.json` and its file system, never by where it is. What
 * is not ours, or twice there, is refused, and nothing is written to it.
 */
import type { Sleeper } from '../bay/bay.ts'
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { readIdentity, type VolumeIdentity, WrongVolume } from './identity.ts'
import { openPool, type Pool } from './pool.ts'
import type { Opened, Opening } from './pool-arrivals.ts'
import { type Mirrored, openMirrored } from './pool-state.ts'
import type { Store } from './store.ts'
import type { VolumeOptions } from './volume.ts'

/** A file system that may be a volume of ours. */
export interface Candidate {
  /** Where it is mounted: only to tell people. */
  readonly where: string
  /** UUID of the file system, where the system tells it. */
  readonly fileSystem?: string | undefined
  readonly disk: Disk
  /** The disk sleeps while nothing is asked of it. */
  readonly sleeper?: Sleeper
  /** Rejects with the code `busy` when somebody else has it. */
  openIndex(identity: VolumeIdentity): Promise<Index>
  openState(): Promise<State>
  /** Closes it in order. */
  end(): Promise<void>
  /** Lets go of it, whatever it is doing, and writes nothing more. */
  abandon(): Promise<void>
}

export interface Owner {
  readonly pillar: string
  readonly archive: string
  readonly kind: PillarKind
}

/** How a volume of this pillar is opened. */
export type OpenStore = (
  disk: Disk,
  index: Index,
  options: Pick<VolumeOptions, 'group' | 'whenSilent'>,
) => Promise<Store>

/** A candidate that is a volume of ours, with its lock taken. */
interface Recognised extends Candidate {
  readonly volume: string
  readonly index: Index
  readonly state: State
}

export interface Volumes {
  readonly pool: Pool
  readonly state: Mirrored
  /** Resolves with the volume's id. Rejects with why it is refused, which has been told; then it is let go of. */
  take(candidate: Candidate): Promise<string>
  /** Which volumes are here, by where they are. */
  held(): Map<string, string>
  /** It is not there any more: nothing more is asked of it. */
  lost(volume: string): void
  /** Finishes what is under way there, brings its lists up to date, and lets go of it. */
  eject(volume: string, ms: number): Promise<void>
}

/** Opens a pillar with what is there of its volumes; rejects with a sentence when there is none. */
export async function openVolumes(
  world: World,
  owner: Owner,
  candidates: readonly Candidate[],
  openStore: OpenStore,
): Promise<Volumes> {
  const found = new Map<string, Recognised>()
  const refusals: { readonly where: string; readonly why: string }[] = []
  for (const candidate of candidates)
    try {
      const one = await recognised(candidate, owner, (id) => found.has(id))
      found.set(one.volume, one)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      refusals.push({ where: candidate.where, why })
      await candidate.end()
    }
  if (found.size === 0) {
    const [first] = refusals
    throw new Error(first ? `${first.where}: ${first.why}` : 'there is no volume')
  }
  const states = new Map([...found].map(([id, { state }]) => [id, state]))
  const state = await openMirrored(world, states)
  const pool = await openPool(world, state, owner)
  const held = new Map<string, Recognised>()
  const attach = async (one: Recognised): Promise<void> => {
    const open = async (opening: Opening): Promise<Opened> => {
      const index = opening.indexed(one.index)
      const disk = opening.pulse.watch(one.disk)
      return { index, store: await openStore(disk, index, { group: opening.group }) }
    }
    await pool.attach(one.volume, { open, sleeper: one.sleeper })
    held.set(one.volume, one)
  }
  for (const one of found.values()) await attach(one)
  for (const { where, why } of refusals) pool.refused(where, why)
  for (const { id, state: is } of await pool.volumes())
    if (is === 'missing') pool.refused(id, 'this volume is not there; the others go on')
  return { pool, state, ...comings(owner, pool, state, held, attach) }
}

function comings(
  owner: Owner,
  pool: Pool,
  state: Mirrored,
  held: Map<string, Recognised>,
  attach: (one: Recognised) => Promise<void>,
): Pick<Volumes, 'take' | 'held' | 'lost' | 'eject'> {
  const oneAtATime = lock()
  async function take(candidate: Candidate): Promise<string> {
    try {
      const one = await recognised(candidate, owner, pool.has)
      await state.add(one.volume, one.state)
      await attach(one).catch((error) => {
        state.drop(one.volume)
        throw error
      })
      return one.volume
    } catch (error) {
      pool.refused(candidate.where, error instanceof Error ? error.message : String(error))
      await candidate.end()
      throw error
    }
  }
  return {
    take: (candidate) => oneAtATime(() => take(candidate)),
    held: () => new Map([...held].map(([volume, { where }]) => [where, volume])),
    lost(volume) {
      const one = held.get(volume)
      if (!one) return
      held.delete(volume)
      state.drop(volume)
      pool.detach(volume, 'missing')
      // Not waited for: a disk that hangs may never let go.
      void one.abandon().catch(() => undefined)
    },
    async eject(volume, ms) {
      const one = held.get(volume)
      if (!one) throw new Error(`volume ${volume} is not here`)
      await pool.eject(volume, ms)
      held.delete(volume)
      state.drop(volume)
      await one.state.close().catch(() => undefined)
      await one.end()
    },
  }
}

async function recognised(
  candidate: Candidate,
  owner: Owner,
  isHere: (volume: string) => boolean,
): Promise<Recognised> {
  const identity = await readIdentity(candidate.disk, owner)
  const { volume } = identity
  if (isHere(volume))
    throw new WrongVolume(
      `volume ${volume} is here twice: this is a copy of a disk that is in use; unplug one of them`,
    )
  const moved = movedFrom(identity, candidate.fileSystem)
  if (moved !== undefined) throw new WrongVolume(moved)
  return {
    ...candidate,
    volume,
    index: await candidate.openIndex(identity),
    state: await candidate.openState(),
  }
}

/** A copy of all files has the identity of the original, and not its file system. */
function movedFrom(
  { volume, fileSystem: known }: VolumeIdentity,
  fileSystem: string | undefined,
): string | undefined {
  if (known === undefined || fileSystem === undefined || known === fileSystem) return undefined
  return `volume ${volume} was adopted on the file system ${known}, and this is ${fileSystem}: a copy? If the original is gone: colonnade-agent disks adopt`
}
