/** `colonnade get`: files back to the disk; the second time, only what is missing. */
import { type FragmentedResult, fragmentFetcher } from '../client/fragments/fetch.ts'
import type { Mosaic } from '../client/fragments/mosaic.ts'
import { type GetItem, type GetResult, getBatch } from '../client/get.ts'
import type { Known } from '../client/list.ts'
import type { Landing } from '../exchange/bench.ts'
import { limits } from '../limits.ts'
import { formatBytes } from '../world/units.ts'
import { batcher, filesEach, several } from './batches.ts'
import { checkName, chosen } from './chosen.ts'
import type { Desk } from './desk.ts'
import { forecast } from './forecast.ts'
import {
  beside,
  Complaint,
  type ExitCode,
  exitCodes,
  formatCount,
  idText,
  many,
  reasonOf,
} from './output.ts'
import { type Progress, progress } from './progress.ts'
import { placeFor, type Restore, restoring, type Slice } from './restore.ts'
import { toStandardOutput } from './stdout.ts'

export interface GetOptions {
  readonly all?: boolean
  /** Absolute, with a slash behind a folder; or `-` for standard output. */
  readonly output: string
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
  /** What was not overwritten. */
  problems: number
  failed: number
  missing: number
  /** Of how many files each pillar delivered all or some. */
  readonly from: Map<string, number>
}

/** One get while it goes on. */
export interface Run {
  readonly desk: Desk
  readonly collection: string
  readonly options: GetOptions
  readonly summary: GetSummary
  readonly files: readonly Known[]
  readonly slice: Slice | undefined
}

type Fetching = Aim & ({ readonly landing: Landing } | { readonly mosaic: Mosaic })
interface Aim extends Omit<GetItem, 'landing'> {
  readonly path: string
  readonly size: number
  readonly checksum: string
  /** Of the whole file. */
  readonly fileSize: number
}

export async function get(
  desk: Desk,
  collection: string,
  names: readonly string[],
  options: GetOptions,
): Promise<{ code: ExitCode; summary: GetSummary }> {
  const single = isSingle(names, options)
  const toStdout = options.output === '-'
  const at = toStdout ? { ...desk, out: beside(desk.out) } : desk
  const all = options.all === true ? 'all' : names
  const { files, missing } = await chosen(at, collection, all, options.pillar)
  const summary = newSummary()
  for (const id of missing) tellMissing(at, id, summary)
  for (const known of files) warnOfOthers(at, known)
  const slice = sliceOf(files, options)
  const run: Run = { desk: at, collection, options, summary, files, slice }
  const complaint = toStdout ? await toStandardOutput(run) : await toDisk(run, single)
  report(at, summary)
  if (complaint) at.out.complain(complaint)
  return { code: codeOf(summary, complaint), summary }
}

const newSummary = (): GetSummary => ({
  fetched: 0,
  bytes: 0,
  equal: 0,
  problems: 0,
  failed: 0,
  missing: 0,
  from: new Map(),
})

const isSingle = (names: readonly string[], { all }: GetOptions): boolean =>
  names.length === 1 && !names[0]?.endsWith('/') && all !== true

/** Throws a complaint about what can not be meant. */
export function checkGet(names: readonly string[], options: GetOptions, json = false): void {
  const { all, offset, length, output } = options
  const single = isSingle(names, options)
  const usage = (sentence: string, hint?: string): Complaint =>
    new Complaint(sentence, exitCodes.usage, hint)
  if (!all && names.length === 0)
    throw usage('nothing to get was named', 'name ids, a folder with a slash behind it, or --all')
  if (all && names.length > 0) throw usage('--all is everything; ids beside it say nothing')
  for (const name of names) checkName(name)
  const ranged = offset !== undefined || length !== undefined
  if (ranged && !single) throw usage('--offset and --length go with one file only')
  if (output !== '-') return
  if (!single) throw usage('standard output takes one file only', 'name a folder with -o')
  if (json) throw usage('--json and the file both want standard output', 'name a file with -o')
}

/** The part that was asked for; a complaint when the file has no such bytes. */
function sliceOf(files: readonly Known[], { offset, length }: GetOptions): Slice | undefined {
  const [known] = files
  if (!known || (offset === undefined && length === undefined)) return undefined
  const from = offset ?? 0
  const slice = { offset: from, length: length ?? Math.max(0, known.size - from) }
  if (from + slice.length <= known.size) return slice
  throw new Complaint(
    `${idText(known.id)} has ${many(known.size, 'byte')}; what was asked for ends beyond them`,
    exitCodes.failed,
    'ask for less with --offset and --length',
  )
}

