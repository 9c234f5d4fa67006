/**
 * A disk that sleeps while nothing is asked of it. The first call wakes it, all that come meanwhile share that, and when
 * nothing was asked for a while it is made durable, closed, and put to sleep. What can be answered from memory is.
 */
import { type Disk, DiskError, type Free } from '../disk/disk.ts'
import { lock } from '../world/lock.ts'
import type { Clock, World } from '../world/world.ts'
import type { Bay, Sleeper } from './bay.ts'

export interface ColdDiskOptions {
  readonly bay: Bay
  /** Opens the file system once it is there; rejects when it is not the right one. */
  open(): Promise<Disk>
  /** It sleeps when nothing was asked for so long, milliseconds. */
  readonly lingerMs: number
  readonly workEveryMs: number
}

export interface ColdDisk extends Disk, Sleeper {}

/** A disk that does not start at once may with the second try. */
const wakesMax = 3
const wakePauseMs = 5_000
/** One that could not be put to sleep is tried again. */
const againMs = 10 * 60_000

/** What is said of a disk that could not be woken: nothing was tried, so nothing is in doubt. */
export const notWoken = 'EAGAIN'

export function coldDisk(world: World, options: ColdDiskOptions): ColdDisk {
  const { clock } = world
  const turn = lock()
  const doubts = unsynced()
  const rack = rackOf(world, options)
  const closing = new AbortController()
  let awake: Disk | undefined
  let free: Free | undefined
  let [inUse, usedAt] = [0, 0]

  async function wake(): Promise<Disk> {
    if (awake) return awake
    return turn(async () => {
      if (closing.signal.aborted) throw new DiskError('EBADF', 'not open')
      awake ??= await rack.rise()
      return awake
    })
  }
  async function use<T>(work: (disk: Disk) => Promise<T>): Promise<T> {
    inUse++
    try {
      return await work(await wake())
    } finally {
      inUse--
      usedAt = clock.monotonic()
      watch()
    }
  }
  const watch = watcher(clock, closing.signal, {
    // Whoever wakes it meanwhile does not begin to watch anew: so it looks often enough.
    due: () =>
      Math.min(options.lingerMs, usedAt + (awake ? options.lingerMs : againMs) - clock.monotonic()),
    isOver: () => !awake && !rack.isRestless(),
    rest: () => turn(rest),
  })

  /** Calls that come meanwhile wait for its end, and wake it again. */
  async function rest(): Promise<void> {
    const disk = awake
    const wanted = (): boolean =>
      !closing.signal.aborted &&
      (inUse > 0 || clock.monotonic() < usedAt + (awake ? options.lingerMs : againMs))
    if ((!disk && !rack.isRestless()) || wanted()) return
    if (disk) {
      free = await disk.free().catch(() => free)
      await doubts.settle(disk)
      if (wanted()) return
    }
    // From here on whoever comes waits for the turn.
    awake = undefined
    usedAt = clock.monotonic()
    await rack.lie(disk)
  }

  /** Not a use: whoever asks how it is must neither wake it nor keep it awake. */
  async function look(): Promise<Free> {
    if (!awake) return free ?? use((disk) => disk.free())
    inUse++
    return awake.free().finally(() => inUse--)
  }

  return {
    ...passing(use, doubts),
    free: look,
    async close() {
      closing.abort()
      await turn(rest)
    },
    asleep: () => awake === undefined,
    msToWake: () => (awake ? 0 : options.bay.upMs),
    msWaking: rack.msWaking,
    workEveryMs: options.workEveryMs,
  }
}

