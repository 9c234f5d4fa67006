// What a case is, and how cases are run: no test runner is needed for it.

import type { Ground } from './ground.ts'
import { openPeer, type Peer } from './peer.ts'

/**
 * Where a demand comes from: a row of the acceptance suite of Bitrepository.org, what that suite does not demand, a known
 * fault of their pillar, a clause of DESIGN.md.
 */
export type Source =
  | `theirs ${number}`
  | `gap: ${Gap}`
  | `fault ${number}`
  | `[${string}-${number}]`

/** The rows of their acceptance suite: class and test. */
export const rows: Readonly<Record<number, string>> = {
  1: 'DefaultPillarMessagingTest.missingCollectionID',
  2: 'DefaultPillarMessagingTest.otherCollection',
  3: 'DefaultPillarIdentificationTest.irrelevantCollection',
  4: 'IdentifyPillarsForPutFileIT.normal',
  5: 'IdentifyPillarsForPutFileIT.identificationTestForChecksumPillar',
  6: 'IdentifyPillarsForPutFileIT.fileExists',
  7: 'PutFileRequestIT.normalPutFile',
  8: 'PutFileRequestIT.putFileWithMD5ReturnChecksum',
  9: 'PutFileRequestIT.putFileOperationAcceptedProgress',
  10: 'IdentifyPillarsForGetFileIT',
  11: 'GetFileRequestIT.normal',
  12: 'GetFileRequestIT.getFileWithFilePart',
  13: 'GetFileRequestIT.getMissingFile, missingCollectionID, otherCollection',
  14: 'IdentifyPillarsForGetChecksumsIT',
  15: 'GetChecksumTest',
  16: 'GetChecksumQueryTest',
  17: 'IdentifyPillarsForGetFileIDsIT',
  18: 'GetFileIDsTest',
  19: 'GetFileIDsQueryTest',
  20: 'IdentifyPillarsForDeleteFileIT',
  21: 'DeleteFileRequestIT',
  22: 'IdentifyPillarsForReplaceFileIT, ReplaceFileRequestIT',
  23: 'GetAuditTrailsTest',
  24: 'IdentifyContributorsForGetStatusIT, GetStatusRequestIT',
  25: 'MultipleCollectionIT',
}

export const gaps = {
  values: 'checksums are compared with the bytes',
  ranges: 'edges of ranges: zero, beyond the end, over 2^31 and 2^53',
  many: 'more than 10 000 items, and equal times',
  partial: 'partialResult is exact',
  restart: 'restart in the middle',
  repeated: 'a repeated request, a known key with another content',
  late: 'doubled, late and replayed messages',
  rot: 'flipped bytes on the disk',
  full: 'a full disk',
  unauthorised: 'unauthorised and unsigned requests',
  ids: 'ids that look like paths',
} as const
export type Gap = keyof typeof gaps

/** Weaknesses of their reference pillar, numbered as we found them, that show on the wire. */
export const faults: Readonly<Record<number, string>> = {
  1: 'files stored in one millisecond are lost from listings',
  2: 'an id with a slash is listed by its last part',
  3: 'ranges wrap at 2 GiB, are not checked, and come back filled with zeros',
  4: 'damaged bytes get a new checksum and are well again',
  5: 'pages of salted checksums ignore the window and the count; partialResult is wrong at the edge; the cursor stands still',
  6: 'any address is dialled, also file://; who may speak is hardly checked',
  7: 'two senders of one id disturb each other, and wait for each other',
  8: 'what was asked while the pillar was away is not heard',
  10: 'GetStatus says OK and nothing else',
}

export const needs = {
  second: 'needs a second collection that the pillar keeps',
  other: 'needs a second client of the archive (--other)',
  restart: 'needs a hand on the pillar',
  flip: 'needs a hand on the pillar',
  fill: 'needs a hand on the pillar',
  full: 'needs a hand on the pillar',
} as const
export type Need = keyof typeof needs

export interface Case {
  /** A sentence about the pillar. */
  readonly name: string
  readonly sources: readonly Source[]
  readonly needs?: readonly Need[]
  /** Rejects, with what is wrong, when the pillar does not hold to it. */
  run(peer: Peer): Promise<void>
}

export type Result = { readonly name: string; readonly sources: readonly Source[] } & (
  | { readonly is: 'passed' }
  | { readonly is: 'failed'; readonly why: string }
  | { readonly is: 'not run'; readonly why: string }
)

/** Runs one case after the other over one connection; each result is told as it comes. */
export async function runCases(
  cases: readonly Case[],
  ground: Ground,
  tell: (result: Result, ms: number) => void = () => undefined,
): Promise<Result[]> {
  const peer = await openPeer(ground)
  const results: Result[] = []
  try {
    for (const one of cases) {
      const began = ground.world.clock.monotonic()
      const result = await runCase(one, peer)
      results.push(result)
      tell(result, ground.world.clock.monotonic() - began)
    }
  } finally {
    await peer.close()
  }
  return results
}

async function runCase(one: Case, peer: Peer): Promise<Result> {
  const { name, sources } = one
  const missing = one.needs?.find((need) => !peer.has(need))
  if (missing !== undefined) return { name, sources, is: 'not run', why: needs[missing] }
  try {
    await one.run(peer.begin())
    return { name, sources, is: 'passed' }
  } catch (error) {
    return { name, sources, is: 'failed', why: error instanceof Error ? error.message : `${error}` }
  }
}

/** A source in words. */
export function sourceText(source: Source): string {
  const [kind = '', what = ''] = source.split(/:? /)
  if (kind === 'theirs') return `Bitrepository.org ${what}: ${rows[Number(what)]}`
  if (kind === 'fault') return `not as theirs: ${faults[Number(what)]}`
  return kind === 'gap' ? `not in theirs: ${gaps[what as Gap]}` : `DESIGN ${source}`
}

/** How many cases come from where, as a table in Markdown; one case may have several sources. */
export function sourceTable(cases: readonly Case[]): string {
  const having = (prefix: string): Case[] =>
    cases.filter(({ sources }) => sources.some((one) => one.startsWith(prefix)))
  const theirs = new Set(
    cases.flatMap(({ sources }) => sources.filter((one) => one.startsWith('theirs '))),
  )
  const line = (what: string, prefix: string): string => `| ${what} | ${having(prefix).length} |`
  return [
    '| cases by source; a case may have several | cases |',
    '|---|---|',
    line(
      `the acceptance suite of Bitrepository.org, ${theirs.size} rows of ${Object.keys(rows).length}`,
      'theirs ',
    ),
    ...Object.entries(gaps).map(([name, what]) => line(`not in it: ${what}`, `gap: ${name}`)),
    line('faults of their pillar, as far as they show on the wire', 'fault '),
    line('clauses of DESIGN.md', '['),
    `| all | ${cases.length} |`,
    '',
  ].join('\n')
}