function tellMissing({ out }: Desk, id: string, summary: GetSummary): void {
  summary.missing++
  const hint = id.endsWith('/') ? '' : `; a folder is named with a slash behind it`
  out.warn(`${idText(id)}: no pillar that answered has it${hint}`)
  out.object({ id, outcome: 'notFound' })
}

function warnOfOthers({ out }: Desk, { id, differing, pillars }: Known): void {
  if (differing.length > 0)
    out.warn(
      `${idText(id)}: ${differing.join(', ')} has other bytes; what ${pillars.join(', ')} has is taken`,
    )
}

/** Everything to its place; resolves with what ended it early, if something did. */
async function toDisk(run: Run, single: boolean): Promise<Complaint | undefined> {
  const { desk, files, options, collection } = run
  const { output, overwrite = false } = options
  const place = await placeFor(desk, output, single)
  const stop = new AbortController()
  let complaint: Complaint | undefined
  const failed = (error: Complaint): void => {
    complaint ??= error
    stop.abort(error)
  }
  const restore = restoring(desk, { collection, place, overwrite, failed })
  const bytes = files.reduce((sum, { size }) => sum + (run.slice?.length ?? size), 0)
  const quiet = desk.out.quiet || desk.out.json || files.length === 0
  const sentence = desk.link && forecast(desk.link, 'get', bytes)
  if (sentence !== undefined) desk.out.note(sentence)
  const began = desk.client.world.clock.monotonic()
  const bar = progress({ verb: 'get', bytes, files: files.length, quiet })
  try {
    const signal = AbortSignal.any([desk.signal, stop.signal])
    await fetchAll({ ...run, desk: { ...desk, signal } }, restore, bar)
  } catch (error) {
    if (complaint === undefined || desk.signal.aborted) throw error
  } finally {
    await restore.tidy()
    bar.end()
    const took = desk.client.world.clock.monotonic() - began
    desk.link?.remember('get', run.summary.bytes, took)
  }
  return complaint
}

async function fetchAll(run: Run, restore: Restore, bar: Progress): Promise<void> {
  const { desk, files, collection } = run
  const { client, signal } = desk
  const pillars = client.policy(collection).pillars.filter(client.line.keepsFiles)
  const batches = batcher<Fetching>(filesEach(files.length, pillars.length))
  const lanes = several(limits.conversationsOpenMax)
  const at = { moved: 0, passed: 0, files: 0 }
  const show = (): void => bar.at(at.moved, at.files, at.passed)
  const move = fetcher(run, {
    progress(bytes) {
      at.moved += bytes
      show()
    },
    had(bytes) {
      at.passed += bytes
      show()
    },
  })
  const fetchBatch = (batch: readonly Fetching[]): Promise<void> =>
    lanes.add(async () => {
      const results = await move(batch)
      at.files += batch.length
      for (const [n, result] of results.entries()) told(run, batch[n], result, restore)
    })
  try {
    for (const known of files) {
      signal.throwIfAborted()
      const item = await landed(run, restore, known)
      const full = item && batches.add(item)
      if (full) await fetchBatch(full)
      if (item) continue
      at.files++
      at.passed += known.size
      show()
    }
    const rest = batches.rest()
    if (rest) await fetchBatch(rest)
    await lanes.all()
  } finally {
    // Whatever ends the first of them: what the others write is theirs until they have ended.
    await lanes.settled()
  }
}

/** How a batch is fetched: whole files from pillars, fragments from those that hold them. */
function fetcher(
  { desk, collection, options }: Run,
  meter: { progress(bytes: number): void; had(bytes: number): void },
): (batch: readonly Fetching[]) => Promise<(GetResult | FragmentedResult)[]> {
  const { client, signal, out } = desk
  const load = new Map<string, number>()
  const [keeper = ''] = client.policy(collection).pillars
  const pieces = fragmentFetcher(client, collection, keeper)
  const complain = (pillar: string, text: string): void => {
    out.warn(text)
    out.object({ complaint: text, pillar })
  }
  return async (batch) => {
    const broken = batch.flatMap((one) => ('mosaic' in one ? [{ ...one, size: one.fileSize }] : []))
    if (broken.length > 0) return pieces.fetch(broken, { signal, complain, ...meter })
    const whole = batch.flatMap((one) => ('landing' in one ? [one] : []))
    const weight = whole.reduce((sum, { size }) => sum + size + 10_000, 0)
    return getBatch(client, collection, whole, {
      signal,
      ...(options.pillar === undefined ? {} : { pillar: options.pillar }),
      prefer: (able) => leastLoaded(able, load, weight),
      progress: meter.progress,
    })
  }
}

