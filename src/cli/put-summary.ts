/** What is said of a put: of every file, and of all in the end. */
import type { PutResult } from '../client/put.ts'
import { formatBytes } from '../world/units.ts'
import { type ExitCode, exitCodes, formatCount, idText, many, type Output } from './output.ts'

export interface PutSummary {
  files: number
  bytes: number
  stored: number
  storedBytes: number
  known: number
  /** Copies that are owed, by pillar. */
  readonly owed: Map<string, number>
  /** Files of which the tracker could not be told what is owed. */
  notHandedOver: number
  /** What was passed over, and why is said. */
  problems: number
  failed: number
  /** Of those, the ones that no pillar answered for. */
  unanswered: number
  /** Ids of what is stored. */
  readonly kept: string[]
}

export const newSummary = (): PutSummary => ({
  files: 0,
  bytes: 0,
  stored: 0,
  storedBytes: 0,
  known: 0,
  owed: new Map(),
  notHandedOver: 0,
  problems: 0,
  failed: 0,
  unanswered: 0,
  kept: [],
})

/** A file that stays out of the archive while the rest goes on. */
export function passedOver(
  out: Output,
  summary: PutSummary,
  path: string,
  why: string,
  outcome: 'passedOver' | 'differs' = 'passedOver',
): undefined {
  summary.problems++
  out.warn(`${idText(path)}: ${why}`)
  out.object({ path, outcome, why })
  return undefined
}

/** A file for which nothing is to be sent. */
export function counted(
  out: Output,
  { id, size }: { readonly id: string; readonly size: number },
  known: boolean,
  summary: PutSummary,
): void {
  out.object({ id, size, outcome: known ? 'known' : 'wouldPut' })
  if (known) {
    summary.known++
    summary.kept.push(id)
    return
  }
  summary.stored++
  summary.storedBytes += size
  out.line(`would put ${idText(id)}`)
}

/** What came of a file that was sent. */
export function told(out: Output, result: PutResult, summary: PutSummary): void {
  const { id, size, outcome, copies, checked, damaged, owed, known, why } = result
  const said = outcome === 'stored' && known ? 'known' : outcome
  const witnesses = {
    ...(checked.length > 0 ? { checked } : {}),
    ...(damaged.length > 0 ? { damaged } : {}),
  }
  out.object({
    id,
    size,
    outcome: said,
    copies,
    ...witnesses,
    owed,
    ...(why === undefined ? {} : { why }),
  })
  if (outcome === 'stored') {
    summary.kept.push(id)
    if (known) summary.known++
    else {
      summary.stored++
      summary.storedBytes += size
    }
    for (const pillar of owed) summary.owed.set(pillar, (summary.owed.get(pillar) ?? 0) + 1)
    if (damaged.length > 0) {
      summary.problems++
      out.warn(`${idText(id)}: the copy on ${damaged.join(', ')} is damaged`)
    }
    if (owed.length > 0 && !result.handedOver) summary.notHandedOver++
    return
  }
  if (outcome === 'failed') summary.failed++
  else summary.problems++
  if (outcome === 'failed' && copies.length === 0 && why?.includes('no answer'))
    summary.unanswered++
  out.warn(`${idText(id)}: ${why ?? 'not stored'}`)
}

export function report(
  out: Output,
  summary: PutSummary,
  { dryRun }: { readonly dryRun?: boolean },
): void {
  const { stored, storedBytes, known, problems, failed, owed, notHandedOver } = summary
  const verb = dryRun ? 'would be stored' : 'stored'
  const parts = [
    `${many(stored, 'file')} ${verb} (${formatBytes(storedBytes)})`,
    `${formatCount(known)} known`,
  ]
  if (problems > 0) parts.push(`${formatCount(problems)} passed over`)
  if (failed > 0) parts.push(`${formatCount(failed)} failed`)
  out.tell(parts.join(', '))
  const brought = notHandedOver > 0 ? '' : '; the tracker brings them when it returns'
  for (const [pillar, count] of owed)
    out.tell(`${pillar} is owed ${formatCount(count)} of them${brought}`)
  if (notHandedOver > 0)
    out.warn('the tracker could not be told what is owed; repeat the command later')
  if (failed > 0) out.note('hint: repeat the same command; it goes on where it stopped')
  const { kept: _, ...counts } = summary
  out.object({ summary: { ...counts, owed: Object.fromEntries(owed) } })
}

export function codeOf(
  { stored, known, problems, failed, unanswered, owed }: PutSummary,
  { waitAll }: { readonly waitAll?: boolean },
): ExitCode {
  const good = stored + known
  if (failed > 0 && failed === unanswered && good === 0) return exitCodes.nobody
  if (failed > 0) return good > 0 ? exitCodes.partly : exitCodes.failed
  // Owed copies are no error, unless waiting for them was the wish.
  if (waitAll && owed.size > 0) return exitCodes.partly
  return problems > 0 ? exitCodes.partly : exitCodes.done
}
