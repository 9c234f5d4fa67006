/** `colonnade collection allow`: the owner allows a change of many files that is planned, to one client and for a time. */
import type { ArchiveDocument } from '../protocol/document.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import { ownerOf, published } from './collection.ts'
import { type Desk, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, formatCount } from './output.ts'

export interface AllowOptions {
  readonly member?: string
  /** Files in a day; nothing any more when absent. */
  readonly changes?: number
  /** Milliseconds. */
  readonly for?: number
  readonly end?: boolean
  readonly ownerKey?: string
}

const dayMs = 24 * 3_600_000
const longestMs = 31 * dayMs

export function checkAllow({ member, changes, end, for: ms = dayMs }: AllowOptions): void {
  const hint = '`colonnade collection allow home --member laptop --changes 5000 --for 1d`'
  if (member === undefined || (changes === undefined) === (end !== true))
    throw new Complaint(
      'say whom by --member, and how many files a day by --changes, or --end',
      exitCodes.usage,
      hint,
    )
  if (ms > longestMs)
    throw new Complaint('a leave ends after 31 days at most', exitCodes.usage, hint)
}

export async function allow(
  desk: Desk,
  collection: string,
  { member = '', changes, for: ms = dayMs, ownerKey }: AllowOptions,
): Promise<ExitCode> {
  const { client, out } = desk
  pillarsOf(desk, collection)
  const document = client.directory.document()
  if (client.directory.identity(member)?.role !== 'client')
    throw new Complaint(`${member} is no client of this archive`, exitCodes.failed)
  const owner = ownerOf(desk, ownerKey ?? desk.ownerKey)
  const now = client.world.clock.now()
  const until = timeText(now + ms)
  const leave =
    changes === undefined ? [] : [{ identity: member, collection, files: changes, until }]
  const massChanges = [...othersNow(document, member, collection, now), ...leave]
  await published(desk, { ...document, massChanges }, owner)
  out.object({ collection, member, ...(leave[0] ?? { files: 0 }) })
  if (changes === undefined) out.line(`${member} has no leave for ${collection} any more`)
  else {
    out.line(
      `${member} may change ${formatCount(changes)} files of ${collection} a day until ${until}`,
    )
    out.note('boards still keep to their own floor.changes, which nobody can lower from afar')
  }
  return exitCodes.done
}

/** What is over, or given anew, goes. */
const othersNow = (
  { massChanges = [] }: ArchiveDocument,
  member: string,
  collection: string,
  now: number,
) =>
  massChanges.filter(
    (one) =>
      timeValue(one.until) > now && !(one.identity === member && one.collection === collection),
  )