/** The place where a file is to land; undefined when it is not to be fetched, and that was said. */
async function landed(
  { desk, slice, summary, collection, options }: Run,
  restore: Restore,
  known: Known,
): Promise<Fetching | undefined> {
  const { out, signal } = desk
  const { id, checksum, size } = known
  let path = id
  try {
    const need = await restore.need(known, slice)
    path = need.path
    if (need.is === 'needed') {
      const about = { id, checksum, path, size: slice?.length ?? size, fileSize: size }
      const item = { ...about, ...(slice ?? {}) }
      const inPieces = desk.client.directory.collection(collection)?.fragments !== undefined
      // Who names the tracker wants it from there.
      return inPieces && options.pillar === undefined
        ? { ...item, mosaic: await restore.mosaic(known, path, slice) }
        : { ...item, landing: await restore.land(known, path, slice) }
    }
    out.object({ id, outcome: need.is, path })
    if (need.is === 'equal') summary.equal++
    else inTheWay(desk, summary, path, need.why)
  } catch (error) {
    if (signal.aborted) throw error
    out.object({ id, outcome: 'inTheWay', path })
    inTheWay(desk, summary, path, reasonOf(error))
  }
  return undefined
}

function inTheWay({ out }: Desk, summary: GetSummary, path: string, why: string): void {
  summary.problems++
  out.warn(`${idText(path)}: ${why}`)
}

/** Each file once, spread over the pillars. */
function leastLoaded(
  pillars: readonly string[],
  load: Map<string, number>,
  weight: number,
): readonly string[] {
  const order = [...pillars].sort((a, b) => (load.get(a) ?? 0) - (load.get(b) ?? 0))
  const first = order[0]
  if (first !== undefined) load.set(first, (load.get(first) ?? 0) + weight)
  return order
}

function told(
  run: Run,
  item: Fetching | undefined,
  result: GetResult | FragmentedResult,
  restore: Restore,
): void {
  const { desk, summary } = run
  const { id, outcome, pillar, why } = result
  const pillars = 'pillars' in result ? result.pillars : undefined
  if (outcome === 'fetched' && restore.taken.has(id)) {
    desk.out.object({ id, outcome: 'inTheWay', path: item?.path })
    inTheWay(desk, summary, item?.path ?? id, 'a file has come there meanwhile; it was left alone')
    return
  }
  desk.out.object({
    id,
    outcome,
    ...(item === undefined ? {} : { path: item.path }),
    ...(pillar === undefined ? {} : { pillar }),
    ...(pillars === undefined ? {} : { pillars }),
    ...(why === undefined ? {} : { why }),
  })
  if (outcome === 'fetched') {
    fetched(summary, item?.size ?? 0, pillars ?? (pillar === undefined ? [] : [pillar]))
    return
  }
  if (outcome === 'notFound') summary.missing++
  else summary.failed++
  desk.out.warn(`${idText(id)}: ${why ?? outcome}`)
}

function fetched(summary: GetSummary, bytes: number, pillars: readonly string[]): void {
  summary.fetched++
  summary.bytes += bytes
  for (const pillar of pillars) summary.from.set(pillar, (summary.from.get(pillar) ?? 0) + 1)
}

function report({ out }: Desk, summary: GetSummary): void {
  const parts = [`${many(summary.fetched, 'file')} fetched (${formatBytes(summary.bytes)})`]
  const add = (count: number, what: string): void => {
    if (count > 0) parts.push(`${formatCount(count)} ${what}`)
  }
  add(summary.equal, summary.equal === 1 ? 'was there already' : 'were there already')
  add(summary.problems, 'not overwritten')
  add(summary.missing, 'not found')
  add(summary.failed, 'failed')
  out.tell(parts.join(', '))
  if (summary.failed > 0) out.note('hint: repeat the same command; it goes on where it stopped')
  out.object({ summary: { ...summary, from: Object.fromEntries(summary.from) } })
}

function codeOf(
  { fetched, equal, problems, failed, missing }: GetSummary,
  complaint: Complaint | undefined,
): ExitCode {
  if (problems + failed + missing === 0 && !complaint) return exitCodes.done
  return fetched + equal > 0 ? exitCodes.partly : (complaint?.exitCode ?? exitCodes.failed)
}
