// A tracker that lost everything learns what the owner has decided from its pillars, whatever else fails meanwhile.

import t from 'tap'
import { sayOfPillar } from '../../src/client/words.ts'
import { type ArchiveDocument, withoutMember } from '../../src/protocol/document.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { operator } from './operator.ts'

const minute = 60_000

async function founded(seed: string, pillars = 3): Promise<Fleet> {
  const fleet = await startFleet({
    ...{ seed, pillars, copiesMin: 2, recovery: true },
    fragments: { bytes: 65_536, copies: 2 },
  })
  await fleet.time.advance(2 * minute)
  return fleet
}

const recovery = (fleet: Fleet) => fleet.tracker.running()?.recovery
const epoch = (fleet: Fleet): number =>
  fleet.tracker.running()?.care()?.members.epoch().counter ?? 0

/** The machine is gone, with its broker. */
async function lost(fleet: Fleet): Promise<void> {
  fleet.tracker.crash()
  await fleet.tracker.restore()
  fleet.broker.wipe(1_000)
}

const decide = (fleet: Fleet, change: (before: ArchiveDocument) => ArchiveDocument) =>
  fleet.publish(change)

t.test('[KIT-4] what the newest of the pillars knows counts; then it is the tracker', async (t) => {
  const fleet = await founded('newest')
  const before = epoch(fleet)
  // Only one pillar hears of the last decision.
  const [one, two, three] = fleet.boards
  for (const board of [two, three]) board?.crash()
  await decide(fleet, (document) => withoutMember(document, 'ann', '2026-01-02T00:00:00.000Z'))
  await fleet.time.advance(minute)
  await lost(fleet)
  one?.crash()
  fleet.trackerAway(true)
  for (const board of [two, three]) if (board) await fleet.time.finish(board.start())
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(2 * minute)
  t.same(recovery(fleet)?.missing(), ['pillar-1'], 'it waits for the third')
  if (one) await fleet.time.finish(one.start())
  await fleet.time.advance(2 * minute)
  t.equal(recovery(fleet)?.missing(), undefined)
  const client = await fleet.client('bob')
  const { identities, revoked, reign } = client.directory.document()
  t.notOk(
    identities.some(({ name }) => name === 'ann'),
    'the decision was found',
  )
  t.match(revoked, [{ name: 'ann' }])
  t.equal(reign, 1)
  t.ok(epoch(fleet) > before + 900, 'far above those of the tracker before')
})

t.test('[KIT-4] a pillar that is lost is not waited for; words of before count', async (t) => {
  const fleet = await founded('words', 4)
  const say = async (pillar: string, word: 'retired' | 'lost') => {
    const desk = await operator(fleet, `operator-${pillar}`)
    await fleet.time.finish(sayOfPillar(desk, pillar, word, true))
    await fleet.time.finish(desk.close())
  }
  await say('pillar-2', 'retired')
  await fleet.time.advance(minute)
  await lost(fleet)
  const [gone] = fleet.boards
  gone?.crash()
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(3 * minute)
  t.same(recovery(fleet)?.missing(), ['pillar-1'])
  await say('pillar-1', 'lost')
  await fleet.time.advance(minute)
  t.equal(recovery(fleet)?.missing(), undefined)
  const told = await fleet.client('bob')
  await fleet.time.advance(minute)
  t.same([told.line.leaves('pillar-2'), told.line.leaves('pillar-3')], [true, false])
})

t.test('[KIT-4] cut at any time, it goes on where it was', async (t) => {
  const fleet = await founded('cut')
  await lost(fleet)
  for (let n = 0; n < 6; n++) {
    await fleet.time.finish(fleet.tracker.start())
    await fleet.time.advance(700 * (n + 1))
    fleet.tracker.crash()
    fleet.broker.wipe(500)
  }
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(3 * minute)
  t.equal(recovery(fleet)?.missing(), undefined)
  t.ok((recovery(fleet)?.version() ?? 0) > 0, 'and pillars keep what is new')
})
