// A pillar that keeps checksums only, as it is met on the wire and by the client library.

import t, { type Test } from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { statuses, survey } from '../../src/client/list.ts'
import { sumsOf } from '../../src/client/proofs.ts'
import { type PutItem, type PutResult, putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { memoryItem } from '../../src/sim/chaos.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { topics, wire } from './wire.ts'

const { signal } = new AbortController()
const witness = 'pillar-3'

async function setting(t: Test, options: { told?: boolean; copiesMin?: number } = {}) {
  const fleet = await startFleet({
    ...{ seed: t.name, pillars: 3, checksumPillars: 1, copiesMin: 2 },
    ...options,
  })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 300_000)
  const put = async (one: PutItem): Promise<PutResult | undefined> =>
    (await fleet.time.finish(putBatch(client, 'home', [one], { signal })))[0]
  return { fleet, client, item, put }
}

const bytesOn = (fleet: Fleet, n: number): number =>
  [...(fleet.boards[n]?.disk.snapshot() ?? [])].reduce((sum, [, some]) => sum + some.length, 0)

/** What the checksum pillar knows of a file. */
const row = async (fleet: Fleet, id = 'a.txt') =>
  (await fleet.boards[2]?.index.stored('home', [id]))?.[0]

t.test('[KIND-1] a checksum pillar hashes what it fetches, and keeps none of it', async (t) => {
  const { fleet, item, put } = await setting(t)
  t.match(await put(item), {
    outcome: 'stored',
    copies: ['pillar-1', 'pillar-2'],
    checked: [witness],
    owed: [],
  })
  t.match(await row(fleet), { checksum: item.checksum, size: 300_000 })
  t.ok((await row(fleet))?.provenAt, 'it has seen the bytes')
  t.ok(bytesOn(fleet, 2) < 5_000)
  t.ok(bytesOn(fleet, 0) > 300_000)
  const entries = await fleet.boards[2]?.index.audit(0, 9)
  t.match(entries?.at(-1), { event: 'ingestion', outcome: 'checksum computed', actor: 'ann' })
  await fleet.time.finish(fleet.boards[2]?.running()?.stop() ?? Promise.resolve())
  const list = fleet.boards[2]?.disk.snapshot().get('home/manifest-sha256.txt')
  t.equal(Buffer.from(list ?? []).toString(), `${item.checksum}  data/a.txt\n`)
})

t.test('[KIND-1] bytes that are not those announced are refused by it as well', async (t) => {
  const { fleet, item, put } = await setting(t)
  const result = await put({ ...item, checksum: 'f'.repeat(64) })
  t.equal(result?.outcome, 'failed')
  t.equal(await row(fleet), undefined)
  const entries = await fleet.boards[2]?.index.audit(0, 9)
  t.match(entries?.at(-1), { event: 'ingestion', outcome: 'wrong checksum' })
})

t.test(
  '[KIND-1] by its policy it takes the word of the request, and fetches nothing',
  async (t) => {
    const { fleet, item, put } = await setting(t, { told: true })
    let asked = 0
    const offer = {
      ...item.offer,
      read(at: number, length: number) {
        asked++
        return item.offer.read(at, length)
      },
    }
    t.match(await put({ ...item, offer }), { outcome: 'stored', checked: [witness] })
    t.equal(asked, 2, 'both others fetch it')
    t.match(await row(fleet), { checksum: item.checksum, provenAt: 0 })
    const entries = await fleet.boards[2]?.index.audit(0, 9)
    t.match(entries?.at(-1), { outcome: 'checksum told' })
  },
)

t.test(
  '[KIND-2] what it confirms is no copy: neither for a put nor for anybody else',
  async (t) => {
    const { fleet, client, item, put } = await setting(t)
    fleet.boards[1]?.crash()
    const result = await put(item)
    t.match(result, { outcome: 'failed', copies: ['pillar-1'], checked: [witness] })
    const survey1 = await fleet.time.finish(survey(client, 'home', {}, signal))
    t.match(survey1.files.get('a.txt'), { pillars: ['pillar-1', witness], copies: ['pillar-1'] })
    const found = await fleet.time.finish(statuses(client, 'home', signal))
    t.equal(found.get(witness)?.kind, 'checksum')
    t.equal(found.get('pillar-1')?.kind, undefined)
    t.notOk(client.line.keepsFiles(witness))
    const landing = {
      ...{ at: () => 0, write: async () => undefined, secure: async () => undefined },
      finish: async () => undefined,
    }
    fleet.boards[0]?.crash()
    const [got] = await fleet.time.finish(
      getBatch(client, 'home', [{ id: 'a.txt', landing }], { signal }),
    )
    t.match(got, { outcome: 'failed', why: 'no pillar answered' })
    const [named] = await fleet.time.finish(
      getBatch(client, 'home', [{ id: 'a.txt', landing }], { signal, pillar: witness }),
    )
    t.match(named, { outcome: 'failed', why: /keeps checksums only/ })
    const spec = { algorithm: 'HMAC-SHA-256', salt: '00' }
    const sums = await fleet.time.finish(
      sumsOf(client, {
        ...{ collection: 'home', pillars: [witness], query: {}, spec, signal },
      }),
    )
    t.match([...sums.absent], [[witness, /keeps checksums only/]])
  },
)

