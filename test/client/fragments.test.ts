// A client fetches fragments from the pillars that hold them: quick ones first, right ones only.

import t from 'tap'
import { heardAlarms } from '../../src/client/alarms.ts'
import type { Client } from '../../src/client/client.ts'
import { putBatch } from '../../src/client/put.ts'
import type { HeardAlarm } from '../../src/protocol/alarms.ts'
import { digestOf } from '../../src/world/world.ts'
import { bytes, collection, forger, kit, tally } from './fragments-kit.ts'

async function told(client: Client): Promise<HeardAlarm[]> {
  const all: HeardAlarm[] = []
  for await (const alarm of heardAlarms(client, {}, new AbortController().signal)) all.push(alarm)
  return all
}

t.test('[GETF-1] bytes come from pillars, not by way of the tracker', async (t) => {
  const { fleet, put, get, have, sent } = await kit(t, 'straight')
  const items = [
    await put('big.bin', 20 * bytes + 100),
    await put('one.bin', 1),
    await put('no.bin', 0),
  ]
  const size = items.reduce((sum, item) => sum + item.size, 0)
  const results = await get(items)
  t.same(
    results.map(({ outcome }) => outcome),
    ['fetched', 'fetched', 'fetched'],
  )
  for (const item of items) t.ok(have(item)?.equals(item.bytes), item.id)
  t.ok(sent() < 1.2 * size, 'once, not twice')
  t.ok((results[0]?.pillars.length ?? 0) > 1, 'several pillars gave some of it')
  t.notOk(results[0]?.pillars.includes('tracker'))
  t.comment(fleet.time.clock.monotonic())
})

t.test('[GETF-2] a range costs the fragments that it needs', async (t) => {
  const { put, get, have, sent } = await kit(t, 'range')
  const item = await put('big.bin', 20 * bytes)
  const [offset, length] = [3 * bytes - 10, bytes + 20]
  const [got] = await get([item], { offset, length })
  t.equal(got?.outcome, 'fetched')
  t.same(have(item), Buffer.from(item.bytes.subarray(offset, offset + length)))
  t.ok(sent() < 3.5 * bytes)
})

t.test('[GETF-3] the tracker may go once it is known where the fragments are', async (t) => {
  const { fleet, put, get, have } = await kit(t, 'alone')
  const item = await put('big.bin', 12 * bytes + 1)
  let seen = 0
  const [got] = await get([item], {
    progress(count) {
      if (seen === 0) fleet.tracker.crash()
      seen += count
    },
  })
  t.equal(got?.outcome, 'fetched')
  t.equal(seen, item.size)
  t.ok(have(item)?.equals(item.bytes))
})

t.test('[GETF-3] and when it is away from the beginning, that is said', async (t) => {
  const { fleet, put, get } = await kit(t, 'nobody')
  const item = await put('big.bin', 3 * bytes)
  fleet.tracker.crash()
  t.match(await get([item]), [{ outcome: 'failed', why: 'tracker did not answer' }])
})

t.test('[GETF-4] a pillar that is off, and one that goes, are done without', async (t) => {
  const { fleet, put, get, have } = await kit(t, 'off')
  const item = await put('big.bin', 20 * bytes)
  fleet.boards[0]?.crash()
  await fleet.time.advance(60_000)
  const [first] = await get([item])
  t.equal(first?.outcome, 'fetched', first?.why ?? '')
  t.ok(have(item)?.equals(item.bytes))
  t.notOk(first?.pillars.includes('pillar-1'))
  await fleet.boards[0]?.start()
  await fleet.time.advance(60_000)
  const other = await put('other.bin', 20 * bytes)
  let gone = false
  const [second] = await get([other], {
    progress() {
      if (!gone) for (const board of fleet.boards.slice(1, 2)) board.crash()
      gone = true
    },
  })
  t.equal(second?.outcome, 'fetched', second?.why ?? '')
  t.ok(have(other)?.equals(other.bytes))
})

