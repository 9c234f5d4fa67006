/** The volume as it lies on the disk: whose it is, its space, its lists against its files. Nothing is written. */
import {
  createReadStream,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statfsSync,
  statSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import type { PillarKind } from '../protocol/scalars.ts'
import { reserveOf } from '../store/reservations.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { formatBytes } from '../world/units.ts'
import { bad, type Finding, ok, unknown, warn } from './finding.ts'

export interface VolumeChecked {
  readonly mount: string
  readonly pillar: string
  readonly archive: string
  /** Of one that keeps checksums only nothing that is listed is there. */
  readonly kind: PillarKind
  /** By the size of the disk when absent. */
  readonly reserveBytes: number | undefined
  /** What a running agent says of its indexes, by volume; undefined when none runs. */
  told(): Promise<Readonly<Record<string, unknown>> | undefined>
}

/** A volume of this pillar, whatever it is called. */
export function belongsTo(mount: string, { name, archive }: AgentConfig): boolean {
  try {
    const found = JSON.parse(readFileSync(join(mount, 'colonnade', 'volume.json'), 'utf8'))
    return found.pillar === name && found.archive === archive
  } catch {
    return false
  }
}

export function identity({ mount, pillar, archive }: VolumeChecked): Finding {
  const path = join(mount, 'colonnade', 'volume.json')
  if (!existsSync(path))
    return bad(
      'disk',
      `there is no volume at ${mount}`,
      'is the disk plugged in? If it is new: colonnade-agent disks adopt',
    )
  try {
    const found = JSON.parse(readFileSync(path, 'utf8'))
    if (found.pillar !== pillar || found.archive !== archive)
      return bad(
        'disk',
        `the volume at ${mount} is that of ${found.pillar} in ${found.archive}`,
        `this is ${pillar} in ${archive}: plug in its own disk`,
      )
    if (statSync(mount).dev === statSync(dirname(mount)).dev)
      return warn(
        'disk',
        `volume ${found.volume}, on the same file system as ${dirname(mount)}`,
        'a disk of its own outlives the card: colonnade-agent disks adopt',
      )
    return ok('disk', `volume ${found.volume} of ${pillar}, at ${mount}`)
  } catch (error) {
    return bad('disk', `${path}: ${String(error)}`, 'look at the kernel log: dmesg | tail')
  }
}

export function space({ mount, reserveBytes }: VolumeChecked): Finding {
  try {
    const { bsize, bavail, blocks } = statfsSync(mount)
    const free = bavail * bsize
    const text = `${formatBytes(free)} free of ${formatBytes(blocks * bsize)}`
    const reserve = reserveBytes ?? reserveOf(blocks * bsize)
    return free > reserve
      ? ok('space', `${text}; ${formatBytes(reserve)} are never filled`)
      : warn('space', `${text}: nothing more is taken in`, 'a larger disk, or volume.reserve')
  } catch (error) {
    return unknown('space', String(error))
  }
}

/**
 * The index (what the pillar says that it has) against the lists of the bags (what a stranger would read), and these against
 * the files; of many files a sample. While the agent runs, the index is its own, and it is asked what stands in it.
 */
export async function indexAgainstBag({ mount, kind, told }: VolumeChecked): Promise<Finding> {
  const root = join(mount, 'colonnade')
  try {
    const { volume } = JSON.parse(readFileSync(join(root, 'volume.json'), 'utf8'))
    const running = saidOf((await told())?.[volume])
    const indexed = running ?? storedIn(root)
    const seen: string[] = []
    const lost: string[] = []
    const wrong: string[] = []
    for (const collection of collectionsOf(root)) {
      const lines = await manifestOf(join(root, collection))
      const looked = kind === 'file' ? [...lines] : []
      const missing = looked.filter(
        (path, at) => at % Math.ceil(lines.size / sample) === 0 && !isFile(root, collection, path),
      )
      for (const path of missing) lost.push(`${collection}/${path} is listed and not there`)
      const rows = indexed?.get(collection)
      if (indexed !== undefined && rows !== lines.size)
        wrong.push(`${collection}: ${rows ?? 0} files in the index, ${lines.size} in the manifest`)
      seen.push(`${collection} ${lines.size} ${lines.size === 1 ? 'file' : 'files'}`)
    }
    for (const [collection, files] of indexed ?? [])
      if (files > 0 && !existsSync(join(root, collection)))
        wrong.push(`${collection}: ${files} files in the index, and no folder`)
    const how = running ? ' (as the running agent says)' : indexed ? '' : inUse
    const about = `${seen.join(', ') || 'no collection'}${how}`
    const all = [...lost, ...wrong]
    const [first] = all
    if (first === undefined) return ok('index', about)
    const text = `${first}${all.length > 1 ? `, and ${all.length - 1} more` : ''}`
    // Lists follow when it is quiet: what is stored meanwhile is no fault.
    const behind = running !== undefined && lost.length === 0
    return behind ? warn('index', text, laterHint) : bad('index', text, rebuildHint)
  } catch (error) {
    return unknown('index', `can not be read: ${error instanceof Error ? error.message : error}`)
  }
}

const inUse = ' (the index is in use: lists against files only)'
const compareHint = 'compare with the other pillars: colonnade verify'
const laterHint = `look again when it has been quiet for a minute, as lists follow then; if it stays so, ${compareHint}`
const rebuildHint = `start the agent for a minute and look again, as it mends its lists; then ${compareHint}`

/** Files by collection; undefined when nothing was told of this volume. */
function saidOf(stored: unknown): Map<string, number> | undefined {
  if (!Array.isArray(stored)) return undefined
  return new Map(stored.map(({ collection, files }) => [String(collection), Number(files)]))
}

/** How many files of a collection are looked at. */
const sample = 1000

const collectionsOf = (root: string): string[] =>
  readdirSync(root, { withFileTypes: true })
    .filter((one) => one.isDirectory() && !one.name.startsWith('.'))
    .map(({ name }) => name)
    .sort()

const isFile = (root: string, collection: string, path: string): boolean =>
  lstatSync(join(root, collection, path), { throwIfNoEntry: false })?.isFile() === true

/** Paths below the bag; a file that was listed again counts once. */
async function manifestOf(bag: string): Promise<Set<string>> {
  const paths = new Set<string>()
  const manifest = join(bag, 'manifest-sha256.txt')
  if (!existsSync(manifest)) return paths
  for await (const line of createInterface({ input: createReadStream(manifest) }))
    if (line.length > 66) paths.add(line.slice(66))
  return paths
}

/** Files by collection; undefined while somebody else has the index, or has left it without closing it. */
function storedIn(root: string): Map<string, number> | undefined {
  const path = join(root, '.index.sqlite')
  const log = `${path}-wal`
  if (!existsSync(path) || (existsSync(log) && statSync(log).size > 0)) return undefined
  // Immutable: not even a lock is taken.
  const database = new DatabaseSync(`file:${encodeURI(path)}?immutable=1`, { readOnly: true })
  try {
    const rows = database.prepare(countStored).all() as { collection: string; files: number }[]
    return new Map(rows.map(({ collection, files }) => [collection, files]))
  } finally {
    database.close()
  }
}

const countStored = 'SELECT collection, count(*) AS files FROM files GROUP BY collection'
