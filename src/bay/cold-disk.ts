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
  /** Of all disks of a pillar: so much time was spent in waking one of them or more. Its own when absent. */
  readonly waking?: Stretch
}

export interface ColdDisk extends Disk, Sleeper {
  /** It stays awake until the function is called that this returns, unless others wait for its current. */
  hold(): () => void
}

/** Time in which at least one of several things went on. */
export interface Stretch {
  during<T>(work: () => Promise<T>): Promise<T>
  ms(): number
}

export function stretch({ monotonic }: Pick<Clock, 'monotonic'>): Stretch {
  let [open, begun, sum] = [0, 0, 0]
  return {
    async during(work) {
      if (open++ === 0) begun = monotonic()
      try {
        return await work()
      } finally {
        if (--open === 0) sum += monotonic() - begun
      }
    },
    ms: () => sum + (open > 0 ? monotonic() - begun : 0),
  }
}

/** A disk that does not start at once may with the second try. */
const wakesMax = 3
const wakePauseMs = 5_000
/** One that could not be put to sleep is tried again. */
const againMs = 10 * 60_000
/** Others wait for its current: it sleeps when nothing was asked for so long, and after so long whatever is asked. */
const yieldMs = 5_000
const turnMs = 3 * 60_000
const drainMs = 20

/** What is said of a disk that could not be woken: nothing was tried, so nothing is in doubt. */
export const notWoken = 'EAGAIN'

export function coldDisk(world: World, options: ColdDiskOptions): ColdDisk {
  const { clock } = world
  const { bay, lingerMs } = options
  const turn = lock()
  const doubts = unsynced()
  const rack = rackOf(world, options)
  const users = usersOf(clock, options)
  const closing = new AbortController()
  let awake: Disk | undefined
  let free: Free | undefined

  /** Whoever gets it is at work with it. */
  async function wake(): Promise<Disk> {
    if (awake && !users.isOver()) return users.begin(awake)
    return turn(async () => {
      if (closing.signal.aborted) throw new DiskError('EBADF', 'not open')
      if (!awake) {
        awake = await rack.rise()
        users.woken()
      }
      return users.begin(awake)
    })
  }
  async function use<T>(work: (disk: Disk) => Promise<T>): Promise<T> {
    users.come()
    try {
      const disk = await wake()
      return await work(disk).finally(users.end)
    } finally {
      users.go()
      watch.begin()
    }
  }
  const watch = watcher(clock, closing.signal, {
    // Whoever wakes it meanwhile does not begin to watch anew: so it looks often enough.
    due: () => Math.min(lingerMs, users.msToRest(awake !== undefined)),
    isOver: () => !awake && !rack.isRestless(),
    rest: () => turn(rest),
  })
  bay.whenWanted(watch.look)

  /** Calls that come meanwhile wait for its end, and wake it again. */
  async function rest(): Promise<void> {
    const disk = awake
    const wanted = (): boolean => {
      const isTurn = !(awake && users.isOver())
      const isUsed = users.any() || users.msToRest(awake !== undefined) > 0
      return !closing.signal.aborted && isTurn && isUsed
    }
    if ((!disk && !rack.isRestless()) || wanted()) return
    if (disk) {
      free = await disk.free().catch(() => free)
      await doubts.settle(disk)
      if (wanted()) return
    }
    // From here on whoever comes waits for the turn.
    awake = undefined
    while (users.atWork() && !closing.signal.aborted) await clock.sleep(drainMs, closing.signal)
    users.rested()
    if (disk) await doubts.settle(disk)
    await rack.lie(disk)
  }

  return {
    ...passing(use, doubts),
    /** Not a use: whoever asks how it is must neither wake it nor keep it awake. */
    async free() {
      if (!awake) return free ?? use((disk) => disk.free())
      return users.begin(awake).free().finally(users.end)
    },
    async close() {
      closing.abort()
      await turn(rest)
    },
    hold: users.hold,
    asleep: () => awake === undefined,
    isAwaited: () => awake === undefined && users.any(),
    msToWake: (before = 0) => (awake ? 0 : bay.upMs(before)),
    msWaking: rack.msWaking,
    workEveryMs: options.workEveryMs,
    ...{ fault: rack.fault, whenFailed: rack.whenFailed },
  }
}

/** Who uses the disk, and when it is to sleep for want of them. */
function usersOf({ monotonic }: Clock, { bay, lingerMs }: ColdDiskOptions) {
  let [here, working] = [0, 0]
  let [usedAt, awakeAt] = [0, 0]
  const holds = new Set<() => void>()
  return {
    hold() {
      const release = (): void => void holds.delete(release)
      holds.add(release)
      return release
    },
    come: () => void here++,
    go() {
      here--
      usedAt = monotonic()
    },
    begin(disk: Disk): Disk {
      working++
      return disk
    },
    end: () => void working--,
    woken() {
      awakeAt = monotonic()
    },
    rested() {
      usedAt = monotonic()
    },
    any: () => here > 0,
    atWork: () => working > 0,
    /** It had its turn, and others wait. */
    isOver: () => bay.isWanted() && monotonic() >= awakeAt + turnMs,
    msToRest(isAwake: boolean): number {
      if (!isAwake) return usedAt + againMs - monotonic()
      if (!bay.isWanted()) return holds.size > 0 ? lingerMs : usedAt + lingerMs - monotonic()
      return Math.min(usedAt + Math.min(yieldMs, lingerMs), awakeAt + turnMs) - monotonic()
    },
  }
}

/** The disk in its bay: takes it up, puts it down, and knows what is left to do. */
function rackOf({ clock, log }: World, options: ColdDiskOptions) {
  const { bay, open, waking = stretch(clock) } = options
  let restless = false
  let fault: string | undefined
  const listeners = new Set<(why: string) => void>()
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
    let why = ''
    restless = true
    for (let tries = 0; tries < wakesMax; tries++) {
      if (tries > 0) await clock.sleep(wakePauseMs)
      try {
        await bay.up()
        const disk = await open()
        fault = undefined
        return disk
      } catch (error) {
        why = text(error)
        log.warn('bay.notAwake', { why })
      }
    }
    if (fault === undefined) for (const tell of listeners) tell(why)
    fault = why
    await down()
    throw new DiskError(notWoken, why)
  }
  return {
    rise: () => waking.during(rise),
    fault: () => fault,
    whenFailed: (tell: (why: string) => void) => void listeners.add(tell),
    /** It was not put to sleep when it should have been. */
    isRestless: () => restless,
    msWaking: waking.ms,
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
): { begin(): void; look(): void } {
  let watching = false
  let nap = new AbortController()
  return {
    begin() {
      if (!watching) void watch()
    },
    /** It may be due sooner than it was. */
    look: () => nap.abort(),
  }
  async function watch(): Promise<void> {
    watching = true
    while (!isOver() && !signal.aborted) {
      nap = new AbortController()
      await clock.sleep(Math.max(due(), 1_000), AbortSignal.any([signal, nap.signal]))
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
