// Pillars that lack what they should have get it from the others, without anybody asking: whole archives in one thread.

import t, { type Test } from 'tap'
import { heardAlarms } from '../../src/client/alarms.ts'
import type { Client } from '../../src/client/client.ts'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { repairsUnderWay } from '../../src/client/repairs.ts'
import { replaceFile } from '../../src/client/replace.ts'
import type { HeardAlarm } from '../../src/protocol/alarms.ts'
import { type Board, type Fleet, startFleet } from '../../src/sim/fleet.ts'
import type { FleetOptions } from '../../src/sim/fleet-ground.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { held } from './held.ts'

const { signal } = new AbortController()
const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

type Item = PutItem & { readonly bytes: Uint8Array }

interface Setting {
  readonly fleet: Fleet
  readonly client: Client
  readonly boards: readonly [Board, Board, Board]
  item(id: string, size?: number): Item
  /** Stored on all that are there. */
  put(...items: readonly Item[]): Promise<void>
  putMany(prefix: string, count: number, size?: number): Promise<Item[]>
  remove(item: Item, ...boards: readonly Board[]): Promise<void>
  alarms(): Promise<HeardAlarm[]>
  /** What the tracker has logged under this name. */
  events(name: string): string[]
  /** Lets time pass until it is so. */
  until(
    what: string,
    isSo: () => Promise<boolean>,
    limitMs?: number,
    stepMs?: number,
  ): Promise<void>
}

async function setting(t: Test, options: Partial<FleetOptions> = {}): Promise<Setting> {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 2, ...options })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const [one, two, three] = fleet.boards
  if (!one || !two || !three) throw new Error('three boards')
  const item = (id: string, size = 1_000): Item => memoryItem(fleet.random, fleet, id, size)
  const put = async (...items: readonly Item[]): Promise<void> => {
    const results = await fleet.time.finish(putBatch(client, 'home', items, { signal }))
    for (const { outcome } of results)
      if (outcome !== 'stored') throw new Error(`a put ended as ${outcome}`)
  }
  return {
    ...{ fleet, client, boards: [one, two, three], item, put },
    async putMany(prefix, count, size) {
      const items = Array.from({ length: count }, (_, n) => item(`${prefix}/${n}`, size))
      for (let at = 0; at < count; at += 32) await put(...items.slice(at, at + 32))
      return items
    },
    async remove({ id, checksum }, ...boards) {
      const names = boards.map(({ name }) => name)
      const done = await fleet.time.finish(remove(client, 'home', { id, checksum }, names, signal))
      if (done.some(({ is }) => is !== 'done')) throw new Error(`${id} was not deleted`)
    },
    alarms: () => fleet.time.finish(all(heardAlarms(client, {}, signal))),
    events: (name) => fleet.lines().filter((line) => line.includes(name)),
    async until(what, isSo, limitMs = 6 * hour, stepMs = minute) {
      for (let ran = 0; ran < limitMs; ran += stepMs) {
        if (await isSo()) return
        await fleet.time.advance(stepMs)
      }
      t.comment(fleet.lines().slice(-60).join('\n'))
      throw new Error(`it never came to be that ${what}`)
    },
  }
}

async function all<T>(some: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const one of some) found.push(one)
  return found
}

async function emptied(board: Board, fleet: Fleet): Promise<void> {
  board.crash()
  await fleet.time.advance(minute)
  board.newDisk()
  await fleet.time.finish(board.start())
}

t.test('[REP-1] an empty disk under the same name is filled again, and nobody asks', async (t) => {
  const { fleet, boards, putMany, until, events, client } = await setting(t)
  const items = await putMany('a', 150)
  await fleet.time.finish(client.close())
  t.equal(await held(boards[2], items), 150)
  await emptied(boards[2], fleet)
  t.equal(await held(boards[2], items), 0)
  await until('all are back', async () => (await held(boards[2], items)) === 150)
  await fleet.time.advance(10 * minute)
  t.same(await fleet.tracker.running()?.owed(), [], 'nothing is owed any more')
  t.equal(events('repair.done').length, 1)
  const compared = events('repair.compared').length
  await fleet.time.advance(3 * day)
  t.equal(events('repair.compared').length, compared, '[REP-2] equal digests end it')
})

t.test('[REP-1] a pillar that is added to a collection gets all its files', async (t) => {
  const { fleet, boards, putMany, until } = await setting(t, { keepers: 2 })
  const items = await putMany('a', 40)
  await fleet.time.advance(hour)
  t.equal(await held(boards[2], items), 0)
  await fleet.time.finish(fleet.keepOn(fleet.boards.map(({ name }) => name)))
  await until('it has them', async () => (await held(boards[2], items)) === 40)
})

