// What the client tests of Bitrepository.org demand of theirs, named by their classes, and how ours does it; against pillars
// that answer as the test wants.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { statuses, survey } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import type { FleetOptions } from '../../src/sim/fleet-ground.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { type Reply, type Script, scripted } from './scripted.ts'

const { signal } = new AbortController()
const options = { signal }
const all = ['pillar-1', 'pillar-2', 'pillar-3']

async function setting(seed: string, more: Partial<FleetOptions> = {}) {
  const fleet = await startFleet({ seed, pillars: 3, copiesMin: 2, ...more })
  const ann = await fleet.client('ann')
  await fleet.time.advance(5_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 5_000)
  const put = async () => (await fleet.time.finish(putBatch(ann, 'home', [item], options)))[0]
  return { fleet, ann, item, put }
}

const positive: Reply = { code: 'IDENTIFICATION_POSITIVE' }
const accepted: Reply = { code: 'OPERATION_ACCEPTED_PROGRESS', progress: true }
/** Says yes when asked, and this when it has to do it. */
const performing =
  (...replies: Reply[]): Script =>
  ({ type }) =>
    type.startsWith('Identify') ? [positive] : replies

t.test('DefaultClientTest: a pillar that refuses when identified is left out', async (t) => {
  const { fleet, put } = await setting('negative')
  const one = await scripted(fleet, 'pillar-1', () => [{ code: 'IDENTIFICATION_NEGATIVE' }])
  t.match(await put(), {
    ...{ outcome: 'stored', copies: ['pillar-2', 'pillar-3'], owed: ['pillar-1'] },
  })
  t.equal(one.count('PutFileRequest'), 0)
})

t.test('DefaultClientTest: a pillar that fails is told from those that do not', async (t) => {
  const { fleet, put } = await setting('fails')
  await scripted(fleet, 'pillar-1', performing({ code: 'FAILURE' }))
  t.match(await put(), { outcome: 'stored', copies: ['pillar-2', 'pillar-3'] })
})

t.test('DefaultClientTest: an operation ends when a pillar accepts and falls silent', async (t) => {
  const { fleet, put } = await setting('silent')
  await scripted(fleet, 'pillar-1', ({ type }, n) => {
    if (type.startsWith('Identify')) return [positive]
    return n === 0 ? [accepted] : []
  })
  const began = fleet.time.clock.monotonic()
  t.match(await put(), { outcome: 'stored', owed: ['pillar-1'] })
  const tookMs = fleet.time.clock.monotonic() - began
  t.ok(tookMs > 80_000 && tookMs < 300_000, `${tookMs} ms`)
})

t.test('ConversationMediatorTest: an answer of another conversation is not taken', async (t) => {
  const { fleet, put } = await setting('astray')
  const conversation = '01a00000-0000-7000-8000-000000000001'
  const done = { code: 'OPERATION_COMPLETED', fields: { conversation } } as const
  const one = await scripted(fleet, 'pillar-1', performing(done))
  t.match(await put(), { outcome: 'stored', owed: ['pillar-1'] })
  t.ok(one.count('PutFileRequest') > 1, 'it is asked again')
})

t.test('PutFileClient: partial puts are as few as copiesMin allows, and no fewer', async (t) => {
  const { fleet, put } = await setting('too few', { copiesMin: 3 })
  await scripted(fleet, 'pillar-1', performing({ code: 'FAILURE' }))
  t.match(await put(), { outcome: 'failed', copies: ['pillar-2', 'pillar-3'], why: /pillar-1/ })
})

t.test('PutFileClient: a transfer that failed is tried again', async (t) => {
  const { fleet, put } = await setting('retried')
  const one = await scripted(fleet, 'pillar-1', ({ type }, n) => {
    if (type.startsWith('Identify')) return [positive]
    return [{ code: n === 0 ? 'FILE_TRANSFER_FAILURE' : 'OPERATION_COMPLETED' }]
  })
  t.match(await put(), { outcome: 'stored', copies: all, owed: [] })
  t.equal(one.count('PutFileRequest'), 2)
})

t.test('PutFileClient: and no more often than three times', async (t) => {
  const { fleet, put } = await setting('limit')
  const one = await scripted(fleet, 'pillar-1', performing({ code: 'FILE_TRANSFER_FAILURE' }))
  t.match(await put(), { outcome: 'stored', owed: ['pillar-1'] })
  t.equal(
    one.asked.filter(({ type, from }) => type === 'PutFileRequest' && from === 'ann').length,
    3,
  )
})

t.test('PutFileClient: other bytes under the id at one pillar stop the put for all', async (t) => {
  const { fleet, put } = await setting('duplicate')
  await scripted(fleet, 'pillar-1', () => [{ code: 'DUPLICATE_FILE_FAILURE' }])
  t.match(await put(), { outcome: 'duplicate', copies: [], why: /pillar-1 has other bytes/ })
  const found = await Promise.all(fleet.boards.map(({ index }) => index.stored('home', ['a.txt'])))
  t.same(found.flat().filter(Boolean), [], 'nobody was sent it')
})

t.test('PutFileClient: the same bytes at one pillar are a copy', async (t) => {
  const { fleet, put } = await setting('held')
  const provenAt = '2026-01-01T00:00:00.000Z'
  const held: Script = (request) => [
    {
      code: 'IDENTIFICATION_POSITIVE',
      fields: {
        files: [{ id: 'a.txt', code: 'OPERATION_COMPLETED', provenAt }],
        conversation: request.conversation,
      },
    },
  ]
  const one = await scripted(fleet, 'pillar-1', held)
  t.match(await put(), { outcome: 'stored', copies: all, owed: [] })
  t.equal(one.count('PutFileRequest'), 0, 'it is not asked to fetch it')
})

