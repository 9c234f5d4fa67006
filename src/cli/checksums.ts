/** `colonnade checksums`: as the pillars have them in their books, or as they compute them from their bytes now. */
import { type FileSums, standingOf, sumsOf } from '../client/proofs.ts'
import {
  type ChecksumSpec,
  checksumAlgorithms,
  isIndexed,
  specFault,
} from '../protocol/checksums.ts'
import { fileIdFault } from '../protocol/scalars.ts'
import { chosen, missingOf, queriesFor } from './chosen.ts'
import { type Desk, nobodyAnswered, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText } from './output.ts'

export interface ChecksumsOptions {
  readonly pillar?: string
  readonly algorithm?: string
  /** In hexadecimal. */
  readonly salt?: string
}

/** What the options ask for; a complaint when they do not go together. */
export function specOf({ algorithm, salt }: ChecksumsOptions): ChecksumSpec {
  if (algorithm === undefined && salt !== undefined)
    throw new Complaint(
      'a salt goes with an HMAC algorithm only',
      exitCodes.usage,
      'add --algorithm HMAC-SHA-256',
    )
  const name = (algorithm ?? 'SHA-256').toUpperCase().replace(/SHA(?=\d)/, 'SHA-')
  const spec = { algorithm: name, ...(salt === undefined ? {} : { salt }) }
  const fault = specFault(spec)
  if (!fault) return spec
  const unknown = !checksumAlgorithms.includes(name)
  const salted = name.startsWith('HMAC-')
  const hint = unknown
    ? `there are: ${checksumAlgorithms.join(', ')}`
    : salted
      ? 'like --salt "$(openssl rand -hex 32)"'
      : `leave --salt away, or ask for HMAC-${name}`
  throw new Complaint(fault.text, exitCodes.usage, hint)
}

/** In the form that `sha256sum -c`, `md5sum -c` and the like read. */
export async function checksums(
  desk: Desk,
  collection: string,
  names: readonly string[] | 'all',
  options: ChecksumsOptions,
): Promise<ExitCode> {
  const spec = specOf(options)
  return isIndexed(spec)
    ? known(desk, collection, names, options.pillar)
    : computed(desk, collection, names, spec, options.pillar)
}

async function known(
  desk: Desk,
  collection: string,
  names: readonly string[] | 'all',
  pillar?: string,
): Promise<ExitCode> {
  const { out } = desk
  const { files, missing } = await chosen(desk, collection, names, pillar)
  let differ = false
  for (const { id, checksum, pillars, differing } of files) {
    out.object({ id, checksum, pillars, differing })
    out.exact(sumLine(id, checksum))
    if (differing.length === 0) continue
    differ = true
    out.warn(`${idText(id)}: ${differing.join(', ')} has other bytes`)
  }
  return ended(desk, missing, files.length, differ)
}

async function computed(
  desk: Desk,
  collection: string,
  names: readonly string[] | 'all',
  spec: ChecksumSpec,
  pillar?: string,
): Promise<ExitCode> {
  const { client, out, signal } = desk
  const pillars = pillarsOf(desk, collection, pillar)
  const files = new Map<string, FileSums>()
  const answered = new Set(pillars)
  for (const query of queriesFor(names)) {
    const found = await sumsOf(client, { collection, pillars, query, spec, signal })
    for (const [absent, why] of found.absent) if (answered.delete(absent)) out.note(why)
    if (found.answered.length === 0) throw nobodyAnswered(desk, collection)
    for (const [id, file] of found.files) if (fileIdFault(id) === undefined) files.set(id, file)
  }
  let trouble = false
  const sorted = [...files].toSorted(([one], [other]) => (one < other ? -1 : 1))
  for (const [id, file] of sorted) {
    const { sum, copies, differing, failed } = standingOf(file, [...answered])
    out.object({ id, ...spec, checksum: sum, pillars: copies, differing, failed })
    if (sum !== undefined) out.exact(sumLine(id, sum))
    if (differing.length > 0) out.warn(`${idText(id)}: ${differing.join(', ')} has other bytes`)
    for (const one of failed) out.warn(`${idText(id)}: ${one}: ${file.failed.get(one)}`)
    trouble ||= differing.length + failed.length > 0
  }
  const missing = names === 'all' ? [] : missingOf(names, [...files.keys()])
  return ended(desk, missing, files.size, trouble)
}

function ended(
  { out }: Desk,
  missing: readonly string[],
  files: number,
  trouble: boolean,
): ExitCode {
  for (const id of missing) {
    out.warn(`${idText(id)}: no pillar that answered has it`)
    out.object({ id, outcome: 'notFound' })
  }
  if (missing.length > 0 && files === 0) return exitCodes.failed
  return missing.length > 0 || trouble ? exitCodes.partly : exitCodes.done
}

const sumEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r' }

/** A line of GNU sha256sum: a backslash in front says that the name is escaped. */
export function sumLine(id: string, checksum: string): string {
  const escaped = id.replace(/[\\\n\r]/g, (character) => sumEscapes[character] ?? character)
  return `${escaped === id ? '' : '\\'}${checksum}  ${escaped}`
}
