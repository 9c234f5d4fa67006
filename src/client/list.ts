/** Listings and status: what the pillars say that they have. */
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { AnswerMessage, MessageOf, RequestMessage, Status } from '../protocol/messages.ts'
import { bytesOf, timeText, timeValue } from '../protocol/scalars.ts'
import { type Client, Unable } from './client.ts'
import { identify } from './identify.ts'

/** What one pillar says of one file. */
export interface Info {
  readonly id: string
  readonly size: number
  readonly checksum: string
  /** Milliseconds since 1970. */
  readonly mtime: number
  readonly timestamp: number
  readonly provenAt: number
}

export interface ListQuery {
  readonly prefix?: string
  readonly ids?: readonly string[]
  /** Milliseconds since 1970, inclusive. */
  readonly since?: number
}

/**
 * What a page of a request may name: so few ids and bytes of them that the answer, which says more of each and names
 * the missing ones again, is one message too.
 */
const idsPerPage = 100
const idBytesPerPage = limits.pageBytesMax / 4

/** No message holds more; a pillar that may stop there reads no rows in vain. */
const resultsPerPage = 256

export const common = (client: Client, collection: string) => ({
  conversation: uuid7(client.world),
  collection,
  replyTo: client.line.replyTo,
  expiresAt: expiryText(client.world, limits.identifyExpiryMs),
})

/** One request to one pillar, and its final answer; rejects with `Unable` when it stays silent. */
export async function askOne(
  client: Client,
  pillar: string,
  request: RequestMessage,
  signal: AbortSignal,
): Promise<AnswerMessage> {
  const { topics, line } = client
  const idleMs = Math.min(client.idleMs, 30_000)
  const parties = await line.ask({
    request,
    parties: [pillar],
    topic: topics.pillarRequests(pillar),
    topicOf: topics.pillarRequests,
    idleMs,
    offlineMs: limits.identifyMs,
    signal,
  })
  const party = parties.get(pillar)
  if (party?.at !== 'answered') throw new Unable(`${pillar} did not answer`)
  return party.answer
}

/** All files of a pillar that match, page by page, oldest first. */
export async function* listPillar(
  client: Client,
  collection: string,
  pillar: string,
  query: ListQuery,
  signal: AbortSignal,
): AsyncGenerator<Info> {
  const pages = query.ids ? pagesOf(query.ids) : [undefined]
  for (const fileIds of pages)
    yield* listPages(
      client,
      collection,
      pillar,
      { ...query, ...(fileIds ? { ids: fileIds } : {}) },
      signal,
    )
}

async function* listPages(
  client: Client,
  collection: string,
  pillar: string,
  query: ListQuery,
  signal: AbortSignal,
): AsyncGenerator<Info> {
  let after: MessageOf<'GetFileInfosRequest'>['after']
  do {
    const request = compose<'GetFileInfosRequest'>(client.world, client.name, {
      type: 'GetFileInfosRequest',
      ...common(client, collection),
      to: [pillar],
      maxResults: resultsPerPage,
      ...(query.prefix === undefined ? {} : { prefix: query.prefix }),
      ...(query.ids === undefined ? {} : { fileIds: [...query.ids] }),
      ...(query.since === undefined ? {} : { minTimestamp: timeText(query.since) }),
      ...(after === undefined ? {} : { after }),
    })
    const answer = await askOne(client, pillar, request, signal)
    if (answer.type !== 'GetFileInfosFinalResponse')
      throw new Unable(`${pillar}: ${answer.responseInfo.text ?? answer.responseInfo.code}`)
    for (const { id, size, checksum, mtime, timestamp, provenAt } of answer.items)
      yield {
        id,
        size,
        checksum,
        mtime: timeValue(mtime),
        timestamp: timeValue(timestamp),
        provenAt: timeValue(provenAt),
      }
    after = answer.partialResult ? answer.after : undefined
  } while (after !== undefined)
}

/** One file as the archive has it: what the pillars agree on, and who has it so. */
export interface Known extends Info {
  readonly pillars: readonly string[]
  /** Pillars that have other bytes under this id; empty in a sound archive. */
  readonly differing: readonly string[]
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
          files.set(info.id, merged(files.get(info.id), info, pillar))
      } catch (error) {
        if (!(error instanceof Unable)) throw error
        silent.push(pillar)
      }
    }),
  )
  return { files, silent: silent.sort() }
}

function merged(known: Known | undefined, info: Info, pillar: string): Known {
  if (!known) return { ...info, pillars: [pillar], differing: [] }
  if (known.checksum !== info.checksum || known.size !== info.size)
    return { ...known, differing: [...known.differing, pillar].sort() }
  return {
    ...known,
    pillars: [...known.pillars, pillar].sort(),
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

function pagesOf(ids: readonly string[]): string[][] {
  const pages: string[][] = []
  let page: string[] = []
  let bytes = 0
  for (const id of ids) {
    const cost = bytesOf(JSON.stringify(id)) + 1
    if (page.length >= idsPerPage || (page.length > 0 && bytes + cost > idBytesPerPage)) {
      pages.push(page)
      page = []
      bytes = 0
    }
    page.push(id)
    bytes += cost
  }
  return page.length > 0 ? [...pages, page] : pages
}
