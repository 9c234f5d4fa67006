/**
 * A listing of one pillar, of any number of ids: split into pages, each a complete request of one conversation, several
 * of them on their way at a time, and merged again in their order.
 */
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import { type ChecksumSpec, isIndexed } from '../protocol/checksums.ts'
import { isFine } from '../protocol/codes.ts'
import type { AnswerMessage, MessageOf } from '../protocol/messages.ts'
import { bytesOf, timeText } from '../protocol/scalars.ts'
import { heardOf, idleMsOf } from './ask.ts'
import { type Client, Unable } from './client.ts'
import { resultPlace } from './results.ts'

export interface ListQuery {
  readonly prefix?: string
  readonly ids?: readonly string[]
  /** Milliseconds since 1970, inclusive. */
  readonly since?: number
  /** Of infos, in a collection in fragments: also how many copies there are now. */
  readonly copies?: boolean
}

interface Finals {
  readonly GetFileIDs: MessageOf<'GetFileIDsFinalResponse'>
  readonly GetChecksums: MessageOf<'GetChecksumsFinalResponse'>
  readonly GetFileInfos: MessageOf<'GetFileInfosFinalResponse'>
  readonly GetTombstones: MessageOf<'GetTombstonesFinalResponse'>
}
export type Listing = keyof Finals
export type Final<K extends Listing> = Finals[K]

export interface Listed {
  readonly collection: string
  readonly pillar: string
  readonly query: ListQuery
  readonly signal: AbortSignal
  /** Of checksums: how they are to be computed. */
  readonly checksumSpec?: ChecksumSpec
  /** A pillar says how far it is with a page, in bytes that it has read. */
  working?(bytes: number): void
}

/** What an item of an answer takes beside the id; where it takes more, the pillar ends its page sooner. */
const bytesBeside: Readonly<Record<Listing, number>> = {
  GetFileIDs: 60,
  GetChecksums: 320,
  GetFileInfos: 240,
  GetTombstones: 320,
}

/** No message holds more; a pillar that may stop there reads no rows in vain. */
const resultsPerPage = 1_000

export const common = (client: Client, collection: string) => ({
  conversation: uuid7(client.world),
  collection,
  replyTo: client.line.replyTo,
  expiresAt: expiryText(client.world, limits.identifyExpiryMs),
})

/** The answers page by page, in the order of the ids; rejects with `Unable` when the pillar stays silent or refuses. */
export async function* pages<K extends Listing>(
  client: Client,
  kind: K,
  listed: Listed,
): AsyncGenerator<Final<K>> {
  const stop = new AbortController()
  const signal = AbortSignal.any([listed.signal, stop.signal])
  const ask = asker(client, kind, { ...listed, signal })
  const { ids } = listed.query
  if (ids === undefined) return yield* follow(ask, undefined)
  const open: Promise<Final<K>[]>[] = []
  try {
    for (const some of pagesOf([...new Set(ids)], bytesBeside[kind])) {
      const page = all(follow(ask, some))
      // Whoever waits for it hears of it; it may fail before.
      page.catch(() => undefined)
      open.push(page)
      if (open.length >= limits.conversationsOpenMax) yield* (await open.shift()) ?? []
    }
    for (const page of open) yield* await page
  } finally {
    stop.abort()
  }
}

type Cursor = MessageOf<'GetFileIDsRequest'>['after']
type Ask<K extends Listing> = (
  ids: readonly string[] | undefined,
  after: Cursor,
) => Promise<Final<K>>

/** An answer, and what follows while it says that there is more. */
async function* follow<K extends Listing>(
  ask: Ask<K>,
  ids: readonly string[] | undefined,
): AsyncGenerator<Final<K>> {
  let after: Cursor
  do {
    const final = await ask(ids, after)
    yield final
    after = final.partialResult ? final.after : undefined
  } while (after !== undefined)
}

async function all<T>(some: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of some) found.push(one)
  return found
}

