// Puts and gets of the real client against a simulated fleet.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { statuses, survey } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'

const forever = new AbortController().signal
const options = { signal: forever }

const codesAt = async (fleet: Fleet, id: string): Promise<(string | undefined)[]> =>
  Promise.all(
    fleet.boards.map(
      async (board) => (await board.index.stored(fleet.collection, [id]))[0]?.checksum,
    ),
  )

t.test(
  '[PUT-4] a pillar that is off is owed its copy, and the tracker brings it with the client gone',
  async (t) => {
    for (const lan of [true, false]) {
      const fleet = await startFleet({ seed: 21, pillars: 3, copiesMin: 2, lan })
      const ann = await fleet.client('ann')
      await fleet.time.advance(5_000)
      fleet.boards[2]?.crash()
      await fleet.time.advance(120_000)
      const item = memoryItem(fleet.random, fleet, 'a/photo.jpg', 90_000)
      const [result] = await fleet.time.finish(putBatch(ann, 'home', [item], options))
      t.match(result, {
        outcome: 'stored',
        copies: ['pillar-1', 'pillar-2'],
        owed: ['pillar-3'],
        handedOver: true,
      })
      await fleet.time.finish(ann.close())
      await fleet.time.finish(fleet.boards[2]?.start() ?? Promise.resolve())
      await fleet.time.advance(120_000)
      t.same(await codesAt(fleet, item.id), [item.checksum, item.checksum, item.checksum])
      t.same(await fleet.tracker.running()?.owed(), [])
    }
  },
)

t.test(
  '[DEL-5] a broker that forgets everything in the middle of a put stops nothing',
  async (t) => {
    const fleet = await startFleet({ seed: 22, pillars: 3, copiesMin: 3 })
    const ann = await fleet.client('ann')
    await fleet.time.advance(5_000)
    const item = memoryItem(fleet.random, fleet, 'big.bin', 3_000_000)
    const put = putBatch(ann, 'home', [item], options)
    for (let n = 0; n < 8; n++) {
      await fleet.time.advance(10)
      fleet.broker.wipe(500)
    }
    const began = fleet.time.clock.monotonic()
    t.match((await fleet.time.finish(put))[0], { outcome: 'stored', owed: [] })
    t.ok(fleet.time.clock.monotonic() - began < 120_000, 'moving again within two minutes')
  },
)

t.test(
  '[PUT-1] two clients that put different bytes under one id at once never end with both',
  async (t) => {
    for (let seed = 0; seed < 30; seed++) {
      const fleet = await startFleet({ seed: `race ${seed}`, pillars: 3, copiesMin: 2 })
      fleet.busFaults.delayed = 0.5
      fleet.busFaults.delayMsMax = 200
      const [ann, bob] = [await fleet.client('ann'), await fleet.client('bob')]
      await fleet.time.advance(5_000)
      const one = memoryItem(fleet.random, fleet, 'same.txt', 1_000)
      const two = memoryItem(fleet.random, fleet, 'same.txt', 1_000)
      const both = Promise.all([
        putBatch(ann, 'home', [one], options),
        putBatch(bob, 'home', [two], options),
      ])
      const outcomes = (await fleet.time.finish(both)).map(([result]) => result?.outcome)
      t.ok(outcomes.filter((outcome) => outcome === 'stored').length <= 1, `${outcomes}`)
      const there = new Set(
        (await codesAt(fleet, 'same.txt')).filter((checksum) => checksum !== undefined),
      )
      t.ok(there.size <= 1, 'one set of bytes, or none')
    }
  },
)

t.test('what is known is not sent again', async (t) => {
  const fleet = await startFleet({ seed: 23, pillars: 3, copiesMin: 2 })
  const ann = await fleet.client('ann')
  await fleet.time.advance(5_000)
  const items = [1, 2, 3].map((n) => memoryItem(fleet.random, fleet, `f${n}`, 50_000))
  await fleet.time.finish(putBatch(ann, 'home', items, options))
  const { bytesDown } = fleet.net.counters
  const again = await fleet.time.finish(putBatch(ann, 'home', items, options))
  t.same(
    again.map((result) => [result.outcome, result.known]),
    items.map(() => ['stored', true]),
  )
  t.equal(fleet.net.counters.bytesDown, bytesDown)
})

t.test('[GET-2] when the chosen pillar dies, the next one goes on where it stopped', async (t) => {
  const fleet = await startFleet({ seed: 24, pillars: 3, copiesMin: 3 })
  const ann = await fleet.client('ann')
  await fleet.time.advance(5_000)
  const item = memoryItem(fleet.random, fleet, 'big.bin', 20_000_000)
  await fleet.time.finish(putBatch(ann, 'home', [item], options))
  const landing = memoryLanding(fleet, item.checksum)
  const before = fleet.net.counters.bytesUp
  const got = getBatch(ann, 'home', [{ id: item.id, landing }], options)
  while (landing.at() < 9_000_000) await fleet.time.advance(5)
  const first = fleet.boards.find((board) => board.running())
  first?.crash()
  const [result] = await fleet.time.finish(got)
  t.equal(result?.outcome, 'fetched')
  t.ok(fleet.net.counters.bytesUp - before < item.size + 9 * 1024 * 1024, 'at most one page twice')
})

t.test('nobody there: every operation ends and says who was silent', async (t) => {
  const fleet = await startFleet({ seed: 25, pillars: 2, copiesMin: 2 })
  const ann = await fleet.client('ann')
  for (const board of fleet.boards) board.crash()
  await fleet.time.advance(120_000)
  const item = memoryItem(fleet.random, fleet, 'a', 10)
  t.match((await fleet.time.finish(putBatch(ann, 'home', [item], options)))[0], {
    outcome: 'failed',
    copies: [],
    why: /pillar-1, pillar-2/,
  })
  t.match(
    (
      await fleet.time.finish(
        getBatch(ann, 'home', [{ id: 'a', landing: memoryLanding(fleet) }], options),
      )
    )[0],
    { outcome: 'failed' },
  )
  t.same((await fleet.time.finish(survey(ann, 'home', {}, forever))).silent, [
    'pillar-1',
    'pillar-2',
  ])
  t.same(
    [...(await fleet.time.finish(statuses(ann, 'home', forever))).values()],
    [undefined, undefined],
  )
})

t.test('stopping ends a put at once, and the same put goes on later', async (t) => {
  const fleet = await startFleet({ seed: 26, pillars: 3, copiesMin: 3 })
  const ann = await fleet.client('ann')
  await fleet.time.advance(5_000)
  const item = memoryItem(fleet.random, fleet, 'big.bin', 12_000_000)
  const stop = new AbortController()
  const put = putBatch(ann, 'home', [item], { signal: stop.signal })
  await fleet.time.advance(300)
  stop.abort()
  await t.rejects(fleet.time.finish(put), { name: 'Stopped' })
  t.match((await fleet.time.finish(putBatch(ann, 'home', [item], options)))[0], {
    outcome: 'stored',
    owed: [],
  })
})
