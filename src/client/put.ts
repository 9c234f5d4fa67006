/**
 * PutFile: identify, then perform with those that should and can. Nothing is sent anywhere for a file of which some
 * pillar has other bytes; done at the collection's `copiesMin` confirmed copies, and who is owed the rest is said.
 */
import type { Offer } from '../exchange/bench.ts'
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { AnswerMessage, MessageOf } from '../protocol/messages.ts'
import type { OfferedFile, Transmission } from '../protocol/parts.ts'
import { timeText } from '../protocol/scalars.ts'
import { objectName } from '../transfer/objects.ts'
import type { Client } from './client.ts'
import type { Party } from './conversation.ts'
import { identify } from './identify.ts'
import type { Line } from './line.ts'
import { putStallMs } from './patience.ts'
import { relayFor } from './relay.ts'

/** One file to be stored. */
export interface PutItem {
  readonly id: string
  readonly size: number
  readonly checksum: string
  /** Milliseconds since 1970. */
  readonly mtime: number
  readonly offer: Offer
}

export interface PutResult {
  readonly id: string
  readonly size: number
  /**
   * `refused` when pillars can not take it, however often it is tried; `changed` when its bytes could not be read as
   * they were when its checksum was made.
   */
  readonly outcome: 'stored' | 'duplicate' | 'refused' | 'changed' | 'failed'
  /** Pillars that confirmed that they have it, and can give it back. */
  readonly copies: readonly string[]
  /** Checksum pillars that confirmed its checksum: no copies. */
  readonly checked: readonly string[]
  /** Pillars that should have it and have not confirmed; the tracker brings it to them. */
  readonly owed: readonly string[]
  /** Pillars whose copy was read and is damaged. */
  readonly damaged: readonly string[]
  /** The tracker has taken over what is owed; else repeating the command brings it. */
  readonly handedOver: boolean
  /** True when nothing had to be sent. */
  readonly known: boolean
  readonly why?: string
}

export interface PutOptions {
  readonly signal: AbortSignal
  /** Waits for all copies, not only for those that are there. */
  readonly waitAll?: boolean
  /** What pillars have already they hash again before they confirm it. */
  readonly prove?: boolean
  /** Only these pillars. */
  readonly pillars?: readonly string[]
  /** Why, in free words: ends in the audit trail. */
  readonly information?: string
  /**
   * Bytes of this batch that pillars have received so far, in all; and of a collection in fragments, of which one takes
   * in all, those that enough pillars keep for good.
   */
  progress?(bytes: number, safe?: number): void
}

/** Longest wait for a pillar that is known to be off, once the others are done. */
const offlineMs = 5_000
const triesMax = 3

interface Tally {
  readonly copies: Map<string, Set<string>>
  readonly stopped: Map<string, string>
  readonly refused: Set<string>
  readonly changed: Map<string, string>
  readonly reasons: Map<string, string>
  readonly sent: Set<string>
  /** Pillars whose copy is damaged: nobody can bring it to them while it stands there. */
  readonly damaged: Map<string, Set<string>>
}

/** Puts one batch: at most `batchFilesMax` files. Always resolves with one result a file, or rejects with `Stopped`. */
export async function putBatch(
  client: Client,
  collection: string,
  items: readonly PutItem[],
  options: PutOptions,
): Promise<PutResult[]> {
  const policy = client.policy(collection)
  const named = options.pillars ?? policy.pillars
  const pillars = options.pillars ?? policy.pillars.filter((one) => !client.line.leaves(one))
  const tally: Tally = {
    copies: new Map(items.map((item) => [item.id, new Set()])),
    stopped: new Map(),
    refused: new Set(),
    changed: new Map(),
    reasons: new Map(),
    sent: new Set(),
    damaged: new Map(),
  }
  for (let round = 0; round < triesMax; round++) {
    const retry = await putOnce(client, collection, items, pillars, options, tally)
    if (!retry) break
  }
  const wanted = copiesWanted(client, named, policy.copiesMin)
  const results = items.map((item) => resultOf(client, item, tally, pillars, wanted))
  const taken = await oweRest(client, collection, items, results, options.signal)
  return results.map((result) => ({ ...result, handedOver: taken.has(result.id) }))
}

/** How many copies make a put a success; a checksum pillar's word is none, unless no others were named. */
const copiesWanted = ({ line }: Client, pillars: readonly string[], copiesMin: number): number =>
  pillars.some(line.keepsFiles) ? Math.min(copiesMin, pillars.length) : 0

