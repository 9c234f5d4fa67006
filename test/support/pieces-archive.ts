/** An archive of real processes for a collection in fragments: a tracker with its broker, pillars on disks of their own. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld } from '../../src/programs/program.ts'
import { add, decide, init } from '../../src/setup/found.ts'
import { readConfig } from '../../src/system/config.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { understood } from '../../src/vault/text.ts'
import { changeConfig } from './archive.ts'
import { sha256 } from './files.ts'
import { freePort } from './meter.ts'
import { type Program, plainEnvironment, program } from './program.ts'

export const collection = 'films'
const root = resolve(import.meta.dirname, '../..')

export interface PiecesOptions {
  /** An empty folder for everything. */
  readonly home: string
  /** What the disk of each pillar holds; none when they share the disk of `home`. */
  readonly disks: readonly (number | undefined)[]
  readonly fragmentBytes: number
  readonly bundled: boolean
  /** Of the tracker and the pillars. */
  readonly nodeOptions?: readonly string[]
}

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface PiecesArchive {
  readonly tracker: Program
  readonly pillars: ReadonlyMap<string, Program>
  /** Where the disk of a pillar is mounted. */
  mount(pillar: string): string
  colonnade(...args: string[]): Promise<Ended>
  /** Leaves so much of its disk free from now on; it must not run. */
  reserve(pillar: string, size: string): void
  /** The tracker's disk: catalogue, view, what waited there. It must not run. */
  loseTrackersDisk(): void
  stop(): Promise<void>
}

export const reserveBytes = 64 * 1024 * 1024

export async function makePieces(options: PiecesOptions): Promise<PiecesArchive> {
  const { home, disks, fragmentBytes } = options
  const names = disks.map((_, n) => `pillar-${n + 1}`)
  const [exchangePort, brokerPort] = [`${await freePort()}`, `${await freePort()}`]
  await init(home, { archive: 'pieces', host: '127.0.0.1', exchangePort, brokerPort })
  const mount = (name: string): string => join(home, 'volumes', name)
  for (const [n, name] of names.entries()) {
    mkdirSync(mount(name), { recursive: true })
    const bytes = disks[n]
    if (bytes !== undefined) mountDisk(join(home, `${name}.disk`), mount(name), bytes)
    const values = { 'volume.mount': mount(name), 'volume.reserve': `${reserveBytes}B` }
    await add(home, 'pillar', name, join(home, name), values)
    const config = readConfig(join(home, name, 'agent.toml'), agentShape).values
    await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount(name))
  }
  await add(home, 'client', 'client', join(home, 'client'), {
    'exchange.listen': '127.0.0.1:0',
    'exchange.advertise': ['127.0.0.1'],
  })
  const policy = { name: collection, pillars: names, copiesMin: 2, algorithm: 'sha256' as const }
  decide(home, { ...policy, fragments: { bytes: fragmentBytes, copies: 2 } })
  mkdirSync(join(home, 'logs'))
  const programs = join(home, 'programs')
  if (options.bundled) bundle(programs)
  const fileOf = (name: string): string =>
    options.bundled ? join(programs, `colonnade-${name}.cjs`) : join(root, 'src', `${name}.ts`)
  const begin = (name: string, script: 'agent' | 'tracker'): Program =>
    program({
      name,
      log: join(home, 'logs', `${name}.log`),
      command: process.execPath,
      args: [
        ...(options.nodeOptions ?? []),
        ...[fileOf(script), 'run', '--config', join(home, name, `${script}.toml`)],
        '--stop-with-parent',
      ],
      isReady: (events) => events.some(({ event }) => event === `${script}.started`),
    })
  const tracker = begin('tracker', 'tracker')
  const pillars = new Map(names.map((name) => [name, begin(name, 'agent')]))
  return {
    tracker,
    pillars,
    mount,
    async colonnade(...args) {
      const config = ['--config', join(home, 'client', 'client.toml')]
      const child = spawn(process.execPath, [fileOf('cli'), ...args, ...config], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: plainEnvironment(),
        cwd: home,
      })
      let [out, err] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
      child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
      const [code] = await once(child, 'close')
      return { code, out, err }
    },
    reserve: (name, size) =>
      changeConfig(join(home, name, 'agent.toml'), { 'volume.reserve': size }),
    loseTrackersDisk() {
      for (const name of readdirSync(join(home, 'tracker')))
        if (/^(vault|spool|view|state)/.test(name))
          rmSync(join(home, 'tracker', name), { recursive: true })
    },
    async stop() {
      for (const one of [...pillars.values(), tracker]) await one.kill()
      for (const [n, name] of names.entries())
        if (disks[n] !== undefined) spawnSync('umount', ['-l', mount(name)])
    },
  }
}

