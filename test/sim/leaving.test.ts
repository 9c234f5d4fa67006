// The operator's words: a pillar is to go, or is gone, in whole fleets.

import t from 'tap'
import type { Client } from '../../src/client/client.ts'
import { survey } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { repairsUnderWay } from '../../src/client/repairs.ts'
import { sayOfPillar } from '../../src/client/words.ts'
import type { PillarWord } from '../../src/protocol/words.ts'
import { checkPieces, isScarce } from '../../src/sim/chaos-pieces.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { settleMs } from '../../src/tracker/keeper.ts'
import { operator } from './operator.ts'

const { signal } = new AbortController()
const minute = 60_000
const hour = 60 * minute

async function setting(seed: string, pillars = 5) {
  const fleet = await startFleet({
    ...{ seed, pillars, copiesMin: 2 },
    fragments: { bytes: 65_536, copies: 2 },
  })
  const client = await fleet.client('ann')
  await fleet.time.advance(30_000)
  const items = [1, 2, 3].map((n) => memoryItem(fleet.random, fleet, `${n}.bin`, 200_000 * n))
  for (const collection of ['pieces', 'home'])
    await fleet.time.finish(putBatch(client, collection, items, { signal }), 6 * hour)
  await fleet.time.advance(settleMs)
  let turn = 0
  async function as<T>(work: (tracker: Client) => Promise<T>): Promise<T> {
    const tracker = await operator(fleet, `operator-${++turn}`)
    const done = await fleet.time.finish(work(tracker))
    await fleet.time.finish(tracker.close())
    return done
  }
  const say = (pillar: string, word: PillarWord | undefined, force = false) =>
    as((tracker) => sayOfPillar(tracker, pillar, word, force))
  const told = async () => (await as((tracker) => repairsUnderWay(tracker, signal)))?.leaving
  return { fleet, client, items, say, told, promised: new Map(items.map((one) => [one.id, one])) }
}

t.test(
  '[LEAVE-1] [LEAVE-2] a retired pillar can be switched off once its copies are elsewhere',
  async (t) => {
    const { fleet, client, items, say, told, promised } = await setting('retired')
    t.match(await say('pillar-9', 'retired'), { responseInfo: { code: 'FAILURE' } })
    t.match(await say('pillar-2', 'retired'), { responseInfo: { code: 'OPERATION_COMPLETED' } })
    const pieces = async () => (await told())?.find(({ collection }) => collection === 'pieces')
    const before = await pieces()
    t.ok(before?.fragmentsLeft && before.fragmentsLeft > 0, 'nothing was moved yet')
    await fleet.time.advance(minute)
    fleet.tracker.crash()
    await fleet.time.finish(fleet.tracker.start())
    await fleet.time.advance(settleMs + 2 * hour)
    t.match(await pieces(), { pillar: 'pillar-2', word: 'retired', fragmentsLeft: 0 })
    t.equal(fleet.tracker.running()?.care()?.members.counting('pieces').includes('pillar-2'), false)

    const more = memoryItem(fleet.random, fleet, 'more.bin', 1_000)
    const [put] = await fleet.time.finish(putBatch(client, 'home', [more], { signal }))
    t.notOk(put?.copies.includes('pillar-2'), 'it gets nothing new')
    t.notOk(put?.owed.includes('pillar-2'), 'and is owed nothing')
    t.same(await fleet.boards[1]?.index.stored('home', [more.id]), [undefined], 'nor has it any')
    const { files } = await fleet.time.finish(survey(client, 'home', {}, signal))
    t.notOk(files.get(items[0]?.id ?? '')?.copies.includes('pillar-2'), 'what it has is no copy')

    fleet.boards[1]?.crash()
    await fleet.time.advance(minute)
    await checkPieces(fleet, client, promised)
    await fleet.time.finish(fleet.boards[1]?.start() ?? Promise.resolve())
    t.match(await say('pillar-2', undefined), { responseInfo: { code: 'OPERATION_COMPLETED' } })
    t.same(await told(), [])
    await fleet.time.advance(settleMs)
    t.ok(fleet.tracker.running()?.care()?.members.counting('pieces').includes('pillar-2'))
  },
)

t.test(
  '[LEAVE-3] what was on a lost pillar is repaired now, and it counts again when it is back',
  async (t) => {
    const { fleet, client, say, told, promised } = await setting('lost')
    t.match(await say('pillar-3', 'lost'), { responseInfo: { code: 'FAILURE', text: /is there/ } })
    fleet.boards[2]?.crash()
    await fleet.time.advance(2 * minute)
    t.match(await say('pillar-3', 'lost'), { responseInfo: { code: 'OPERATION_COMPLETED' } })
    await fleet.time.advance(2 * hour)
    const members = await fleet.tracker.vault().view.members()
    t.equal(members.find(({ pillar }) => pillar === 'pillar-3')?.state, 'gone', 'until it joins')
    const left = { ...fleet, boards: fleet.boards.filter((_, n) => n !== 2) }
    t.equal(await isScarce(left), false, 'long before the time of grace')
    t.equal((await told())?.length, 2)
    fleet.boards[2]?.newDisk()
    await fleet.time.finish(fleet.boards[2]?.start() ?? Promise.resolve())
    await fleet.time.advance(10 * minute)
    t.same(await told(), [])
    t.ok(fleet.tracker.running()?.care()?.members.counting('pieces').includes('pillar-3'))
    await checkPieces(fleet, client, promised)
  },
)

t.test('[LEAVE-4] not below what a collection needs, unless it is insisted', async (t) => {
  const { fleet, client, say } = await setting('few', 2)
  const refused = await say('pillar-1', 'retired')
  t.match(refused, {
    responseInfo: { code: 'FAILURE' },
    scarce: [
      { collection: 'home', pillars: 1, needed: 2 },
      { collection: 'pieces', pillars: 1, needed: 2 },
    ],
  })
  t.match(await say('pillar-1', 'retired', true), { responseInfo: { code: 'OPERATION_COMPLETED' } })
  const more = memoryItem(fleet.random, fleet, 'more.bin', 1_000)
  const [put] = await fleet.time.finish(putBatch(client, 'home', [more], { signal }))
  t.equal(put?.outcome, 'failed', 'one copy is not two')
  const stranger = await fleet.time.finish(sayOfPillar(client, 'pillar-1', undefined, true))
  t.equal(stranger, undefined, 'clients have no say')
})
