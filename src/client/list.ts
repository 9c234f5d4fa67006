/** Listings and status: what the pillars say that they have. */
import { compose } from '../post/compose.ts'
import type { Status } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'
import { type Client, Unable } from './client.ts'
import { identify } from './identify.ts'
import { common, type ListQuery, pages } from './pages.ts'

export type { ListQuery } from './pages.ts'

/** What one pillar says of one file. */
export interface Info {
  readonly id: string
  readonly size: number
  readonly checksum: string
  /** Milliseconds since 1970. */
  readonly mtime: number
  readonly timestamp: number
  readonly provenAt: number
  /** Of a collection in fragments, when asked for: copies of the scarcest on pillars that are there, of how many. */
  readonly spread?: { readonly least: number; readonly wanted: number } | undefined
}

/** All files of a pillar that match, page by page, oldest first. */
export async function* listPillar(
  client: Client,
  collection: string,
  pillar: string,
  query: ListQuery,
  signal: AbortSignal,
): AsyncGenerator<Info> {
  for await (const { items } of pages(client, 'GetFileInfos', {
    collection,
    pillar,
    query,
    signal,
  }))
    for (const { id, size, checksum, mtime, timestamp, provenAt, copies } of items)
      yield {
        id,
        size,
        checksum,
        mtime: timeValue(mtime),
        timestamp: timeValue(timestamp),
        provenAt: timeValue(provenAt),
        spread: copies,
      }
}

/** One file as the archive has it: what the pillars agree on, and who has it so. */
export interface Known extends Info {
  readonly pillars: readonly string[]
  /** Of these, the ones that can give it back. */
  readonly copies: readonly string[]
  /** Pillars that have other bytes under this id; empty in a sound archive. */
  readonly differing: readonly string[]
  /** What these have: checksums by pillar. */
  readonly others?: ReadonlyMap<string, string>
}

export interface Survey {
  readonly files: ReadonlyMap<string, Known>
  /** Pillars of the collection that did not answer. */
  readonly silent: readonly string[]
}

/** Asks every pillar that is there, at the same time, and merges what they say. */
export async function survey(
  client: Client,
  collection: string,
  query: ListQuery,
  signal: AbortSignal,
  only?: readonly string[],
): Promise<Survey> {
  const pillars = only ?? client.policy(collection).pillars
  const request = compose<'IdentifyPillarsForGetFileInfosRequest'>(client.world, client.name, {
    type: 'IdentifyPillarsForGetFileInfosRequest',
    ...common(client, collection),
  })
  const answers = await identify(client, request, pillars, signal)
  const files = new Map<string, Known>()
  const silent: string[] = []
  await Promise.all(
    pillars.map(async (pillar) => {
      if (!answers.has(pillar)) return void silent.push(pillar)
      try {
        for await (const info of listPillar(client, collection, pillar, query, signal))
          files.set(info.id, merged(files.get(info.id), info, pillar, isCopy(client, pillar)))
      } catch (error) {
        if (!(error instanceof Unable)) throw error
        silent.push(pillar)
      }
    }),
  )
  return { files, silent: silent.sort() }
}

const isCopy = ({ line }: Client, pillar: string): boolean =>
  line.keepsFiles(pillar) && !line.leaves(pillar)

function merged(known: Known | undefined, info: Info, pillar: string, keeps: boolean): Known {
  const copy = keeps ? [pillar] : []
  if (!known) return { ...info, pillars: [pillar], copies: copy, differing: [] }
  if (known.checksum !== info.checksum || known.size !== info.size)
    return {
      ...known,
      differing: [...known.differing, pillar].sort(),
      others: new Map([...(known.others ?? []), [pillar, info.checksum]]),
    }
  return {
    ...known,
    pillars: [...known.pillars, pillar].sort(),
    copies: [...known.copies, ...copy].sort(),
    provenAt: Math.min(known.provenAt, info.provenAt),
  }
}

/** The status of every pillar of the collection; undefined for those that did not answer. */
export async function statuses(
  client: Client,
  collection: string,
  signal: AbortSignal,
): Promise<Map<string, Status | undefined>> {
  const { pillars } = client.policy(collection)
  const request = compose<'GetStatusRequest'>(client.world, client.name, {
    type: 'GetStatusRequest',
    ...common(client, collection),
  })
  const answers = await identify(client, request, pillars, signal)
  return new Map(
    pillars.map((pillar) => {
      const answer = answers.get(pillar)
      return [
        pillar,
        answer?.type === 'GetStatusFinalResponse' ? answer.status : undefined,
      ] as const
    }),
  )
}
