// The scrub: everything is read in its period, and what is wrong is put aside, once and for all to see.

import fc from 'fast-check'
import t, { type Test } from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { putBatch } from '../../src/client/put.ts'
import { isForNow, scrubPlan } from '../../src/pillar/scrub-plan.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'

const { signal } = new AbortController()
const day = 24 * 3_600_000

t.test(
  '[SCRUB-1] by a share a day, nothing is ever proven longer ago than the period',
  async (t) => {
    const periodMs = 90 * day
    const sizes = fc.array(fc.integer({ min: 0, max: 1_000 }), { minLength: 1, maxLength: 300 })
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(sizes, fc.boolean(), (all, together) => {
          let files = all.map((size, n) => ({ size, provenAt: together ? 0 : n * 1_000 }))
          const bytes = all.reduce((sum, size) => sum + size, 0)
          for (let now = day; now < 400 * day; now += day) {
            const plan = scrubPlan(now, { bytes, periodMs, batchMs: day })
            files = files.sort((a, b) => a.provenAt - b.provenAt)
            let done = 0
            for (const file of files) {
              if (!isForNow(plan, file, done)) break
              done += file.size
              file.provenAt = now
            }
            if (files.some(({ provenAt }) => provenAt < now - periodMs)) return false
          }
          return true
        }),
        { numRuns: 50 },
      ),
    )
  },
)

t.test('[SCRUB-1] a day reads about its share, not everything at once', async (t) => {
  const plan = scrubPlan(100 * day, { bytes: 9_000, periodMs: 90 * day, batchMs: day })
  t.equal(plan.shareBytes, 200)
  t.equal(isForNow(plan, { provenAt: 50 * day }, 0), true)
  t.equal(isForNow(plan, { provenAt: 50 * day }, 200), false, 'the share is done')
  t.equal(isForNow(plan, { provenAt: 60 * day }, 0), false, 'not due')
  t.equal(isForNow(plan, { provenAt: 10 * day }, 900), true, 'overdue')
})

async function setting(t: Test) {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 3 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const items = Array.from({ length: 12 }, (_, n) =>
    memoryItem(fleet.random, fleet, `f${n}`, 10_000 + n),
  )
  await fleet.time.finish(putBatch(client, 'home', items, { signal }))
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  return {
    ...{ fleet, client, items, board },
    ids: async () =>
      (await board.index.list({ collection: 'home', limit: 99 })).files.map(({ id }) => id),
    trail: async () => (await board.index.audit(0, 999)).filter(({ actor }) => actor === 'scrub'),
  }
}

t.test(
  '[SCRUB-1] everything is proven anew within the period, without anybody asking',
  async (t) => {
    const { fleet, board } = await setting(t)
    const begun = fleet.time.clock.now()
    await fleet.time.advance(95 * day)
    const now = fleet.time.clock.now()
    const { files } = await board.index.list({ collection: 'home', limit: 99 })
    t.equal(files.length, 12)
    for (const { id, provenAt } of files)
      t.ok(provenAt > begun && provenAt > now - 90 * day, `${id} was proven`)
  },
)

t.test(
  '[SCRUB-2] a flipped bit is found in its period, put aside, alarmed and never served',
  async (t) => {
    const { fleet, client, items, board, ids, trail } = await setting(t)
    board.disk.faults.rot('home/data/f3', 77)
    let days = 0
    for (; days < 90 && (await trail()).length < 2; days++) await fleet.time.advance(day)
    t.ok(days < 90)
    t.same(
      (await trail()).map(({ event, id }) => `${event} ${id}`),
      ['fixity check f3', 'quarantine f3'],
    )
    t.ok(
      [...board.disk.snapshot().keys()].some((path) => /^\.retained\/./.test(path)),
      'as evidence',
    )
    t.equal((await board.index.tombstones({ collection: 'home', limit: 9 })).tombstones.length, 0)
    t.equal((await ids()).length, 12, 'it was brought again')
    t.same(board.disk.snapshot().get('home/data/f3'), items[3]?.bytes)
    const item = { id: 'f3', landing: memoryLanding(fleet) }
    const [got] = await fleet.time.finish(getBatch(client, 'home', [item], { signal }))
    t.equal(got?.outcome, 'fetched')
  },
)

