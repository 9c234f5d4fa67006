/** ReplaceFile: other bytes in the place of those that are stored, on the pillars that are named and on no other. */
import { limits } from '../limits.ts'
import { compose, expiryText, uuid7 } from '../post/compose.ts'
import type { AnswerMessage, MessageOf } from '../protocol/messages.ts'
import type { Transmission } from '../protocol/parts.ts'
import { timeText } from '../protocol/scalars.ts'
import { objectName } from '../transfer/objects.ts'
import type { Client } from './client.ts'
import { identify } from './identify.ts'
import { common } from './pages.ts'
import type { PutItem } from './put.ts'
import { relayFor } from './relay.ts'
import { type Done, expiry, reasonOf, stand } from './remove.ts'

export interface ReplaceOptions {
  readonly signal: AbortSignal
  /** Why, in free words: ends in the audit trail. */
  readonly information?: string
  /** Signed by two people, where the collection asks for that. */
  readonly order?: string
  /** Bytes that the pillar whose turn it is has received so far. */
  progress?(pillar: string, bytes: number): void
}

/**
 * Nothing is replaced anywhere unless each pillar that is named has answered first that it has the bytes with the
 * checksum `old`, or the new ones already. Then one pillar after the other: who stops half-way repeats the command.
 */
export async function replaceFile(
  client: Client,
  collection: string,
  old: string,
  item: PutItem,
  pillars: readonly string[],
  options: ReplaceOptions,
): Promise<Done[]> {
  const { id, size, checksum, mtime } = item
  const file = { id, size, checksum, mtime: timeText(mtime) }
  const request = compose<'IdentifyPillarsForReplaceFileRequest'>(client.world, client.name, {
    type: 'IdentifyPillarsForReplaceFileRequest',
    ...common(client, collection),
    ...expiry(client),
    to: [...pillars],
    files: [{ ...file, replaces: { checksum: old } }],
  })
  const answers = await identify(client, request, pillars, options.signal)
  const seen = pillars.map((pillar) => stand(pillar, id, answers.get(pillar)))
  const hindered = seen.filter(({ is }) => is !== 'done')
  if (hindered.length > 0) return hindered.map(({ version: _, ...done }) => done)
  const done: Done[] = []
  for (const { pillar, version } of seen)
    done.push(
      version === undefined
        ? { pillar, id, is: 'done' }
        : await replaceAt(client, collection, { checksum: old, version }, item, pillar, options),
    )
  return done
}

async function replaceAt(
  client: Client,
  collection: string,
  replaces: { readonly checksum: string; readonly version: number },
  item: PutItem,
  pillar: string,
  { signal, information, order, progress }: ReplaceOptions,
): Promise<Done> {
  const { world, name, line, topics, bench } = client
  const { id, size, checksum, mtime } = item
  const object = objectName(world, 'put', collection, id, size, checksum)
  const transmission = (): Transmission =>
    client.transmission({ dir: 'down', hld: [pillar], obj: [[object, size]] })
  const draft = {
    type: 'ReplaceFileRequest' as const,
    conversation: uuid7(world),
    collection,
    replyTo: line.replyTo,
    to: [pillar],
    files: [{ id, size, checksum, mtime: timeText(mtime), replaces }],
    ...(information === undefined ? {} : { auditTrailInformation: information }),
    ...(order === undefined ? {} : { order }),
  }
  let sent = transmission()
  const make = (): MessageOf<'ReplaceFileRequest'> =>
    compose<'ReplaceFileRequest'>(world, name, {
      ...draft,
      transmission: sent,
      expiresAt: expiryText(world, limits.performExpiryMs),
    })
  bench.offer(object, item.offer)
  const relay = relayFor(client, {
    ...{ items: [item], names: [object], signal },
    token: () => sent.token,
  })
  try {
    const parties = await line.ask({
      request: make(),
      parties: [pillar],
      signal,
      topic: topics.pillarRequests(pillar),
      topicOf: topics.pillarRequests,
      idleMs: client.idleMs,
      offlineMs: client.idleMs,
      renewed() {
        sent = transmission()
        return make()
      },
      progress(answer) {
        if (answer.type !== 'ReplaceFileProgressResponse') return
        progress?.(pillar, answer.bytesDone)
        if (answer.waitingAt !== undefined && answer.waitingAt !== name) relay.wanted(pillar)
      },
    })
    const party = parties.get(pillar)
    return party?.at === 'answered' ? ended(pillar, id, party.answer) : { pillar, id, is: 'silent' }
  } finally {
    bench.clear([object])
    await relay.end()
  }
}

function ended(pillar: string, id: string, answer: AnswerMessage): Done {
  const one = answer.type === 'ReplaceFileFinalResponse' ? answer.files[0] : undefined
  if (one?.code === 'OPERATION_COMPLETED') return { pillar, id, is: 'done' }
  return { pillar, id, is: 'refused', why: reasonOf(one ?? answer.responseInfo) }
}
