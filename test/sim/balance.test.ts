// Copies go where they should be, while everything runs: whole fleets, with the real tracker.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { compose, uuid7 } from '../../src/post/compose.ts'
import { seal } from '../../src/protocol/envelope.ts'
import { type Fragment, fragmentFileId } from '../../src/protocol/fragments.ts'
import { checkPieces, isScarce } from '../../src/sim/chaos-pieces.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { settleMs } from '../../src/tracker/keeper.ts'

const { signal } = new AbortController()
const collection = 'pieces'
const hour = 3_600_000

async function setting(seed: string, pillars: number, files: number, late = 0) {
  const fleet = await startFleet({
    ...{ seed, pillars, copiesMin: 2, late },
    fragments: { bytes: 65_536, copies: 2 },
  })
  const client = await fleet.client('ann')
  await fleet.time.advance(30_000)
  const items = Array.from({ length: files }, (_, n) =>
    memoryItem(fleet.random, fleet, `${n}.bin`, 500_000),
  )
  const put = await fleet.time.finish(putBatch(client, collection, items, { signal }), 6 * hour)
  t.ok(put.every(({ outcome }) => outcome === 'stored'))
  return { fleet, client, items, promised: new Map(items.map((item) => [item.id, item])) }
}

const slicesOf = async (fleet: Fleet): Promise<Fragment[]> =>
  (await fleet.tracker.vault().view.fragments({ collection, limit: 10_000 })).filter(
    ({ wanted }) => wanted > 0,
  )

/** Copies on the disks. */
async function copiesOf(fleet: Fleet): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>()
  for (const { name, index } of fleet.boards)
    for (const { id } of (await index.list({ collection, limit: 10_000 })).files)
      all.set(id, [...(all.get(id) ?? []), name])
  return all
}

t.test(
  '[KEEP-7] [KEEP-8] a new pillar gets its share, behind puts, and the surplus goes',
  async (t) => {
    const { fleet, client, promised } = await setting('newcomer', 6, 12, 1)
    await fleet.time.advance(settleMs + 2 * hour)
    const newcomer = fleet.boards[5]
    const before = await copiesOf(fleet)
    t.ok([...before.values()].every((holders) => holders.length <= 3))
    await fleet.time.finish(newcomer?.start() ?? Promise.resolve())
    await fleet.time.advance(settleMs + 2 * hour)
    const after = await copiesOf(fleet)
    const slices = (await slicesOf(fleet)).filter(({ kind }) => kind === 'slice')
    let [moved, got] = [0, 0]
    for (const one of slices) {
      const id = fragmentFileId(one)
      const holders = after.get(id) ?? []
      t.equal(holders.length, 2)
      moved += holders.filter((name) => !before.get(id)?.includes(name)).length
      if (holders.includes(newcomer?.name ?? '')) got++
    }
    const ideal = (slices.length * 2) / 6
    t.comment(`${moved} of ${slices.length} moved, ${got} to the new one; its share is ${ideal}`)
    t.ok(moved <= 1.3 * got, 'hardly anything goes elsewhere')
    t.ok(Math.abs(got - ideal) < 0.4 * ideal)
    t.equal(fleet.tracker.running()?.care()?.keeper.keeping(collection)?.surplus, 0)
    await checkPieces(fleet, client, promised)
  },
)

t.test(
  '[KEEP-9] damaged bytes that scrub puts aside are missed at once, and come again',
  async (t) => {
    const { fleet, client, promised } = await setting('scrubbed', 4, 2)
    await fleet.time.advance(settleMs + hour)
    const { view } = fleet.tracker.vault()
    const [slice] = await slicesOf(fleet)
    const [holder] = slice ? ((await view.holders(collection, [slice.hash]))[0] ?? []) : []
    const board = fleet.boards.find(({ name }) => name === holder?.pillar)
    if (!slice || !board) throw new Error('nobody holds anything')
    const id = fragmentFileId(slice)
    board.disk.faults.rot(`${collection}/data/${id}`, 10)
    // A reader meets it; and scrub looks at it.
    for (const { name } of fleet.boards)
      await fleet.time.finish(
        getBatch(client, collection, [{ id, landing: memoryLanding(fleet) }], {
          ...{ signal, pillar: name },
        }),
      )
    await fleet.time.advance(10 * 60_000)
    const [row] = await board.index.stored(collection, [id])
    const copies = (await copiesOf(fleet)).get(id) ?? []
    t.comment(`it is ${row ? '' : 'not '}here again, and on ${copies}`)
    t.ok(copies.length >= (slice.kind === 'info' ? 3 : 2))
    t.equal(await isScarce(fleet), false)
    await fleet.time.advance(7 * hour)
    t.equal((await copiesOf(fleet)).get(id)?.length, slice.kind === 'info' ? 3 : 2)
    await checkPieces(fleet, client, promised)
  },
)