/** The disk in its bay: takes it up, puts it down, and knows what is left to do. */
function rackOf({ clock, log }: World, { bay, open }: ColdDiskOptions) {
  let [msWaking, restless] = [0, false]
  const text = (error: unknown): string => (error instanceof Error ? error.message : String(error))
  const down = (): Promise<void> =>
    bay.down().then(
      () => {
        restless = false
        log.info('bay.asleep')
      },
      (error) => log.error('bay.notAsleep', { why: text(error) }),
    )
  async function rise(): Promise<Disk> {
    const begun = clock.monotonic()
    let why = ''
    restless = true
    try {
      for (let tries = 0; tries < wakesMax; tries++) {
        if (tries > 0) await clock.sleep(wakePauseMs)
        try {
          await bay.up()
          return await open()
        } catch (error) {
          why = text(error)
          log.warn('bay.notAwake', { why })
        }
      }
      await down()
      throw new DiskError(notWoken, why)
    } finally {
      msWaking += clock.monotonic() - begun
    }
  }
  return {
    rise,
    /** It was not put to sleep when it should have been. */
    isRestless: () => restless,
    msWaking: () => msWaking,
    async lie(disk: Disk | undefined): Promise<void> {
      await disk?.close().catch((error) => log.error('bay.notClosed', { why: text(error) }))
      await down()
    },
  }
}

/** While it is not over it rests whenever that is due. */
function watcher(
  clock: Clock,
  signal: AbortSignal,
  { due, isOver, rest }: { due(): number; isOver(): boolean; rest(): Promise<void> },
): () => void {
  let watching = false
  return () => {
    if (!watching) void watch()
  }
  async function watch(): Promise<void> {
    watching = true
    while (!isOver() && !signal.aborted) {
      await clock.sleep(Math.max(due(), 1_000), signal)
      if (!signal.aborted) await rest()
    }
    watching = false
  }
}

interface Doubts {
  /** Bytes were written here that are not synced. */
  add(path: string): void
  sync(path: string, work: () => Promise<void>): Promise<void>
  moved(from: string, to: string): void
  forget(path: string): void
  /** Syncs what is left: after the disk was closed a sync would say that all is well whatever became of it. */
  settle(disk: Disk): Promise<void>
}

function unsynced(): Doubts {
  const paths = new Set<string>()
  const failed = new Map<string, unknown>()
  const forget = (path: string): void => {
    paths.delete(path)
    failed.delete(path)
  }
  return {
    add: (path) => void paths.add(path),
    forget,
    moved(from, to) {
      const [dirty, error] = [paths.has(from), failed.get(from)]
      for (const path of [from, to]) forget(path)
      if (dirty) paths.add(to)
      if (error !== undefined) failed.set(to, error)
    },
    async sync(path, work) {
      if (failed.has(path)) throw failed.get(path)
      await work()
      paths.delete(path)
    },
    async settle(disk) {
      for (const path of [...paths]) {
        await disk.sync(path).catch((error) => failed.set(path, error))
        paths.delete(path)
      }
    },
  }
}

type Use = <T>(work: (disk: Disk) => Promise<T>) => Promise<T>

const passing = (use: Use, doubts: Doubts): Omit<Disk, 'free' | 'close'> => ({
  mkdir: (path) => use((disk) => disk.mkdir(path)),
  write: (path, offset, bytes) =>
    use((disk) => {
      doubts.add(path)
      return disk.write(path, offset, bytes)
    }),
  read: (path, offset, length) => use((disk) => disk.read(path, offset, length)),
  memory: (length) => use((disk) => disk.memory(length)),
  readInto: (path, offset, into) => use((disk) => disk.readInto(path, offset, into)),
  readMedium: (path, offset, into) => use((disk) => disk.readMedium(path, offset, into)),
  truncate: (path, size) =>
    use((disk) => {
      doubts.add(path)
      return disk.truncate(path, size)
    }),
  touch: (path, mtime) => use((disk) => disk.touch(path, mtime)),
  sync: (path) => use((disk) => doubts.sync(path, () => disk.sync(path))),
  rename: (from, to) => use((disk) => disk.rename(from, to).then(() => doubts.moved(from, to))),
  syncDir: (path) => use((disk) => disk.syncDir(path)),
  remove: (path) => use((disk) => disk.remove(path).then(() => doubts.forget(path))),
  rmdir: (path) => use((disk) => disk.rmdir(path)),
  list: (path) => use((disk) => disk.list(path)),
  stat: (path) => use((disk) => disk.stat(path)),
})
