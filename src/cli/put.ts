/** `colonnade put`: a folder into the archive; the second time, only what is new. */
import { Changed, hashFile, offerOf } from '../client/files.ts'
import type { Known } from '../client/list.ts'
import { type PutItem, type PutResult, putBatch } from '../client/put.ts'
import { limits } from '../limits.ts'
import { fileIdFault } from '../protocol/scalars.ts'
import { batcher, several } from './batches.ts'
import { besideId } from './beside.ts'
import { askWhole } from './chosen.ts'
import { type Desk, onDisk, pillarsOf } from './desk.ts'
import { forecast } from './forecast.ts'
import { gather } from './gather.ts'
import { changedAmong, stopMassChange } from './mass-change.ts'
import { Complaint, type ExitCode, exitCodes, idText, reasonOf } from './output.ts'
import { type Progress, progress } from './progress.ts'
import { replaceEverywhere } from './put-replace.ts'
import {
  codeOf,
  counted,
  newSummary,
  type PutSummary,
  passedOver,
  report,
  told,
} from './put-summary.ts'
import { type FoundFile, seenAgain, type WalkOptions } from './walk.ts'

export { type Desk, onDisk } from './desk.ts'
export type { PutSummary } from './put-summary.ts'

export interface PutOptions extends WalkOptions {
  readonly dryRun?: boolean
  readonly changed?: 'refuse' | 'keep-both' | 'replace'
  /** Read all files again, also those whose size and time are known. */
  readonly checksum?: boolean
  /** Have pillars hash again what they have already. */
  readonly prove?: boolean
  /** Waits for pillars that are away, as long as `--idle-timeout` says. */
  readonly waitAll?: boolean
  /** Kept in the audit trail. */
  readonly note?: string
  /** So many files may be replaced without a question, where the owner allows so many. */
  readonly changes?: number
}

/** So many files are asked for by their ids; for more it costs less to list everything. */
const askedByIdMax = 2_000

/** How long a changed file is left alone before it is tried once more. */
const changingMs = 1_000

/** One put while it goes on. */
interface Run {
  readonly desk: Desk
  readonly collection: string
  readonly options: PutOptions
  readonly pillars: readonly string[]
  readonly remote: ReadonlyMap<string, Known>
  /** Pillars that did not say what they have. */
  readonly silent: readonly string[]
  readonly summary: PutSummary
  readonly bar: Progress
  readonly meter: Meter
  readonly lanes: ReturnType<typeof several>
  /** Checksums of files that were read to see how many have changed. */
  readonly sums: Map<FoundFile, string>
  /** Files that changed while they were read: once more in the end, and with what may have been promised for them. */
  readonly again: { readonly file: FoundFile; readonly offered: boolean }[]
}

export async function put(
  desk: Desk,
  collection: string,
  paths: readonly string[],
  options: PutOptions,
): Promise<{ code: ExitCode; summary: PutSummary }> {
  const pillars = pillarsOf(desk, collection)
  const summary = newSummary()
  const found = await gather(desk, paths, options, summary)
  const { quiet: still, json } = desk.out
  const quiet = still || json || options.dryRun === true || found.length === 0
  const nobody = { remote: new Map<string, Known>(), silent: [] }
  const there = found.length > 0 ? await known(desk, collection, found, options) : nobody
  const bar = progress({ verb: 'put', bytes: summary.bytes, files: found.length, quiet })
  foretell(desk, found, there.remote, options)
  const began = desk.client.world.clock.monotonic()
  const lanes = several(limits.conversationsOpenMax)
  const inPieces = desk.client.directory.collection(collection)?.fragments !== undefined
  const meter = newMeter(bar, pillars.length, inPieces)
  const about = { desk, collection, options, pillars, ...there }
  const run: Run = { ...about, summary, bar, meter, lanes, again: [], sums: new Map() }
  try {
    if (options.changed === 'replace' && options.dryRun !== true) {
      const same = (file: FoundFile, there: Known) => asKnown(file, there, options) !== undefined
      const changed = await changedAmong(found, there.remote, same, async (file) => {
        const sum = await hashed(run, file)
        run.sums.set(file, sum)
        return sum
      })
      await stopMassChange(desk, collection, changed, options.changes)
    }
    await pass(run, found, false)
    const again = await secondLook(run)
    await pass(run, again, true)
  } finally {
    await lanes.settled()
    bar.end()
    desk.link?.remember('put', meter.sent(), desk.client.world.clock.monotonic() - began)
  }
  report(desk.out, summary, options)
  return { code: codeOf(summary, options), summary }
}

