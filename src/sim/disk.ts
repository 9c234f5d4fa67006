import { strict as assert } from 'node:assert'
import { type Disk, DiskError } from '../disk/disk.ts'
import type { Clock, Random } from '../world/world.ts'
import type { Chooser } from './file.ts'
import { simTree } from './tree.ts'

export type { Chooser } from './file.ts'

export interface SimDiskOptions {
  /** Bytes of all files together that fit. */
  readonly capacity: number
  /** For `hang`, `delay` and the times of files; without it none of them may be used. */
  readonly clock?: Clock
  /** What each call takes, in milliseconds. */
  readonly delay?: () => number
}

/** A call that changes something, just before it does. */
export interface DiskCall {
  /** Counted from 1 since the last boot. */
  readonly call: number
  readonly method: string
  readonly path: string
}

/** A disk whose power can be cut at any call, and that then has forgotten what a real one might. */
export interface SimDisk {
  /** What the program has that runs now; after a crash the next program takes it anew. */
  readonly disk: Disk
  /** Calls since the last boot that change something (reading is none). */
  calls(): number
  /** Told before each call that changes something; it may cut the power, or throw a DiskError for the call. */
  onCall(tell: ((call: DiskCall) => void) | undefined): void
  /** The power goes off: no call of this boot, under way or to come, ever settles. */
  cut(): void
  /** Resolves when the power of this boot is cut: what a test waits for beside its work. */
  whenCut(): Promise<void>
  /** Cuts the power if it is on, lets the disk forget, and boots: `disk` is a new one. */
  crash(choice: Chooser | Random): void
  /** What a crash would leave: two that leave the same are one and the same for whoever comes after. Nothing happens. */
  foresee(choice: Chooser): string
  /** Runs what must end with the power as well, e.g. a commit of the index; counts as a call that changes something. */
  during<Result>(method: string, path: string, work: () => Result): Promise<Result>
  readonly faults: Faults
  /** All files with their bytes, and folders with a `/` behind, as a program sees them now. */
  snapshot(): Map<string, Uint8Array>
}

export interface Faults {
  /** The next calls of this method, `times` of them (1), fail so; of this path only, when given. */
  failNext(method: keyof Disk, code: string, about?: { path?: string; times?: number }): void
  /** Calls wait for so long from now on, and then go on. */
  hang(ms: number): void
  /** Nothing can be changed while this is on. */
  readOnly(on: boolean): void
  /** Turns one bit of a file over, unnoticed. */
  rot(path: string, offset: number): void
}

/** Power from one boot to the next cut. */
interface Boot {
  on: boolean
  calls: number
  readonly whenCut: Promise<void>
  cut(): void
}

function newBoot(): Boot {
  let tell = (): void => {}
  const boot: Boot = {
    on: true,
    calls: 0,
    whenCut: new Promise((resolve) => {
      tell = resolve
    }),
    cut() {
      boot.on = false
      tell()
    },
  }
  return boot
}

export function simDisk(options: SimDiskOptions): SimDisk {
  const { clock, delay = () => 0 } = options
  const tree = simTree(options.capacity, () => clock?.now() ?? 0)
  const trouble = simTrouble()
  let boot = newBoot()
  let tell: ((call: DiskCall) => void) | undefined

  const call = async <Result>(
    of: Boot,
    method: string,
    path: string,
    work: () => Result,
  ): Promise<Result> => {
    const changes = !reading.has(method)
    if (of.on && changes) {
      of.calls++
      tell?.({ call: of.calls, method, path })
    }
    await pause(clock, delay(), trouble)
    if (!of.on) return new Promise<Result>(() => {})
    const code =
      trouble.take(method, path) ?? (changes && trouble.isReadOnly() ? 'EROFS' : undefined)
    if (code !== undefined) {
      if (method === 'sync') tree.giveUp(path)
      throw new DiskError(code, `${method} ${path}`)
    }
    return work()
  }
  // Each boot has a disk of its own: a program from before a crash must not reach the one after it.
  const diskFor = (of: Boot): Disk =>
    diskOf(tree, (method, path, work) => call(of, method, path, work))
  let disk = diskFor(boot)

  return {
    get disk() {
      return disk
    },
    calls: () => boot.calls,
    onCall: (hook) => {
      tell = hook
    },
    cut: () => boot.cut(),
    whenCut: () => boot.whenCut,
    crash(choice) {
      boot.cut()
      tree.crash(
        typeof choice === 'function' ? choice : (among) => Math.floor(choice.next() * among),
      )
      boot = newBoot()
      disk = diskFor(boot)
    },
    foresee: (choice) => tree.foresee(choice).join('\n'),
    during: (method, path, work) => call(boot, method, path, work),
    faults: {
      failNext: trouble.failNext,
      hang(ms) {
        assert(clock, 'a disk hangs by a clock')
        trouble.hangUntil(clock.monotonic() + ms)
      },
      readOnly: trouble.readOnly,
      rot: tree.rot,
    },
    snapshot: tree.snapshot,
  }
}

