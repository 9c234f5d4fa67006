// A pillar whose disk sleeps: woken for work, never by us otherwise, and honest about the time it takes.

import t from 'tap'
import { coldDisk } from '../../src/bay/cold-disk.ts'
import { selfSleepingBay } from '../../src/bay/powered.ts'
import { getBatch } from '../../src/client/get.ts'
import { statuses } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simDisk } from '../../src/sim/disk.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { mountedMs, rack } from '../support/rack.ts'

const { signal } = new AbortController()
const [minute, hour, day] = [60_000, 3_600_000, 24 * 3_600_000]
async function setting(seed: string) {
  const one = rack(1)
  const fleet = await startFleet({
    ...{ seed, pillars: 1, copiesMin: 1 },
    cold: (_, world, disk, slot) => one.disk(slot, world, disk),
  })
  const client = await fleet.client('ann')
  const items = ['a', 'b', 'c'].map((id) => memoryItem(fleet.random, fleet, id, 100_000))
  await fleet.time.finish(putBatch(client, 'home', items, { signal }))
  // Ten minutes after a start it looks over what is there, as it does with each share of the scrub.
  await fleet.time.advance(15 * minute)
  return { ...one, fleet, client, items }
}

t.test('[BAY-4] an hour of nothing does not touch a sleeping disk, nor do questions', async (t) => {
  const { fleet, client, bays, calls, asked } = await setting(t.name)
  t.equal(bays()?.hasPower(0), false, 'it sleeps when it was not used')
  const [before, said] = [calls.length, asked()]
  for (let n = 0; n < 12; n++) {
    await fleet.time.advance(hour / 12)
    const [status] = (await fleet.time.finish(statuses(client, 'home', signal))).values()
    t.match(status, { verdict: 'OK', files: 3 })
    t.ok((status?.volumes[0]?.bytesFree ?? 0) > 0, 'as it was when it was awake')
  }
  t.equal(calls.length - before, 0, 'no call of the disk, statfs included')
  t.equal(asked() - said, 0, 'no word to the controller')
  await fleet.time.advance(23 * hour)
  t.equal(calls.length - before, 0, 'nor in a day')
})

t.test('[BAY-5] it says honestly how long it takes, wakes, delivers, and sleeps', async (t) => {
  const { fleet, client, bays, items, wakes } = await setting(t.name)
  const offers: number[] = []
  const heard: string[] = []
  const { line } = client
  const spied: typeof line = {
    ...line,
    ask: async (asking) => {
      const result = await line.ask({
        ...asking,
        progress(answer) {
          heard.push(answer.type)
          asking.progress?.(answer)
        },
      })
      for (const party of result.values())
        if (party.at === 'answered' && 'timeToDeliver' in party.answer)
          offers.push(Number(party.answer.timeToDeliver))
      return result
    },
  }
  const woken = wakes()
  const wanted = items.map(({ id, size }) => ({ id, size, landing: memoryLanding(fleet) }))
  const begun = fleet.time.clock.monotonic()
  const results = await fleet.time.finish(
    getBatch({ ...client, line: spied }, 'home', wanted, { signal }),
  )
  const took = fleet.time.clock.monotonic() - begun
  t.same(
    results.map(({ outcome }) => outcome),
    ['fetched', 'fetched', 'fetched'],
  )
  t.equal(wakes() - woken, 1, 'all of them in one go')
  t.ok(took >= mountedMs, `${took} ms`)
  t.ok((offers[0] ?? 0) >= mountedMs && (offers[0] ?? 0) < 3 * took, `${offers[0]} ms were told`)
  t.ok(heard.includes('GetFileProgressResponse'), 'and it says meanwhile that it is at it')
  await fleet.time.advance(5 * minute)
  t.equal(bays()?.hasPower(0), false)
})

t.test('[BAY-5] puts that come while it wakes, and soon after, share that', async (t) => {
  const { fleet, client, wakes, bays } = await setting(t.name)
  const woken = wakes()
  const puts = Array.from({ length: 5 }, async (_, n) => {
    await fleet.time.clock.sleep(n * 15_000)
    const item = memoryItem(fleet.random, fleet, `more-${n}`, 10_000)
    return putBatch(client, 'home', [item], { signal })
  })
  for (const result of await fleet.time.finish(Promise.all(puts)))
    t.match(result, [{ outcome: 'stored', copies: ['pillar-1'] }])
  await fleet.time.advance(5 * minute)
  t.equal(wakes() - woken, 1)
  t.equal(bays()?.hasPower(0), false)
})

