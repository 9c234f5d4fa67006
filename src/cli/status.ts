/** `colonnade status`: first a verdict, then what it rests on. */
import { statuses } from '../client/list.ts'
import type { Status } from '../protocol/messages.ts'
import { formatBytes } from '../world/units.ts'
import { type ExitCode, exitCodes, table } from './output.ts'
import type { Desk } from './put.ts'

export interface Verdict {
  readonly safe: boolean
  readonly sentence: string
}

export interface Seen {
  readonly pillar: string
  readonly site: string | undefined
  readonly status: Status | undefined
}

/** The verdict is pure: what is known of every pillar in, one sentence out. */
export function verdict(seen: readonly Seen[], copiesMin: number): Verdict {
  const there = seen.filter((one): one is Seen & { status: Status } => one.status !== undefined)
  const silent = seen.filter(one => one.status === undefined).map(one => one.pillar)
  if (there.length === 0) return { safe: false, sentence: 'Attention: no pillar answered; is the archive running, and this computer connected?' }
  const failed = there.filter(one => one.status.verdict === 'ERROR')
  if (failed[0]) return { safe: false, sentence: `Attention: ${failed[0].pillar} has failed (${failed[0].status.text}); look after its disk, then start it again` }
  const fullest = Math.max(...there.map(one => one.status.files))
  const digests = new Set(there.map(one => one.status.digest))
  const behind = there.filter(one => one.status.files < fullest).map(one => one.pillar)
  if (digests.size > 1 && behind.length > 0) return { safe: false, sentence: `Attention: ${behind.join(', ')} has fewer files than the others; leave it running, or repeat the last put` }
  if (digests.size > 1) return { safe: false, sentence: 'Attention: the pillars have different files; `colonnade checksums` tells which' }
  if (silent.length > 0) return { safe: false, sentence: `Attention: ${silent.join(', ')} did not answer; ${fullest} files have ${there.length} copies that do` }
  if (there.length < copiesMin) return { safe: false, sentence: `Attention: only ${there.length} of ${copiesMin} copies; add a pillar` }
  const places = new Set(there.map(one => one.site ?? '')).size
  const proofs = there.flatMap(one => (one.status.oldestProof === undefined ? [] : [one.status.oldestProof])).sort()
  const since = proofs[0] === undefined ? '' : `, each proven since ${proofs[0].slice(0, 10)}`
  return { safe: true, sentence: `Safe: ${fullest} files, ${there.length} copies in ${places} ${places === 1 ? 'place' : 'places'}${since}` }
}

export async function status(desk: Desk, collections: readonly string[], options: { readonly check?: boolean }): Promise<ExitCode> {
  const { client, out, signal } = desk
  let safe = true
  let nobody = true
  for (const collection of collections) {
    const found = await statuses(client, collection, signal)
    const { pillars, copiesMin } = client.policy(collection)
    const seen = pillars.map(pillar => ({ pillar, site: client.directory.identity(pillar)?.site, status: found.get(pillar) }))
    const { safe: well, sentence } = verdict(seen, copiesMin)
    safe &&= well
    nobody &&= seen.every(one => one.status === undefined)
    out.line(collections.length > 1 ? `${collection}: ${sentence}` : sentence)
    for (const line of table(seen.map(rowOf))) out.line(`  ${line}`)
    out.object({ collection, safe: well, verdict: sentence, pillars: seen })
  }
  if (nobody) return exitCodes.nobody
  return options.check && !safe ? exitCodes.failed : exitCodes.done
}

function rowOf({ pillar, site, status: one }: Seen): string[] {
  if (!one) return [pillar, site ?? '', 'no answer']
  const free = one.volumes.map(volume => `${formatBytes(volume.bytesFree)} of ${formatBytes(volume.bytesTotal)} free`).join(', ')
  const receiving = one.receiving > 0 ? `, ${one.receiving} on their way` : ''
  return [pillar, site ?? '', `${one.files} files, ${formatBytes(one.bytes)}${receiving}`, free, `${one.verdict}: ${one.text}`]
}