/** Says how long it will take, where that is long: what the archive has under its id most likely needs not move. */
function foretell(
  { link, out }: Desk,
  found: readonly FoundFile[],
  remote: Run['remote'],
  { dryRun }: PutOptions,
): void {
  const bytes = found.reduce((sum, { id, size }) => sum + (remote.has(id) ? 0 : size), 0)
  const sentence = link && forecast(link, 'put', bytes)
  if (sentence !== undefined && dryRun !== true) out.note(sentence)
}

/** Throws a complaint about what can not be meant. */
export function checkPut({ as, note = '' }: PutOptions): void {
  if (note.length > limits.noteMax)
    throw new Complaint(`a note has at most ${limits.noteMax} characters`, exitCodes.usage)
  if (as === undefined) return
  const fault = fileIdFault(as.replace(/\/+$/, ''))
  if (fault === undefined) return
  const hint = 'a folder of the archive, like pictures or pictures/2026'
  throw new Complaint(`--as ${idText(as)}: ${fault}`, exitCodes.usage, hint)
}

/** What the archive has under the ids that matter. */
async function known(
  desk: Desk,
  collection: string,
  found: readonly FoundFile[],
  { as, changed }: PutOptions,
): Promise<Pick<Run, 'remote' | 'silent'>> {
  const ids = found.map(({ id }) => id)
  if (changed === 'keep-both')
    ids.push(...found.map(({ id, mtime }) => besideId(id, mtime)).filter(isId))
  const few = found.length <= askedByIdMax
  const prefix = as === undefined ? {} : { prefix: `${as.replace(/\/+$/, '')}/` }
  const { files, silent } = await askWhole(desk, collection, few ? { ids } : prefix)
  return { remote: new Map(files.map((one) => [one.id, one])), silent }
}

const isId = (id: string): boolean => fileIdFault(id) === undefined

/** All of these files, batch by batch. */
async function pass(run: Run, files: readonly FoundFile[], last: boolean): Promise<void> {
  const batches = batcher<Sending>()
  for (const file of files) {
    run.desk.signal.throwIfAborted()
    const item = await prepare(run, file, last)
    if (!item) {
      run.meter.pass(file.size)
      continue
    }
    const full = batches.add(item)
    if (full) await send(run, full, last)
  }
  const rest = batches.rest()
  if (rest) await send(run, rest, last)
  await run.lanes.all()
}

/** Under which id a file goes. */
interface Named {
  readonly id: string
  readonly checksum: string
  /** What it shall take the place of. */
  readonly replaces?: Known
}

interface Sending extends PutItem, Named {
  readonly file: FoundFile
}

/** What is to be sent of a file; undefined when nothing is, and that was said. */
async function prepare(run: Run, file: FoundFile, last: boolean): Promise<Sending | undefined> {
  const { desk, remote, pillars, summary } = run
  try {
    const named = await nameAndChecksum(run, file)
    if (!named) return undefined
    const has = remote.get(named.id)?.pillars ?? []
    const complete = !named.replaces && pillars.every((pillar) => has.includes(pillar))
    if ((complete && !run.options.prove) || run.options.dryRun) {
      counted(desk.out, { ...named, size: file.size }, complete, summary)
      return undefined
    }
    const offer = offerOf(desk.disk, onDisk(file.path), file)
    return { ...named, size: file.size, mtime: file.mtime, offer, file }
  } catch (error) {
    if (desk.signal.aborted) throw error
    if (error instanceof Changed && !last) run.again.push({ file, offered: false })
    else passedOver(desk.out, summary, file.path, changeOr(error))
    return undefined
  }
}

