/** A collection in fragments under power cuts, told by a test at a small size and by `npm run measure` at full size. */
import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { snapshot, writeNoise } from './files.ts'
import { type Watch, watch } from './net-watch.ts'
import {
  bytesFree,
  canMount,
  collection,
  keptOn,
  makePieces,
  type PiecesArchive,
  reserveBytes,
} from './pieces-archive.ts'

export interface PiecesStory {
  readonly files: number
  readonly bytes: number
  readonly ownDisks: boolean
  /** Until the command said that all is stored, with power cuts on the way. */
  readonly putMs: number
  /** After that, until each fragment had its copies on the disks. */
  readonly copiesMs: number
  readonly getMs: number
  /** From the start of a tracker without a disk until it listed all. */
  readonly learntMs: number
  /** Bytes of fragments on each disk, and what the disk holds. */
  readonly spread: readonly {
    readonly pillar: string
    readonly bytes: number
    readonly of?: number
  }[]
  /** The pillar without room: bytes of fragments before and after more was put. */
  readonly full: { readonly before: number; readonly after: number; readonly free: number }
  readonly memory: { readonly tracker: number; readonly pillar: number }
  /** Empty when everything came back as it was; else what did not. */
  readonly differs: string
}

export interface PiecesStoryOptions {
  readonly home: string
  readonly bytes: number
  readonly bundled: boolean
  readonly nodeOptions?: readonly string[]
  readonly say?: (text: string) => void
}

const MiB = 1024 * 1024
/** Of the whole, how much fits on each disk; together 3.2 times what is put. */
const shares = [0.2, 0.3, 0.4, 0.5, 0.8, 1]
const waitMsMax = 40 * 60_000

export async function piecesStory(options: PiecesStoryOptions): Promise<PiecesStory> {
  const { home, bytes, say = () => undefined, nodeOptions = [] } = options
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  const ownDisks = bytes > 1e9 && canMount(home)
  const disks = shares.map((share) =>
    ownDisks ? Math.ceil(share * bytes) + reserveBytes + 160 * MiB : undefined,
  )
  const archive = await makePieces({
    ...{ home, disks, bundled: options.bundled, nodeOptions },
    fragmentBytes: bytes > 1e9 ? 4 * MiB : MiB / 4,
  })
  const forget = (): void => void archive.stop()
  process.once('exit', forget)
  try {
    return await told(archive, { ...options, say, nodeOptions, ownDisks, disks })
  } finally {
    await archive.stop()
    process.off('exit', forget)
    rmSync(home, { recursive: true, force: true })
  }
}

type Told = Required<PiecesStoryOptions> & {
  readonly ownDisks: boolean
  readonly disks: readonly (number | undefined)[]
}

async function told(archive: PiecesArchive, options: Told): Promise<PiecesStory> {
  const memory = watch({})
  try {
    return await watched(archive, options, memory)
  } finally {
    memory.stop()
  }
}

async function watched(archive: PiecesArchive, options: Told, memory: Watch): Promise<PiecesStory> {
  const { home, bytes, say, disks, ownDisks } = options
  const source = join(home, 'source')
  const files = writeFiles(join(source, 'first'), bytes * 0.9)
  const late = writeFiles(join(source, 'second'), bytes * 0.1, 1_000_000)
  say(`${files.count + late.count} files, ${files.bytes + late.bytes} bytes`)
  archive.tracker.start()
  await archive.tracker.ready()
  for (const one of archive.pillars.values()) one.start()
  for (const one of archive.pillars.values()) await one.ready()
  const seen = (): void => {
    for (const [name, pid] of Object.entries(pidsOf(archive))) memory.add(name, pid)
  }
  seen()

  const putMs = await timed(() => putUnderCuts(archive, join(source, 'first'), options))
  seen()
  say('put; waiting for copies')
  const copiesMs = await timed(() => copied(archive))
  say('full')
  const full = await fillOne(archive, join(source, 'second'), options)
  await copied(archive)
  const before = snapshot(source)
  const { spread, wrong } = looked(archive, disks)
  say('get')
  let differs = wrong
  const getMs = await timed(async () => {
    differs ||= await fetched(archive, home, before)
  })
  say('the tracker loses its disk')
  await archive.tracker.kill()
  archive.loseTrackersDisk()
  const count = files.count + late.count
  const learntMs = await timed(async () => {
    archive.tracker.start()
    await archive.tracker.ready()
    await become('all is listed again', async () => (await listed(archive)) === count)
  })
  differs ||= await fetched(archive, home, before)
  const usage = memory.usage()
  const pillars = Object.entries(usage).filter(([name]) => name !== 'tracker')
  return {
    ...{ files: count, bytes: files.bytes + late.bytes, ownDisks },
    ...{ putMs, copiesMs, getMs, learntMs, spread, full, differs },
    memory: {
      tracker: usage.tracker?.peak ?? 0,
      pillar: Math.max(...pillars.map(([, { peak }]) => peak)),
    },
  }
}

const pidsOf = ({ tracker, pillars }: PiecesArchive): Record<string, number> =>
  Object.fromEntries([tracker, ...pillars.values()].map(({ name, pid }) => [name, pid ?? 0]))