t.test(
  '[BAY-6] everything is read within the period, and the disk woken once a week at most',
  async (t) => {
    const { fleet, wakes, bays } = await setting(t.name)
    const [woken, begun] = [wakes(), fleet.time.clock.now()]
    await fleet.time.advance(95 * day)
    const [board] = fleet.boards
    const { files } = (await board?.index.list({ collection: 'home', limit: 9 })) ?? { files: [] }
    t.equal(files.length, 3)
    for (const { id, provenAt } of files) t.ok(provenAt > begun, `${id} was read`)
    t.ok(wakes() - woken <= 14, `${wakes() - woken} times in 95 days`)
    t.equal(bays()?.hasPower(0), false)
  },
)

t.test('[BAY-5] without power in the middle of it nothing is lost', async (t) => {
  const { fleet, client, items, reset } = await setting(t.name)
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  const item = memoryItem(fleet.random, fleet, 'late', 3_000_000)
  const putting = putBatch(client, 'home', [item], { signal })
  await fleet.time.advance(mountedMs / 2)
  board.crash()
  reset()
  await fleet.time.advance(minute)
  await fleet.time.finish(board.start())
  await fleet.time.finish(putting)
  const again = putBatch(client, 'home', [item], { signal })
  t.match(await fleet.time.finish(again), [{ outcome: 'stored' }])
  const wanted = [...items, item].map(({ id, size }) => ({
    id,
    size,
    landing: memoryLanding(fleet),
  }))
  const got = await fleet.time.finish(getBatch(client, 'home', wanted, { signal }))
  for (const one of got) t.equal(one.outcome, 'fetched', one.id)
})

function bench(seed: string, slots = 1, onMax = slots) {
  const time = simClock()
  const world = simWorld(time.clock, simRandom(seed), 'board')
  const one = rack(slots, onMax)
  const inner = Array.from({ length: slots }, () =>
    simDisk({ capacity: 1 << 20, clock: time.clock }),
  )
  return { ...one, time, world, inner }
}

t.test('[BAY-3] both disks of a board asked for at once start one after the other', async (t) => {
  const { time, world, disk, inner, bays } = bench(t.name, 2)
  const cold = inner.map((one, slot) => disk(slot, world, one.disk))
  await time.finish(Promise.all(cold.map((one, n) => one.write(`${n}`, 0, new Uint8Array(9)))))
  const starts = bays()?.changes.filter(({ on }) => on) ?? []
  t.equal(starts.length, 2)
  t.ok(Math.abs((starts[0]?.at ?? 0) - (starts[1]?.at ?? 0)) >= 3_000, 'not at the same moment')
  await time.advance(5 * minute)
  t.same(
    inner.map((one) => [...one.snapshot().values()].map(({ length }) => length)),
    [[9], [9]],
  )
  t.same(
    [0, 1].map((slot) => bays()?.hasPower(slot)),
    [false, false],
  )
})

t.test('[BAY-3] where the supply carries one, each has its turn', async (t) => {
  const { time, world, disk, inner, bays } = bench(t.name, 2, 1)
  const cold = inner.map((one, slot) => disk(slot, world, one.disk))
  let most = 0
  const looking = (async () => {
    for (let n = 0; n < 600; n++) {
      most = Math.max(most, [0, 1].filter((slot) => bays()?.hasPower(slot)).length)
      await time.clock.sleep(1_000)
    }
  })()
  const all = Promise.all(cold.map((one, n) => one.write(`${n}`, 0, new Uint8Array(9))))
  await time.finish(all)
  await time.finish(looking)
  t.equal(most, 1)
})

