// Proofs: an equal file that is hashed again before it is confirmed, and what reading has shown kept in the index.

import t, { type Test } from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { statuses } from '../../src/client/list.ts'
import { sumsOf } from '../../src/client/proofs.ts'
import { type PutItem, type PutOptions, putBatch } from '../../src/client/put.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { objectName } from '../../src/transfer/objects.ts'
import { topics, wire } from './wire.ts'

const { signal } = new AbortController()
const day = 24 * 3_600_000

async function setting(t: Test) {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 2 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 3_000_000)
  const put = async (one: PutItem = item, more: Partial<PutOptions> = {}) =>
    (await fleet.time.finish(putBatch(client, 'home', [one], { signal, ...more })))[0]
  await put()
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  return {
    ...{ fleet, client, item, put, board },
    /** Flips a bit of the file on the first pillar's disk. */
    async spoil(): Promise<void> {
      const [byte = 0] = await board.disk.disk.read('home/data/a.txt', 5, 1)
      await board.disk.disk.write('home/data/a.txt', 5, new Uint8Array([byte ^ 1]))
    },
    async checks(): Promise<string[]> {
      const entries = await board.index.audit(0, 99)
      return entries.filter((one) => one.event === 'fixity check').map((one) => one.outcome)
    },
    proofs: async () =>
      [...(await fleet.time.finish(statuses(client, 'home', signal))).values()].map((status) =>
        Date.parse(status?.oldestProof ?? ''),
      ),
    verify: () =>
      fleet.time.finish(
        sumsOf(client, {
          ...{
            collection: 'home',
            pillars: fleet.boards.map(({ name }) => name),
            query: {},
            signal,
          },
          spec: { algorithm: 'HMAC-SHA-256', salt: '01' },
        }),
      ),
  }
}

t.test('[PUT-5] an equal file is confirmed by its bytes, not by its row', async (t) => {
  const { fleet, put, item, spoil, checks, proofs } = await setting(t)
  const [before = 0] = await proofs()
  await fleet.time.advance(day)
  const proven = await put(item, { prove: true })
  t.match(proven, { outcome: 'stored', copies: { length: 3 }, known: true, damaged: [] })
  t.ok(
    (await proofs()).every((at) => at >= before + day),
    'the oldest proof has moved',
  )
  await spoil()
  t.match(await put(), { outcome: 'stored', copies: { length: 3 } }, 'a put believes the row')
  t.match(await put(item, { prove: true }), {
    outcome: 'stored',
    copies: ['pillar-2', 'pillar-3'],
    damaged: ['pillar-1'],
    owed: [],
  })
  t.same(await checks(), ['the stored bytes are damaged'])
  await put(item, { prove: true })
  t.equal((await checks()).length, 1, 'it is told once')
})

t.test(
  '[PUT-5] on the wire: positive with the time of the last proof, then the new one',
  async (t) => {
    const { fleet, item, client } = await setting(t)
    await fleet.time.advance(day)
    const ann = await wire(fleet)
    const files = [
      { id: 'a.txt', size: item.size, checksum: item.checksum, mtime: '2026-01-01T00:00:00.000Z' },
    ]
    const to = ['pillar-1']
    await ann.say(
      topics.pillarRequests('pillar-1'),
      ann.make<'IdentifyPillarsForPutFileRequest'>({
        ...{ type: 'IdentifyPillarsForPutFileRequest', to, files, prove: true },
      }),
    )
    const identified = await ann.wait('IdentifyPillarsForPutFileResponse')
    const [old] = identified.files
    t.match(old, { code: 'IDENTIFICATION_POSITIVE', provenAt: /^20/ })
    const transmission = client.transmission({
      ...{ dir: 'down', hld: to },
      obj: [[objectName(fleet, 'not fetched'), item.size]],
    })
    await ann.say(
      topics.pillarRequests('pillar-1'),
      ann.make<'PutFileRequest'>({ type: 'PutFileRequest', to, files, prove: true, transmission }),
    )
    const [fresh] = (await ann.wait('PutFileFinalResponse')).files
    t.equal(fresh?.code, 'OPERATION_COMPLETED')
    t.ok(Date.parse(fresh?.provenAt ?? '') - Date.parse(old?.provenAt ?? '') >= day)
  },
)

t.test('[SUM-6] what verify has read is noted: proofs, and damage once', async (t) => {
  const { fleet, verify, spoil, checks, proofs, put, board } = await setting(t)
  await put(memoryItem(fleet.random, fleet, 'b.txt', 10))
  const [before = 0] = await proofs()
  await fleet.time.advance(day)
  await verify()
  t.ok((await proofs()).every((at) => at >= before + day))
  await spoil()
  await fleet.time.advance(day)
  const sums = await verify()
  t.match([...(sums.files.get('a.txt')?.failed ?? [])], [['pillar-1', /damaged/]])
  await verify()
  t.same(await checks(), ['the stored bytes are damaged'])
  const entry = (await board.index.audit(0, 99)).find(({ event }) => event === 'fixity check')
  t.match(entry, { event: 'fixity check', id: 'a.txt', actor: 'ann' })
  await fleet.time.advance(60_000)
  t.same(await board.index.stored('home', ['a.txt']), [undefined], 'and put aside')
})

t.test('[SUM-6] a whole file that was fetched is a proof, a part of one is none', async (t) => {
  const { fleet, client, proofs, spoil, checks, item } = await setting(t)
  const [before = 0] = await proofs()
  await fleet.time.advance(day)
  const fetch = (more: object): Promise<unknown> => {
    let at = 0
    const landing = {
      at: () => at,
      async write(some: Uint8Array) {
        at += some.length
      },
      secure: async () => undefined,
      finish: async () => undefined,
    }
    const wanted = { id: 'a.txt', landing, ...more }
    return fleet.time.finish(getBatch(client, 'home', [wanted], { signal, pillar: 'pillar-1' }))
  }
  t.match(await fetch({ offset: 1, length: 10 }), [{ outcome: 'fetched' }])
  t.equal((await proofs())[0], before)
  t.match(await fetch({ size: item.size }), [{ outcome: 'fetched' }])
  t.ok(((await proofs())[0] ?? 0) >= before + day)
  await spoil()
  t.match(await fetch({ size: item.size }), [{ outcome: 'failed' }])
  t.same(await checks(), ['the stored bytes are damaged'])
})
