/** `colonnade status`: first a verdict, then what it rests on. */
import { statuses } from '../client/list.ts'
import { repairsUnderWay } from '../client/repairs.ts'
import type { Status } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import { formatBytes, formatDuration } from '../world/units.ts'
import { type Desk, pillarsOf } from './desk.ts'
import { farewell, unusableLine } from './leaving.ts'
import { Complaint, type ExitCode, exitCodes, many, table } from './output.ts'
import { findingLine, repairLine } from './repairs.ts'

export interface Verdict {
  readonly safe: boolean
  readonly sentence: string
}

export interface Seen {
  readonly pillar: string
  readonly site: string | undefined
  readonly status: Status | undefined
  /** It has gone for lack of power, and means to be back by then; milliseconds since 1970. */
  readonly downUntil?: number | undefined
}

type There = Seen & { readonly status: Status }

/** A checksum pillar bears witness, and has no copy. */
const hasCopies = ({ status }: There): boolean => status.kind !== 'checksum'

/** The verdict is pure: what is known of every pillar in, one sentence out. */
export function verdict(seen: readonly Seen[], copiesMin: number): Verdict {
  const there = seen.filter((one): one is There => one.status !== undefined)
  const trouble = troubleOf(there, seen, copiesMin)
  if (trouble !== undefined) return { safe: false, sentence: `Attention: ${trouble}` }
  const keepers = there.filter(hasCopies)
  const files = there[0]?.status.files ?? 0
  if (files === 0)
    return {
      safe: true,
      sentence: `Safe: there are no files yet, ${many(there.length, 'pillar')} ready`,
    }
  const spread = there[0]?.status.copies
  if (spread)
    return {
      safe: true,
      sentence: `Safe: ${many(files, 'file')} in fragments, ${many(spread.least, 'copy', 'copies')} of each on ${many(spread.pillars, 'pillar')}`,
    }
  const places = new Set(keepers.map((one) => one.site ?? '')).size
  const proofs = keepers.flatMap(({ status }) => status.oldestProof ?? []).sort()
  const since = proofs[0] === undefined ? '' : `, each proven since ${proofs[0].slice(0, 10)}`
  const copies = `${many(keepers.length, 'copy', 'copies')} in ${many(places, 'place')}`
  return { safe: true, sentence: `Safe: ${many(files, 'file')}, ${copies}${since}` }
}

/** What is wrong, and what to do about it; the worst first. */
function troubleOf(
  there: readonly There[],
  seen: readonly Seen[],
  copiesMin: number,
): string | undefined {
  const names = (some: readonly Seen[]): string => some.map(({ pillar }) => pillar).join(', ')
  if (there.length === 0)
    return 'no pillar answered; switch them on, and look whether this computer is connected'
  const failed = there.find(({ status }) => status.verdict === 'ERROR')
  if (failed)
    return `${failed.pillar} has failed (${failed.status.text}); look after its disk, then start it again`
  const fullest = Math.max(...there.map(({ status }) => status.files))
  const behind = there.filter(({ status }) => status.files < fullest)
  if (behind.length > 0)
    return `${names(behind)} ${behind.length === 1 ? 'has' : 'have'} fewer files than the others; they are brought to it while all are running`
  if (new Set(there.map(({ status }) => status.digest)).size > 1)
    return 'the pillars have different files; look with `colonnade checksums` which'
  const silent = seen.filter(({ status }) => status === undefined)
  const left = silent.filter((one) => one.downUntil !== undefined)
  if (left.length > 0 && left.length === silent.length)
    return `${names(left)} ${left.length === 1 ? 'has' : 'have'} gone for lack of power, ${many(fullest, 'file')} on ${many(there.length, 'other')}; the others wait for it, look whether it has its mains`
  if (silent.length > 0)
    return `${names(silent)} did not answer, ${many(fullest, 'file')} on ${many(there.length, 'other')}; switch it on, or look after its link`
  const keepers = there.filter(hasCopies).length
  if (keepers < copiesMin)
    return `only ${keepers} of ${many(copiesMin, 'copy', 'copies')}; add a pillar`
  const scarce = there.find(({ status: { copies } }) => copies && copies.least < copies.wanted)
  if (scarce?.status.copies)
    return `some fragments have only ${scarce.status.copies.least} of ${many(scarce.status.copies.wanted, 'copy', 'copies')}; they are brought to their number while enough pillars are running`
  const warned = there.find(({ status }) => status.verdict === 'WARNING')
  if (warned) return `${warned.pillar}: ${warned.status.text}; ${hintFor(warned.status)}`
  return undefined
}

function hintFor({ power }: Status): string {
  switch (power?.mode) {
    case 'battery':
    case 'ending':
      return 'it takes nothing new until its mains are back'
    case 'weak':
      return 'give it a better supply or cable'
    case 'unknown':
      return 'look after its UPS, and the cable to it'
    default:
      return 'give it a larger disk'
  }
}

