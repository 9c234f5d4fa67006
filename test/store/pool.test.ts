// A pillar with several disks: where files go, and what happens when disks come, go, hang, or are not what they seem.

import { test } from 'tap'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { limits } from '../../src/limits.ts'
import { stamps } from '../../src/store/stamps.ts'
import { ann, bytes } from './kit.ts'
import { adopted, type Rig, rig, stick } from './pool-kit.ts'

const limit = 1_000
/** Files that stand on both disks, each on one. */
async function spread(on: Rig, count = 8): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `f${n}`)
  for (const id of ids) await on.put(id, `bytes of ${id}, ${'x'.repeat(10_000)}`)
  return ids
}
const on = async (rig: Rig, place: number, ids: readonly string[]): Promise<string[]> => {
  const found: string[] = []
  for (const id of ids) if ((await rig.where(id)).includes(place)) found.push(id)
  return found
}
const snapshotOf = (rig: Rig, n: number): [string, string][] =>
  [...(rig.sticks[n]?.sim.snapshot() ?? [])].map(([path, some]) => [
    path,
    Buffer.from(some).toString('base64'),
  ])

test('[VOL-2] new files go where most room is, and stay on one disk', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  const [first, second] = [await on(two, 1, ids), await on(two, 2, ids)]
  t.ok(first.length >= 3 && second.length >= 3, `${first.length} and ${second.length}`)
  t.equal(first.length + second.length, ids.length)
})

test('[VOL-2] of 100 puts at once into room for 10, 10 are accepted, and none fails half-way', async (t) => {
  const size = 1 << 20
  for (const count of [1, 2]) {
    const full = await rig(count, { capacity: Math.floor((10 / count) * (size + 20_000)) })
    const files = Array.from({ length: 100 }, (_, n) => {
      const some = new Uint8Array(size).fill(n)
      return { some, file: full.offer(`f${n}`, some) }
    })
    const told = await full.store.standing(files.map(({ file }) => file))
    t.equal(told.filter(({ is }) => is === 'welcome').length, 10, 'asked together')
    const standings = await Promise.all(files.map(({ file }) => full.accept(file)))
    const come = files.filter((_, n) => standings[n]?.[0]?.is === 'welcome')
    t.equal(come.length, 10)
    t.ok(standings.every(([one]) => one?.is === 'welcome' || one?.is === 'noSpace'))
    const ends = await Promise.all(
      come.map(async ({ file, some }) => {
        const incoming = await full.store.incoming('home', file.id)
        await incoming.write(some)
        return incoming.finish(ann)
      }),
    )
    t.ok(ends.every((end) => end === 'stored'))
  }
})

test('[VOL-2] one request over several disks is remembered by each of them', async (t) => {
  const two = await rig(2)
  const some = bytes('x'.repeat(50_000))
  const files = ['a', 'b', 'c', 'd'].map((id) => two.offer(id, some))
  await two.store.accept({ key: 'k', substance: 's', request: 'r' }, files)
  for (const { index } of two.sticks) {
    t.equal((await index.accepted()).length, 1)
    t.equal((await index.allReceiving()).length, 2)
  }
  // The first disk has the answer, and the power goes before the second has.
  const answer = { substance: 's', answer: 'a', keepUntil: 2e12 }
  await two.sticks[0]?.index.commit([{ do: 'answer', key: 'k', answer }])
  const again = await two.again()
  t.same(await again.store.accepted(), [], 'it is not worked on again')
  t.same(await again.sticks[1]?.index.answer('k'), answer)
})

test('[VOL-1] what is stored while a listing is made is not passed over by its cursor', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  const second = two.sticks[1]
  if (!second) return
  let go = (): void => undefined
  second.listsAfter = new Promise((resolve) => {
    go = resolve
  })
  const listing = two.store.list({ collection: 'home', limit })
  const later = ['p', 'q', 'r', 's']
  for (const id of later) await two.put(id, `${id} ${'x'.repeat(10_000)}`)
  t.ok((await on(two, 1, later)).length > 0 && (await on(two, 2, later)).length > 0)
  go()
  const first = await listing
  const last = first.files.at(-1)
  const after = { timestamp: last?.timestamp ?? 0, id: last?.id ?? '' }
  const rest = await two.store.list({ collection: 'home', limit, after })
  t.same([...first.files, ...rest.files].map(({ id }) => id).sort(), [...ids, ...later].sort())
})