t.test('[KEEP-9] what a holder has lost is missed when somebody asks for it', async (t) => {
  const { fleet, client, items, promised } = await setting('missing', 4, 2)
  await fleet.time.advance(settleMs + hour)
  const { view } = fleet.tracker.vault()
  const slice = (await slicesOf(fleet)).find(({ kind }) => kind === 'slice')
  if (!slice) throw new Error('nothing was put')
  const id = fragmentFileId(slice)
  const holders = async () => {
    const [said = []] = await view.holders(collection, [slice.hash])
    const names = said.map(({ pillar }) => pillar)
    return fleet.boards.filter(({ name }) => names.includes(name))
  }
  const onDisks = async (): Promise<number> => (await copiesOf(fleet)).get(id)?.length ?? 0
  const [first, second] = await holders()
  const now = fleet.time.clock.now()
  await first?.index.commit([{ do: 'lose', collection, id, now }])
  await fleet.time.advance(hour)
  t.equal(await onDisks(), 1, 'nobody knows of it')
  const asked = [{ id, landing: memoryLanding(fleet) }]
  const work = getBatch(client, collection, asked, { signal, pillar: first?.name ?? '' })
  t.match(await fleet.time.finish(work, hour), [{ outcome: 'notFound' }])
  await fleet.time.advance(5 * 60_000)
  t.equal(await onDisks(), 2, 'it has said so, and it was repaired')

  t.comment('a tracker that reads meets a pillar that has forgotten what it should have')
  second?.crash()
  second?.newBoard()
  await fleet.time.finish(second?.start() ?? Promise.resolve())
  await fleet.time.advance(hour)
  await second?.index.commit([{ do: 'lose', collection, id, now }])
  const others = (await holders()).filter(({ name }) => name !== second?.name)
  for (const one of others) one.crash()
  await fleet.time.advance(60_000)
  for (const { id: file } of items) {
    const landing = memoryLanding(fleet)
    const read = getBatch(client, collection, [{ id: file, landing }], {
      signal,
      pillar: 'tracker',
    })
    await fleet.time.finish(read, hour)
  }
  for (const one of others) await fleet.time.finish(one.start())
  await fleet.time.advance(hour)
  t.equal(await onDisks(), 2, 'all that it has was compared')
  await checkPieces(fleet, client, promised)
})

t.test('[TRIM-5] what was deleted long ago goes from the pillars in the end', async (t) => {
  const { fleet, client, items } = await setting('unwanted', 4, 3)
  const [first, ...rest] = items
  if (!first) return
  await fleet.time.finish(
    remove(client, collection, { id: first.id, checksum: first.checksum }, ['tracker'], signal),
  )
  const count = async () =>
    [...(await copiesOf(fleet))].flatMap(([id, holders]) =>
      id.startsWith('files/') ? [] : holders,
    ).length
  await fleet.time.advance(hour)
  const before = await count()
  await fleet.time.advance(29 * 24 * hour)
  t.equal(await count(), before, 'it can still be brought back')
  await fleet.time.advance(4 * 24 * hour)
  t.equal(await count(), before - 2 * Math.ceil(500_000 / 65_536))
  await checkPieces(fleet, client, new Map(rest.map((item) => [item.id, item])))
})

t.test('[KEEP-10] a tracker that was superseded answers for the vault no more', async (t) => {
  const { fleet, client, items } = await setting('superseded', 3, 1)
  const landing = () => ({ id: items[0]?.id ?? '', landing: memoryLanding(fleet) })
  const get = async () =>
    (await fleet.time.finish(getBatch(client, collection, [landing()], { signal })))[0]?.outcome
  t.equal(await get(), 'fetched')
  const epoch = { counter: 1_000, tracker: 'tracker' }
  const hello = { type: 'TrackerHello' as const, conversation: uuid7(client.world), epoch }
  const message = compose<'TrackerHello'>(client.world, 'tracker', hello)
  const bus = fleet.broker.connectAs('tracker')({
    ...{ clientId: 'tracker.second', persistent: false, subscriptions: [] },
    ...{ receive: () => undefined, connected: () => undefined, closed: () => undefined },
  })
  await fleet.time.advance(1_000)
  const sealed = seal(JSON.stringify(message), simSigner('tracker'))
  await fleet.time.finish(bus.publish(client.topics.event('TrackerHello'), sealed))
  await fleet.time.advance(60_000)
  t.not(await get(), 'fetched', 'the other answers')
  const again = memoryItem(fleet.random, fleet, 'more.bin', 1_000)
  const [put] = await fleet.time.finish(putBatch(client, collection, [again], { signal }))
  t.equal(put?.outcome, 'failed')
})
