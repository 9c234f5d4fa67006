// A peer with nothing but the wire: says what it likes on the bus, lays out bytes at its exchange, and hears what comes
// back. Every answer is held to be signed, and to be about what was asked.

import { strict as is } from 'node:assert'
import { bench as newBench } from '../../src/exchange/bench.ts'
import { exchange } from '../../src/exchange/exchange.ts'
import { compose, expiryText, uuid7 } from '../../src/post/compose.ts'
import { parse, seal, unseal } from '../../src/protocol/envelope.ts'
import {
  type AnswerMessage,
  isAnswer,
  type Message,
  type MessageOf,
  type MessageType,
  type RequestMessage,
} from '../../src/protocol/messages.ts'
import type { Transmission } from '../../src/protocol/parts.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { issueToken, type TokenClaims } from '../../src/transfer/token.ts'
import type { Signer } from '../../src/trust/trust.ts'
import { digestOf } from '../../src/world/world.ts'
import type { Ground } from './ground.ts'
import type { Need } from './suite.ts'

type RequestType = Extract<RequestMessage['type'], `${string}Request`>
/** The message that ends what a request began. */
export type AnswerTo<T extends string> = T extends `Identify${infer What}Request`
  ? Extract<MessageType, `Identify${What}Response`>
  : T extends `${infer What}Request`
    ? Extract<MessageType, `${What}FinalResponse`>
    : never
type Common = 'v' | 'min' | 'id' | 'from' | 'sentAt' | 'page' | 'type' | 'auditTrailInformation'
type Given = 'conversation' | 'replyTo' | 'expiresAt' | 'collection' | 'to'
/** Of a request: what is its own; the rest is filled in, and may be given. */
export type Fields<T extends MessageType> = Omit<MessageOf<T>, Common | Given> & {
  readonly conversation?: string
  readonly collection?: string
  readonly expiresAt?: string
  readonly to?: string[]
  readonly page?: number
  readonly auditTrailInformation?: string
}

export interface Item {
  readonly id: string
  readonly bytes: Uint8Array
  readonly size: number
  readonly checksum: string
  /** ISO 8601. */
  readonly mtime: string
}

export interface PutOptions {
  readonly collection?: string
  readonly conversation?: string
  readonly information?: string
  /** Read in place of the bytes. */
  readonly offer?: (offset: number, length: number) => AsyncIterable<Uint8Array>
}

export interface Slice {
  readonly offset?: number
  readonly length?: number
  readonly checksum?: string
}

export interface Fetched {
  readonly final: MessageOf<'GetFileFinalResponse'>
  readonly file: MessageOf<'GetFileFinalResponse'>['files'][number]
  readonly bytes: Uint8Array
}

/** Where a pillar's bytes land. */
export interface Place {
  readonly name: string
  bytes(): Uint8Array
}

export interface Peer extends Ground {
  /** The topic of our pillar's requests. */
  readonly requests: string
  readonly replyTo: string
  /** Of the second collection that the pillar keeps; throws when there is none. */
  readonly second: string
  has(need: Need): boolean
  /** The same peer for another case: its ids begin otherwise. */
  begin(): Peer
  /** What the ids of this case begin with. */
  readonly prefix: string
  id(name: string): string
  request<T extends RequestType>(type: T, fields: Fields<T>): MessageOf<T>
  say(message: object, options?: { topic?: string; by?: Signer }): Promise<void>
  raw(payload: Uint8Array): Promise<void>
  /** Says it until it is answered, and gives the answer that ends it. */
  ask<T extends RequestType>(type: T, fields: Fields<T>): Promise<MessageOf<AnswerTo<T>>>
  /** The same for a request that is there. */
  final<T extends RequestType>(
    request: MessageOf<T>,
    topic?: string,
  ): Promise<MessageOf<AnswerTo<T>>>
  /** Says it, and wants to hear that it is not understood. */
  misunderstood(
    message: object & { conversation: string },
  ): Promise<MessageOf<'NotUnderstoodResponse'>>
  /** All answers of the pillar that came in this conversation. */
  answers(conversation: string): AnswerMessage[]
  /** None of these is answered, though something newer is. */
  unanswered(messages: readonly { readonly conversation: string }[]): Promise<void>
  alarms(): MessageOf<'Alarm'>[]
  presences(): MessageOf<'Presence'>[]
  until<T>(what: string, look: () => T | undefined): Promise<T>
  item(name: string, content?: number | Uint8Array): Item
  /** Random bytes, as many as are wanted. */
  noise(size: number): Uint8Array
  /** Offers the bytes, and makes the request that has them fetched. */
  putting(items: readonly Item[], options?: PutOptions): MessageOf<'PutFileRequest'>
  put(items: readonly Item[], options?: PutOptions): Promise<MessageOf<'PutFileFinalResponse'>>
  /** Puts one file and is content with nothing but success. */
  stored(name: string, content?: number | Uint8Array, options?: PutOptions): Promise<Item>
  place(from?: { writing?(at: number): void }): Place
  getting(id: string, place: Place, slice?: Slice, collection?: string): MessageOf<'GetFileRequest'>
  get(id: string, slice?: Slice, collection?: string): Promise<Fetched>
  transmission(
    claims: Pick<TokenClaims, 'dir' | 'obj'> & Partial<TokenClaims>,
    urls?: readonly string[],
  ): Transmission
  /** Lays these bytes out under this name. */
  offer(name: string, bytes: Uint8Array, read?: PutOptions['offer']): void
  /** A new name for an object. */
  object(): string
  sha256(bytes: Uint8Array): string
  sleep(ms: number): Promise<void>
  close(): Promise<void>
}

