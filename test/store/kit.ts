/** A volume on a simulated disk, for tests of the store. */
import type { Disk } from '../../src/disk/disk.ts'
import { foldPath, type Index } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { type SimClock, simClock } from '../../src/sim/clock.ts'
import { type SimDisk, simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { type SimWorld, simWorld } from '../../src/sim/world.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import type { Incoming, NewFile, Standing, Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { digestOf } from '../../src/world/world.ts'

export const owner = { pillar: 'p1', archive: 'a1' }
export const ann = { actor: 'ann', conversation: 'c1' }

export interface Volume {
  readonly store: Store
  readonly disk: Disk
  readonly sim: SimDisk
  readonly index: Index
  readonly time: SimClock
  readonly world: SimWorld
  /** What was said of trouble. */
  readonly alarms: string[]
  /** The same disk and index after the power was cut. */
  again(): Promise<Volume>
  offer(id: string, bytes: Uint8Array): NewFile
  accept(...files: NewFile[]): Promise<Standing[]>
  /** Accepts and brings all bytes. */
  put(id: string, bytes: Uint8Array): Promise<string>
  bring(file: NewFile, bytes: Uint8Array): Promise<string>
  open(file: NewFile): Promise<Incoming>
  read(id: string): Promise<string | undefined>
  /** Of a file on the disk. */
  text(path: string): string | undefined
}

export interface VolumeOptions {
  readonly capacity?: number
  readonly reserveBytes?: number
  readonly wrapDisk?: (disk: Disk) => Disk
  readonly wrapIndex?: (index: Index) => Index
}

let requests = 0

export async function volume(options: VolumeOptions = {}): Promise<Volume> {
  const time = simClock()
  const sim = simDisk({ capacity: options.capacity ?? 100_000_000, clock: time.clock })
  const world = simWorld(time.clock, simRandom('volume'), 'p1')
  const wrap = options.wrapDisk ?? ((disk) => disk)
  await adoptVolume(world, wrap(sim.disk), { ...owner, volume: 'v1' })
  return opened(options, { time, sim, world, index: asyncIndex(openIndex(':memory:')) })
}

type Ground = Pick<Volume, 'time' | 'sim' | 'world' | 'index'>

/** What is offered to a store: these bytes under this id. */
export const offered = (world: SimWorld, id: string, bytes: Uint8Array): NewFile => ({
  ...{ collection: 'home', id, size: bytes.length },
  ...{ checksum: digestOf(world, bytes), mtime: 1_600_000_000_000 },
})

async function opened(options: VolumeOptions, ground: Ground): Promise<Volume> {
  const { sim, world, index } = ground
  const disk = (options.wrapDisk ?? ((inner) => inner))(sim.disk)
  const alarms: string[] = []
  const kept: Index = { ...index, close: async () => undefined }
  const mine = options.wrapIndex?.(kept) ?? kept
  const store = await openVolume(world, disk, mine, {
    ...owner,
    reserveBytes: options.reserveBytes ?? 0,
    onTrouble: (why) => alarms.push(why),
  })
  const volume: Volume = {
    ...{ ...ground, store, disk, alarms },
    again() {
      sim.crash((among) => among - 1)
      return opened(options, ground)
    },
    offer: (id, bytes) => offered(world, id, bytes),
    accept(...files) {
      const key = `r${++requests}`
      return store.accept({ key, substance: key, request: key }, files)
    },
    async put(id, bytes) {
      const file = volume.offer(id, bytes)
      const [standing] = await volume.accept(file)
      return standing?.is === 'welcome' ? volume.bring(file, bytes) : (standing?.is ?? '')
    },
    open: ({ collection, id }) => store.incoming(collection, id),
    async bring(file, bytes) {
      const incoming = await volume.open(file)
      await incoming.write(bytes.slice(incoming.at()))
      return incoming.finish(ann)
    },
    async read(id) {
      const [file] = await store.stored('home', [id])
      if (!file) return undefined
      const parts: Uint8Array[] = []
      for await (const part of store.read(file, 0, file.size)) parts.push(part)
      return Buffer.concat(parts).toString()
    },
    text(path) {
      const some = sim.snapshot().get(path)
      return some && Buffer.from(some).toString()
    },
  }
  return volume
}

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

/** A file system that keeps the case of names and does not look at it, nor at how letters are composed. */
export function folding(disk: Disk): Disk {
  const found = async (path: string): Promise<string> => {
    let at = ''
    for (const name of path === '' ? [] : path.split('/')) {
      const entries = await disk.list(at).catch(() => [])
      const known = entries.find((entry) => foldPath(entry.name) === foldPath(name))?.name ?? name
      at = at === '' ? known : `${at}/${known}`
    }
    return at
  }
  return {
    mkdir: async (path) => disk.mkdir(await found(path)),
    write: async (path, offset, some) => disk.write(await found(path), offset, some),
    read: async (path, offset, length) => disk.read(await found(path), offset, length),
    memory: (length) => disk.memory(length),
    readInto: async (path, offset, into) => disk.readInto(await found(path), offset, into),
    readMedium: async (path, offset, into) => disk.readMedium(await found(path), offset, into),
    truncate: async (path, size) => disk.truncate(await found(path), size),
    touch: async (path, mtime) => disk.touch(await found(path), mtime),
    sync: async (path) => disk.sync(await found(path)),
    rename: async (from, to) => disk.rename(await found(from), await found(to)),
    syncDir: async (path) => disk.syncDir(await found(path)),
    remove: async (path) => disk.remove(await found(path)),
    rmdir: async (path) => disk.rmdir(await found(path)),
    list: async (path) => disk.list(await found(path)),
    stat: async (path) => disk.stat(await found(path)),
    free: () => disk.free(),
    close: () => disk.close(),
  }
}