t.test('[REP-1] who asks is told how far it is', async (t) => {
  const { fleet, boards, client, putMany } = await setting(t)
  const items = await putMany('a', 100, 20_000)
  await emptied(boards[2], fleet)
  const told: number[] = []
  for (let n = 0; n < 600 && (await held(boards[2], items)) < 100; n++) {
    const under = await fleet.time.finish(repairsUnderWay(client, signal))
    for (const { collection, pillar, files, filesLeft, msLeft } of under?.repairs ?? []) {
      t.same([collection, pillar, files], ['home', 'pillar-3', 100])
      t.equal(msLeft !== undefined, filesLeft < 100, 'how long, once there is a pace')
      told.push(filesLeft)
    }
    await fleet.time.advance(250)
  }
  t.ok(new Set(told).size > 1, `it was under way: ${told.join(' ')}`)
  t.same(
    told,
    told.toSorted((a, b) => b - a),
  )
  await fleet.time.advance(10 * minute)
  t.match(await fleet.time.finish(repairsUnderWay(client, signal)), { repairs: [], findings: [] })
})

t.test('[REP-3] what was deleted meanwhile is brought back to nobody', async (t) => {
  const { fleet, boards, item, put, remove, until, alarms, client } = await setting(t)
  const [one, two, three] = boards
  const [gone, kept, again] = [item('gone'), item('kept'), item('again')]
  await put(gone, kept, again)
  three.crash()
  await remove(gone, one, two)
  await remove(again, one, two)
  await fleet.time.advance(minute)
  await put(again)
  await emptied(two, fleet)
  await until('the other has them', async () => (await held(two, [kept, again])) === 2)
  t.equal(await held(two, [gone]), 0)
  await fleet.time.finish(three.start())
  await fleet.time.advance(2 * hour)
  t.same(await Promise.all(boards.map((board) => held(board, [gone]))), [0, 0, 1])
  t.same(await Promise.all(boards.map((board) => held(board, [kept, again]))), [2, 2, 2])
  const found = await fleet.time.finish(repairsUnderWay(client, signal))
  t.match(found?.findings, [{ is: 'halfDeleted', files: 1, ids: ['gone'] }])
  const raised = (await alarms()).filter(({ text }) => text.includes('deleted on some'))
  t.match(raised, [{ component: 'tracker', code: 'INTEGRITY_ISSUE', fileId: 'gone' }])
  t.equal(raised.length, 1, 'told once')
  await remove(gone, three)
  await fleet.time.advance(2 * day)
  t.match(await fleet.time.finish(repairsUnderWay(client, signal)), { findings: [] })
})

t.test('[REP-4] other bytes under one id are told once, and nothing is changed', async (t) => {
  const { fleet, boards, item, put, alarms, client, events } = await setting(t)
  const [one, two, three] = boards
  const old = item('a')
  const fresh = item('a', 2_000)
  await put(old, item('b'))
  const done = await fleet.time.finish(
    replaceFile(client, 'home', old.checksum, fresh, [one.name, two.name], { signal }),
  )
  t.ok(done.every(({ is }) => is === 'done'))
  // The difference stands for a week, and pillars come and go.
  for (const board of boards) {
    board.crash()
    await fleet.time.advance(hour)
    await fleet.time.finish(board.start())
    await fleet.time.advance(2 * day)
  }
  t.same(await Promise.all(boards.map((board) => held(board, [fresh]))), [1, 1, 0])
  t.equal(await held(three, [old]), 1)
  const raised = (await alarms()).filter(({ text }) => text.includes('other bytes'))
  t.match(raised, [{ component: 'tracker', code: 'INTEGRITY_ISSUE', fileId: 'a' }])
  t.equal(raised.length, 1, 'told once')
  const found = await fleet.time.finish(repairsUnderWay(client, signal))
  t.match(found?.findings, [{ is: 'differing', files: 1, ids: ['a'] }])
  t.ok(events('repair.compared').length <= 4, 'what was compared is not compared again')
  t.same(await fleet.tracker.running()?.owed(), [])
})

t.test('[REP-4] a third pillar gets neither of two that differ', async (t) => {
  const { fleet, boards, item, put, client, until } = await setting(t)
  const [one, two, three] = boards
  const [old, other, fresh] = [item('a'), item('b'), item('a', 2_000)]
  await put(old, other)
  await fleet.time.finish(replaceFile(client, 'home', old.checksum, fresh, [one.name], { signal }))
  await emptied(three, fleet)
  await until('it has the other one', async () => (await held(three, [other])) === 1)
  await fleet.time.advance(day)
  t.same(await three.index.stored('home', ['a']), [undefined])
  t.same([await held(one, [fresh]), await held(two, [old])], [1, 1])
})