/** Whether this user can make disks out of files. */
export function canMount(home: string): boolean {
  if (process.getuid?.() !== 0) return false
  const at = join(home, 'probe')
  mkdirSync(at, { recursive: true })
  try {
    mountDisk(`${at}.disk`, at, 16 * 1024 * 1024)
    spawnSync('umount', [at])
    return true
  } catch {
    return false
  } finally {
    rmSync(`${at}.disk`, { force: true })
  }
}

function mountDisk(file: string, at: string, bytes: number): void {
  writeFileSync(file, '')
  truncateSync(file, bytes)
  for (const [command, ...args] of [
    ['mkfs.ext4', '-q', '-m', '0', file],
    ['mount', '-o', 'loop', file, at],
  ] as const) {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(`${command}: ${stderr}`)
  }
}

function bundle(folder: string): void {
  const args = [join(root, 'scripts/bundle.ts'), folder]
  const { status, stderr } = spawnSync(process.execPath, args, { env: plainEnvironment() })
  if (status !== 0) throw new Error(`the programs could not be bundled: ${stderr}`)
}

export interface Kept {
  /** Of each number of copies, how many fragments have it. */
  readonly copies: ReadonlyMap<number, number>
  /** Bytes of fragments on each disk. */
  readonly bytes: ReadonlyMap<string, number>
}

/** What the disks hold, read from them alone: fragments that the newest text of a file names. All are hashed if asked. */
export function keptOn(archive: PiecesArchive, { hashed = false } = {}): Kept {
  const holders = new Map<string, number>()
  const bytes = new Map<string, number>()
  const texts = new Map<string, string>()
  for (const name of archive.pillars.keys()) {
    const folder = join(archive.mount(name), 'colonnade', collection, 'data')
    for (const path of filesBelow(folder)) {
      const hash = /([0-9a-f]{64})(\.txt)?$/.exec(path)
      if (!hash?.[1] || (hashed && sha256(path) !== hash[1])) continue
      holders.set(hash[1], (holders.get(hash[1]) ?? 0) + 1)
      bytes.set(name, (bytes.get(name) ?? 0) + statSync(path).size)
      if (hash[2]) texts.set(hash[1], readFileSync(path, 'utf8'))
    }
  }
  const newest = new Map<string, NonNullable<ReturnType<typeof understood>>>()
  for (const text of texts.values()) {
    const told = understood(text)
    if (told && told.version >= (newest.get(told.id)?.version ?? 0)) newest.set(told.id, told)
  }
  const wanted = new Set(
    [...newest.values()].flatMap(({ slices }) => slices.map(({ hash }) => hash)),
  )
  const copies = new Map<number, number>()
  for (const hash of wanted) {
    const count = holders.get(hash) ?? 0
    copies.set(count, (copies.get(count) ?? 0) + 1)
  }
  return { copies, bytes }
}

const filesBelow = (folder: string): string[] => {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map((one) => join(one.parentPath, one.name))
  } catch {
    return []
  }
}

export const bytesFree = (folder: string): number => {
  const { bavail, bsize } = statfsSync(folder)
  return bavail * bsize
}
