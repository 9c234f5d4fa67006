/** `colonnade get`: files back to the disk; the second time, only what is missing. */
import { basename, dirname, join, resolve } from 'node:path'
import { hashFile, openLanding } from '../client/files.ts'
import { type GetItem, type GetResult, getBatch } from '../client/get.ts'
import { type Known, survey } from '../client/list.ts'
import type { Disk } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import { fileIdFault } from '../protocol/scalars.ts'
import { objectName } from '../transfer/objects.ts'
import { formatBytes } from '../world/units.ts'
import { batcher, filesEach, several } from './batches.ts'
import { Complaint, type ExitCode, exitCodes, idText } from './output.ts'
import { progress } from './progress.ts'
import { type Desk, onDisk } from './put.ts'

export interface GetOptions {
  readonly all?: boolean
  /** A file for a single id, else a folder; the current folder when absent. */
  readonly output?: string
  readonly offset?: number
  readonly length?: number
  readonly pillar?: string
  readonly overwrite?: boolean
}

export interface GetSummary {
  fetched: number
  bytes: number
  /** Equal files that were there already. */
  equal: number
  problems: number
  failed: number
  missing: number
  /** How many files each pillar delivered. */
  readonly from: Map<string, number>
}

/** One file to fetch, and where it goes. */
interface Wanted {
  readonly known: Known
  readonly path: string
}

const partialFolder = '.colonnade-partial'

export async function get(desk: Desk, collection: string, ids: readonly string[], options: GetOptions): Promise<{ code: ExitCode; summary: GetSummary }> {
  const { client, out, signal } = desk
  const summary: GetSummary = { fetched: 0, bytes: 0, equal: 0, problems: 0, failed: 0, missing: 0, from: new Map() }
  const wanted = await choose(desk, collection, ids, options, summary)
  const todo: Wanted[] = []
  for (const one of wanted) if (await isNeeded(desk, one, options, summary)) todo.push(one)
  const total = todo.reduce((sum, { known }) => sum + lengthOf(known, options), 0)
  const bar = progress({ verb: 'get', bytes: total, files: todo.length, quiet: out.quiet || out.json })
  const batches = batcher<GetItem & { path: string }>(filesEach(todo.length, client.policy(collection).pillars.length))
  const lanes = several(limits.conversationsOpenMax)
  const load = new Map<string, number>()
  let moved = 0
  const fetchBatch = (batch: readonly (GetItem & { path: string })[]): Promise<void> =>
    lanes.add(async () => {
      const weight = batch.reduce((sum, item) => sum + (item.size ?? 0) + 10_000, 0)
      const results = await getBatch(client, collection, batch, {
        signal,
        ...(options.pillar === undefined ? {} : { pillar: options.pillar }),
        prefer: pillars => leastLoaded(pillars, load, weight),
        progress(bytes) {
          moved += bytes
          bar.at(moved, summary.fetched)
        },
      })
      for (const [n, result] of results.entries()) tell(desk, result, batch[n]?.length ?? result.size ?? 0, summary)
    })
  try {
    const folders = new Set<string>()
    for (const one of todo) {
      signal.throwIfAborted()
      const full = batches.add(await land(desk, collection, one, options, folders))
      if (full) await fetchBatch(full)
    }
    const rest = batches.rest()
    if (rest) await fetchBatch(rest)
    await lanes.all()
    for (const folder of folders) await desk.disk.rmdir(folder)
  } finally {
    bar.end()
  }
  report(desk, summary)
  return { code: codeOf(summary), summary }
}

async function choose(desk: Desk, collection: string, ids: readonly string[], options: GetOptions, summary: GetSummary): Promise<Wanted[]> {
  const { client, signal } = desk
  if (!options.all && ids.length === 0) throw new Complaint('nothing to get was named', exitCodes.usage, 'name ids, a folder with a slash behind it, or --all')
  const ranged = options.offset !== undefined || options.length !== undefined
  const single = ids.length === 1 && !ids[0]?.endsWith('/') && !options.all
  if (ranged && !single) throw new Complaint('--offset and --length go with one file only', exitCodes.usage)
  const only = options.pillar === undefined ? undefined : [options.pillar]
  const query = options.all ? {} : ids.every(id => !id.endsWith('/')) ? { ids } : {}
  const { files, silent } = await survey(client, collection, query, signal, only)
  if (silent.length === (only ?? client.policy(collection).pillars).length) throw new Complaint('no pillar answered', exitCodes.nobody, 'is the archive running? `colonnade status` tells')
  const folder = resolve(options.output ?? '.')
  const asFile = single && options.output !== undefined && !options.output.endsWith('/') && (await kindOf(desk.disk, folder)) !== 'folder'
  const wanted: Wanted[] = []
  for (const known of files.values()) {
    if (!options.all && !ids.some(id => id === known.id || (id.endsWith('/') && known.id.startsWith(id)))) continue
    if (fileIdFault(known.id) !== undefined) continue
    wanted.push({ known, path: asFile ? folder : join(folder, known.id) })
  }
  for (const id of ids)
    if (!wanted.some(({ known }) => known.id === id || (id.endsWith('/') && known.id.startsWith(id)))) {
      summary.missing++
      desk.out.warn(`${idText(id)}: no pillar that answered has it`)
      desk.out.object({ id, outcome: 'notFound' })
    }
  return wanted
}