test('[VOL-1] a version that was seen on one disk fits nothing on another', async (t) => {
  const two = await rig(2)
  t.equal(await two.put('x', 'x'.repeat(50_000)), 'stored')
  const [row] = await two.store.stored('home', ['x'])
  const [version = 0] = await two.store.versions('home', ['x'])
  const seen = { collection: 'home', id: 'x', checksum: row?.checksum ?? '', version }
  const before = await two.where('x')
  t.equal(await two.store.remove(seen, ann), 'removed')
  t.equal(await two.put('x', 'x'.repeat(50_000)), 'stored')
  t.notSame(await two.where('x'), before, 'where the bytes kept aside leave more room')
  t.equal(await two.store.remove(seen, ann), 'newer', 'said late')
})

test('[VOL-3] a disk is known wherever it is mounted, and what is not ours is refused untouched', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  for (const id of ids) t.ok(await two.read(id))
  const [first, second] = two.sticks
  if (!first || !second) return
  const { clock } = two.time
  const other = stick(clock, { fileSystem: 'uuid-9' })
  await adopted(two.world, other, 'v9', 'p2')
  const empty = stick(clock)
  const copied = stick(clock, { copyOf: first, fileSystem: 'uuid-7' })
  const cloned = stick(clock, { copyOf: first })
  const before = snapshotOf(two, 0)
  for (const [one, why] of [
    [other, /belongs to the pillar p2/],
    [empty, /no volume\.json/],
    [cloned, /is here twice/],
  ] as const) {
    const files = [...one.sim.snapshot().keys()]
    await t.rejects(two.volumes.take(one.plug('/mnt/x')), why)
    t.match(two.alarms().at(-1), why)
    t.same([...one.sim.snapshot().keys()], files)
  }
  first.unplug()
  two.volumes.lost('v1')
  await t.rejects(two.volumes.take(copied.plug('/mnt/y')), /adopted on the file system uuid-1/)
  t.same(snapshotOf(two, 0), before, 'nothing was written to it')
  await two.volumes.take(first.plug('/media/elsewhere'))
  t.equal(two.store.away?.(), undefined)
  for (const id of ids) t.ok(await two.read(id))
})

test('[VOL-3] without any disk of its own a pillar does not start', async (t) => {
  const one = await rig(1)
  await t.rejects(one.again([stick(one.time.clock)]), /no volume\.json here/)
})

test('[VOL-4] a disk that is pulled out ends what is under way there, and comes back', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  const [mine, others] = [await on(two, 1, ids), await on(two, 2, ids)]
  t.match(await two.store.summary(), [{ files: ids.length }])
  const some = bytes('y'.repeat(40_000))
  const files = ['p', 'q'].map((id) => two.offer(id, some))
  await two.accept(...files)
  const arriving = await Promise.all(files.map(({ id }) => two.store.incoming('home', id)))
  for (const one of arriving) await one.write(some.slice(0, 1_000))
  const reads = mine.map((id) => two.read(id))
  two.sticks[0]?.unplug()
  two.volumes.lost('v1')
  await Promise.allSettled(reads)
  const ends = await Promise.allSettled(
    arriving.map(async (one) => {
      await one.write(some.slice(1_000))
      return one.finish(ann)
    }),
  )
  two.store.release(files)
  t.same(ends.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'one on each')
  t.match(two.alarms().at(-1), /volume v1 is not there any more/)
  t.match(two.store.away?.(), /volume v1 \(missing; 4 files when last counted\) is not available/)
  t.match(await two.store.volumes?.(), [{ id: 'v1', state: 'missing' }, { state: 'ready' }])
  for (const id of others) t.ok(await two.read(id))
  const [row] = await two.store.stored('home', [mine[0] ?? ''])
  t.equal(row, undefined)
  const lost = { collection: 'home', id: mine[0] ?? '', checksum: '0', version: 1 }
  await t.rejects(two.store.remove(lost, ann), /not found; volume v1 .* is not available/)
  t.equal(await two.put('new', 'while it is away'), 'stored')

  await two.volumes.take(two.sticks[0]?.plug() ?? failed())
  t.equal(two.store.away?.(), undefined)
  for (const id of [...ids, 'new']) t.ok(await two.read(id), id)
  t.ok(two.returned.length > 0, 'what it had promised goes on')
})