/** Real files of this project, then what looks like films until it is enough. */
function writeFiles(to: string, bytes: number, seed = 0): { count: number; bytes: number } {
  const modules = resolve(import.meta.dirname, '../../node_modules')
  let sum = 0
  let count = 0
  const countMax = Math.ceil(bytes / 3e6) + 20
  for (const one of seed > 0
    ? []
    : readdirSync(modules, { recursive: true, withFileTypes: true })) {
    if (!one.isFile() || sum > bytes / 5 || count >= countMax) continue
    const path = join(one.parentPath, one.name)
    if (!/\.(js|ts|md|json|map)$/.test(one.name)) continue
    const target = join(to, 'modules', relative(modules, path))
    mkdirSync(dirname(target), { recursive: true })
    cpSync(path, target, { preserveTimestamps: true })
    sum += statSync(path).size
    count++
  }
  for (let n = 0; sum < bytes; n++) {
    const size = Math.min(Math.ceil(bytes - sum), Math.ceil((bytes / 40) * (1 + (n % 5))))
    writeNoise(join(to, `films ${seed}`, `film ${n}`), size, seed + n + 1)
    sum += size
    count++
  }
  return { count, bytes: sum }
}

/** Puts a folder; meanwhile two pillars and the tracker, with its broker, are killed, and started again after a while. */
async function putUnderCuts(
  archive: PiecesArchive,
  folder: string,
  { bytes }: Told,
): Promise<void> {
  const first = archive.colonnade('put', collection, folder)
  const pauseMs = Math.max(1_500, (bytes / 1e9) * 8_000)
  const victims = ['pillar-2', 'pillar-5'].flatMap((name) => archive.pillars.get(name) ?? [])
  for (const one of [...victims, archive.tracker]) {
    await setTimeout(pauseMs)
    await one.kill('SIGKILL')
    await setTimeout(pauseMs / 2)
    one.start()
  }
  await first
  await become('the same command says that all is stored', async () => {
    const { code } = await archive.colonnade('put', collection, folder)
    return code === 0
  })
}

/** By the disks themselves. */
const copied = (archive: PiecesArchive): Promise<void> =>
  become(
    'each fragment has two copies',
    async () => Math.min(...keptOn(archive).copies.keys()) >= 2,
  )

/** One pillar has no room any more; the next files go elsewhere. */
async function fillOne(archive: PiecesArchive, folder: string, { ownDisks }: Told) {
  const name = 'pillar-1'
  const pillar = archive.pillars.get(name)
  const mount = archive.mount(name)
  if (ownDisks)
    writeNoise(join(mount, 'of the owner'), Math.max(0, bytesFree(mount) - reserveBytes), 77)
  else {
    await pillar?.kill('SIGTERM')
    archive.reserve(name, '900TiB')
    pillar?.start()
    await pillar?.ready()
  }
  await become(
    'it is there',
    async () => (await archive.colonnade('status', collection)).code === 0,
  )
  const before = keptOn(archive).bytes.get(name) ?? 0
  await become('more is stored', async () => {
    const { code } = await archive.colonnade('put', collection, folder)
    return code === 0
  })
  return { before, after: keptOn(archive).bytes.get(name) ?? 0, free: bytesFree(mount) }
}

function looked(archive: PiecesArchive, disks: Told['disks']) {
  const { copies, bytes } = keptOn(archive, { hashed: true })
  const few = [...copies].filter(([count]) => count < 2)
  const wrong = few.map(([count, fragments]) => `${fragments} fragments have ${count} copies`)
  const spread = [...archive.pillars.keys()].map((pillar, n) => {
    const of = disks[n]
    return { pillar, bytes: bytes.get(pillar) ?? 0, ...(of === undefined ? {} : { of }) }
  })
  return { spread, wrong: wrong.join('; ') }
}

async function fetched(
  archive: PiecesArchive,
  home: string,
  wanted: ReturnType<typeof snapshot>,
): Promise<string> {
  const to = join(home, 'fetched')
  const { code, err } = await archive.colonnade('get', collection, '--all', '-o', `${to}/`)
  if (code !== 0) return `get ended with ${code}: ${err.slice(-2_000)}`
  const found = new Map(
    Object.entries(snapshot(to)).map(([path, sum]) => [path.replace(/^(first|second)\//, ''), sum]),
  )
  rmSync(to, { recursive: true })
  const missing = Object.entries(wanted).filter(
    ([path, sum]) => found.get(path.replace(/^(first|second)\//, '')) !== sum,
  )
  return missing
    .map(([path]) => `${path} is not as it was`)
    .slice(0, 5)
    .join('; ')
}

async function listed(archive: PiecesArchive): Promise<number> {
  const { code, out } = await archive.colonnade('ls', collection)
  return code === 0 ? out.split('\n').filter((line) => line.includes('/')).length : -1
}

async function timed(work: () => Promise<void>): Promise<number> {
  const began = performance.now()
  await work()
  return performance.now() - began
}

async function become(what: string, holds: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + waitMsMax
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`waited in vain: ${what}`)
    await setTimeout(1_000)
  }
}