const kindOf = async (disk: Disk, path: string): Promise<string | undefined> => (await disk.stat(onDisk(path)))?.kind

const lengthOf = (known: Known, { offset = 0, length }: GetOptions): number => length ?? Math.max(0, known.size - offset)

/** Equal files are left alone, differing ones are never overwritten silently. */
async function isNeeded(desk: Desk, { known, path }: Wanted, options: GetOptions, summary: GetSummary): Promise<boolean> {
  const { disk, client, out } = desk
  if (known.differing.length > 0) out.warn(`${idText(known.id)}: ${known.differing.join(', ')} has other bytes; what ${known.pillars.join(', ')} has is taken`)
  const stat = await disk.stat(onDisk(path))
  if (stat === undefined || options.overwrite) return true
  const whole = options.offset === undefined && options.length === undefined
  const equal = whole && stat.kind === 'file' && stat.size === known.size && (await hashFile(client.world, disk, onDisk(path), stat).catch(() => '')) === known.checksum
  if (equal) {
    summary.equal++
    out.object({ id: known.id, outcome: 'equal', path })
    return false
  }
  summary.problems++
  out.warn(`${idText(path)}: another file is there; --overwrite replaces it`)
  out.object({ id: known.id, outcome: 'exists', path })
  return false
}

async function land(desk: Desk, collection: string, { known, path }: Wanted, options: GetOptions, folders: Set<string>): Promise<GetItem & { path: string }> {
  const { disk, client } = desk
  const { id, size, checksum, mtime } = known
  const { offset, length } = options
  const folder = join(dirname(path), partialFolder)
  await makeFolders(disk, onDisk(folder))
  folders.add(onDisk(folder))
  const whole = offset === undefined && length === undefined
  const partial = onDisk(join(folder, `${objectName(client.world, collection, id, checksum, offset ?? 0, length ?? -1)}-${basename(path).slice(0, 40).replaceAll('/', '')}`.slice(0, 60)))
  const landing = await openLanding(client.world, disk, { partial: partialName(partial), final: onDisk(path), ...(whole ? { checksum, mtime } : {}) })
  const slice = { ...(offset === undefined ? {} : { offset }), ...(length === undefined ? {} : { length }) }
  return { id, checksum, landing, path, size, ...slice }
}

/** Names of partials keep to plain characters: the digest in front is what counts. */
const partialName = (path: string): string => {
  const slash = path.lastIndexOf('/') + 1
  return path.slice(0, slash) + path.slice(slash, slash + 22)
}

async function makeFolders(disk: Disk, path: string): Promise<void> {
  const parts = path.split('/')
  for (let n = 1; n <= parts.length; n++) await disk.mkdir(parts.slice(0, n).join('/'))
}

/** Each file once, spread over the pillars. */
function leastLoaded(pillars: readonly string[], load: Map<string, number>, weight: number): readonly string[] {
  const order = [...pillars].sort((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0))
  const first = order[0]
  if (first !== undefined) load.set(first, (load.get(first) ?? 0) + weight)
  return order
}

function tell({ out }: Desk, result: GetResult, bytes: number, summary: GetSummary): void {
  const { id, outcome, pillar, why } = result
  out.object({ id, outcome, ...(pillar === undefined ? {} : { pillar }), ...(why === undefined ? {} : { why }) })
  if (outcome === 'fetched') {
    summary.fetched++
    summary.bytes += bytes
    if (pillar !== undefined) summary.from.set(pillar, (summary.from.get(pillar) ?? 0) + 1)
    return
  }
  if (outcome === 'notFound') summary.missing++
  else summary.failed++
  out.warn(`${idText(id)}: ${why ?? outcome}`)
}

function report({ out }: Desk, summary: GetSummary): void {
  const parts = [`${summary.fetched} files fetched (${formatBytes(summary.bytes)})`]
  if (summary.equal > 0) parts.push(`${summary.equal} were there already`)
  if (summary.problems > 0) parts.push(`${summary.problems} not overwritten`)
  if (summary.missing > 0) parts.push(`${summary.missing} not found`)
  if (summary.failed > 0) parts.push(`${summary.failed} failed`)
  out.line(parts.join(', '))
  if (summary.failed > 0) out.note('colonnade: hint: repeat the same command; it goes on where it stopped')
}

function codeOf({ fetched, equal, problems, failed, missing }: GetSummary): ExitCode {
  const good = fetched + equal
  if (problems + failed + missing === 0) return exitCodes.done
  return good > 0 ? exitCodes.partly : exitCodes.failed
}