const changing = 'it is being changed while it is read'
const changeOr = (error: unknown): string => (error instanceof Changed ? changing : reasonOf(error))

/** Under which id a file goes, and its checksum; undefined when it is not to be stored, and that was said. */
async function nameAndChecksum(run: Run, file: FoundFile): Promise<Named | undefined> {
  const { desk, remote, options, summary } = run
  const { id } = file
  const there = remote.get(id)
  const replace = options.changed === 'replace'
  // Where pillars differ, size and time do not tell whose bytes these are.
  const same = replace && there?.others ? undefined : asKnown(file, there, options)
  if (same) return { id, checksum: same.checksum }
  const keepBoth = options.changed === 'keep-both'
  const beside = besideId(id, file.mtime)
  const copy = remote.get(beside)
  const sameCopy = there && keepBoth && asKnown(file, copy, options)
  if (sameCopy) return { id: beside, checksum: sameCopy.checksum }
  const differs = (): undefined =>
    passedOver(
      desk.out,
      summary,
      file.path,
      keepBoth
        ? `it differs from what the archive has under ${idText(id)} and ${idText(beside)}`
        : `it differs from what the archive has under ${idText(id)}; --changed keep-both stores it beside, --changed replace in its place`,
      'differs',
    )
  // No need to read it to know that it is another.
  if (there && there.size !== file.size && !keepBoth && !replace) return differs()
  if (!there && options.dryRun) return { id, checksum: '' }
  const checksum = await hashed(run, file)
  if (replace && there && (there.checksum !== checksum || there.others))
    return { id, checksum, replaces: there }
  if (!there || there.checksum === checksum) return { id, checksum }
  const free = isId(beside) && (!copy || copy.checksum === checksum)
  if (!keepBoth || !free) return differs()
  return { id: beside, checksum }
}

/** What the archive has, when size and time say that these are its bytes. */
const asKnown = (
  { size, mtime }: FoundFile,
  there: Known | undefined,
  { checksum }: PutOptions,
): Known | undefined =>
  checksum !== true && there?.size === size && there.mtime === mtime ? there : undefined

async function hashed({ desk, meter, sums }: Run, file: FoundFile): Promise<string> {
  const known = sums.get(file)
  if (known !== undefined) return known
  const { client, disk, signal } = desk
  const progress = (bytes: number): void => meter.read(bytes)
  return hashFile(client.world, disk, onDisk(file.path), file, { signal, progress })
}

function send(run: Run, batch: readonly Sending[], last: boolean): Promise<void> {
  return run.lanes.add(async () => {
    const going = await replaced(run, batch)
    const results = going.length > 0 ? await putAll(run, going) : []
    for (const [n, result] of results.entries()) {
      const { file, replaces } = going[n] ?? {}
      if (file && result.outcome === 'changed' && !last) run.again.push({ file, offered: true })
      else told(run.desk.out, replaces ? { ...result, known: false } : result, run.summary)
    }
    run.meter.done(batch)
  })
}

/** Puts files in the place of others, where that is wished; those that may go on. */
async function replaced(run: Run, batch: readonly Sending[]): Promise<readonly Sending[]> {
  const { desk, collection, options, silent, summary } = run
  const going: Sending[] = []
  for (const item of batch) {
    const { note } = options
    const why =
      item.replaces &&
      (await replaceEverywhere(desk, collection, item, item.replaces, { silent, note }))
    if (why === undefined) going.push(item)
    else passedOver(desk.out, summary, item.file.path, why, 'differs')
  }
  return going
}

