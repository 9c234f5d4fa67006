/**
 * `colonnade verify`: a salt that nobody can have known makes the pillars read every byte again. With a path, what they
 * say is compared with the files there: is it safe to delete them?
 */
import { Buffer } from 'node:buffer'
import { Changed, hashFile } from '../client/files.ts'
import { survey } from '../client/list.ts'
import { type FileSums, type Standing, type Sums, standingOf, sumsOf } from '../client/proofs.ts'
import { type ChecksumSpec, hasherFor } from '../protocol/checksums.ts'
import { fileIdFault } from '../protocol/scalars.ts'
import type { Random } from '../world/world.ts'
import { type Desk, nobodyAnswered, onDisk, pillarsOf } from './desk.ts'
import { gather } from './gather.ts'
import {
  Complaint,
  type ExitCode,
  exitCodes,
  formatCount,
  idText,
  many,
  reasonOf,
} from './output.ts'
import { type Progress, progress } from './progress.ts'
import { checkPut } from './put.ts'
import { newSummary } from './put-summary.ts'
import { type FoundFile, seenAgain } from './walk.ts'

export interface VerifyOptions {
  readonly as?: string
  /** `5` or `5%`. */
  readonly sample?: string
  readonly pillar?: string
}

/** Throws a complaint about what can not be meant. */
export function checkVerify(path: string | undefined, options: VerifyOptions): void {
  const { as, sample } = options
  checkPut(options)
  const usage = (sentence: string, hint: string): Complaint =>
    new Complaint(sentence, exitCodes.usage, hint)
  if (as !== undefined && path === undefined)
    throw usage('--as goes with a path only', 'name the folder that was put')
  if (sample === undefined) return
  if (sampleSize(sample, 100) === undefined)
    throw usage(`--sample ${sample} is no amount`, 'a number like 100, or a part like 5%')
  if (path !== undefined)
    throw usage(
      'a sample says of no other file that it is safe to delete',
      'leave --sample or the path away',
    )
}

/** How many of so many; undefined when the text says nothing like it. */
export function sampleSize(text: string, of: number): number | undefined {
  const [, number, percent] = /^(\d{1,9}(?:\.\d{1,3})?)(%?)$/.exec(text) ?? []
  const amount = Number(number)
  if (number === undefined || amount === 0) return undefined
  if (percent !== '') return amount > 100 ? undefined : Math.ceil((of * amount) / 100)
  return Number.isInteger(amount) ? Math.min(amount, of) : undefined
}

/** So many of them, each as likely as any other, in their order. */
export function sampled<T>(all: readonly T[], size: number, random: Pick<Random, 'next'>): T[] {
  let wanted = Math.min(size, all.length)
  return all.filter((_, n) => {
    const taken = random.next() * (all.length - n) < wanted
    if (taken) wanted--
    return taken
  })
}

export async function verify(
  desk: Desk,
  collection: string,
  path: string | undefined,
  options: VerifyOptions,
): Promise<ExitCode> {
  const bytes = desk.client.world.random.bytes(32)
  const spec = { algorithm: 'HMAC-SHA-256', salt: Buffer.from(bytes).toString('hex') }
  return path === undefined
    ? verifyArchive(desk, collection, spec, options)
    : verifyLocal(desk, collection, spec, path, options)
}

/** All pillars against each other. */
async function verifyArchive(
  desk: Desk,
  collection: string,
  spec: ChecksumSpec,
  { sample, pillar }: VerifyOptions,
): Promise<ExitCode> {
  const { client, out } = desk
  const pillars = pillarsOf(desk, collection, pillar)
  const listed = await survey(client, collection, {}, desk.signal, pillars)
  if (listed.silent.length === pillars.length) throw nobodyAnswered(desk, collection)
  // What comes from outside is no id until it is known to be one.
  const all = [...listed.files.values()].filter(({ id }) => fileIdFault(id) === undefined)
  const size = sample === undefined ? all.length : (sampleSize(sample, all.length) ?? 0)
  const files = sampled(all, size, client.world.random)
  const sizes = new Map(files.map((file) => [file.id, file.size]))
  checkProvers(desk, pillars)
  const sums = await proofs(desk, collection, pillars.filter(client.line.keepsFiles), spec, sizes)
  // One pillar alone has no others to be compared with.
  const needed = pillar === undefined ? client.policy(collection).copiesMin : 1
  let good = 0
  for (const id of [...sizes.keys()].toSorted()) {
    const file = sums.files.get(id) ?? nothing
    const standing = standingOf(file, sums.answered)
    const reasons = reasonsOf(standing, file)
    const witnesses = listed.files.get(id)?.differing.filter((one) => !client.line.keepsFiles(one))
    if (witnesses?.length) reasons.push(`another checksum on ${witnesses.join(', ')}`)
    if (sums.answered.length < needed)
      reasons.push(`only ${sums.answered.length} of ${many(needed, 'pillar')} answered`)
    if (reasons.length === 0) good++
    tellFile(desk, id, reasons, standing)
  }
  const of = `${formatCount(good)} of ${many(files.length, 'file')}`
  const how = size < all.length ? `, of ${formatCount(all.length)} in all` : ''
  out.tell(`proven on ${sums.answered.join(', ')}: ${of}${how}`)
  out.object({ proven: good, of: files.length, pillars: sums.answered })
  return good === files.length ? exitCodes.done : exitCodes.partly
}

/** Whoever has no bytes can prove nothing of them. */
function checkProvers({ client }: Desk, pillars: readonly string[]): void {
  if (pillars.some(client.line.keepsFiles)) return
  throw new Complaint(
    `${pillars.join(', ')} keeps checksums only, and can prove nothing`,
    exitCodes.failed,
    'name a pillar that keeps files, or none',
  )
}