t.test('[GETF-4] what no pillar has comes from nobody, and is named', async (t) => {
  const { fleet, put, get, have } = await kit(t, 'lost')
  const item = await put('big.bin', 8 * bytes)
  for (const board of fleet.boards.slice(0, 3)) board.crash()
  await fleet.time.advance(60_000)
  const [got] = await get([item])
  t.equal(got?.outcome, 'failed')
  t.match(got?.why ?? '', /nobody gives fragment [0-9a-f]{64}: .*tracker/)
  t.notOk(have(item))
  for (const board of fleet.boards.slice(0, 3)) await board.start()
  await fleet.time.advance(60_000)
  const came = tally()
  const [again] = await get([item], { progress: came.add })
  t.equal(again?.outcome, 'fetched')
  t.ok(have(item)?.equals(item.bytes))
  t.ok(came.bytes() < item.size, 'what had come did not come again')
})

t.test('[GETF-4] when nobody is there for a while, all are asked once more', async (t) => {
  const { fleet, put, get, have } = await kit(t, 'while')
  const item = await put('big.bin', 8 * bytes)
  let gone = false
  const [got] = await get([item], {
    progress() {
      if (gone) return
      gone = true
      fleet.tracker.crash()
      for (const board of fleet.boards) board.crash()
      void fleet.time.clock.sleep(60_000).then(() => fleet.boards.map((board) => board.start()))
    },
  })
  t.equal(got?.outcome, 'fetched', got?.why ?? '')
  t.ok(have(item)?.equals(item.bytes))
})

t.test('[GETF-4] a damaged fragment comes from the other holder', async (t) => {
  const { fleet, put, get, have } = await kit(t, 'rotten')
  const item = await put('big.bin', 10 * bytes)
  const board = fleet.boards[0]
  const paths = [...(board?.disk.snapshot().keys() ?? [])]
  const slices = paths.filter((path) => /data\/[0-9a-f]{2}\/[0-9a-f]{2}\/[0-9a-f]{64}$/.test(path))
  t.ok(slices.length > 0)
  for (const path of slices) board?.disk.faults.rot(path, 100)
  const [got] = await get([item])
  t.equal(got?.outcome, 'fetched', got?.why ?? '')
  t.ok(have(item)?.equals(item.bytes))
  t.notOk(got?.pillars.includes('pillar-1'))
})

for (const [how, forge] of [
  ['other bytes', (_id: string, size: number) => new Uint8Array(size)],
  ['too many bytes', (_id: string, size: number) => new Uint8Array(size + 1)],
  ['too few bytes', (_id: string, size: number) => new Uint8Array(size - 1)],
  ['nothing', () => new Uint8Array(0)],
] as const)
  t.test(`[GETF-5] a pillar that says it is at it, and sends ${how}, keeps nobody`, async (t) => {
    const one = await kit(t, `forged ${how}`)
    const { fleet, ann, put, get, have } = one
    const item = await put('big.bin', 10 * bytes)
    const liar = await forger(one, 'pillar-2', forge)
    const complaints: string[] = []
    const began = fleet.time.clock.monotonic()
    const [got] = await get([item], { complain: (_, text) => void complaints.push(text) })
    t.equal(got?.outcome, 'fetched', got?.why ?? '')
    t.ok(have(item)?.equals(item.bytes))
    t.ok(liar.count('GetFileRequest') > 0, 'it was asked')
    const ms = fleet.time.clock.monotonic() - began
    t.ok(ms < 200_000, `${ms} ms`)
    if (how !== 'other bytes') return
    t.equal(complaints.length, 1)
    t.ok(liar.count('GetFileRequest') <= 2, 'and then not any more')
    t.match(complaints, [/^pillar-2 gave other bytes than those of fragment [0-9a-f]{64}$/])
    await fleet.time.advance(1_000)
    const alarms = await fleet.time.finish(told(ann))
    t.match(
      alarms.filter(({ component }) => component === 'ann'),
      [{ code: 'CHECKSUM_ALARM', text: complaints[0], fileId: 'big.bin' }],
    )
  })