/** Of the collections that are named, else of all. */
export async function status(
  desk: Desk,
  named: readonly string[],
  options: { readonly check?: boolean; readonly verbose?: boolean },
): Promise<ExitCode> {
  const { client, out, signal } = desk
  const all = client.directory.document().collections.map(({ name }) => name)
  const collections = named.length > 0 ? named : all
  if (collections.length === 0)
    throw new Complaint('this archive has no collection yet', exitCodes.failed)
  for (const collection of collections) pillarsOf(desk, collection)
  let safe = true
  let nobody = true
  const asked = repairsUnderWay(client, signal)
  // Waited for below; the pillars are asked meanwhile.
  asked.catch(() => undefined)
  for (const collection of collections) {
    const found = await statuses(client, collection, signal)
    const { pillars, copiesMin } = client.policy(collection)
    const seen = pillars.map((pillar) => ({
      pillar,
      site: client.directory.identity(pillar)?.site,
      status: found.get(pillar),
      downUntil: client.line.downUntil(pillar),
    }))
    const told = await asked
    const leaving = told?.leaving ?? []
    const names = leaving.map(({ pillar }) => pillar)
    const counting = seen.filter(({ pillar }) => !names.includes(pillar))
    const { safe: well, sentence } = verdict(counting, copiesMin)
    safe &&= well
    nobody &&= seen.every((one) => one.status === undefined)
    out.line(collections.length > 1 ? `${collection}: ${sentence}` : sentence)
    if (!out.quiet) for (const line of table(rowsOf(seen, options))) out.line(`  ${line}`)
    const of = <T extends { readonly collection: string }>(some: readonly T[] = []): T[] =>
      some.filter((one) => one.collection === collection)
    const [repairs, findings] = [of(told?.repairs), of(told?.findings)]
    const about = { statuses: found, leaving: names, copiesMin }
    const farewells = of(leaving).map((one) => ({ ...one, ...farewell(one, about) }))
    const unusable = of(told?.unusable)
    const lines = [...farewells.map(({ line }) => line), ...unusable.map(unusableLine)]
    for (const line of [...lines, ...repairs.map(repairLine), ...findings.map(findingLine)])
      out.line(`  ${line}`)
    out.object({
      collection,
      safe: well,
      verdict: sentence,
      pillars: seen,
      repairs,
      findings,
      leaving: farewells,
      unusable,
    })
  }
  const notes = (await asked)?.notes ?? []
  for (const note of notes) out.line(`attention: ${note}`)
  if (notes.length > 0) out.object({ notes })
  if (nobody) return exitCodes.nobody
  return options.check && !safe ? exitCodes.failed : exitCodes.done
}

/** A row each; with versions when they are wanted, or when they differ; with proofs, wear and cipher when all is wanted. */
export function rowsOf(
  seen: readonly Seen[],
  { verbose = false }: { readonly verbose?: boolean } = {},
): string[][] {
  const versions = new Set(seen.flatMap(({ status: one }) => one?.version ?? []))
  const told = verbose || versions.size > 1
  return seen.map((one) => {
    const { status } = one
    if (!status) return rowOf(one, [])
    const more = verbose ? [provenText(status), wearText(status), cipherText(status)] : []
    return rowOf(one, [...more, ...(told ? [`version ${status.version}`] : [])])
  })
}

/** When the oldest proof is of, and how many files were last proven how long ago. */
function provenText({ oldestProof, proofAges = [] }: Status): string {
  const since =
    oldestProof === undefined ? 'not proven yet' : `proven since ${oldestProof.slice(0, 10)}`
  return `${since}${proofAges.map(({ days, files }) => `, ${files} over ${days} days`).join('')}`
}

const wearText = ({ wear }: Status): string =>
  wear === undefined
    ? ''
    : `${formatBytes(wear.bytes)} written outside its disks in ${formatDuration(wear.ms)}`

const cipherText = ({ cipher }: Status): string => (cipher === undefined ? '' : `${cipher} first`)

function rowOf(
  { pillar, site, status: one, downUntil }: Seen,
  version: readonly string[],
): string[] {
  if (!one && downUntil !== undefined)
    return [pillar, site ?? '', `down on purpose until ${timeText(downUntil)}, for lack of power`]
  if (!one) return [pillar, site ?? '', 'no answer']
  const free = one.volumes
    .map(({ id, state, bytesFree, bytesTotal }) =>
      bytesTotal === 0
        ? `volume ${id} ${state}`
        : `${formatBytes(bytesFree)} of ${formatBytes(bytesTotal)} free`,
    )
    .join(', ')
  const aside = one.volumes.reduce((sum, { bytesRetained }) => sum + bytesRetained, 0)
  const kept = aside > 0 ? `, ${formatBytes(aside)} of deleted files kept aside` : ''
  const receiving = one.receiving > 0 ? `, ${one.receiving} on their way` : ''
  const what = one.kind === 'checksum' ? 'checksum' : 'file'
  const old = one.proofAges?.find(({ days, files }) => days === 90 && files > 0)
  const unproven = old ? `, ${old.files} not proven for 90 days` : ''
  const held = `${many(one.files, what)}, ${formatBytes(one.bytes)}${receiving}${kept}${unproven}`
  return [pillar, site ?? '', held, free, ...version, `${one.verdict}: ${one.text}`]
}
