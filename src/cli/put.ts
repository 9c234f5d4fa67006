/** `colonnade put`: a folder into the archive; the second time, only what is new. */
import { relative } from 'node:path'
import type { Client } from '../client/client.ts'
import { Changed, hashFile, offerOf } from '../client/files.ts'
import { type Known, survey } from '../client/list.ts'
import { type PutItem, type PutResult, putBatch } from '../client/put.ts'
import type { Disk } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import { formatBytes } from '../world/units.ts'
import { batcher, several } from './batches.ts'
import { Complaint, type ExitCode, exitCodes, idText, type Output } from './output.ts'
import { progress } from './progress.ts'
import { type FoundFile, walk } from './walk.ts'

export interface PutOptions {
  readonly as?: string
  readonly exclude?: readonly string[]
  readonly dryRun?: boolean
  readonly changed?: 'refuse' | 'keep-both'
  /** Hash all files again, also those whose size and time are known. */
  readonly checksum?: boolean
  readonly waitAll?: boolean
  readonly pillars?: readonly string[]
}

export interface Desk {
  readonly client: Client
  /** The user's file system, from its root. */
  readonly disk: Disk
  readonly out: Output
  readonly signal: AbortSignal
}

export interface PutSummary {
  files: number
  bytes: number
  stored: number
  storedBytes: number
  known: number
  readonly owed: Map<string, number>
  notHandedOver: number
  problems: number
  failed: number
  unanswered: number
}

/** Paths on the disk port have no leading slash. */
export const onDisk = (path: string): string => relative('/', path)

export async function put(desk: Desk, collection: string, paths: readonly string[], options: PutOptions): Promise<{ code: ExitCode; summary: PutSummary }> {
  const { client, out, signal } = desk
  const summary: PutSummary = { files: 0, bytes: 0, stored: 0, storedBytes: 0, known: 0, owed: new Map(), notHandedOver: 0, problems: 0, failed: 0, unanswered: 0 }
  const found = await gather(desk, paths, options, summary)
  const { files: remote, silent } = await survey(client, collection, options.as === undefined ? {} : { prefix: `${options.as.replace(/\/+$/, '')}/` }, signal)
  const pillars = options.pillars ?? client.policy(collection).pillars
  if (silent.length === client.policy(collection).pillars.length) throw new Complaint('no pillar answered', exitCodes.nobody, 'is the archive running? `colonnade status` tells')
  const bar = progress({ verb: 'put', bytes: summary.bytes, files: found.length, quiet: out.quiet || out.json || options.dryRun === true })
  const meter = { done: 0, files: 0, open: new Map<object, number>() }
  const show = (): void => bar.at(meter.done + [...meter.open.values()].reduce((a, b) => a + b, 0), meter.files)
  const batches = batcher<PutItem>()
  const lanes = several(limits.conversationsOpenMax)
  const send = (batch: readonly PutItem[]): Promise<void> =>
    lanes.add(async () => {
      const results = await putBatch(client, collection, batch, {
        signal,
        ...(options.waitAll ? { waitAll: true } : {}),
        ...(options.pillars ? { pillars: options.pillars } : {}),
        progress(bytes) {
          meter.open.set(batch, bytes / pillars.length)
          show()
        },
      })
      meter.open.delete(batch)
      for (const result of results) tell(desk, result, summary)
      meter.done += batch.reduce((sum, item) => sum + item.size, 0)
      meter.files += batch.length
      show()
    })
  try {
    for (const file of found) {
      signal.throwIfAborted()
      const item = await prepare(desk, file, remote, options, summary)
      const complete = item && (remote.get(item.id)?.pillars.length ?? 0) >= pillars.length
      if (!item || complete || options.dryRun) {
        if (item) account(desk, item, complete === true, summary)
        meter.done += file.size
        meter.files++
        show()
        continue
      }
      const full = batches.add(item)
      if (full) await send(full)
    }
    const rest = batches.rest()
    if (rest) await send(rest)
    await lanes.all()
  } finally {
    bar.end()
  }
  report(desk, summary, options)
  return { code: codeOf(summary), summary }
}

async function gather(desk: Desk, paths: readonly string[], options: PutOptions, summary: PutSummary): Promise<FoundFile[]> {
  const found = new Map<string, FoundFile>()
  for await (const one of walk(paths, options)) {
    if (one.is === 'passedOver') problem(desk, summary, one.path, one.why)
    else if (found.has(one.id)) problem(desk, summary, one.path, `it would have the same id as ${found.get(one.id)?.path}`)
    else found.set(one.id, one)
  }
  summary.files = found.size
  summary.bytes = [...found.values()].reduce((sum, file) => sum + file.size, 0)
  if (found.size === 0 && summary.problems === 0) desk.out.note('there are no files there')
  return [...found.values()]
}