const againMs = 2_000
/** So much of a file is offered at a time. */
export const chunk = 512 * 1024

export async function openPeer(ground: Ground): Promise<Peer> {
  const { world, identity, signer, keys, directory, topics, pillar } = ground
  const { clock } = world
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  const run = hex(world.random.bytes(4))
  const replyTo = topics.replies(identity, `conformance-${run}`)
  const requests = topics.pillarRequests(pillar)
  const bench = newBench()
  const heard: Message[] = []
  /** What was wrong with what came in the name of the pillar. */
  const wrong: string[] = []
  const lastHeard = new Map<string, number>()
  const waiting = new Set<() => void>()
  const stored: { readonly collection: string; readonly id: string; readonly checksum: string }[] =
    []
  let cases = 0

  function hear(topic: string, payload: Uint8Array): void {
    const sealed = unseal(payload)
    if (!sealed) return
    const owner = directory.keyOwner(sealed.keyId)
    const signed =
      owner && keys.verify(sealed.algorithm, owner.publicKey, sealed.line, sealed.signature)
    const parsed = parse(sealed.line)
    const from =
      parsed.is === 'message'
        ? parsed.message.from
        : parsed.is === 'notUnderstood'
          ? parsed.head.from
          : ''
    if (!signed || owner.name !== from) {
      if (topic === replyTo) wrong.push(`an answer in the name of "${from}" is not signed by it`)
      return
    }
    if (from !== pillar) return
    if (parsed.is !== 'message') {
      wrong.push(`a message that is not as it should be: ${'why' in parsed ? parsed.why : ''}`)
      return
    }
    heard.push(parsed.message)
    lastHeard.set(parsed.message.conversation, clock.monotonic())
    for (const wake of waiting) wake()
  }
  let up = (): void => undefined
  const connected = new Promise<void>((resolve) => {
    up = resolve
  })
  const bus = ground.connect({
    clientId: `${identity}.conformance-${run}`,
    persistent: false,
    subscriptions: [replyTo, topics.alarms(), topics.pillarState(pillar)],
    receive: hear,
    connected: () => up(),
    closed: () => undefined,
  })
  const served = await ground.serve(
    exchange({ world, identity, directory, keys, shelf: bench, relay: false }),
  )
  await connected

  const second = directory
    .document()
    .collections.find(
      ({ name, pillars }) => name !== ground.collection && pillars.includes(pillar),
    )?.name

  async function until<T>(what: string, look: () => T | undefined, conversation = ''): Promise<T> {
    const began = clock.monotonic()
    for (;;) {
      if (wrong.length > 0) throw new Error(wrong.splice(0).join('; '))
      const found = look()
      if (found !== undefined) return found
      const since = Math.max(began, lastHeard.get(conversation) ?? 0)
      const left = since + ground.timeoutMs - clock.monotonic()
      if (left <= 0) throw new Error(`waited ${ground.timeoutMs} ms in vain: ${what}`)
      const woken = new AbortController()
      const wake = (): void => woken.abort()
      waiting.add(wake)
      await clock.sleep(left, woken.signal)
      waiting.delete(wake)
    }
  }
  const raw = (topic: string, payload: Uint8Array): Promise<void> => bus.publish(topic, payload)
  async function say(
    message: object,
    { topic = requests, by = signer }: { topic?: string; by?: Signer } = {},
  ): Promise<void> {
    await raw(topic, seal(JSON.stringify(message), by))
  }
  const answers = (conversation: string): AnswerMessage[] =>
    heard.filter((one): one is AnswerMessage => isAnswer(one) && one.conversation === conversation)

  /** Says it again now and then, and waits for the answer that `look` finds. */
  async function answered<A>(
    message: { readonly conversation: string; readonly type?: string },
    look: () => A | undefined,
    topic: string,
  ): Promise<A> {
    const over = new AbortController()
    const repeat = async (): Promise<void> => {
      for (;;) {
        await say(message, { topic }).catch(() => undefined)
        await clock.sleep(againMs, over.signal)
        if (over.signal.aborted) return
      }
    }
    void repeat()
    try {
      return await until(`an answer to ${message.type}`, look, message.conversation)
    } finally {
      over.abort()
    }
  }
  function checked(answer: AnswerMessage, request: RequestMessage): void {
    is.equal(answer.conversation, request.conversation, 'the conversation of the request')
    is.equal(answer.collection, request.collection, 'the collection of the request')
    is.equal(answer.page, request.page, 'the page of the request')
    is.deepEqual(answer.to, [request.from], 'to whoever asked')
    is.equal(answer.pillar, pillar, 'the name of the pillar')
  }
  const final = async <T extends RequestType>(
    message: MessageOf<T>,
    topic = requests,
  ): Promise<MessageOf<AnswerTo<T>>> => {
    const request = message as RequestMessage
    const wanted = answerTypeOf(request.type)
    const count = answers(request.conversation).length
    const found = await answered(
      request,
      () =>
        answers(request.conversation)
          .slice(count)
          .find(
            ({ type, page }) =>
              page === request.page && (type === wanted || type === 'NotUnderstoodResponse'),
          ),
      topic,
    )
    if (found.type === 'NotUnderstoodResponse')
      throw new Error(`${request.type} was not understood: ${found.responseInfo.text}`)
    for (const one of answers(request.conversation)) checked(one, request)
    return found as Message as MessageOf<AnswerTo<T>>
  }
  const object = (): string => hex(world.random.bytes(11))
  const sha256 = (bytes: Uint8Array): string => digestOf(world, bytes)
  /** No two kibibytes of it are alike. */
  function noise(size: number): Uint8Array {
    const block = world.random.bytes(Math.min(size, 1_024))
    const bytes = Buffer.alloc(size, block)
    for (let at = 1_024; at + 4 <= size; at += 1_024) bytes.writeUInt32BE(at / 1_024, at)
    return bytes
  }

  function transmission(
    claims: Pick<TokenClaims, 'dir' | 'obj'> & Partial<TokenClaims>,
    urls: readonly string[] = served.urls,
  ): Transmission {
    const token = issueToken(signer, {
      iss: identity,
      aud: [identity],
      hld: [pillar],
      exp: Math.floor(clock.now() / 1000) + 3_600,
      ...claims,
    })
    return { exchanges: [{ identity, urls: [...urls] }], token }
  }
  function offer(name: string, bytes: Uint8Array, read?: PutOptions['offer']): void {
    async function* parts(offset: number, length: number): AsyncGenerator<Uint8Array> {
      for (let at = offset; at < offset + length; at += chunk)
        yield bytes.slice(at, Math.min(at + chunk, offset + length))
    }
    bench.offer(name, { size: bytes.length, read: read ?? parts })
  }
  function place({ writing }: { writing?(at: number): void } = {}): Place {
    const name = object()
    let parts: Uint8Array[] = []
    let size = 0
    bench.land(name, {
      at: () => size,
      async write(bytes) {
        writing?.(size)
        parts.push(bytes.slice())
        size += bytes.length
      },
      secure: async () => undefined,
      async finish(expected) {
        if (size === expected) return undefined
        parts = []
        size = 0
        return 'another length than was said'
      },
    })
    return { name, bytes: () => Buffer.concat(parts) }
  }

  function peerFor(prefix: string): Peer {
    const request = <T extends RequestType>(type: T, fields: Fields<T>): MessageOf<T> => {
      return compose(world, identity, {
        type,
        conversation: uuid7(world),
        collection: ground.collection,
        replyTo,
        expiresAt: expiryText(world, 3_600_000),
        ...fields,
      } as never) as MessageOf<T>
    }
    const ask: Peer['ask'] = (type, fields) => final(request(type, fields))
    const id = (name: string): string => `${prefix}${name}`
    const putting: Peer['putting'] = (items, options = {}) => {
      const names = items.map(() => object())
      for (const [n, { bytes }] of items.entries()) offer(names[n] ?? '', bytes, options.offer)
      const files = items.map(({ id, size, checksum, mtime }) => ({ id, size, checksum, mtime }))
      return request('PutFileRequest', {
        files,
        ...(options.collection === undefined ? {} : { collection: options.collection }),
        ...(options.conversation === undefined ? {} : { conversation: options.conversation }),
        ...(options.information === undefined
          ? {}
          : { auditTrailInformation: options.information }),
        transmission: transmission({
          dir: 'down',
          obj: items.map(({ size }, n) => [names[n] ?? '', size]),
        }),
      })
    }
    const put: Peer['put'] = async (items, options) => {
      const asking = putting(items, options)
      for (const { id, checksum } of items)
        stored.push({ collection: asking.collection, id, checksum })
      return final(asking)
    }
    const item: Peer['item'] = (name, content = 100) => {
      const bytes = typeof content === 'number' ? noise(content) : content
      const mtime = timeText(clock.now() - 86_400_000)
      return { id: id(name), bytes, size: bytes.length, checksum: sha256(bytes), mtime }
    }
    const getting: Peer['getting'] = (id, { name }, slice = {}, collection = ground.collection) =>
      request('GetFileRequest', {
        collection,
        files: [{ id, ...slice }],
        transmission: transmission({ dir: 'up', obj: [[name, -1]] }),
      })
    return {
      ...ground,
      requests,
      replyTo,
      get second() {
        if (second === undefined) throw new Error('there is no second collection')
        return second
      },
      has(need) {
        if (need === 'second') return second !== undefined
        if (need === 'other') return ground.other !== undefined
        return ground.hands?.[need] !== undefined
      },
      begin: () => peerFor(`conformance-${run}/${++cases}/`),
      ...{ prefix, id, request, say, ask, final, answers, until, item, noise, putting, put },
      ...{ getting, transmission, offer, object, sha256, place },
      raw: (payload) => raw(requests, payload),
      async misunderstood(message) {
        const answer = await answered(
          message,
          () => answers(message.conversation).find((one) => one.type === 'NotUnderstoodResponse'),
          requests,
        )
        is.equal(answer.type, 'NotUnderstoodResponse')
        is.equal(answer.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
        is.equal(answers(message.conversation).length, 1, 'and nothing else')
        return answer as MessageOf<'NotUnderstoodResponse'>
      },
      async unanswered(messages) {
        // What comes after it has been dealt with.
        await ask('GetStatusRequest', {})
        await clock.sleep(ground.graceMs)
        for (const { conversation } of messages)
          is.deepEqual(
            answers(conversation).map(({ type }) => type),
            [],
            'it is not answered',
          )
      },
      alarms: () => heard.filter((one) => one.type === 'Alarm'),
      presences: () => heard.filter((one) => one.type === 'Presence'),
      async stored(name, content, options) {
        const one = item(name, content)
        const answer = await put([one], options)
        is.equal(answer.files[0]?.code, 'OPERATION_COMPLETED', `${one.id} is stored`)
        return one
      },
      async get(id, slice, collection) {
        const landing = place()
        const answer = await final(getting(id, landing, slice, collection))
        const [file] = answer.files
        if (!file || answer.files.length !== 1) throw new Error('one answer for each file')
        is.equal(file.id, id, 'the id of the request')
        return { final: answer, file, bytes: landing.bytes() }
      },
      sleep: (ms) => clock.sleep(ms),
      async close() {
        await tidyUp(peer, stored)
        await bus.close()
        await served.close()
      },
    }
  }
  const peer = peerFor(`conformance-${run}/`)
  return peer
}

const answerTypeOf = (type: string): string =>
  type.startsWith('Identify')
    ? type.replace(/Request$/, 'Response')
    : type.replace(/Request$/, 'FinalResponse')

/** Deletes what the cases have put; what is not there any more, or has other bytes, is left alone. */
async function tidyUp(
  peer: Peer,
  stored: readonly {
    readonly collection: string
    readonly id: string
    readonly checksum: string
  }[],
): Promise<void> {
  for (const collection of new Set(stored.map((one) => one.collection))) {
    const files = stored
      .filter((one) => one.collection === collection)
      .map(({ id, checksum }) => ({ id, checksum }))
    for (let at = 0; at < files.length; at += 40)
      await removed(peer, collection, files.slice(at, at + 40)).catch(() => undefined)
  }
}

async function removed(
  peer: Peer,
  collection: string,
  files: { id: string; checksum: string }[],
): Promise<void> {
  const told = await peer.ask('IdentifyPillarsForDeleteFileRequest', { collection, files })
  const doomed = files.flatMap((file, n) => {
    const version = told.files[n]?.version
    return version === undefined ? [] : [{ ...file, version }]
  })
  if (doomed.length > 0)
    await peer.ask('DeleteFileRequest', { collection, files: doomed, to: [peer.pillar] })
}
