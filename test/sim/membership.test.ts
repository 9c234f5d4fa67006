// Members of a collection in fragments over real pillars and a real tracker: who lost what, and in which order they start.

import t from 'tap'
import { compose } from '../../src/post/compose.ts'
import { conversationOf } from '../../src/post/session.ts'
import { seal } from '../../src/protocol/envelope.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import { piecesName } from '../../src/sim/chaos-pieces.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { simWorld } from '../../src/sim/world.ts'
import type { Tracker } from '../../src/tracker/tracker.ts'

const minute = 60_000

const care = (fleet: Fleet) => fleet.tracker.running()?.care()
const present = (fleet: Fleet): string[] => care(fleet)?.members.present(piecesName) ?? []
const epoch = (fleet: Fleet): number => care(fleet)?.members.epoch().counter ?? 0
const all = (fleet: Fleet): string[] => fleet.boards.map(({ name }) => name)

async function founded(seed: string, pillars = 3): Promise<Fleet> {
  const fleet = await startFleet({
    ...{ seed, pillars, copiesMin: 2 },
    fragments: { bytes: 65_536, copies: 2 },
  })
  await fleet.time.advance(minute)
  return fleet
}

type Who = 'tracker' | 'pillars' | 'broker'
const orders: Who[][] = [
  ['tracker', 'pillars', 'broker'],
  ['tracker', 'broker', 'pillars'],
  ['pillars', 'tracker', 'broker'],
  ['pillars', 'broker', 'tracker'],
  ['broker', 'tracker', 'pillars'],
  ['broker', 'pillars', 'tracker'],
]
for (const order of orders)
  t.test(
    `[JOIN-2] the tracker's disk is lost and nothing is retained: ${order.join(', ')}`,
    async (t) => {
      const fleet = await founded('lost epoch')
      // So that its first epoch is far below what pillars know.
      for (let n = 0; n < 3; n++) {
        fleet.tracker.crash()
        await fleet.time.finish(fleet.tracker.start())
        await fleet.time.advance(minute)
      }
      const before = epoch(fleet)
      t.ok(before > 3)
      fleet.tracker.crash()
      fleet.tracker.lose()
      for (const board of fleet.boards) board.crash()
      for (const who of order) {
        if (who === 'broker') fleet.broker.wipe(1_000)
        if (who === 'tracker') await fleet.time.finish(fleet.tracker.start())
        if (who === 'pillars')
          for (const board of fleet.boards) await fleet.time.finish(board.start())
        await fleet.time.advance(20_000)
      }
      await fleet.time.advance(12 * minute)
      t.equal(epoch(fleet), before + 1)
      t.same(present(fleet), all(fleet))
    },
  )

t.test('[JOIN-2] nobody starts anew: the pillars tell a tracker without a memory', async (t) => {
  const fleet = await founded('told')
  fleet.tracker.crash()
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(minute)
  const before = epoch(fleet)
  fleet.tracker.crash()
  fleet.tracker.lose()
  fleet.broker.wipe(1_000)
  await fleet.time.advance(5 * minute)
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(3 * minute)
  t.equal(epoch(fleet), before + 1)
  t.same(present(fleet), all(fleet))
})

/** The board is another one: its own memory is gone, and its clock begins in 1970. The disk with the files stays. */
async function replaced(fleet: Fleet, n: number): Promise<void> {
  const board = fleet.boards[n]
  if (!board) throw new Error('no such board')
  board.crash()
  board.newBoard()
  board.clock.setOffset(-fleet.time.clock.now())
  await fleet.time.finish(board.start())
}
const online = (tracker: Tracker | undefined, pillar: string) => tracker?.presence(pillar)

t.test('[PRS-1] a board that begins in 1970 is above the session of the one before', async (t) => {
  const fleet = await founded('1970')
  await replaced(fleet, 0)
  await fleet.time.advance(minute)
  t.equal(online(fleet.tracker.running(), 'pillar-1'), 'online')
  t.same(present(fleet), all(fleet))
  fleet.boards[0]?.crash()
  await fleet.time.advance(minute)
  t.equal(online(fleet.tracker.running(), 'pillar-1'), 'offline', 'its Will has the number, too')
  t.same(present(fleet), ['pillar-2', 'pillar-3'])
  await fleet.time.finish(fleet.boards[0]?.start() ?? Promise.resolve())
  await fleet.time.advance(minute)
  t.equal(online(fleet.tracker.running(), 'pillar-1'), 'online', 'and the next run is above it')
  t.same(present(fleet), all(fleet))
})

t.test(
  '[PRS-2] when the broker has forgotten it, nobody goes by what he heard before',
  async (t) => {
    const fleet = await founded('1970, forgotten')
    const board = fleet.boards[0]
    board?.crash()
    await fleet.time.advance(minute)
    fleet.broker.wipe(1_000)
    await replaced(fleet, 0)
    await fleet.time.advance(minute)
    t.equal(online(fleet.tracker.running(), 'pillar-1'), 'online')
    t.same(present(fleet), all(fleet))
    board?.crash()
    await fleet.time.advance(minute)
    t.equal(online(fleet.tracker.running(), 'pillar-1'), 'offline')
    t.same(present(fleet), ['pillar-2', 'pillar-3'])
  },
)

t.test('[PRS-3] a death that comes late is not what stands there in the end', async (t) => {
  const fleet = await founded('late death')
  const old = compose<'Presence'>(
    simWorld(fleet.time.clock, fleet.random.fork('old'), 'old'),
    'pillar-1',
    {
      ...{ type: 'Presence', conversation: conversationOf(1), state: 'offline' },
      ...{ session: 1, version: '0' },
    },
  )
  const line = fleet.broker.connectAs('pillar-1')({
    ...{ clientId: 'pillar-1.late', persistent: false, subscriptions: [] },
    ...{ receive: () => undefined, connected: () => undefined, closed: () => undefined },
  })
  await fleet.time.advance(1_000)
  const payload = seal(JSON.stringify(old), simSigner('pillar-1'))
  await fleet.time.finish(
    line.publish(topicsUnder('colonnade').pillarState('pillar-1'), payload, true),
  )
  await fleet.time.advance(1_000)
  const bob = await fleet.client('bob')
  await fleet.time.advance(1_000)
  t.equal(bob.line.presence('pillar-1'), 'online')
})
