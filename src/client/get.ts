/**
 * GetFile: the chosen pillar delivers to our exchange, or to the tracker's when it can not reach ours; when it fails,
 * the next pillar goes on where it stopped.
 */
import type { Landing } from '../exchange/bench.ts'
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { AnswerMessage, MessageOf } from '../protocol/messages.ts'
import type { Transmission } from '../protocol/parts.ts'
import { TransferFailed } from '../transfer/attempts.ts'
import { objectName } from '../transfer/objects.ts'
import { pull, release } from '../transfer/pull.ts'
import { route } from '../transfer/route.ts'
import type { Client } from './client.ts'
import { identify } from './identify.ts'
import { getStallMs, idleMsFor } from './patience.ts'

export interface GetItem {
  readonly id: string
  /** Known from a listing; what arrives must match it. */
  readonly size?: number
  readonly checksum?: string
  readonly offset?: number
  readonly length?: number
  readonly landing: Landing
}

export interface GetResult {
  readonly id: string
  readonly outcome: 'fetched' | 'notFound' | 'failed'
  readonly pillar?: string
  /** Modification time at the source, as the pillar said it. */
  readonly mtime?: string
  readonly size?: number
  readonly why?: string
}

export interface GetOptions {
  readonly signal: AbortSignal
  /** Straight to this pillar: identify is skipped. */
  readonly pillar?: string
  /** In which order to try, best first; all that said yes by default. */
  prefer?(pillars: readonly string[]): readonly string[]
  progress?(bytes: number): void
  /** Bytes may stay away for so long, whatever the pillar says, milliseconds; by default as its work may take. */
  readonly stallMs?: number
}

/** Fetches one batch: at most `batchFilesMax` files. Resolves with one result a file. */
export async function getBatch(
  client: Client,
  collection: string,
  items: readonly GetItem[],
  options: GetOptions,
): Promise<GetResult[]> {
  const results = new Map<GetItem, GetResult>()
  const conversation = uuid7(client.world)
  const candidates =
    options.pillar === undefined
      ? await choose(client, collection, conversation, items, options)
      : new Map([[options.pillar, unknownOffer]])
  const order = options.prefer?.([...candidates.keys()]) ?? [...candidates.keys()]
  for (const pillar of order) {
    const { has, inMs } = candidates.get(pillar) ?? unknownOffer
    const open = items.filter(
      (item) => results.get(item)?.outcome !== 'fetched' && (has === undefined || has.has(item.id)),
    )
    if (open.length === 0) continue
    const part = await getFrom(
      client,
      collection,
      pillar === order[0] ? conversation : uuid7(client.world),
      pillar,
      open,
      { ...options, inMs, last: pillar === order.at(-1) },
    )
    for (const [n, result] of part.entries()) {
      const item = open[n]
      if (item) results.set(item, result)
    }
  }
  const nobody = candidates.size === 0 ? 'no pillar answered' : 'no pillar has it'
  return items.map(
    (item) =>
      results.get(item) ?? {
        id: item.id,
        outcome: candidates.size === 0 ? 'failed' : 'notFound',
        why: nobody,
      },
  )
}

/** What a pillar has of the files, when that is known, and in how many milliseconds it could deliver them. */
interface Offer {
  readonly has?: ReadonlySet<string>
  readonly inMs: number
}
const unknownOffer: Offer = { inMs: 0 }

/** Who has which of the files. Starts on the first answer that has them all, when a moment has passed for the others. */
async function choose(
  client: Client,
  collection: string,
  conversation: string,
  items: readonly GetItem[],
  options: GetOptions,
): Promise<Map<string, Offer>> {
  const { world, name, line } = client
  const request = compose<'IdentifyPillarsForGetFileRequest'>(world, name, {
    type: 'IdentifyPillarsForGetFileRequest',
    conversation,
    collection,
    replyTo: line.replyTo,
    expiresAt: expiryText(world, limits.identifyExpiryMs),
    files: items.map(({ id }) => ({ id })),
  })
  const answers = await identify(client, request, client.policy(collection).pillars, options.signal)
  const offers = new Map<string, Offer>()
  for (const answer of byTime(answers.values())) {
    // A checksum pillar has nothing to deliver.
    if (!line.keepsFiles(answer.from)) continue
    const ids = answer.files
      .filter((file) => file.code === 'IDENTIFICATION_POSITIVE' && agrees(file, items))
      .map((file) => file.id)
    offers.set(answer.from, { has: new Set(ids), inMs: answer.timeToDeliver ?? 0 })
  }
  return offers
}

