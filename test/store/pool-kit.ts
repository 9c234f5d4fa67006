/** A pillar with several simulated disks that can be plugged in and out, hang, and be copied. */
import { type Disk, DiskError } from '../../src/disk/disk.ts'
import type { Index } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { type SimClock, simClock } from '../../src/sim/clock.ts'
import { type SimDisk, simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { type SimWorld, simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import type { State } from '../../src/state/state.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import type { NewFile, Standing, Store } from '../../src/store/store.ts'
import { type Candidate, openVolumes, type Volumes } from '../../src/store/taking.ts'
import { openVolume } from '../../src/store/volume.ts'
import { ann, offered, owner } from './kit.ts'

/** One disk, wherever it is plugged in. */
export interface Stick {
  readonly sim: SimDisk
  readonly index: Index
  readonly state: State
  readonly fileSystem: string
  /** Its index lists only after this. */
  listsAfter: Promise<void>
  /** As it is mounted now; the one before answers nothing more. */
  plug(where?: string): Candidate
  unplug(): void
}

export interface StickOptions {
  readonly capacity?: number
  readonly fileSystem?: string
  /** What another disk holds. */
  readonly copyOf?: Stick
}

export function stick(clock: SimClock['clock'], options: StickOptions = {}): Stick {
  const { copyOf, fileSystem = 'uuid-1' } = options
  const sim = copyOf?.sim ?? simDisk({ capacity: options.capacity ?? 100_000_000, clock })
  const index = copyOf?.index ?? asyncIndex(openIndex(':memory:'))
  const state = copyOf?.state ?? openState(':memory:')
  let pull = (): void => undefined
  const own: Stick = {
    ...{ sim, index, state, fileSystem },
    listsAfter: Promise.resolve(),
    plug(where = '/mnt/disk') {
      let gone = false
      const over = new Promise<never>((_, reject) => {
        pull = () => {
          gone = true
          reject(new DiskError('EIO', `${where} is gone`))
        }
      })
      over.catch(() => undefined)
      const cable = <Port extends object>(port: Port): Port =>
        new Proxy(port, {
          get: (target, name) => {
            const member: unknown = Reflect.get(target, name)
            if (typeof member !== 'function') return member
            return async (...args: unknown[]) =>
              gone ? over : Promise.race([Reflect.apply(member, target, args), over])
          },
        })
      return {
        ...{ where, fileSystem, disk: cable<Disk>({ ...sim.disk, close: async () => undefined }) },
        openIndex: async () =>
          cable<Index>({
            ...index,
            async list(query) {
              await own.listsAfter
              return index.list(query)
            },
            // A disk that hangs hangs with its index.
            commit: async (changes) =>
              await sim.during('commit', 'index', () => index.commit(changes)),
            stored: async (collection, ids) => {
              await sim.disk.stat('volume.json')
              return index.stored(collection, ids)
            },
            close: async () => undefined,
          }),
        openState: async () =>
          cable<State>({
            ...state,
            change: async (entries) =>
              await sim.during('commit', 'state', () => state.change(entries)),
            close: async () => undefined,
          }),
        end: async () => undefined,
        abandon: async () => pull(),
      }
    },
    unplug: () => pull(),
  }
  return own
}

export interface Rig {
  readonly world: SimWorld
  readonly time: SimClock
  readonly sticks: readonly Stick[]
  readonly store: Store
  readonly volumes: Volumes
  /** What was told to people. */
  alarms(): string[]
  /** Requests of volumes that came back. */
  readonly returned: string[]
  /** The program starts again, with these disks. */
  again(sticks?: readonly Stick[]): Promise<Rig>
  offer(id: string, bytes: Uint8Array): NewFile
  accept(...files: NewFile[]): Promise<Standing[]>
  put(id: string, text: string | Uint8Array): Promise<string>
  read(id: string): Promise<string | undefined>
  ids(): Promise<string[]>
  /** Disks that have this file stored, by their numbers. */
  where(id: string): Promise<number[]>
}

let requests = 0

export async function adopted(
  world: SimWorld,
  one: Stick,
  volume: string,
  pillar = owner.pillar,
): Promise<void> {
  const { fileSystem } = one
  await adoptVolume(world, one.sim.disk, { ...owner, pillar, volume, fileSystem })
}

export async function rig(count: number, options: StickOptions = {}): Promise<Rig> {
  const time = simClock()
  const world = simWorld(time.clock, simRandom('pool'), 'p1')
  const sticks = Array.from({ length: count }, (_, n) =>
    stick(time.clock, { ...options, fileSystem: `uuid-${n + 1}` }),
  )
  for (const [n, one] of sticks.entries()) await adopted(world, one, `v${n + 1}`)
  return opened(time, world, sticks)
}

async function opened(time: SimClock, world: SimWorld, sticks: readonly Stick[]): Promise<Rig> {
  const candidates = sticks.map((one, n) => one.plug(`/mnt/${n + 1}`))
  const volumes = await openVolumes(
    world,
    { ...owner, kind: 'file' },
    candidates,
    (disk, index, more) => openVolume(world, disk, index, { ...owner, reserveBytes: 0, ...more }),
  )
  const store: Store = volumes.pool
  const [news, returned]: [string[], string[]] = [[], []]
  store.watch(({ text }) => news.push(text))
  store.onReturn?.((all) => returned.push(...all.map(({ key }) => key)))
  const on: Rig = {
    ...{ world, time, sticks, store, volumes, returned },
    alarms: () => news,
    again(some = sticks) {
      for (const one of sticks) one.unplug()
      return opened(time, world, some)
    },
    offer: (id, bytes) => offered(world, id, bytes),
    accept(...files) {
      const key = `r${++requests}`
      return store.accept({ key, substance: key, request: key }, files)
    },
    async put(id, text) {
      const some = typeof text === 'string' ? new TextEncoder().encode(text) : text
      const file = on.offer(id, some)
      const [standing] = await on.accept(file)
      if (standing?.is !== 'welcome') return standing?.is ?? ''
      const incoming = await store.incoming('home', id)
      await incoming.write(some.slice(incoming.at()))
      const outcome = await incoming.finish(ann)
      store.release([file])
      return outcome
    },
    async read(id) {
      const [file] = await store.stored('home', [id])
      if (!file) return undefined
      const parts: Uint8Array[] = []
      for await (const part of store.read(file, 0, file.size)) parts.push(part)
      return Buffer.concat(parts).toString()
    },
    ids: async () =>
      (await store.list({ collection: 'home', limit: 10_000 })).files.map(({ id }) => id),
    async where(id) {
      const rows = await Promise.all(sticks.map(({ index }) => index.stored('home', [id])))
      return rows.flatMap(([row], n) => (row ? [n + 1] : []))
    },
  }
  return on
}