function resultOf(
  { line }: Client,
  item: PutItem,
  tally: Tally,
  pillars: readonly string[],
  copiesMin: number,
): PutResult {
  const { id, size } = item
  const confirmed = [...(tally.copies.get(id) ?? [])].sort()
  const copies = confirmed.filter((one) => line.keepsFiles(one) && !line.leaves(one))
  const checked = confirmed.filter((pillar) => !line.keepsFiles(pillar))
  const damaged = [...(tally.damaged.get(id) ?? [])].sort()
  const missing = pillars.filter(
    (pillar) => !confirmed.includes(pillar) && !damaged.includes(pillar),
  )
  const base = { id, size, copies, checked, damaged, known: !tally.sent.has(id), handedOver: false }
  const duplicate = tally.stopped.get(id)
  if (duplicate !== undefined) return { ...base, outcome: 'duplicate', owed: [], why: duplicate }
  if (confirmed.length > 0 && copies.length >= copiesMin)
    return { ...base, outcome: 'stored', owed: missing }
  const changed = tally.changed.get(id)
  if (changed !== undefined) return { ...base, outcome: 'changed', owed: [], why: changed }
  const why =
    tally.reasons.get(id) ??
    `only ${copies.length} of ${copiesMin} copies were confirmed; no answer from ${missing.join(', ')}`
  return { ...base, outcome: tally.refused.has(id) ? 'refused' : 'failed', owed: [], why }
}

const offered = (items: readonly PutItem[]): OfferedFile[] =>
  items.map(({ id, size, checksum, mtime }) => ({ id, size, checksum, mtime: timeText(mtime) }))

/** One identify and one perform; true when trying again may help. */
async function putOnce(
  client: Client,
  collection: string,
  items: readonly PutItem[],
  pillars: readonly string[],
  options: PutOptions,
  tally: Tally,
): Promise<boolean> {
  const { world, name, line } = client
  const open = items.filter(
    (item) =>
      !tally.stopped.has(item.id) &&
      !tally.changed.has(item.id) &&
      pillars.some((pillar) => !tally.copies.get(item.id)?.has(pillar)),
  )
  if (open.length === 0) return false
  const files = offered(open)
  const conversation = uuid7(world)
  const head = { conversation, collection, replyTo: line.replyTo, files }
  const asked = compose<'IdentifyPillarsForPutFileRequest'>(world, name, {
    type: 'IdentifyPillarsForPutFileRequest',
    ...head,
    expiresAt: expiryText(world, limits.identifyExpiryMs),
    ...(options.prove ? { prove: true } : {}),
  })
  const answers = await identify(client, asked, pillars, options.signal)
  const able = judge(line, answers, tally)
  const going = open.filter((item) => !tally.stopped.has(item.id))
  const takers = [...able]
    .filter(([, ids]) => going.some((item) => ids.has(item.id)))
    .map(([pillar]) => pillar)
  // A pillar that is there and has not answered in time is busy: asked again before we give up for the lack of it.
  const busy = pillars.some((one) => !answers.has(one) && line.presence(one) === 'online')
  const wantedCopies = copiesWanted(client, pillars, client.policy(collection).copiesMin)
  const short = (): boolean =>
    busy &&
    going.some(
      ({ id }) => [...(tally.copies.get(id) ?? [])].filter(line.keepsFiles).length < wantedCopies,
    )
  if (takers.length === 0) return short()
  const wanted = going.filter((item) => takers.some((pillar) => able.get(pillar)?.has(item.id)))
  const again = await perform(client, collection, conversation, wanted, takers, options, tally)
  return again || short()
}

/** Reads the identify answers: who has a file, who would take it, and where it must not go at all. */
function judge(
  { isSaving }: Pick<Line, 'isSaving'>,
  answers: ReadonlyMap<string, AnswerMessage>,
  tally: Tally,
): Map<string, Set<string>> {
  const able = new Map<string, Set<string>>()
  for (const [pillar, answer] of answers) {
    if (answer.type !== 'IdentifyPillarsForPutFileResponse') continue
    const ids = new Set<string>()
    for (const { id, code, text } of answer.files) {
      if (code === 'DUPLICATE_FILE_FAILURE')
        tally.stopped.set(id, `${pillar} has other bytes under this id`)
      else if (code === 'OPERATION_COMPLETED') tally.copies.get(id)?.add(pillar)
      else if (
        code === 'IDENTIFICATION_POSITIVE' &&
        answer.responseInfo.code === 'IDENTIFICATION_POSITIVE'
      )
        !tally.copies.get(id)?.has(pillar) && ids.add(id)
      else {
        tally.reasons.set(id, `${pillar}: ${text ?? answer.responseInfo.text ?? code}`)
        // Its power comes back: tried another time, it will take it.
        if (!isSaving(pillar)) tally.refused.add(id)
      }
    }
    able.set(pillar, ids)
  }
  return able
}