const reading: ReadonlySet<string> = new Set([
  'read',
  'readMedium',
  'list',
  'stat',
  'free',
  'close',
])

type Call = <Result>(method: string, path: string, work: () => Result) => Promise<Result>

function diskOf(tree: ReturnType<typeof simTree>, power: Call): Disk {
  let closed = false
  const call: Call = (method, path, work) =>
    power(method, path, () => {
      if (closed) throw new DiskError('EBADF', 'the disk is closed')
      return work()
    })
  const filled = (path: string, offset: number, into: Uint8Array): number => {
    const bytes = tree.read(path, offset, into.length)
    into.set(bytes)
    return bytes.length
  }
  return {
    mkdir: (path) => call('mkdir', path, () => tree.mkdir(path)),
    write: (path, offset, bytes) => {
      // At once: the caller may not change the bytes before the promise has resolved, but afterwards.
      const taken = bytes.slice()
      return call('write', path, () => tree.write(path, offset, taken))
    },
    read: (path, offset, length) => call('read', path, () => tree.read(path, offset, length)),
    memory: async (length) => new Uint8Array(length),
    readInto: (path, offset, into) => call('read', path, () => filled(path, offset, into)),
    readMedium: (path, offset, into) => call('readMedium', path, () => filled(path, offset, into)),
    truncate: (path, size) => call('truncate', path, () => tree.truncate(path, size)),
    touch: (path, mtime) => call('touch', path, () => tree.touch(path, mtime)),
    sync: (path) => call('sync', path, () => tree.sync(path)),
    rename: (from, to) => call('rename', from, () => tree.rename(from, to)),
    syncDir: (path) => call('syncDir', path, () => tree.syncDir(path)),
    remove: (path) => call('remove', path, () => tree.remove(path)),
    rmdir: (path) => call('rmdir', path, () => tree.rmdir(path)),
    list: (path) => call('list', path, () => tree.list(path)),
    stat: (path) => call('stat', path, () => tree.stat(path)),
    free: () => call('free', '', () => tree.free()),
    close: () =>
      power('close', '', () => {
        closed = true
      }),
  }
}

type Trouble = ReturnType<typeof simTrouble>

function simTrouble() {
  interface Failure {
    readonly method: string
    readonly code: string
    readonly path: string | undefined
    left: number
  }
  let failures: Failure[] = []
  let readOnly = false
  let hangUntil = 0
  const failNext: Faults['failNext'] = (method, code, { path, times = 1 } = {}) => {
    failures.push({ method, code, path, left: times })
  }
  return {
    failNext,
    /** The code that this call must fail with, if any. */
    take(method: string, path: string): string | undefined {
      const failure = failures.find(
        (one) => one.method === method && (one.path === undefined || one.path === path),
      )
      if (failure === undefined) return undefined
      failure.left--
      failures = failures.filter(({ left }) => left > 0)
      return failure.code
    },
    readOnly: (on: boolean): void => {
      readOnly = on
    },
    isReadOnly: (): boolean => readOnly,
    hangUntil: (moment: number): void => {
      hangUntil = moment
    },
    /** Milliseconds that a call must still wait. */
    hangs: (now: number): number => hangUntil - now,
  }
}

/** The usual time of a call, and then as long as the disk hangs. */
async function pause(clock: Clock | undefined, ms: number, trouble: Trouble): Promise<void> {
  if (clock === undefined) return
  if (ms > 0) await clock.sleep(ms)
  for (;;) {
    const left = trouble.hangs(clock.monotonic())
    if (left <= 0) return
    await clock.sleep(left)
  }
}