t.test('[REP-5] away for 400 days, with deletions and replacements meanwhile', async (t) => {
  const { fleet, boards, item, putMany, remove, until, client, events } = await setting(t)
  const [one, two, three] = boards
  const items = await putMany('a', 40)
  const lone = item('lone')
  three.crash()
  const [gone, old] = [items.slice(0, 2), items.slice(2, 4)]
  for (const file of gone) await remove(file, one, two)
  const fresh = old.map(({ id }) => item(id, 500))
  for (const [n, file] of old.entries()) {
    const to = [one.name, two.name]
    const replacing = replaceFile(client, 'home', file.checksum, fresh[n] as Item, to, { signal })
    await fleet.time.finish(replacing)
  }
  const late = await putMany('late', 10)
  await fleet.time.advance(400 * day)
  // A board without a clock, one of whose files has rotted; what only it has was put by nobody else.
  three.clock.setOffset(-fleet.time.clock.now())
  const [row] = await three.index.stored('home', [items[9]?.id ?? ''])
  three.disk.faults.rot(`home/data/${row?.path}`, 10)
  await fleet.time.finish(three.start())
  await fleet.time.advance(30_000)
  one.crash()
  two.crash()
  await fleet.time.finish(putBatch(client, 'home', [lone], { signal }))
  await fleet.time.finish(two.start())
  await fleet.time.advance(hour)
  t.equal(events('repair.caughtUp').length, 0, 'one other is not enough')
  t.equal(await held(two, [lone]), 0, 'nothing is taken from it')
  const doubt = await fleet.time.finish(repairsUnderWay(client, signal))
  t.ok(doubt?.findings.some(({ is, files }) => is === 'catchingUp' && files === 1))
  await fleet.time.finish(one.start())
  await until(
    'it has caught up',
    async () => (await held(one, [lone])) + (await held(two, [lone])) === 2,
  )
  t.equal(events('repair.caughtUp').length, 1)
  await until('it has what is new', async () => (await held(three, late)) === 10)
  for (const board of [one, two]) {
    t.equal(await held(board, gone), 0, 'nothing deleted has come back')
    t.equal(await held(board, fresh), 2, 'nothing replaced has come back')
    t.equal(await held(board, items.slice(4)), 36, 'nothing rotten was taken')
  }
})

t.test('[REP-6] damaged bytes are no source, file by file', async (t) => {
  const { fleet, boards, item, put, until, alarms } = await setting(t)
  const [one, two, three] = boards
  const items = [...Array.from({ length: 12 }, (_, n) => item(`${n}`)), item('big', 3 << 20)]
  await put(...items)
  const rot = async ({ disk, index }: Board, { id }: Item): Promise<void> => {
    const [row] = await index.stored('home', [id])
    disk.faults.rot(`home/data/${row?.path}`, 7)
  }
  for (const n of [0, 12]) await rot(one, items[n] as Item)
  for (const n of [1, 2]) await rot(two, items[n] as Item)
  await emptied(three, fleet)
  await until('all are back', async () => (await held(three, items)) === 13, hour)
  const damaged = (await alarms()).filter(({ text }) => text.includes('are damaged'))
  t.ok(damaged.length >= 2, 'whoever has them says so')
  await fleet.time.advance(hour)
  t.same(await fleet.tracker.running()?.owed(), [])
})

t.test('[REP-6] when nobody can deliver a file that is told, and the rest comes', async (t) => {
  const { fleet, boards, item, put, until, alarms } = await setting(t)
  const [one, two, three] = boards
  const items = Array.from({ length: 40 }, (_, n) => item(`${n}`))
  await put(...items)
  for (const { disk, index } of [one, two]) {
    const [row] = await index.stored('home', ['7'])
    disk.faults.rot(`home/data/${row?.path}`, 7)
  }
  await emptied(three, fleet)
  await until('the rest is back', async () => (await held(three, items)) === 39, hour)
  await fleet.time.advance(2 * day)
  const raised = (await alarms()).filter(({ component }) => component === 'tracker')
  t.match(raised, [{ text: /one file can not be brought to pillar-3/, fileId: '7' }])
  t.equal(raised.length, 1, 'told once')
})