t.test('[KIND-2] a service that never heard of it knows it by its answers', async (t) => {
  const { fleet, item, put, client } = await setting(t)
  await put(item)
  const bob = await fleet.client('bob')
  t.ok(bob.line.keepsFiles(witness), 'nothing was heard yet')
  const [again] = await fleet.time.finish(putBatch(bob, 'home', [item], { signal }))
  t.match(again, { copies: ['pillar-1', 'pillar-2'], checked: [witness] })
  await client.close()
})

t.test('[KIND-3] what it can not do it answers as not supported', async (t) => {
  const { fleet, item, put } = await setting(t)
  await put(item)
  const ann = await wire(fleet)
  const to = [witness]
  const files = [{ id: 'a.txt' }]
  const asks = [
    ann.make<'IdentifyPillarsForGetFileRequest'>({
      ...{ type: 'IdentifyPillarsForGetFileRequest', to, files },
    }),
    ann.make<'GetFileRequest'>({
      ...{ type: 'GetFileRequest', to, files, transmission: { exchanges: [], token: 'x' } },
    }),
    ann.make<'RestoreRetainedRequest'>({
      ...{ type: 'RestoreRetainedRequest', to },
      files: [{ id: 'a.txt', checksum: item.checksum }],
    }),
    ann.make<'IdentifyPillarsForGetChecksumsRequest'>({
      ...{ type: 'IdentifyPillarsForGetChecksumsRequest', to, checksumSpec: { algorithm: 'MD5' } },
    }),
    ann.make<'GetChecksumsRequest'>({
      ...{ type: 'GetChecksumsRequest', to },
      checksumSpec: { algorithm: 'HMAC-SHA-256', salt: '00' },
    }),
  ]
  const answers = [
    'IdentifyPillarsForGetFileResponse',
    'GetFileFinalResponse',
    'RestoreRetainedFinalResponse',
    'IdentifyPillarsForGetChecksumsResponse',
    'GetChecksumsFinalResponse',
  ] as const
  for (const [n, request] of asks.entries()) {
    await ann.say(topics.pillarRequests(witness), request)
    t.match(await ann.wait(answers[n] ?? 'GetFileFinalResponse'), {
      responseInfo: { code: 'REQUEST_NOT_SUPPORTED' },
      kind: 'checksum',
    })
  }
  await ann.say(
    topics.pillarRequests(witness),
    ann.make<'GetChecksumsRequest'>({ type: 'GetChecksumsRequest', to }),
  )
  t.match(await ann.wait('GetChecksumsFinalResponse', 2), {
    responseInfo: { code: 'OPERATION_COMPLETED' },
    items: [{ id: 'a.txt', checksum: item.checksum }],
  })
})

t.test(
  '[KIND-1] it replaces, deletes and remembers what was deleted, by the same guards',
  async (t) => {
    const { fleet, client, item, put } = await setting(t)
    await put(item)
    const fresh = memoryItem(fleet.random, fleet, 'a.txt', 9_000)
    const replace = (old: string) =>
      fleet.time.finish(replaceFile(client, 'home', old, fresh, [witness], { signal }))
    t.match(await replace('0'.repeat(64)), [{ is: 'refused' }])
    t.match(await replace(item.checksum), [{ is: 'done' }])
    t.match(await row(fleet), { checksum: fresh.checksum, size: 9_000 })
    const gone = (checksum: string) =>
      fleet.time.finish(remove(client, 'home', { id: 'a.txt', checksum }, [witness], signal))
    t.match(await gone(item.checksum), [{ is: 'refused' }])
    t.match(await gone(fresh.checksum), [{ is: 'done' }])
    t.equal(await row(fleet), undefined)
    const stones = await fleet.boards[2]?.index.tombstones({ collection: 'home', limit: 9 })
    t.match(stones?.tombstones, [{ id: 'a.txt', checksum: fresh.checksum }])
  },
)

t.test('[KIND-1] a power cut on the way: it asks for the bytes again', async (t) => {
  const { fleet, item, client } = await setting(t, { copiesMin: 2 })
  const big = memoryItem(fleet.random, fleet, 'big.bin', 30_000_000)
  const putting = putBatch(client, 'home', [item, big], { signal, waitAll: true })
  await fleet.time.advance(300)
  fleet.boards[2]?.crash()
  await fleet.time.advance(5_000)
  await fleet.time.finish(fleet.boards[2]?.start() ?? Promise.resolve())
  const results = await fleet.time.finish(putting)
  t.ok(results.every(({ outcome }) => outcome === 'stored'))
  for (let n = 0; n < 60 && !(await row(fleet, 'big.bin')); n++) await fleet.time.advance(10_000)
  t.match(await row(fleet, 'big.bin'), { checksum: big.checksum })
  t.match(await row(fleet), { checksum: item.checksum })
})