t.test('[BAY-3] one that is asked without a rest gives way after three minutes', async (t) => {
  const { time, world, disk, inner, bays } = bench(t.name, 2, 1)
  const [busy, other] = inner.map((one, slot) => disk(slot, world, one.disk))
  if (!busy || !other) throw new Error('two disks')
  let calls = 0
  const working = (async () => {
    while (time.clock.monotonic() < 10 * minute) {
      await busy.write('busy', calls++, new Uint8Array(1))
      await time.clock.sleep(500)
    }
  })()
  await time.advance(30_000)
  const begun = time.clock.monotonic()
  await time.finish(other.write('other', 0, new Uint8Array(1)))
  const took = time.clock.monotonic() - begun
  t.ok(took > minute && took < 4 * minute, `${took} ms`)
  await time.finish(working)
  t.equal(inner[0]?.snapshot().get('busy')?.length, calls, 'nothing of what it was asked failed')
  const starts = bays()?.changes.filter(({ on }) => on).length ?? 0
  t.equal(starts, 3, 'and then it had its turn again')
})

t.test('[BAY-7] what is still in use keeps its power, and is tried again', async (t) => {
  const { time, world, disk, inner, bays } = bench(t.name)
  let inUse = true
  const cold = disk(0, world, inner[0]?.disk as Disk, () => inUse)
  await time.finish(cold.mkdir('a'))
  await time.advance(5 * minute)
  t.equal(bays()?.hasPower(0), true)
  inUse = false
  await time.advance(15 * minute)
  t.equal(bays()?.hasPower(0), false)
})

t.test(
  '[BAY-7] what was written and not synced is synced first; a failure is told later',
  async (t) => {
    const { time, world, disk, inner } = bench(t.name)
    const [sim] = inner
    const cold = disk(0, world, sim?.disk as Disk)
    await time.finish(cold.write('good', 0, new Uint8Array(5)))
    await time.finish(cold.write('bad', 0, new Uint8Array(5)))
    await time.finish(cold.rename('bad', 'worse'))
    sim?.faults.failNext('sync', 'EIO', { path: 'worse' })
    await time.advance(5 * minute)
    t.ok(cold.asleep())
    await sim?.disk.sync('worse')
    t.pass('the sync that failed was before it slept: another would say that all is well')
    await time.finish(cold.sync('good'))
    await t.rejects(time.finish(cold.sync('worse')), { code: 'EIO' }, 'and not: all is well')
  },
)

t.test('[BAY-7] a disk that does not come is no broken volume: it is asked again', async (t) => {
  const { time, world, disk, inner, bays } = bench(t.name)
  const cold = disk(0, world, inner[0]?.disk as Disk)
  await time.finish(cold.mkdir('a'))
  await time.advance(5 * minute)
  const held = bays()
  if (!held) throw new Error('no bays')
  held.faults.stuck = true
  await t.rejects(time.finish(cold.mkdir('b')), { code: 'EAGAIN' })
  t.ok(cold.asleep())
  held.faults.stuck = false
  await time.finish(cold.mkdir('b'))
  t.equal((await time.finish(cold.list(''))).length, 2)
  await time.finish(cold.close())
  t.equal(held.hasPower(0), false, 'the end of the agent is the end of its power')
  await t.rejects(cold.mkdir('c'), { code: 'EBADF' })
})

t.test('[BAY-8] a disk with a timer of its own is not woken either', async (t) => {
  const time = simClock()
  const world = simWorld(time.clock, simRandom(t.name), 'board')
  const inner = simDisk({ capacity: 1 << 20, clock: time.clock })
  let [calls, there] = [0, true]
  const counted = new Proxy(inner.disk, {
    get: (target, name) => {
      calls++
      return Reflect.get(target, name)
    },
  })
  const stops: number[] = []
  const cold = coldDisk(world, {
    bay: selfSleepingBay({ isThere: () => there }, async () => {
      stops.push(time.clock.monotonic())
    }),
    open: async () => ({ ...counted, close: async () => undefined }),
    lingerMs: minute,
    workEveryMs: 7 * day,
  })
  await time.finish(cold.mkdir('a'))
  await time.advance(5 * minute)
  const before = calls
  for (let n = 0; n < 60; n++) {
    await cold.free()
    await time.advance(minute)
  }
  t.equal(calls, before)
  t.equal(stops.length, 1, 'it is told to stop once, when it is to sleep')
  there = false
  await t.rejects(time.finish(cold.mkdir('b')), /not plugged in/)
})