t.test('[SCRUB-3] what a get finds wrong is looked at and put aside at once', async (t) => {
  const { fleet, client, board, ids } = await setting(t)
  board.disk.faults.rot('home/data/f5', 1)
  const item = { id: 'f5', landing: memoryLanding(fleet) }
  await fleet.time.finish(getBatch(client, 'home', [item], { signal, pillar: board.name }))
  await fleet.time.advance(60_000)
  t.notOk((await ids()).includes('f5'))
})

t.test(
  '[SCRUB-2] what reads wrong once is read again: a cable that errs costs no file',
  async (t) => {
    const { fleet, board, ids, trail } = await setting(t)
    board.disk.faults.failNext('readMedium', 'EIO', { path: 'home/data/f4' })
    await fleet.time.advance(90 * day)
    t.equal((await ids()).length, 12)
    t.same(await trail(), [])
  },
)

t.test('[SCRUB-2] what can not be read at all is alarmed, and stays where it is', async (t) => {
  const { fleet, board, ids, trail } = await setting(t)
  board.disk.faults.failNext('readMedium', 'EIO', { path: 'home/data/f4', times: 1e9 })
  await fleet.time.advance(90 * day)
  t.equal((await ids()).length, 12)
  t.match(await trail(), [{ event: 'fixity check', id: 'f4', outcome: /can not be read/ }])
})

t.test('[SCRUB-1] a power cut in the middle, and a start every day, put nothing off', async (t) => {
  const { fleet, board, ids, trail } = await setting(t)
  board.disk.faults.rot('home/data/f9', 3)
  for (let n = 0; n < 95; n++) {
    await fleet.time.advance(day - 3_600_000)
    board.crash()
    await fleet.time.finish(board.start())
  }
  t.match(await trail(), [
    { event: 'fixity check', id: 'f9' },
    { event: 'quarantine', id: 'f9' },
  ])
  t.equal((await ids()).length, 12, 'it was brought again')
})

t.test(
  '[SCRUB-1] a board that stands in 1970 and hears no time finds damage all the same',
  async (t) => {
    const { fleet, board, ids } = await setting(t)
    const begun = fleet.time.clock.now()
    await fleet.time.advance(2 * day)
    board.crash()
    board.clock.setOffset(-fleet.time.clock.now())
    await fleet.time.finish(board.start())
    const [row] = (await board.index.list({ collection: 'home', limit: 99 })).files
    board.disk.faults.rot(`home/data/${row?.path}`, 5)
    // Nobody brings it again: the others are asked by a tracker that is away.
    fleet.tracker.crash()
    for (let n = 0; n < 95; n++) {
      // Switched on anew each day: how long it was off it does not know.
      await fleet.time.advance(day)
      board.crash()
      board.clock.setOffset(-fleet.time.clock.now())
      await fleet.time.finish(board.start())
    }
    t.notOk((await ids()).includes(row?.id ?? ''), 'it is put aside')
    const { files } = await board.index.list({ collection: 'home', limit: 99 })
    t.equal(files.length, 11)
    for (const { id, provenAt } of files) t.ok(provenAt > begun + 2 * day, `${id} was proven`)
  },
)

t.test('[SCRUB-1] a disk that is too hot is left alone until it is cooler', async (t) => {
  const { fleet, board } = await setting(t)
  const begun = fleet.time.clock.now()
  board.celsius = 56
  const proven = async (): Promise<number> =>
    (await board.index.list({ collection: 'home', limit: 99 })).files.filter(
      ({ provenAt }) => provenAt > begun + day,
    ).length
  await fleet.time.advance(60 * day)
  t.ok((await proven()) <= 1, 'it rests in the first file')
  board.celsius = 52
  await fleet.time.advance(day)
  t.ok((await proven()) <= 1, 'somewhat cooler is not enough')
  board.celsius = 40
  await fleet.time.advance(40 * day)
  t.equal(await proven(), 12)
})