test('[VOL-4] a disk that hangs for two minutes is told within 5 s, and stalls only itself', async (t) => {
  const two = await rig(2)
  const { time } = two
  const ids = await spread(two)
  const others = await on(two, 2, ids)
  two.sticks[0]?.sim.faults.hang(120_000)
  const begun = time.clock.monotonic()
  const ms = (): number => time.clock.monotonic() - begun
  const rows = await time.finish(two.store.stored('home', ids))
  t.ok(ms() <= 5_000, `${ms()} ms`)
  t.equal(rows.filter((row) => row !== undefined).length, others.length)
  t.match(two.alarms(), [/volume v1 does not answer/])
  t.match(two.store.away?.(), /volume v1 \(has not answered for some seconds\) is not available/)
  t.same(await two.ids(), others)
  t.match(await two.store.volumes?.(), [{ state: 'silent' }, { state: 'ready' }])
  for (const n of [1, 2, 3]) t.equal(await time.finish(two.put(`n${n}`, 'new')), 'stored')
  t.same(await two.where('n1'), [2])
  t.ok(ms() <= 10_000, `${ms()} ms`)
  await time.finish(time.clock.sleep(125_000))
  t.equal(two.store.away?.(), undefined)
  t.equal((await two.ids()).length, ids.length + 3)
})

test('[VOL-4] a long look through an index is no silence of its disk', async (t) => {
  const before = await rig(2)
  const [one] = before.sticks
  if (!one) return
  const { clock } = before.time
  Object.assign(one.index, { inspect: () => clock.sleep(60_000) })
  const two = await before.again()
  await two.time.finish(two.store.inspect())
  t.same(two.alarms(), [])
  one.sim.faults.hang(20_000)
  await two.time.finish(two.store.stored('home', ['x']))
  t.match(two.alarms(), [/volume v1 does not answer/], 'and afterwards it is one again')
})

test('[VOL-1] a row that is mended has a time that no other volume has given', async (t) => {
  const time = stamps({ now: () => 1_000 })
  const [a, b] = [asyncIndex(openIndex(':memory:')), asyncIndex(openIndex(':memory:'))]
  const [first, second] = [time.of(a), time.of(b)]
  await time.share([a, b])
  const file = (id: string) => ({
    ...{ collection: 'home', id, path: id, size: 1, checksum: 'c', mtime: 0, provenAt: 0 },
  })
  for (const id of ['x', 'y', 'z'])
    await first.commit([{ do: 'store', file: file(id), now: 1_000 }])
  const says = { ...file('w'), timestamp: 1, sequence: 1 }
  const row = { collection: 'home', id: 'w', says }
  await second.commit([{ do: 'mend', row, file: file('w'), now: 1_000 }])
  const { files } = await b.list({ collection: 'home', limit })
  t.match(files, [{ id: 'w', timestamp: time.last() }])
  t.equal(time.last(), 1_004, 'later than the three')
})

test('[VOL-5] what came twice while a disk was away stands once, and other bytes are alarmed', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  const [same, other] = await on(two, 1, ids)
  if (same === undefined || other === undefined) return t.fail('nothing there')
  const text = (await two.read(same)) ?? ''
  two.sticks[0]?.unplug()
  two.volumes.lost('v1')
  t.equal(await two.put(same, text), 'stored')
  await two.time.finish(two.time.clock.sleep(60_000))
  t.equal(await two.put(other, 'newer bytes'), 'stored')
  const [during] = await two.store.summary()
  await two.volumes.take(two.sticks[0]?.plug() ?? failed())
  t.same(await two.where(same), [2])
  t.equal(await two.read(same), text)
  t.equal(await two.read(other), 'newer bytes', 'proven last')
  t.match(
    two.alarms().at(-1),
    new RegExp(`home/${other}: other bytes stand on volume v1 than on v2`),
  )
  t.same((await two.ids()).sort(), [...ids].sort())
  const [sum] = await two.store.summary()
  t.equal(sum?.files, ids.length)
  t.ok((during?.files ?? 0) < ids.length)
  const again = await two.again()
  t.equal(await again.read(other), 'newer bytes')
  t.same(await again.store.summary(), [sum], 'after a start, too')
  // People decide: the one that is served is deleted, and the other is there.
  const [row] = await again.store.stored('home', [other])
  const [version = 0] = await again.store.versions('home', [other])
  const doomed = { collection: 'home', id: other, checksum: row?.checksum ?? '', version }
  t.equal(await again.store.remove(doomed, ann), 'removed')
  t.match(await again.read(other), /^bytes of/)
  t.same((await again.store.tombstones({ collection: 'home', limit })).tombstones, [])
})

