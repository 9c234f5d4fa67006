/** The volumes of a simulated board: disks with their indexes and states, some of which may sleep. */
import type { ColdDisk } from '../bay/cold-disk.ts'
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { asyncIndex, openIndex } from '../index/sqlite.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import { openState } from '../state/sqlite.ts'
import type { State } from '../state/state.ts'
import { adoptVolume } from '../store/identity.ts'
import type { Store } from '../store/store.ts'
import { openVolumes } from '../store/taking.ts'
import { openVolume } from '../store/volume.ts'
import type { World } from '../world/world.ts'
import type { BoardClock } from './clock.ts'
import { type SimDisk, simDisk } from './disk.ts'
import { type Life, mortal } from './mortal.ts'
import type { SimRandom } from './random.ts'

/** What a board keeps of one disk when its power goes. */
export interface SimVolume {
  readonly disk: SimDisk
  readonly index: Index
  readonly state: State
}

const freshVolume = (capacity: number, clock: BoardClock): SimVolume => ({
  disk: simDisk({ capacity, clock }),
  index: asyncIndex(openIndex(':memory:')),
  state: openState(':memory:'),
})

/** The places for disks of one board. */
export function simRack(capacity: number, clock: BoardClock, count: number) {
  const fresh = (): SimVolume => freshVolume(capacity, clock)
  const all = Array.from({ length: count }, fresh)
  const first = (): SimVolume => {
    const [one] = all
    if (!one) throw new Error('no volume')
    return one
  }
  const swap = (number: number, to = fresh()): void => {
    all[number] = to
  }
  return {
    ...{ all, first, swap },
    unplugged: new Set<number>(),
    newDisk: () => swap(0, { ...fresh(), state: first().state }),
    newBoard: () => swap(0, { ...first(), state: openState(':memory:') }),
    /** The power goes; each forgets what it may. */
    crash(random: SimRandom): void {
      for (const [n, { disk }] of all.entries()) disk.crash(n === 0 ? random : random.fork(`${n}`))
    },
  }
}

export const undying = <T extends { close(): Promise<void> }>(inner: T): T => ({
  ...inner,
  close: async () => undefined,
})

/** A disk that sleeps, made of what is on it. */
export type Cold = (board: string, world: World, disk: Disk, slot: number) => ColdDisk

export interface PooledOptions {
  readonly pillar: string
  readonly archive: string
  readonly kind: PillarKind
  readonly cold?: Cold | undefined
  /** Disks that are not plugged in, by their numbers. */
  readonly unplugged: ReadonlySet<number>
}

/** Its volumes as one store, and its state on all of them, as the agent opens them; `end` lets the disks sleep. */
export async function openPooled(
  world: World,
  own: Life,
  volumes: readonly SimVolume[],
  { pillar, archive, kind, cold, unplugged }: PooledOptions,
): Promise<{ store: Store; state: State; end(): Promise<void> }> {
  const owner = { pillar, archive, kind }
  const disks: ColdDisk[] = []
  const found = await Promise.all(
    volumes.map(async ({ disk, index, state }, slot) => {
      if (unplugged.has(slot)) return []
      const sleeper = cold?.(pillar, world, disk.disk, slot)
      const mine: Disk = sleeper ?? { ...disk.disk, close: async () => undefined }
      if (sleeper) disks.push(sleeper)
      const volume = `volume-of-${pillar}${slot === 0 ? '' : `-${slot + 1}`}`
      try {
        if ((await mine.stat('volume.json')) === undefined)
          await adoptVolume(world, mine, { ...owner, volume })
      } catch {
        // It does not come: the others go on.
        return []
      }
      return [
        {
          ...{ where: `/mnt/${slot + 1}`, disk: mine, ...(sleeper ? { sleeper } : {}) },
          openIndex: async () => mortal(own, undying(index)),
          openState: async () => mortal(own, undying(state)),
          end: mine.close,
          abandon: mine.close,
        },
      ]
    }),
  )
  const { pool, state } = await openVolumes(world, owner, found.flat(), (disk, index, more) =>
    openVolume(world, disk, index, { ...owner, reserveBytes: 0, ...more }),
  )
  return {
    ...{ store: pool, state },
    end: async () => void (await Promise.all(disks.map((one) => one.close()))),
  }
}