const byTime = (
  answers: Iterable<AnswerMessage>,
): MessageOf<'IdentifyPillarsForGetFileResponse'>[] =>
  [...answers]
    .filter((answer) => answer.type === 'IdentifyPillarsForGetFileResponse')
    .sort((a, b) => (a.timeToDeliver ?? 0) - (b.timeToDeliver ?? 0))

const agrees = (
  file: { id: string; checksum?: string | undefined },
  items: readonly GetItem[],
): boolean =>
  items.some(
    (item) =>
      item.id === file.id && (item.checksum === undefined || item.checksum === file.checksum),
  )

async function getFrom(
  client: Client,
  collection: string,
  conversation: string,
  pillar: string,
  items: readonly GetItem[],
  options: GetOptions & { readonly last: boolean; readonly inMs: number },
): Promise<GetResult[]> {
  const { name, line, topics, bench } = client
  const parcels = parcelsOf(client, collection, conversation, items, options)
  // What came wrong and comes again is no getting on.
  const mark = (): number => parcels.reduce((sum, { landing }) => sum + landing.at(), 0)
  const transmission = (): Transmission =>
    client.transmission({
      dir: 'up',
      hld: [pillar],
      obj: parcels.map((one) => [one.name, one.size]),
    })
  let sent = transmission()
  const make = () => requestFor(client, { collection, conversation, pillar, items, sent })
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, options.signal])
  for (const { name: one, landing } of parcels) bench.land(one, landing)
  let fetching: Promise<void> | undefined
  try {
    const parties = await line.ask({
      request: make(),
      parties: [pillar],
      signal: options.signal,
      topic: topics.pillarRequests(pillar),
      topicOf: topics.pillarRequests,
      idleMs: idleMsFor(client.idleMs, options.inMs),
      offlineMs: options.last ? client.idleMs : Math.min(client.idleMs, offlineMs),
      stallMs: options.stallMs ?? getStallMs(items, options.inMs),
      mark,
      renewed() {
        sent = transmission()
        return make()
      },
      progress(answer) {
        const elsewhere =
          answer.type === 'GetFileProgressResponse' &&
          answer.deliveringTo?.some((to) => to !== name)
        if (elsewhere) fetching ??= fetchFromRelay(client, parcels, () => sent.token, signal)
      },
    })
    const party = parties.get(pillar)
    const answer = party?.at === 'answered' ? party.answer : undefined
    const unheard = party?.at === 'stuck' ? 'got no further' : 'fell silent'
    // What it has delivered to the relay is still on its way to us; what failed will not come.
    if (answer?.responseInfo.code !== 'OPERATION_COMPLETED') stop.abort()
    await fetching
    if (!answer)
      return items.map(({ id }) => ({ id, outcome: 'failed', pillar, why: `${pillar} ${unheard}` }))
    return items.map((item, n) => outcome(item, pillar, answer, n, parcels[n]?.landing.finished))
  } finally {
    stop.abort()
    await fetching
    bench.clear(parcels.map((one) => one.name))
  }
}

/** A pillar that is known to be off is given up after so long, when there is another to ask. */
const offlineMs = 10_000

/** One file on its way: the object it is, its size if it is known, where it lands. */
interface Parcel {
  readonly name: string
  readonly size: number
  readonly landing: Landing & { readonly finished: boolean }
}