t.test('[REP-7] the tracker dies again and again: no file is brought twice', async (t) => {
  const { fleet, boards, putMany, until } = await setting(t)
  const items = await putMany('a', 120, 20_000)
  await emptied(boards[2], fleet)
  const random = fleet.random.fork('kills')
  let kills = 0
  const isBack = async (): Promise<boolean> => {
    const before = await held(boards[2], items)
    if (before === 120) return true
    if (before > 0 && kills < 8 && random.chance(0.3)) {
      kills++
      fleet.tracker.crash()
      await fleet.time.advance(random.int(20_000))
      await fleet.time.finish(fleet.tracker.start())
    }
    return false
  }
  await until('all are back', isBack, hour, 100)
  t.ok(kills > 1, `${kills} kills`)
  const entries = await boards[2].index.audit(0, 1_000)
  const ids = entries.filter(({ event }) => event === 'ingestion').map(({ id }) => id)
  t.equal(ids.length, 120)
  t.equal(new Set(ids).size, 120)
  await fleet.time.advance(hour)
  t.same(await fleet.tracker.running()?.owed(), [], 'what came is owed no more')
})

t.test('[REP-7] over a bad link everything comes all the same', async (t) => {
  const { fleet, boards, putMany, until } = await setting(t)
  const items = await putMany('a', 60, 30_000)
  Object.assign(fleet.busFaults, { lost: 0.05, duplicated: 0.1, delayed: 0.1, delayMsMax: 4_000 })
  Object.assign(fleet.netFaults, { refuse: 0.05, cut: 0.2, hang: 0.02, faultBytesMax: 200_000 })
  await emptied(boards[2], fleet)
  await until('some are back', async () => (await held(boards[2], items)) > 0)
  fleet.net.partition('pillar-3')
  await fleet.time.advance(20 * minute)
  fleet.net.heal('pillar-3')
  await until('all are back', async () => (await held(boards[2], items)) === 60, 3 * hour)
  t.ok(fleet.net.counters.cut > 0, 'connections were cut')
})

t.test('[REP-2] a difference that heals itself is not repaired', async (t) => {
  const { fleet, boards, item, put, events } = await setting(t)
  await put(item('a'))
  await fleet.time.advance(hour)
  boards[2].crash()
  await put(item('b'))
  fleet.net.partition('pillar-3')
  await fleet.time.finish(boards[2].start())
  await fleet.time.advance(4 * minute)
  t.same(await boards[2].index.stored('home', ['b']), [undefined], 'it is on its way')
  fleet.net.heal('pillar-3')
  await fleet.time.advance(hour)
  t.equal((await boards[2].index.stored('home', ['b']))[0]?.id, 'b', 'it was owed, and came')
  t.equal(events('repair.compared').length, 0)
})

t.test('[REP-8] what clients have put has its turn while a repair goes on', async (t) => {
  const { fleet, boards, item, put, putMany, until } = await setting(t)
  const [one, , three] = boards
  const items = await putMany('a', 300, 20_000)
  one.crash()
  const urgent = item('urgent')
  await put(urgent)
  await emptied(three, fleet)
  const isUnderWay = async () => (await held(three, items)) > 0
  await until('the repair is under way', isUnderWay, hour, 200)
  await fleet.time.finish(one.start())
  await until('it came', async () => (await held(one, [urgent])) === 1, hour, 200)
  t.ok((await held(three, items)) < 300, 'before the repair has ended')
  three.crash()
  const another = item('another')
  await put(another)
  await fleet.time.finish(three.start())
  await until('it came', async () => (await held(three, [another])) === 1, hour, 200)
  t.ok((await held(three, items)) < 300, 'also to the pillar that is repaired')
  await until('all are back', async () => (await held(three, items)) === 300)
})

t.test('[REP-8] one delivery at a time, in turn for two pillars', async (t) => {
  const { fleet, boards, putMany, until } = await setting(t)
  const [, two, three] = boards
  const items = await putMany('a', 96, 5_000)
  await emptied(two, fleet)
  await emptied(three, fleet)
  const both = async () => (await held(two, items)) + (await held(three, items)) === 192
  await until('all are back', both)
  await fleet.time.advance(minute)
  const steps = fleet
    .lines()
    .flatMap((line) => /get\.accepted|owed\.delivered.*pillar-\d/.exec(line)?.[0] ?? [])
  const pillars = steps.flatMap((step) => /pillar-\d/.exec(step)?.[0] ?? [])
  t.equal(pillars.length, 6, 'three batches to each')
  t.ok(
    steps.every((step, n) => (step === 'get.accepted') === (n % 2 === 0)),
    steps.join(', '),
  )
  t.not(pillars.indexOf('pillar-3'), -1)
  t.ok(pillars.indexOf('pillar-3') < pillars.lastIndexOf('pillar-2'), 'neither waits to the end')
})