/** Puts a batch; with `--wait all` again and again, until nothing is owed or nothing comes for too long. */
async function putAll(run: Run, batch: readonly Sending[]): Promise<readonly PutResult[]> {
  const { desk, collection, options, meter } = run
  const { client, signal } = desk
  const { clock } = client.world
  const waitAll = options.waitAll === true
  const noted = options.note === undefined ? {} : { information: options.note }
  const proved = options.prove ? { prove: true } : {}
  const progress = (bytes: number, safe?: number): void => meter.moved(batch, bytes, safe)
  const once = (items: readonly Sending[]): Promise<PutResult[]> =>
    putBatch(client, collection, items, { signal, waitAll, progress, ...noted, ...proved })
  let results: readonly PutResult[] = await once(batch)
  for (let heard = clock.monotonic(); waitAll && clock.monotonic() - heard < client.idleMs; ) {
    const owed = new Set(results.flatMap((one) => one.owed))
    if (owed.size === 0) break
    await clock.sleep(1_000, signal)
    if (![...owed].some((pillar) => client.line.presence(pillar) === 'online')) continue
    const open = batch.filter((_, n) => (results[n]?.owed.length ?? 0) > 0)
    const newer = new Map((await once(open)).map((one) => [one.id, one]))
    const before = copiesIn(results)
    results = results.map((one) => merged(one, newer.get(one.id)))
    if (copiesIn(results) > before) heard = clock.monotonic()
  }
  return results
}

const copiesIn = (results: readonly PutResult[]): number =>
  results.reduce((sum, { copies }) => sum + copies.length, 0)

/** What was stored stays stored, whatever a later try for the rest of the copies met. */
const merged = (one: PutResult, newer: PutResult | undefined): PutResult =>
  newer?.outcome === 'stored' ? { ...newer, known: one.known && newer.known } : one

/** The files that changed, as they are now. */
async function secondLook({ desk, again, summary }: Run): Promise<FoundFile[]> {
  const { clock } = desk.client.world
  if (again.length === 0) return []
  // A pillar that was asked to take other bytes keeps the id for them for so long.
  const offered = again.some((one) => one.offered)
  if (offered)
    desk.out.note('some files changed while they were sent; they are tried again in a minute')
  await clock.sleep(offered ? limits.promiseMs + changingMs : changingMs, desk.signal)
  const files: FoundFile[] = []
  for (const { file } of again) {
    const now = await seenAgain(file)
    if (now.is === 'file') files.push(now)
    else passedOver(desk.out, summary, now.path, now.why)
  }
  return files
}

interface Meter {
  /** Bytes of a file were read for its checksum. */
  read(bytes: number): void
  /** Pillars have so many bytes of this batch, all together; so many are safe in fragments. */
  moved(batch: object, bytes: number, safe?: number): void
  /** A file needs not move. */
  pass(bytes: number): void
  done(batch: readonly PutItem[]): void
  /** Bytes that went over. */
  sent(): number
}

function newMeter(bar: Progress, pillars: number, inPieces: boolean): Meter {
  const open = new Map<object, { readonly moving: number; readonly safe: number }>()
  const at = { moved: 0, passed: 0, files: 0, read: 0, safe: 0 }
  const show = (): void => {
    const sum = { ...at }
    for (const { moving, safe } of open.values()) {
      sum.moved += moving
      sum.safe += safe
    }
    bar.at(sum.moved, at.files, at.passed, inPieces ? sum.safe : undefined)
  }
  return {
    read(bytes) {
      at.read += bytes
      bar.reading(at.read)
    },
    moved(batch, bytes, safe = open.get(batch)?.safe ?? 0) {
      open.set(batch, { moving: bytes / pillars, safe })
      show()
    },
    pass(bytes) {
      at.passed += bytes
      at.files++
      show()
    },
    done(batch) {
      open.delete(batch)
      const bytes = batch.reduce((sum, { size }) => sum + size, 0)
      at.moved += bytes
      at.safe += bytes
      at.files += batch.length
      show()
    },
    sent: () => at.moved,
  }
}