t.test(
  '[GETF-5] who gave other bytes is not asked again, also when nobody else has them',
  async (t) => {
    const one = await kit(t, 'only a liar')
    const item = await one.put('big.bin', 3 * bytes)
    const liar = await forger(one, 'pillar-2', (_, size) => new Uint8Array(size))
    for (const n of [0, 2, 3]) one.fleet.boards[n]?.crash()
    await one.fleet.time.advance(60_000)
    const began = one.fleet.time.clock.monotonic()
    const [got] = await one.get([item])
    const ms = one.fleet.time.clock.monotonic() - began
    t.ok(ms < 1_000_000, `${ms} ms`)
    t.match(got, { outcome: 'failed', why: /pillar-2 gave other bytes/ })
    t.notOk(one.have(item))
    const asked = liar.asked.filter(({ type, from }) => type === 'GetFileRequest' && from === 'ann')
    t.equal(new Set(asked.map(({ conversation }) => conversation)).size, 1)
  },
)

t.test('[GETF-5] a pillar that says nothing is done without', async (t) => {
  const one = await kit(t, 'mute')
  const item = await one.put('big.bin', 10 * bytes)
  await forger(one, 'pillar-2', () => new Uint8Array(0), [])
  const [got] = await one.get([item])
  t.equal(got?.outcome, 'fetched', got?.why ?? '')
  t.ok(one.have(item)?.equals(item.bytes))
})

t.test('[GETF-6] a run that is stopped leaves what came to the next one', async (t) => {
  const { fleet, disk, put, get, have } = await kit(t, 'stopped')
  const item = await put('big.bin', 30 * bytes)
  for (const power of ['stays', 'goes']) {
    const stop = new AbortController()
    const came = tally()
    const ended = get([item], {
      signal: stop.signal,
      progress(count) {
        came.add(count)
        if (came.bytes() > 10 * bytes) stop.abort()
      },
    })
    await t.rejects(ended)
    if (power === 'goes') disk.crash(fleet.random.fork('power'))
  }
  const [came, had] = [tally(), tally()]
  const [got] = await get([item], { progress: came.add, had: had.add })
  t.equal(got?.outcome, 'fetched', got?.why ?? '')
  t.ok(have(item)?.equals(item.bytes))
  t.equal(came.bytes() + had.bytes(), item.size)
  t.ok(had.bytes() > 10 * bytes, `${had.bytes()} bytes were there`)
  t.same(
    [...disk.snapshot().keys()].filter((path) => path !== 'big.bin'),
    [],
    'nothing is left beside it',
  )
})

t.test('[GETF-1] fragments that a file has many times come once', async (t) => {
  const { put, get, have, sent, fleet, ann } = await kit(t, 'same')
  const sevens = new Uint8Array(6 * bytes + 5).fill(7)
  const item = {
    ...(await put('other.bin', 1)),
    ...{ id: 'sevens.bin', size: sevens.length, bytes: sevens, checksum: digestOf(fleet, sevens) },
    offer: {
      size: sevens.length,
      read: async function* (offset: number, length: number) {
        if (length > 0) yield sevens.slice(offset, offset + length)
      },
    },
  }
  const { signal } = new AbortController()
  const [stored] = await fleet.time.finish(putBatch(ann, collection, [item], { signal }))
  t.equal(stored?.outcome, 'stored')
  await fleet.time.advance(60_000)
  sent()
  const came = tally()
  const [got] = await get([item], { progress: came.add })
  t.equal(got?.outcome, 'fetched', got?.why ?? '')
  t.ok(have(item)?.equals(item.bytes))
  t.equal(came.bytes(), item.size)
  t.ok(sent() < 2 * bytes)
})

t.test('[GETF-1] a client that nobody can reach gets them by the relay', async (t) => {
  const { put, get, have } = await kit(t, 'relay', { lan: false })
  const item = await put('big.bin', 6 * bytes)
  const [got] = await get([item])
  t.equal(got?.outcome, 'fetched', got?.why ?? '')
  t.ok(have(item)?.equals(item.bytes))
})