async function perform(
  client: Client,
  collection: string,
  conversation: string,
  items: readonly PutItem[],
  takers: readonly string[],
  options: PutOptions,
  tally: Tally,
): Promise<boolean> {
  const { world, name, line, topics, bench } = client
  const names = items.map((item) =>
    objectName(world, 'put', collection, item.id, item.size, item.checksum),
  )
  const transmission = (): Transmission =>
    client.transmission({
      dir: 'down',
      hld: [...takers],
      obj: items.map((item, n) => [names[n] ?? '', item.size]),
    })
  const files = offered(items)
  const draft = {
    type: 'PutFileRequest' as const,
    conversation,
    collection,
    replyTo: line.replyTo,
    files,
    to: [...takers],
    ...(options.information === undefined ? {} : { auditTrailInformation: options.information }),
    ...(options.prove ? { prove: true } : {}),
  }
  const make = (sent: Transmission) =>
    compose<'PutFileRequest'>(world, name, {
      ...draft,
      transmission: sent,
      expiresAt: expiryText(world, limits.performExpiryMs),
    })
  let sent = transmission()
  offerAll(client, items, names, tally)
  const relay = relayFor(client, { items, names, token: () => sent.token, signal: options.signal })
  const bytes = new Map<string, number>()
  const total = items.reduce((sum, { size }) => sum + size, 0)
  try {
    const parties = await line.ask({
      request: make(sent),
      parties: takers,
      signal: options.signal,
      topic: topics.collectionRequests(collection),
      topicOf: topics.pillarRequests,
      idleMs: client.idleMs,
      offlineMs: options.waitAll ? client.idleMs : offlineMs,
      stallMs: putStallMs(client, collection, items),
      mark: (pillar) => Math.min(bytes.get(pillar) ?? 0, total),
      renewed: () => {
        sent = transmission()
        return make(sent)
      },
      progress: (answer) => {
        if (answer.type !== 'PutFileProgressResponse') return
        bytes.set(answer.from, answer.bytesDone)
        const received = [...bytes.values()].reduce((sum, one) => sum + one, 0)
        options.progress?.(received, answer.bytesSafe)
        if (answer.waitingAt !== undefined && answer.waitingAt !== name) relay.wanted(answer.from)
      },
    })
    return count(parties, tally)
  } finally {
    bench.clear(names)
    await relay.end()
  }
}

/**
 * A file that can not be read any more as it was is offered no longer: pillars that are told so give up at once,
 * where they would try to get the rest of it for minutes.
 */
function offerAll(
  { bench, world }: Client,
  items: readonly PutItem[],
  names: readonly string[],
  tally: Tally,
): void {
  for (const [n, { id, offer }] of items.entries()) {
    const name = names[n] ?? ''
    async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
      try {
        yield* offer.read(offset, length)
      } catch (error) {
        world.log.info('put.unreadable', { id, why: String(error) })
        tally.changed.set(id, 'it changed while it was sent')
        bench.clear([name])
        throw error
      }
    }
    bench.offer(name, { size: offer.size, read })
  }
}

/** Adds up the final answers; true when a transfer failed that may go better another time. */
function count(parties: ReadonlyMap<string, Party>, tally: Tally): boolean {
  let again = false
  for (const [pillar, party] of parties) {
    if (party.at !== 'answered') continue
    const { answer } = party
    if (answer.type !== 'PutFileFinalResponse') {
      for (const id of tally.copies.keys())
        tally.reasons.set(id, `${pillar}: ${answer.responseInfo.text ?? answer.responseInfo.code}`)
      continue
    }
    const files: MessageOf<'PutFileFinalResponse'>['files'] = answer.files
    for (const { id, code, text, provenAt } of files) {
      if (code === 'OPERATION_COMPLETED') {
        tally.copies.get(id)?.add(pillar)
        // What was there already says when it was proven.
        if (provenAt === undefined) tally.sent.add(id)
      } else if (code === 'EXISTING_FILE_CHECKSUM_FAILURE') {
        tally.damaged.set(id, (tally.damaged.get(id) ?? new Set()).add(pillar))
        tally.reasons.set(id, `${pillar}: ${text ?? code}`)
      } else if (code === 'DUPLICATE_FILE_FAILURE')
        tally.stopped.set(id, `${pillar} has other bytes under this id`)
      else {
        tally.reasons.set(id, `${pillar}: ${text ?? code}`)
        again ||= code === 'FILE_TRANSFER_FAILURE'
      }
    }
  }
  return again
}

/** Hands what is owed to the tracker, which brings it to the pillars when they return. */
async function oweRest(
  client: Client,
  collection: string,
  items: readonly PutItem[],
  results: readonly PutResult[],
  signal: AbortSignal,
): Promise<Set<string>> {
  const { world, name, line, topics, directory } = client
  const tracker = directory.document().identities.find((one) => one.role === 'tracker')
  const groups = new Map<string, PutItem[]>()
  for (const [n, result] of results.entries()) {
    const item = items[n]
    if (result.outcome !== 'stored' || result.owed.length === 0 || !item) continue
    const key = JSON.stringify([result.owed, result.copies])
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  const taken = new Set<string>()
  if (!tracker || tracker.name === name) return taken
  for (const [key, group] of groups) {
    const [owed, holders] = JSON.parse(key) as [string[], string[]]
    const files = offered(group)
    const request = compose<'DeliverOwedCopiesRequest'>(world, name, {
      type: 'DeliverOwedCopiesRequest',
      conversation: uuid7(world),
      collection,
      replyTo: line.replyTo,
      expiresAt: expiryText(world, limits.performExpiryMs),
      files,
      owed,
      holders,
    })
    const topic = topics.trackerRequests()
    const parties = await line.ask({
      request,
      parties: [tracker.name],
      topic,
      topicOf: () => topic,
      idleMs: client.idleMs,
      offlineMs: client.idleMs,
      signal,
    })
    if (parties.get(tracker.name)?.at === 'answered') for (const item of group) taken.add(item.id)
  }
  return taken
}
