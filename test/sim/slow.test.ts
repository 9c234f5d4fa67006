// A pillar like a DVD changer: one drive, minutes until it is ready, and slow then. Nothing is lost but time.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { sumsOf } from '../../src/client/proofs.ts'
import { putBatch } from '../../src/client/put.ts'
import { answering, compose, uuid7 } from '../../src/post/compose.ts'
import { parse, seal, unseal } from '../../src/protocol/envelope.ts'
import type { AnswerMessage, Message, MessageOf } from '../../src/protocol/messages.ts'
import { memoryItem } from '../../src/sim/chaos.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { simWorld } from '../../src/sim/world.ts'
import { digestOf } from '../../src/world/world.ts'
import { topics, wire } from '../wire/wire.ts'

const { signal } = new AbortController()
const minute = 60_000

async function setting(seed: string) {
  const slow = { spinUpMs: 4 * minute, sleepsAfterMs: 30_000, bytesPerMs: 20 }
  const fleet = await startFleet({ seed, pillars: 1, copiesMin: 1, slow })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const items = ['a', 'b', 'c'].map((id) => memoryItem(fleet.random, fleet, id, 2_000_000))
  await fleet.time.finish(putBatch(client, 'home', items, { signal }))
  const heard: { at: number; answer: AnswerMessage }[] = []
  const { line } = client
  const spied: typeof line = {
    ...line,
    ask: (asking) =>
      line.ask({
        ...asking,
        progress(answer) {
          heard.push({ at: fleet.time.clock.monotonic(), answer })
          asking.progress?.(answer)
        },
      }),
  }
  return { fleet, client: { ...client, line: spied }, items, heard }
}

t.test('[DEL-4] [GET-3] files are fetched from it, one after the other, in its time', async (t) => {
  const { fleet, client, items, heard } = await setting(t.name)
  const got = items.map((): Uint8Array[] => [])
  const begun = fleet.time.clock.monotonic()
  const wanted = items.map(({ id, size }, n) => {
    let at = 0
    const landing = {
      at: () => at,
      async write(some: Uint8Array) {
        got[n]?.push(new Uint8Array(some))
        at += some.length
      },
      secure: async () => undefined,
      finish: async () => undefined,
    }
    return { id, size, landing }
  })
  const results = await fleet.time.finish(getBatch(client, 'home', wanted, { signal }))
  t.same(
    results.map(({ outcome }) => outcome),
    ['fetched', 'fetched', 'fetched'],
  )
  for (const [n, item] of items.entries())
    t.equal(digestOf(fleet, Buffer.concat(got[n] ?? [])), item.checksum)
  const took = fleet.time.clock.monotonic() - begun
  t.ok(took >= 4 * minute + 6_000_000 / 20, `${took} ms: it is not quicker than its drive`)
  const moved = heard
    .map(({ at, answer }) => ({ at, bytes: (answer as { bytesDone?: number }).bytesDone ?? 0 }))
    .filter(({ bytes }, n, all) => bytes > (all[n - 1]?.bytes ?? 0))
  t.ok((moved[0]?.at ?? 0) - begun >= 4 * minute, 'minutes without a byte')
  const pauses = heard.map(({ at }, n) => at - (heard[n - 1]?.at ?? begun))
  t.ok(Math.max(...pauses) < 30_000, 'but not without a sign of life')
  // Now it knows itself.
  const ann = await wire(fleet)
  const files = items.map(({ id }) => ({ id }))
  await ann.say(
    topics.pillarRequests('pillar-1'),
    ann.make<'IdentifyPillarsForGetFileRequest'>({
      ...{ type: 'IdentifyPillarsForGetFileRequest', to: ['pillar-1'], files },
      conversation: uuid7(ann.world),
    }),
  )
  const told = (await ann.wait('IdentifyPillarsForGetFileResponse')).timeToDeliver ?? 0
  t.ok(told > took / 3 && told < took * 2, `it says ${told} ms for what took ${took} ms`)
})

t.test('[SUM-3] [DEL-4] it proves what it has, in its time', async (t) => {
  const { fleet, client, items, heard } = await setting(t.name)
  const begun = fleet.time.clock.monotonic()
  const sums = await fleet.time.finish(
    sumsOf(client, {
      ...{ collection: 'home', pillars: ['pillar-1'], query: {}, signal },
      spec: { algorithm: 'HMAC-SHA-256', salt: '01' },
    }),
  )
  t.same(
    [...sums.files.keys()].toSorted(),
    items.map(({ id }) => id),
  )
  t.ok(fleet.time.clock.monotonic() - begun > 4 * minute)
  const done = heard.map(({ answer }) => answer as MessageOf<'GetChecksumsProgressResponse'>)
  t.ok(done.length > 40, `${done.length} signs of life`)
})

t.test('[DEL-4] who said that it takes long may be silent for long', async (t) => {
  const fleet = await startFleet({ seed: t.name, pillars: 1, copiesMin: 1 })
  await fleet.time.finish(fleet.boards[0]?.stop() ?? Promise.resolve())
  const { clock } = fleet.time
  const world = simWorld(clock, fleet.random.fork('changer'), 'changer')
  const bus = fleet.broker.connectAs('pillar-1')({
    ...{ clientId: 'pillar-1', persistent: false, connected: () => undefined },
    subscriptions: [topics.pillarRequests('pillar-1'), topics.allCollectionRequests()],
    receive(_topic, payload) {
      const sealed = unseal(payload)
      const parsed = sealed && parse(sealed.line)
      if (parsed?.is === 'message') void reply(parsed.message)
    },
    closed: () => undefined,
  })
  const say = (to: string, message: Message): Promise<void> =>
    bus.publish(to, seal(JSON.stringify(message), simSigner('pillar-1')))
  const performed = new Set<string>()
  async function reply(request: Message): Promise<void> {
    if (request.type === 'IdentifyPillarsForGetFileRequest') {
      const type = 'IdentifyPillarsForGetFileResponse' as const
      const about = answering(request, 'pillar-1', 'IDENTIFICATION_POSITIVE')
      const files = [{ id: 'a', code: 'IDENTIFICATION_POSITIVE' as const }]
      const answer = { type, ...about, timeToDeliver: 10 * minute, files }
      return say(request.replyTo, compose<typeof type>(world, 'pillar-1', answer))
    }
    if (request.type !== 'GetFileRequest' || performed.has(request.conversation)) return
    performed.add(request.conversation)
    for (const code of ['OPERATION_ACCEPTED_PROGRESS', 'OPERATION_PROGRESS'] as const) {
      const type = 'GetFileProgressResponse' as const
      const about = { ...answering(request, 'pillar-1', code), filesDone: 0, bytesDone: 0 }
      await say(request.replyTo, compose<typeof type>(world, 'pillar-1', { type, ...about }))
      await clock.sleep(8 * minute)
    }
    const type = 'GetFileFinalResponse' as const
    const files = [{ id: 'a', code: 'FAILURE' as const, text: 'the disc is scratched' }]
    const about = { ...answering(request, 'pillar-1', 'FAILURE'), files }
    await say(request.replyTo, compose<typeof type>(world, 'pillar-1', { type, ...about }))
  }
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const landing = {
    ...{ at: () => 0, write: async () => undefined, secure: async () => undefined },
    finish: async () => undefined,
  }
  const begun = clock.monotonic()
  const [result] = await fleet.time.finish(
    getBatch(client, 'home', [{ id: 'a', landing }], { signal }),
  )
  t.match(result, { outcome: 'failed', why: /scratched/ }, 'it was heard to its end')
  t.ok(clock.monotonic() - begun >= 16 * minute)
})