/** Two pillars that say how long they would take. */
async function racing(fleet: Fleet, slow: Script, fast: Script) {
  const timed =
    (timeToDeliver: number, script: Script): Script =>
    (request, n) =>
      script(request, n).map((reply) =>
        request.type.startsWith('Identify')
          ? { ...reply, fields: { ...reply.fields, timeToDeliver } }
          : reply,
      )
  return [
    await scripted(fleet, 'pillar-1', timed(9_000, slow)),
    await scripted(fleet, 'pillar-2', timed(0, fast)),
  ] as const
}

t.test(
  'GetFileClient: the fastest by its own word is asked, and the next if it fails',
  async (t) => {
    const { fleet, ann, item, put } = await setting('fastest')
    await put()
    await fleet.time.advance(60_000)
    const [slow, fast] = await racing(
      fleet,
      performing({ code: 'FAILURE' }),
      performing({ code: 'FAILURE' }),
    )
    const landing = memoryLanding(fleet, item.checksum)
    const got = getBatch(ann, 'home', [{ id: item.id, landing }], options)
    // The real one says what it estimates: more than the fast one, less than the slow one.
    t.match(await fleet.time.finish(got), [{ outcome: 'fetched', pillar: 'pillar-3' }])
    t.equal(slow.count('GetFileRequest'), 0, 'the slowest is not needed')
    t.equal(fast.count('GetFileRequest'), 1)
  },
)

t.test('GetFileClient: what does not do such things is passed over', async (t) => {
  const { fleet, ann, item, put } = await setting('not supported')
  await put()
  await fleet.time.advance(60_000)
  const one = await scripted(fleet, 'pillar-1', () => [{ code: 'REQUEST_NOT_SUPPORTED' }])
  const landing = memoryLanding(fleet, item.checksum)
  const got = getBatch(ann, 'home', [{ id: item.id, landing }], options)
  t.match(await fleet.time.finish(got), [{ outcome: 'fetched', pillar: /pillar-[23]/ }])
  t.equal(one.count('GetFileRequest'), 0)
})

t.test('GetFileClient: a pillar that is named is asked at once, and nobody else', async (t) => {
  const { fleet, ann, put } = await setting('named')
  await put()
  const one = await scripted(fleet, 'pillar-1', performing({ code: 'FILE_NOT_FOUND_FAILURE' }))
  const landing = memoryLanding(fleet)
  const got = getBatch(ann, 'home', [{ id: 'a.txt', landing }], { signal, pillar: 'pillar-1' })
  t.match(await fleet.time.finish(got), [{ outcome: 'notFound' }])
  t.equal(one.count('IdentifyPillarsForGetFileRequest'), 0)
  t.equal(landing.at(), 0)
})

t.test('GetFileClient: what nobody has is not found, which is no failure', async (t) => {
  const { fleet, ann } = await setting('nobody')
  const got = getBatch(ann, 'home', [{ id: 'nothing', landing: memoryLanding(fleet) }], options)
  t.match(await fleet.time.finish(got), [{ outcome: 'notFound' }])
})

const refusing: [name: string, script: Script, is: string][] = [
  ['refuses when identified', () => [{ code: 'EXISTING_FILE_CHECKSUM_FAILURE' }], 'refused'],
  ['fails when identified', () => [{ code: 'FAILURE' }], 'refused'],
  ['says nothing', () => [], 'silent'],
]
for (const [what, script, is] of refusing)
  t.test(`DeleteFileClient, ReplaceFileClient: when one ${what}, nothing starts`, async (t) => {
    const { fleet, ann, item, put } = await setting(what)
    await put()
    await fleet.time.advance(60_000)
    await scripted(fleet, 'pillar-1', script)
    const { id, checksum } = item
    const gone = await fleet.time.finish(remove(ann, 'home', { id, checksum }, all, signal))
    t.match(gone, [{ pillar: 'pillar-1', is }])
    const fresh = memoryItem(fleet.random, fleet, id, 100)
    const changed = replaceFile(ann, 'home', checksum, fresh, all, options)
    t.match(await fleet.time.finish(changed), [{ pillar: 'pillar-1', is }])
    for (const { index } of fleet.boards)
      t.equal((await index.stored('home', [id]))[0]?.checksum, checksum)
  })

t.test('DeleteFileClient: a pillar that does not have it counts as done', async (t) => {
  const { fleet, ann, item, put } = await setting('absent')
  await put()
  await fleet.time.advance(60_000)
  await scripted(fleet, 'pillar-1', () => [{ code: 'FILE_NOT_FOUND_FAILURE' }])
  const { id, checksum } = item
  const gone = await fleet.time.finish(remove(ann, 'home', { id, checksum }, all, signal))
  t.same(
    gone.map(({ pillar, is }) => [pillar, is]),
    [
      ['pillar-1', 'absent'],
      ['pillar-2', 'done'],
      ['pillar-3', 'done'],
    ],
  )
})

t.test(
  'GetStatusClient, GetFileIDsClient: who is silent is named, the others answer',
  async (t) => {
    const { fleet, ann, item, put } = await setting('one silent')
    await put()
    await fleet.time.advance(60_000)
    await scripted(fleet, 'pillar-1', () => [])
    const found = await fleet.time.finish(statuses(ann, 'home', signal))
    t.same(
      [...found].map(([name, status]) => [name, status?.files]),
      [
        ['pillar-1', undefined],
        ['pillar-2', 1],
        ['pillar-3', 1],
      ],
    )
    const listed = await fleet.time.finish(survey(ann, 'home', {}, signal))
    t.same([listed.silent, [...listed.files.keys()]], [['pillar-1'], [item.id]])
  },
)