test('[VOL-6] the state is on each disk, and the newest counts', async (t) => {
  const two = await rig(2)
  const { state } = two.volumes
  await state.change([['a', '1']])
  const alone = await two.again(two.sticks.slice(1))
  t.equal(await alone.volumes.state.get('a'), '1')
  await alone.volumes.state.change([
    ['a', '2'],
    ['b', '3'],
  ])
  const first = two.sticks.slice(0, 1)
  const back = await alone.again([...first, ...two.sticks.slice(1)])
  t.equal(await back.volumes.state.get('a'), '2')
  for (const { state: own } of two.sticks) t.same(await own.get('b'), '3')
  back.sticks[0]?.sim.faults.hang(100_000)
  t.equal(await back.time.finish(back.volumes.state.count('a')), 1)
})

test('[VOL-6] each entry of a trail names its volume, and each chain has its verdict', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  const { entries } = await two.store.auditTrail({ collection: 'home', limit })
  t.equal(entries.length, ids.length)
  t.same([...new Set(entries.map(({ volume }) => volume))], ['v1', 'v2'])
  const chains = await two.store.verifyTrail()
  t.match(chains, [{ volume: 'v1' }, { volume: 'v2' }])
  const less = await two.store.auditTrail({ collection: 'home', limit: 0 })
  t.same(less, { entries: [], partial: true })
})

test('[VOL-7] an ejected disk is finished, closed, and its bags say what they are part of', async (t) => {
  const two = await rig(2)
  const ids = await spread(two)
  const file = two.offer('late', bytes('late'))
  const [standing] = await two.accept(file)
  t.equal(standing?.is, 'welcome')
  const place = (await Promise.all(two.sticks.map(({ index }) => index.allReceiving()))).findIndex(
    (rows) => rows.length > 0,
  )
  const volume = `v${place + 1}`
  const ejecting = two.volumes.eject(volume, limits.ejectMs)
  await two.time.finish(two.time.clock.sleep(1_000))
  const incoming = await two.store.incoming('home', 'late')
  await incoming.write(bytes('late'))
  t.equal(await incoming.finish(ann), 'stored', 'what was on its way has come')
  two.store.release([file])
  await two.time.finish(ejecting)
  t.match((await two.store.volumes?.())?.[place], { id: volume, state: 'ejected' })
  const disk = two.sticks[place]?.sim.snapshot()
  const text = (path: string): string => Buffer.from(disk?.get(`home/${path}`) ?? '').toString()
  const own = await on(two, place + 1, [...ids, 'late'])
  t.equal(text('manifest-sha256.txt').split('\n').length - 1, own.length)
  t.match(text('bag-info.txt'), `Bag-Group-Identifier: a1/p1/home\nBag-Count: ${place + 1} of 2\n`)
  t.equal(two.alarms().length, 0, 'that is no fault')
  await two.volumes.take(two.sticks[place]?.plug() ?? failed())
  for (const id of [...ids, 'late']) t.ok(await two.read(id))
})

test('a volume that will not come back is forgotten', async (t) => {
  const two = await rig(2)
  await spread(two)
  await t.rejects(two.volumes.pool.forget('v1'), /is here: eject it first/)
  two.sticks[0]?.unplug()
  two.volumes.lost('v1')
  await two.volumes.pool.forget('v1')
  t.equal(two.store.away?.(), undefined)
  t.match(await two.store.volumes?.(), [{ id: 'v2' }])
})

function failed(): never {
  throw new Error('there is no such disk')
}