/** What is to be put for a file; undefined when nothing is, and that was said. */
async function prepare(desk: Desk, file: FoundFile, remote: ReadonlyMap<string, Known>, options: PutOptions, summary: PutSummary): Promise<PutItem | undefined> {
  const known = remote.get(file.id)
  const same = known !== undefined && known.size === file.size && known.mtime === file.mtime && options.checksum !== true
  try {
    const checksum = same ? known.checksum : await hashTwice(desk, file)
    const item = { id: file.id, size: file.size, mtime: file.mtime, checksum, offer: offerOf(desk.disk, onDisk(file.path), file) }
    if (known === undefined || known.checksum === checksum) return item
    if (options.changed === 'keep-both') return { ...item, id: besideId(file.id, file.mtime) }
    problem(desk, summary, file.path, `it differs from what the archive has under ${idText(file.id)}; --changed keep-both stores it beside`)
  } catch (error) {
    const why = error instanceof Changed ? 'it is being changed while it is read' : error instanceof Error ? error.message : String(error)
    problem(desk, summary, file.path, why)
  }
  return undefined
}

/** A file that changes while it is read is tried once more. */
async function hashTwice({ client, disk }: Desk, file: FoundFile): Promise<string> {
  return hashFile(client.world, disk, onDisk(file.path), file).catch(async error => {
    if (!(error instanceof Changed)) throw error
    await client.world.clock.sleep(1_000)
    return hashFile(client.world, disk, onDisk(file.path), file)
  })
}

/** `a/b.jpg` changed at some time becomes `a/b (2026-11-22 101112).jpg`. */
export function besideId(id: string, mtime: number): string {
  const stamp = new Date(mtime).toISOString().slice(0, 19).replace('T', ' ').replaceAll(':', '')
  const slash = id.lastIndexOf('/') + 1
  const dot = id.lastIndexOf('.')
  const at = dot > slash ? dot : id.length
  return `${id.slice(0, at)} (${stamp})${id.slice(at)}`
}

function problem({ out }: Desk, summary: PutSummary, path: string, why: string): void {
  summary.problems++
  out.warn(`${idText(path)}: ${why}`)
  out.object({ path, outcome: 'passedOver', why })
}

function account({ out }: Desk, item: PutItem, known: boolean, summary: PutSummary): void {
  if (known) {
    summary.known++
    out.object({ id: item.id, size: item.size, outcome: 'known' })
    return
  }
  summary.stored++
  summary.storedBytes += item.size
  out.object({ id: item.id, size: item.size, outcome: 'wouldPut' })
  out.line(`would put ${idText(item.id)}`)
}

function tell({ out }: Desk, result: PutResult, summary: PutSummary): void {
  const { id, size, outcome, copies, owed, why } = result
  out.object({ id, size, outcome, copies, owed, ...(why === undefined ? {} : { why }) })
  if (outcome === 'stored') {
    if (result.known) summary.known++
    else {
      summary.stored++
      summary.storedBytes += size
    }
    for (const pillar of owed) summary.owed.set(pillar, (summary.owed.get(pillar) ?? 0) + 1)
    if (owed.length > 0 && !result.handedOver) summary.notHandedOver++
    return
  }
  if (outcome === 'duplicate') summary.problems++
  else summary.failed++
  if (copies.length === 0 && why?.includes('no answer')) summary.unanswered++
  out.warn(`${idText(id)}: ${why ?? 'not stored'}`)
}

function report({ out }: Desk, summary: PutSummary, options: PutOptions): void {
  const verb = options.dryRun ? 'would be stored' : 'stored'
  const parts = [`${summary.stored} files ${verb} (${formatBytes(summary.storedBytes)})`, `${summary.known} known`]
  if (summary.problems > 0) parts.push(`${summary.problems} passed over`)
  if (summary.failed > 0) parts.push(`${summary.failed} failed`)
  out.line(parts.join(', '))
  for (const [pillar, count] of summary.owed)
    out.line(`${pillar} is owed ${count} of them${summary.notHandedOver > 0 ? '' : '; the tracker brings them when it returns'}`)
  if (summary.notHandedOver > 0) out.warn('the tracker could not be told what is owed: repeat the command later')
  if (summary.failed > 0) out.note('colonnade: hint: repeat the same command; it goes on where it stopped')
}

function codeOf(summary: PutSummary): ExitCode {
  const good = summary.stored + summary.known
  if (summary.failed > 0 && summary.failed === summary.unanswered && good === 0) return exitCodes.nobody
  if (summary.failed > 0) return good > 0 ? exitCodes.partly : exitCodes.failed
  return summary.problems > 0 ? exitCodes.partly : exitCodes.done
}
