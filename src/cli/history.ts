/** `colonnade history`: what was done to the files, by whom, and whether anybody has tampered with the record of it. */
import { audit, type Learnt, type TrailQuery } from '../client/trail.ts'
import type { TrailItem } from '../protocol/audit.ts'
import { checkName } from './chosen.ts'
import { type Desk, nobodyAnswered, pillarsOf } from './desk.ts'
import { Complaint, type ExitCode, exitCodes, idText, many, table } from './output.ts'

export interface HistoryOptions {
  readonly pillar?: string
  /** Milliseconds since 1970. */
  readonly since?: number
  readonly until?: number
}

/** Throws a complaint about what is no name of one file. */
export function checkHistory(id: string | undefined): void {
  if (id === undefined) return
  checkName(id)
  if (!id.endsWith('/')) return
  throw new Complaint(
    `${idText(id)} is a folder, and history is told of one file, or of the whole collection`,
    exitCodes.usage,
    'name a file, or no id at all',
  )
}

export async function history(
  desk: Desk,
  collection: string,
  id: string | undefined,
  options: HistoryOptions,
): Promise<ExitCode> {
  const pillars = pillarsOf(desk, collection, options.pillar)
  const query: TrailQuery = {
    ...(id === undefined ? {} : { fileId: id }),
    ...(options.since === undefined ? {} : { since: options.since }),
    ...(options.until === undefined ? {} : { until: options.until }),
  }
  let broken = 0
  let silent = 0
  let entries = 0
  for await (const learnt of audit(desk.client, collection, query, desk.signal, pillars)) {
    tell(desk, learnt)
    if (learnt.is === 'chain' && learnt.chain.brokenAt !== undefined) broken++
    if (learnt.is === 'silent') silent++
    if (learnt.is === 'entries') entries += learnt.entries.length
  }
  if (broken > 0) return exitCodes.failed
  if (silent === pillars.length && entries === 0) throw nobodyAnswered(desk, collection)
  if (entries === 0) desk.out.note('nothing is recorded of what was asked for')
  return silent > 0 ? exitCodes.partly : exitCodes.done
}

function tell({ out }: Desk, learnt: Learnt): void {
  const { pillar } = learnt
  switch (learnt.is) {
    case 'entries':
      for (const entry of learnt.entries) out.object({ pillar, ...entry })
      // Page by page: a trail may be longer than memory.
      for (const line of table(
        learnt.entries.map((entry) => [pillar, ...rowOf(entry)]),
        [1],
      ))
        out.line(line)
      break
    case 'chain': {
      const { entries, brokenAt, volume } = learnt.chain
      out.object({ pillar, chain: learnt.chain })
      const whose = volume === undefined ? pillar : `${pillar}, volume ${volume}`
      const length = `chain of ${whose}: ${many(entries, 'entry', 'entries')}`
      if (brokenAt === undefined) out.line(`${length}, whole`)
      else out.line(`chain of ${whose}: broken at entry ${brokenAt}; what follows proves nothing`)
      break
    }
    case 'silent':
      out.object({ pillar, outcome: 'silent', why: learnt.why })
      out.warn(learnt.why)
  }
}

function rowOf({ sequence, at, event, outcome, actor, fileId, information }: TrailItem): string[] {
  const why = information === undefined ? '' : ` (${information})`
  return [`${sequence}`, at, `${event}: ${outcome}`, `by ${actor}`, `${idText(fileId)}${why}`]
}