/** Asks in one conversation; every request is a page of it with a number of its own. */
function asker<K extends Listing>(client: Client, kind: K, listed: Listed): Ask<K> {
  const { collection, pillar, query, signal, checksumSpec, working } = listed
  const { clock } = client.world
  const shared = common(client, collection)
  let count = 0
  let heard = clock.monotonic()
  let spurned = checksumSpec !== undefined && !isIndexed(checksumSpec)
  return async (ids, after) => {
    const request = compose<'GetFileIDsRequest'>(client.world, client.name, {
      ...shared,
      type: `${kind}Request` as 'GetFileIDsRequest',
      page: count++,
      to: [pillar],
      maxResults: resultsPerPage,
      ...(query.prefix === undefined ? {} : { prefix: query.prefix }),
      ...(ids === undefined ? {} : { fileIds: [...ids] }),
      ...(query.since === undefined ? {} : { minTimestamp: timeText(query.since) }),
      ...(after === undefined ? {} : { after }),
      ...(query.copies ? { copies: true } : {}),
      ...(checksumSpec === undefined ? {} : { checksumSpec }),
    })
    // A few pages fit messages; who wants more than that gets the rest as objects.
    if (ids === undefined && deliverable.has(kind) && count > pagesInMessages && !spurned) {
      const { maxResults: _, ...whole } = request
      const final = await byToken(client, kind, { ...listed, request: whole })
      if (final) return final
      // Page by page, then: slower, and over the broker alone.
      spurned = true
      request.page = count++
    }
    for (;;) {
      const answer = await heardOf(client, pillar, request, signal, (progress) => {
        heard = clock.monotonic()
        if (progress.type === 'GetChecksumsProgressResponse') working?.(progress.bytesDone ?? 0)
      })
      // It was lost each time, while other pages are answered: that is only the link.
      if (!answer && clock.monotonic() - heard < idleMsOf(client)) continue
      if (!answer) throw new Unable(`${pillar} did not answer`)
      if (isFinal(kind, answer)) return answer
      throw new Unable(`${pillar}: ${answer.responseInfo.text ?? answer.responseInfo.code}`)
    }
  }
}

/** So many pages come in messages before the rest is asked for as objects. */
const pagesInMessages = 3
const deliverable: ReadonlySet<Listing> = new Set(['GetFileIDs', 'GetChecksums', 'GetFileInfos'])

/** The results of one request as one object; undefined when it can not be had so. */
async function byToken<K extends Listing>(
  client: Client,
  kind: K,
  { request, pillar, signal }: Listed & { readonly request: MessageOf<'GetFileIDsRequest'> },
): Promise<Final<K> | undefined> {
  const { conversation, page } = request
  const place = resultPlace(client, { pillar, conversation, page, signal })
  try {
    const asked = { ...request, transmission: place.transmission }
    const answer = await heardOf(client, pillar, asked, signal, place.hear)
    return answer && isFinal(kind, answer) ? await place.complete(kind, answer) : undefined
  } finally {
    await place.end()
  }
}

function isFinal<K extends Listing>(
  kind: K,
  answer: AnswerMessage,
): answer is AnswerMessage & Final<K> {
  const { code } = answer.responseInfo
  const answered = isFine(code) || code === 'FILE_NOT_FOUND_FAILURE'
  return answered && answer.type === `${kind}FinalResponse`
}

/** So many ids a page that it and its answer, which may name each once more as missing, are one message each. */
export function pagesOf(ids: readonly string[], beside: number): string[][] {
  const found: string[][] = []
  let page: string[] = []
  let bytes = 0
  for (const id of ids) {
    const cost = 2 * (bytesOf(JSON.stringify(id)) + 1) + beside
    if (page.length > 0 && bytes + cost > limits.pageBytesMax) {
      found.push(page)
      page = []
      bytes = 0
    }
    page.push(id)
    bytes += cost
  }
  return page.length > 0 ? [...found, page] : found
}
