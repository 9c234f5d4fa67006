/** Checksums that the pillars compute from their bytes when asked, and what they say together. */
import { compose } from '../post/compose.ts'
import type { ChecksumSpec } from '../protocol/checksums.ts'
import { type Client, Unable } from './client.ts'
import { identify } from './identify.ts'
import { common, type ListQuery, pages } from './pages.ts'

/** What the pillars say of one file. */
export interface FileSums {
  /** By pillar. */
  readonly sums: ReadonlyMap<string, string>
  /** Pillars that could not read it, or found other bytes than were stored, and why. */
  readonly failed: ReadonlyMap<string, string>
}

export interface Sums {
  readonly files: ReadonlyMap<string, FileSums>
  /** Pillars that said all that was asked. */
  readonly answered: readonly string[]
  /** Pillars that did not, and why. */
  readonly absent: ReadonlyMap<string, string>
}

export interface Summing {
  readonly collection: string
  readonly pillars: readonly string[]
  readonly query: ListQuery
  readonly spec: ChecksumSpec
  readonly signal: AbortSignal
  /** A pillar has done these files, and has read so many bytes of those that it is at. */
  progress?(pillar: string, done: readonly string[], bytes: number): void
}

/** Asks all pillars at the same time. What a pillar said that then fell silent does not count. */
export async function sumsOf(client: Client, summing: Summing): Promise<Sums> {
  const { collection, pillars, spec, signal } = summing
  const type = 'IdentifyPillarsForGetChecksumsRequest'
  const fields = { ...common(client, collection), checksumSpec: spec }
  const request = compose<typeof type>(client.world, client.name, { type, ...fields })
  const there = await identify(client, request, pillars, signal)
  const files = new Map<string, { sums: Map<string, string>; failed: Map<string, string> }>()
  const absent = new Map<string, string>()
  const fileOf = (id: string) => {
    const file = files.get(id) ?? { sums: new Map(), failed: new Map() }
    files.set(id, file)
    return file
  }
  const ask = async (pillar: string): Promise<void> => {
    try {
      if (!there.has(pillar)) throw new Unable(`${pillar} did not answer`)
      const { sums, failed } = await askPillar(client, summing, pillar)
      for (const [id, sum] of sums) fileOf(id).sums.set(pillar, sum)
      for (const [id, why] of failed) fileOf(id).failed.set(pillar, why)
    } catch (error) {
      if (!(error instanceof Unable)) throw error
      absent.set(pillar, error.message)
    }
  }
  await Promise.all(pillars.map(ask))
  return { files, answered: pillars.filter((pillar) => !absent.has(pillar)), absent }
}

async function askPillar(client: Client, summing: Summing, pillar: string) {
  const { collection, query, spec, signal, progress } = summing
  const sums = new Map<string, string>()
  const failed = new Map<string, string>()
  const working = (bytes: number): void => progress?.(pillar, [], bytes)
  const listed = { collection, pillar, query, signal, checksumSpec: spec, working }
  for await (const final of pages(client, 'GetChecksums', listed)) {
    const { algorithm, salt } = final.checksumSpec ?? {}
    // One that knows nothing of it answers as it always did.
    if (algorithm !== spec.algorithm || salt !== spec.salt)
      throw new Unable(`${pillar} does not know checksums by ${spec.algorithm}`)
    for (const { id, checksum } of final.items) sums.set(id, checksum)
    for (const { id, text, code } of final.failed ?? []) failed.set(id, text ?? code)
    const done = [...final.items, ...(final.failed ?? [])].map(({ id }) => id)
    progress?.(pillar, done, 0)
  }
  return { sums, failed }
}

/** Who has what of one file; every pillar that answered is in one of these. */
export interface Standing {
  /** What `copies` say; undefined when nobody said anything. */
  readonly sum: string | undefined
  readonly copies: readonly string[]
  readonly differing: readonly string[]
  readonly missing: readonly string[]
  readonly failed: readonly string[]
}

/** Right is what we have ourselves; when that is not known, what most say. */
export function standingOf(
  { sums, failed }: FileSums,
  answered: readonly string[],
  own?: string,
): Standing {
  const votes = new Map<string, number>()
  for (const sum of sums.values()) votes.set(sum, (votes.get(sum) ?? 0) + 1)
  const most = [...votes].toSorted(([, one], [, other]) => other - one)[0]?.[0]
  const sum = own ?? most
  const said = answered.filter((pillar) => sums.has(pillar))
  return {
    sum,
    copies: said.filter((pillar) => sums.get(pillar) === sum),
    differing: said.filter((pillar) => sums.get(pillar) !== sum),
    missing: answered.filter((pillar) => !sums.has(pillar) && !failed.has(pillar)),
    failed: answered.filter((pillar) => failed.has(pillar)),
  }
}