const parcelsOf = (
  { world }: Client,
  collection: string,
  conversation: string,
  items: readonly GetItem[],
  options: GetOptions,
): Parcel[] =>
  items.map((item) => {
    const { id, offset = 0, length = -1, checksum = '', size } = item
    return {
      name: objectName(world, 'get', collection, id, checksum, offset, length, conversation),
      size: item.length ?? (size === undefined ? -1 : size - offset),
      landing: tracked(item.landing, (bytes) => options.progress?.(bytes)),
    }
  })

function requestFor(
  { world, name, line }: Client,
  about: {
    collection: string
    conversation: string
    pillar: string
    items: readonly GetItem[]
    sent: Transmission
  },
): MessageOf<'GetFileRequest'> {
  const files = about.items.map(({ id, offset, length, checksum }) => ({
    id,
    ...(offset === undefined ? {} : { offset }),
    ...(length === undefined ? {} : { length }),
    ...(checksum === undefined ? {} : { checksum }),
  }))
  return compose<'GetFileRequest'>(world, name, {
    type: 'GetFileRequest',
    conversation: about.conversation,
    collection: about.collection,
    replyTo: line.replyTo,
    to: [about.pillar],
    files,
    transmission: about.sent,
    expiresAt: expiryText(world, limits.performExpiryMs),
  })
}

function outcome(
  item: GetItem,
  pillar: string,
  answer: AnswerMessage,
  place: number,
  finished = false,
): GetResult {
  const { id } = item
  const file = answer.type === 'GetFileFinalResponse' ? answer.files[place] : undefined
  if (!file)
    return {
      id,
      outcome: 'failed',
      pillar,
      why: `${pillar}: ${answer.responseInfo.text ?? answer.responseInfo.code}`,
    }
  if (file.code === 'FILE_NOT_FOUND_FAILURE')
    return { id, outcome: 'notFound', pillar, why: `${pillar} does not have it` }
  const known = {
    ...(file.mtime === undefined ? {} : { mtime: file.mtime }),
    ...(file.size === undefined ? {} : { size: file.size }),
  }
  if (file.code === 'OPERATION_COMPLETED' && finished)
    return { id, outcome: 'fetched', pillar, ...known }
  return { id, outcome: 'failed', pillar, why: `${pillar}: ${file.text ?? file.code}` }
}

/** Counts bytes, and knows when it has been finished. */
export function tracked(
  inner: Landing,
  progress: (bytes: number) => void,
): Landing & { readonly finished: boolean } {
  let finished = false
  return {
    at: () => inner.at(),
    async write(bytes) {
      const count = bytes.length
      await inner.write(bytes)
      progress(count)
    },
    secure: () => inner.secure(),
    async finish(size) {
      const fault = await inner.finish(size)
      finished = fault === undefined
      return fault
    },
    get finished() {
      return finished
    },
  }
}

/** The pillar delivers to the relay: we fetch from there what it brings. */
export async function fetchFromRelay(
  client: Client,
  parcels: readonly Parcel[],
  token: () => string,
  signal: AbortSignal,
): Promise<void> {
  const { world, name: issuer, dial, directory } = client
  const relay = directory.document().exchanges.find((one) => one.identity !== issuer)
  const hops = (relay?.urls ?? []).map((url) => ({
    identity: relay?.identity ?? '',
    url,
    connectMs: limits.connectMs,
    relay: false,
  }))
  for (const { name, size, landing } of parcels) {
    if (landing.finished) continue
    await client.bench.withdraw(name)
    const sink = { at: landing.at, write: landing.write, secure: landing.secure }
    const key = { issuer, name }
    const task = { world, dial, sink, size, signal, key, route: route(world), token }
    try {
      const whole = await pull({ ...task, hops: () => hops })
      await landing.secure()
      await landing.finish(whole)
      const hop = hops[0]
      if (hop) await release({ dial, key, token, signal }, hop).catch(() => undefined)
    } catch (error) {
      if (!(error instanceof TransferFailed)) throw error
      world.log.info('relay.failed', { why: error.message })
    }
  }
}
