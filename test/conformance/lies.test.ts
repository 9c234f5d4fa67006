// A suite that can not fail proves nothing: each of its cases finds at least one of these lies, told by a pillar that is
// sound but for them.

import t from 'tap'
import type { Bus, ConnectBus } from '../../src/bus/bus.ts'
import { compose } from '../../src/post/compose.ts'
import { parse, seal, unseal } from '../../src/protocol/envelope.ts'
import type { Message, RequestMessage } from '../../src/protocol/messages.ts'
import { simSigner } from '../../src/sim/keys.ts'
import type { Serve } from '../../src/transfer/transfer.ts'
import { cases } from './cases.ts'
import { groundInSimulation } from './fleet.ts'
import type { Ground } from './ground.ts'
import { runCases } from './suite.ts'

type Told = Record<string, unknown> & { type: string; responseInfo?: { code: string } }
/** What is heard in the place of an answer. */
type Lie = (said: Told) => Told | undefined

const isEnd = ({ type }: Told): boolean => /FinalResponse$|^Identify.*Response$/.test(type)

/** Changes every field of these names, wherever it stands. */
const everywhere = (said: Told, change: (key: string, value: unknown) => unknown): Told =>
  JSON.parse(JSON.stringify(said, change)) as Told

const digits = (text: string): string => (text.startsWith('0') ? '1' : '0') + text.slice(1)

const told: Readonly<Record<string, Lie>> = {
  'checksums are others than those of the bytes': (said) =>
    everywhere(said, (key, value) =>
      /^(checksum|partChecksum|hash)$/.test(key) ? digits(String(value)) : value,
    ),
  'the first of a listing is left out': (said) =>
    Array.isArray(said.items) ? { ...said, items: said.items.slice(1) } : said,
  'all is well, whatever it is': (said) =>
    isEnd(said)
      ? everywhere(said, (key, value) =>
          key !== 'code'
            ? value
            : said.type.startsWith('Identify')
              ? 'IDENTIFICATION_POSITIVE'
              : 'OPERATION_COMPLETED',
        )
      : said,
  'what was not understood is passed over': (said) =>
    said.type === 'NotUnderstoodResponse' ? undefined : said,
  'there is always more': (said) =>
    'partialResult' in said ? { ...said, partialResult: true } : said,
  'nothing is told of the way': (said) =>
    said.type.endsWith('ProgressResponse') ? undefined : said,
  'versions and sessions stand still': (said) =>
    everywhere(said, (key, value) =>
      /^(version|session)$/.test(key) && Number(value) ? 1 : value,
    ),
}

/** Coarse ones, for the cases that have believed all others. */
const coarse: Readonly<Record<string, Lie>> = {
  'every answer is about another collection': (said) =>
    'collection' in said ? { ...said, collection: 'astray' } : said,
  'the pillar is away': (said) => (said.type === 'Presence' ? { ...said, state: 'offline' } : said),
}

const utf8 = new TextDecoder()

/** A bus on which the pillar says other things than it does. */
const lying =
  (connect: ConnectBus, lie: Lie): ConnectBus =>
  (link) => {
    return connect({
      ...link,
      receive(topic, payload, retained) {
        const sealed = unseal(payload)
        const said: Told = sealed && JSON.parse(utf8.decode(sealed.line))
        if (said?.from !== 'pillar-1') return link.receive(topic, payload, retained)
        const heard = lie(said)
        if (heard === undefined) return
        link.receive(topic, seal(JSON.stringify(heard), simSigner('pillar-1')), retained)
      },
    })
  }

/** A pillar that answers what it is not to answer, signed or not. */
const chatty =
  ({ connect, world }: Ground): ConnectBus =>
  (link): Bus => {
    const bus = connect(link)
    return {
      ...bus,
      async publish(topic, payload, retain) {
        await bus.publish(topic, payload, retain)
        const text = utf8.decode(payload).split('\n')[0] ?? ''
        const parsed = parse(Buffer.from(text))
        if (parsed.is !== 'message' || !('expiresAt' in parsed.message)) return
        const request = parsed.message as RequestMessage
        const answer = compose<'GetStatusFinalResponse'>(world, 'pillar-1', {
          type: 'GetStatusFinalResponse',
          conversation: request.conversation,
          collection: request.collection,
          pillar: 'pillar-1',
          to: [request.from],
          responseInfo: { code: 'OPERATION_PROGRESS' },
        })
        if (request.type === 'GetStatusRequest') return
        const said = seal(JSON.stringify(answer satisfies Message), simSigner('pillar-1'))
        link.receive(link.subscriptions[0] ?? '', said, false)
      },
    }
  }

/** Bytes that are delivered lose a bit on their way. */
const spoiling =
  (serve: Serve): Serve =>
  (peer, request, signal) => {
    const { body } = request
    async function* spoilt(): AsyncGenerator<Uint8Array> {
      for await (const bytes of body ?? []) yield bytes.map((byte) => byte ^ 1)
    }
    return serve(peer, body ? { ...request, body: spoilt() } : request, signal)
  }

type Telling = readonly [name: string, tell: (ground: Ground) => Ground]
const onTheBus = (all: Readonly<Record<string, Lie>>): Telling[] =>
  Object.entries(all).map(([name, lie]) => [
    name,
    (ground) => ({ ...ground, connect: lying(ground.connect, lie) }),
  ])

const lies: readonly Telling[] = [
  ...onTheBus(told),
  [
    'what is not for the pillar is answered all the same',
    (ground) => ({ ...ground, connect: chatty(ground) }),
  ],
  [
    'bytes come back as others',
    (ground) => ({ ...ground, serve: (serve) => ground.serve(spoiling(serve)) }),
  ],
  ...onTheBus(coarse),
]

const unconvinced = new Set(cases)
for (const [name, tell] of lies)
  t.test(`a lie is found out: ${name}`, async (t) => {
    const { fleet, ground } = await groundInSimulation(name)
    const some = [...unconvinced]
    const results = await fleet.time.finish(runCases(some, tell({ ...ground, timeoutMs: 15_000 })))
    const found = some.filter((_, n) => results[n]?.is === 'failed')
    for (const one of found) unconvinced.delete(one)
    t.comment(`${found.length} of ${some.length} cases found it out`)
    t.ok(found.length > 0)
  })

t.test('there is no case that would believe anything', async (t) => {
  t.same(
    [...unconvinced].map(({ name }) => name),
    [],
  )
})
