// Real pillars and the real tracker: what a pillar took with it comes back to its copies.

import t from 'tap'
import { putBatch } from '../../src/client/put.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { settleMs } from '../../src/tracker/keeper.ts'

const options = { signal: new AbortController().signal }

t.test('[KEEP-1] a pillar that is lost for good is replaced by the others', async (t) => {
  const fragments = { bytes: 64 * 1024, copies: 2 }
  const fleet = await startFleet({ seed: 5, pillars: 4, copiesMin: 2, fragments })
  const ann = await fleet.client('ann')
  await fleet.time.advance(30_000)
  const items = ['a.bin', 'b.bin'].map((id) => memoryItem(fleet.random, fleet, id, 500_000))
  const began = fleet.time.clock.monotonic()
  const results = await fleet.time.finish(putBatch(ann, 'pieces', items, options))
  t.comment(`stored after ${fleet.time.clock.monotonic() - began} ms`)
  t.same(
    results.map(({ outcome }) => outcome),
    ['stored', 'stored'],
  )
  await fleet.time.advance(settleMs)
  /** How many of the boards that run have each fragment. */
  const copies = async (): Promise<number[]> => {
    const counts = new Map<string, number>()
    for (const board of fleet.boards) {
      const known = await board.index.summary()
      t.ok(known.length > 0)
      const page = await board.index.list({ collection: 'pieces', limit: 1_000 })
      for (const { id } of page.files)
        counts.set(id, (counts.get(id) ?? 0) + (board.running() ? 1 : 0))
    }
    return [...counts.values()]
  }
  t.ok((await copies()).every((count) => count >= 2))
  fleet.boards[0]?.crash()
  t.ok((await copies()).some((count) => count < 2))
  await fleet.time.advance(48 * 3600_000)
  t.ok(
    (await copies()).every((count) => count >= 2),
    'after the grace time',
  )
  await fleet.time.finish(ann.close())
})