/** The files here against all pillars. */
async function verifyLocal(
  desk: Desk,
  collection: string,
  spec: ChecksumSpec,
  path: string,
  options: VerifyOptions,
): Promise<ExitCode> {
  const { client, out } = desk
  const pillars = pillarsOf(desk, collection, options.pillar)
  const { copiesMin } = client.policy(collection)
  const summary = newSummary()
  const found = await gather(
    desk,
    [path],
    options.as === undefined ? {} : { as: options.as },
    summary,
  )
  const sizes = new Map(found.map((file) => [file.id, file.size]))
  const [sums, own] = await Promise.all([
    proofs(desk, collection, pillars, spec, sizes),
    hashed(desk, found, spec),
  ])
  let safe = 0
  for (const file of found) {
    const mine = await unlessChanged(own.get(file.id))
    const said = sums.files.get(file.id) ?? nothing
    const standing = standingOf(said, sums.answered, mine?.sum ?? '')
    const reasons = mine?.why === undefined ? reasonsOf(standing, said) : [mine.why]
    const enough = mine?.why === undefined && standing.copies.length >= copiesMin
    if (!enough && mine?.why === undefined)
      reasons.push(
        `${standing.copies.length} of ${many(copiesMin, 'proven copy', 'proven copies')}`,
      )
    if (enough) safe++
    tellFile(desk, file.id, reasons, { ...standing, safe: enough })
  }
  const total = found.length + summary.problems
  out.tell(`safe to delete: ${formatCount(safe)} of ${formatCount(total)}`)
  out.object({ safe, of: total })
  return safe === total ? exitCodes.done : exitCodes.partly
}

const nothing: FileSums = { sums: new Map(), failed: new Map() }

/** Why not everything is as it should be, a clause each. */
function reasonsOf({ differing, missing, failed }: Standing, { failed: why }: FileSums): string[] {
  return [
    ...(differing.length > 0 ? [`other bytes on ${differing.join(', ')}`] : []),
    ...(missing.length > 0 ? [`missing on ${missing.join(', ')}`] : []),
    ...failed.map((pillar) => `on ${pillar} ${why.get(pillar)}`),
  ]
}

function tellFile({ out }: Desk, id: string, reasons: readonly string[], about: object): void {
  if (reasons.length > 0) out.warn(`${idText(id)}: ${reasons.join('; ')}`)
  out.object({ id, ...about, ...(reasons.length > 0 ? { why: reasons.join('; ') } : {}) })
}

/** Asks the pillars for files of these sizes, and shows how far they are. */
async function proofs(
  desk: Desk,
  collection: string,
  pillars: readonly string[],
  spec: ChecksumSpec,
  sizes: ReadonlyMap<string, number>,
): Promise<Sums> {
  const { client, out, signal } = desk
  const bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const quiet = out.quiet || out.json || sizes.size === 0
  const bar = progress({ verb: 'verify', bytes, files: sizes.size, quiet })
  const query = { ids: [...sizes.keys()] }
  const watch = watching(bar, pillars, sizes)
  try {
    const asked = { collection, pillars, query, spec, signal, progress: watch }
    const sums = await sumsOf(client, asked)
    if (sums.answered.length === 0) throw nobodyAnswered(desk, collection)
    for (const why of sums.absent.values()) out.note(why)
    return sums
  } finally {
    bar.end()
  }
}

/** All pillars together are as far as they are on average. */
function watching(bar: Progress, pillars: readonly string[], sizes: ReadonlyMap<string, number>) {
  const at = new Map(pillars.map((pillar) => [pillar, { bytes: 0, files: 0, open: 0 }]))
  return (pillar: string, done: readonly string[], open: number): void => {
    const one = at.get(pillar)
    if (!one) return
    one.bytes += done.reduce((sum, id) => sum + (sizes.get(id) ?? 0), 0)
    one.files += done.length
    one.open = open
    const all = [...at.values()]
    const mean = (sum: number): number => Math.floor(sum / all.length)
    const moved = mean(all.reduce((sum, { bytes, open }) => sum + bytes + open, 0))
    bar.at(moved, mean(all.reduce((sum, { files }) => sum + files, 0)))
  }
}

interface Own {
  readonly sum?: string
  /** As it was when it was read. */
  readonly file?: FoundFile
  /** Why there is none. */
  readonly why?: string
}

/** What the files here would have to be on the pillars. */
async function hashed(
  { client, disk, signal }: Desk,
  files: readonly FoundFile[],
  spec: ChecksumSpec,
): Promise<ReadonlyMap<string, Own>> {
  const found = new Map<string, Own>()
  for (const file of files) {
    const now = await seenAgain(file)
    if (now.is === 'passedOver') {
      found.set(file.id, { why: now.why })
      continue
    }
    try {
      const hasher = hasherFor(client.world, spec)
      const sum = await hashFile(client.world, disk, onDisk(file.path), now, { signal, hasher })
      found.set(file.id, { sum, file: now })
    } catch (error) {
      signal.throwIfAborted()
      const changed = error instanceof Changed
      found.set(file.id, {
        why: changed ? 'it is being changed while it is read' : reasonOf(error),
      })
    }
  }
  return found
}

/** The pillars may have taken hours: what was changed meanwhile is not what they have. */
async function unlessChanged(own: Own | undefined): Promise<Own | undefined> {
  if (own?.file === undefined) return own
  const now = await seenAgain(own.file)
  if (now.is === 'passedOver') return { why: now.why }
  const same = now.size === own.file.size && now.mtime === own.file.mtime
  return same ? own : { why: 'it has changed since it was read' }
}
