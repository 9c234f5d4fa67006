/** Real file systems on loop devices, and what can go wrong with them. Needs root. */
import { type ChildProcess, execFileSync, fork, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { nodeDisk } from '../../src/disk/node.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { adoptVolume, readIdentity } from '../../src/store/identity.ts'
import { openSoundIndex } from '../../src/store/sound-index.ts'
import type { Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { systemWorld } from '../../src/system/world.ts'
import { lock } from '../../src/world/lock.ts'
import { asyncDisk } from './in-thread.ts'
import { plainEnvironment } from './program.ts'
import { until } from './until.ts'

const owner = { pillar: 'p1', archive: 'a1' }

export const run = (command: string, ...args: string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim()
const tried = (command: string, ...args: string[]): void => void spawnSync(command, args)

const makers = {
  ext4: ['mkfs.ext4', '-q', '-F'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
  exfat: ['mkfs.exfat'],
} as const
export type FileSystem = keyof typeof makers

export interface Lab {
  /** Where it is mounted, and the folder of the volume on it. */
  readonly mount: string
  readonly root: string
  readonly device: string
  /** A folder on another file system. */
  readonly home: string
  mounted(): void
  unmount(how?: '-l'): void
}

export interface LabOptions {
  readonly megabytes?: number
  readonly make?: readonly string[]
  /** Its name; `v1` when absent. */
  readonly volume?: string
  /** What is behind the loop device; a file when absent. */
  backing?(home: string): string | Promise<string>
}

/** A disk with this file system, mounted, with an adopted volume; gone with the test. */
export async function lab(t: Test, system: FileSystem, options: LabOptions = {}): Promise<Lab> {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-faults-'))
  const mount = join(home, 'mnt')
  mkdirSync(mount)
  const image = (await options.backing?.(home)) ?? join(home, 'image')
  if (!options.backing) {
    writeFileSync(image, '')
    truncateSync(image, (options.megabytes ?? (system === 'ext4' ? 64 : 320)) << 20)
  }
  // A file of FUSE comes a while after the program that makes it.
  await until('there is a disk', () => existsSync(image) && statSync(image).size > 0)
  const device = run('losetup', '-f', '--show', image)
  t.teardown(() => {
    while (spawnSync('umount', [mount]).status === 0);
    tried('umount', '-l', mount)
    tried('losetup', '-d', device)
    tried('umount', '-l', join(home, 'fuse'))
    rmSync(home, { recursive: true, force: true })
  })
  const [maker, ...flags] = makers[system]
  run(maker, ...flags, ...(options.make ?? []), device)
  const one: Lab = {
    ...{ mount, root: join(mount, 'colonnade'), device, home },
    mounted() {
      if (system === 'exfat') run('mount.exfat-fuse', device, mount)
      else if (system === 'ext4') run('mount', '-o', 'errors=remount-ro', device, mount)
      else run('mount', '-t', system, device, mount)
    },
    unmount: (how) => void run('umount', ...(how ? [how] : []), mount),
  }
  one.mounted()
  mkdirSync(one.root)
  const disk = asyncDisk(nodeDisk(one.root))
  const { volume = 'v1' } = options
  await adoptVolume(systemWorld('p1', 'silent'), disk, { ...owner, volume })
  await disk.close()
  run('sync', '-f', mount)
  return one
}

/** Looks at a crash image as the next start would. */
export async function missingAfter(
  image: string,
  mount: string,
  acknowledged: readonly Said[],
): Promise<string[]> {
  const device = run('losetup', '-f', '--show', image)
  try {
    run('mount', device, mount)
    return await missing(join(mount, 'colonnade'), acknowledged)
  } catch (error) {
    return [String(error)]
  } finally {
    tried('umount', mount)
    tried('losetup', '-d', device)
  }
}

export interface Recorder {
  mark(): Promise<number>
  /** Writes and flushes since the mark. */
  length(): Promise<number>
  image(path: string, count: number, seed: number): Promise<number>
}

/** See nbd-recorder.ts; a process of its own, since whoever makes a file system on it waits for it. */
export function recorder(t: Test, socket: string, bytes: number): Recorder {
  const child = fork(join(import.meta.dirname, 'nbd-recorder.ts'), [socket, `${bytes}`], {
    execArgv: [],
    env: plainEnvironment(),
  })
  t.teardown(() => void child.kill('SIGKILL'))
  const ask = (order: object): Promise<number> =>
    new Promise((resolve) => {
      child.once('message', resolve as (length: unknown) => void)
      child.send(order)
    })
  const one = lock()
  return {
    mark: () => one(() => ask({ do: 'mark' })),
    length: () => one(() => ask({ do: 'length' })),
    image: (path, count, seed) => one(() => ask({ do: 'image', path, count, seed })),
  }
}

export interface Said {
  readonly stored?: string
  readonly checksum?: string
  readonly failed?: string
  readonly news?: string
  readonly up?: number
  readonly beat?: number
}

export interface Writer {
  readonly child: ChildProcess
  readonly said: Said[]
  stored(): Said[]
  news(): string[]
  /** Resolves when so many files were stored. */
  reached(count: number): Promise<void>
  ended(): Promise<number | null>
  kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void>
}

const script = join(import.meta.dirname, 'disk-writer.ts')

/** The program that writes, `under` another one when given. */
export function writer(
  t: Test,
  root: string,
  prefix: string,
  under: string[] = [],
  size = 2_000,
): Writer {
  const all = [...under, process.execPath, script, root, prefix, `${size}`]
  const child = spawn(all[0] ?? '', all.slice(1), {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: plainEnvironment(),
    detached: true,
  })
  const said: Said[] = []
  let rest = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) said.push(JSON.parse(line))
  })
  const end = new Promise<number | null>((resolve) => child.once('close', resolve))
  const kill = (signal: 'SIGKILL' | 'SIGTERM'): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, signal)
    } catch {
      // It has ended by itself.
    }
  }
  t.teardown(() => kill('SIGKILL'))
  const stored = (): Said[] => said.filter((one) => one.stored !== undefined)
  return {
    ...{ child, said, stored },
    news: () => said.flatMap(({ news }) => (news === undefined ? [] : [news])),
    reached: async (count) =>
      void (await until(`${count} files are stored`, () => {
        if (child.exitCode !== null)
          throw new Error(`it has ended: ${JSON.stringify(said.slice(-3))}`)
        return stored().length >= count
      })),
    ended: () => end,
    async kill(signal) {
      kill(signal)
      await end
    },
  }
}

/** A volume that is opened as the agent does, by whoever looks at it. */
export async function openedHere(root: string): Promise<Store> {
  const world = systemWorld('p1', 'silent')
  const disk = asyncDisk(nodeDisk(root))
  const identity = await readIdentity(disk, owner)
  const index = await openSoundIndex({
    ...{ world, disk, identity, lost: () => undefined },
    open: async (path) => asyncIndex(openIndex(join(root, path))),
  })
  return openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
}

/** What was said to be stored and is not there, or is something else. */
export async function missing(root: string, acknowledged: readonly Said[]): Promise<string[]> {
  const store = await openedHere(root)
  const wrong: string[] = []
  for (const { stored = '', checksum } of acknowledged) {
    const [row] = await store.stored('home', [stored])
    if (!row || row.checksum !== checksum) wrong.push(`${stored} is not stored`)
    else if (sumOf(join(root, 'home/data', row.path)) !== checksum) wrong.push(`${stored} differs`)
  }
  // A disk that is full has no room for the lists.
  await store.close().catch(() => undefined)
  return wrong
}

const sumOf = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex')
