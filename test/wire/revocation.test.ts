// Who was turned out is not heard any more, and nothing is destroyed before that is known; nor by a clock that is wrong.

import t, { type Test } from 'tap'
import type { Client } from '../../src/client/client.ts'
import { putBatch } from '../../src/client/put.ts'
import { remove, restore } from '../../src/client/remove.ts'
import { withoutMember } from '../../src/protocol/document.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { topics, wire } from './wire.ts'

const { signal } = new AbortController()
const requests = topics.pillarRequests('pillar-1')
const at = '2026-01-02T00:00:00.000Z'
const day = 24 * 3_600_000

/** One pillar with one file; ann speaks on the wire, bob by the library. */
async function setting(t: Test) {
  const fleet = await startFleet({ seed: t.name, pillars: 1, copiesMin: 1 })
  const bob = await fleet.client('bob')
  const ann = await wire(fleet)
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 100)
  await fleet.time.finish(putBatch(bob, 'home', [item], { signal }))
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  const stored = async (): Promise<boolean> =>
    (await board.index.stored('home', ['a.txt']))[0] !== undefined
  const version = async (): Promise<number> =>
    (await board.index.versions('home', ['a.txt']))[0] ?? 0
  const { checksum } = item
  const asks = async (): Promise<void> => {
    const files = [{ id: 'a.txt', checksum, version: await version() }]
    const type = 'DeleteFileRequest' as const
    await ann.say(requests, ann.make<typeof type>({ type, to: ['pillar-1'], files }))
  }
  const lists = (): Promise<void> =>
    ann.say(requests, ann.make<'GetFileIDsRequest'>({ type: 'GetFileIDsRequest' }))
  return { fleet, bob, ann, board, item, checksum, stored, version, asks, lists }
}

const deletes = (
  client: Client,
  { fleet, checksum }: Pick<Awaited<ReturnType<typeof setting>>, 'fleet' | 'checksum'>,
) => fleet.time.finish(remove(client, 'home', { id: 'a.txt', checksum }, ['pillar-1'], signal))

t.test('[REV-1] who was turned out is not answered any more, within a minute', async (t) => {
  const on = await setting(t)
  await on.lists()
  await on.ann.wait('GetFileIDsFinalResponse')
  on.fleet.trackerAway(true)
  await on.fleet.publish((document) => withoutMember(document, 'ann', at))
  await on.fleet.time.advance(120_000)
  on.fleet.trackerAway(false)
  await on.fleet.time.advance(60_000)
  await on.lists()
  await on.asks()
  await on.fleet.time.advance(60_000)
  t.equal(on.ann.answers('GetFileIDsFinalResponse').length, 1)
  t.equal(on.ann.answers('DeleteFileFinalResponse').length, 0)
  t.equal(await on.stored(), true)
})

t.test(
  '[REV-2] what waited at the broker destroys nothing before the tracker was asked',
  async (t) => {
    const on = await setting(t)
    const { fleet, ann } = on
    fleet.trackerAway(true)
    fleet.broker.cut('pillar-1', 1_000)
    await fleet.publish((document) => withoutMember(document, 'ann', at), false)
    await on.asks()
    await fleet.time.advance(5_000)
    t.equal(ann.answers('DeleteFileFinalResponse').length, 0, 'it waits')
    fleet.trackerAway(false)
    await fleet.time.advance(60_000)
    t.equal(ann.answers('DeleteFileFinalResponse').length, 0, 'and she is not heard any more')
    t.equal(await on.stored(), true)
  },
)

t.test('[REV-2] meanwhile all reads and puts go on; later deletes do, too', async (t) => {
  const on = await setting(t)
  const { fleet, ann, bob } = on
  fleet.trackerAway(true)
  fleet.broker.cut('pillar-1', 1_000)
  await fleet.time.advance(5_000)
  await on.lists()
  await ann.wait('GetFileIDsFinalResponse')
  const another = memoryItem(fleet.random, fleet, 'b.txt', 100)
  await fleet.time.finish(putBatch(bob, 'home', [another], { signal }))
  t.ok((await on.board.index.stored('home', ['b.txt']))[0])
  await on.asks()
  const { responseInfo } = await ann.wait('DeleteFileFinalResponse')
  t.match(responseInfo, { code: 'FAILURE', text: /the tracker has not confirmed/ })
  t.equal(await on.stored(), true)
  fleet.trackerAway(false)
  await fleet.time.advance(30_000)
  t.match(await deletes(bob, on), [{ is: 'done' }])
  t.equal(await on.stored(), false)
})

t.test('[REV-2] a version that was announced and can not be had holds deletes up', async (t) => {
  const on = await setting(t)
  on.fleet.trackerAway(true)
  await on.fleet.publish((document) => document)
  await on.fleet.time.advance(1_000)
  t.match(await deletes(on.bob, on), [{ is: 'refused', why: /has not confirmed/ }])
  on.fleet.trackerAway(false)
  await on.fleet.time.advance(30_000)
  t.match(await deletes(on.bob, on), [{ is: 'done' }])
})

t.test('[CLK-1] by a clock that is wrong nothing is deleted; reads and puts go on', async (t) => {
  const on = await setting(t)
  on.board.clock.setOffset(-3 * 3_600_000)
  t.match(await deletes(on.bob, on), [{ is: 'refused', why: /my clock is off by 180 min/ }])
  await on.lists()
  await on.ann.wait('GetFileIDsFinalResponse')
  on.board.clock.setOffset(0)
  t.match(await deletes(on.bob, on), [{ is: 'done' }])
})

t.test('[CLK-1] by a clock that is wrong nothing kept aside is thrown away', async (t) => {
  const on = await setting(t)
  t.match(await deletes(on.bob, on), [{ is: 'done' }])
  on.board.crash()
  on.board.clock.setOffset(60 * day)
  await on.fleet.time.finish(on.board.start())
  await on.fleet.time.advance(3 * day)
  on.board.clock.setOffset(0)
  const exact = [{ id: 'a.txt', checksum: on.checksum }]
  const back = await on.fleet.time.finish(restore(on.bob, 'home', 'pillar-1', exact, signal))
  t.match(back, [{ is: 'done' }])
})
