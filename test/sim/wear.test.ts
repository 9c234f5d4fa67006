// R11: what a pillar writes when nothing happens, where index and state may stand on its card, as those of a sleeping disk do.

import t from 'tap'
import { putBatch } from '../../src/client/put.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'

const { signal } = new AbortController()
const day = 24 * 3_600_000
/** What a commit of few rows comes to at most: pages in the log of the database, and the same when it is taken over. */
const commitBytes = 64 * 1024
const bytesADay = 10_000_000

t.test('R11 an idle pillar writes less than 10 MB a day outside its volumes', async (t) => {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 3, late: 3 })
  let commits = 0
  const counted =
    <Args extends unknown[], T>(work: (...args: Args) => T) =>
    (...args: Args): T => {
      commits++
      return work(...args)
    }
  for (const board of fleet.boards) {
    const { index, state } = board
    Object.assign(index, { commit: counted(index.commit) })
    Object.assign(state, { change: counted(state.change) })
    await fleet.time.finish(board.start())
  }
  const client = await fleet.client('ann')
  const items = Array.from({ length: 30 }, (_, n) =>
    memoryItem(fleet.random, fleet, `f${n}`, 1_000),
  )
  await fleet.time.finish(putBatch(client, 'home', items, { signal }))
  await fleet.time.advance(day)
  t.ok(commits > 3, 'it is counted')
  const before = { commits, logged: fleet.logged() }
  await fleet.time.advance(7 * day)
  const each = fleet.boards.length * 7
  const logged = (fleet.logged() - before.logged) / each
  const indexed = ((commits - before.commits) * commitBytes) / each
  t.comment(
    `a day: ${Math.round(logged)} bytes of log, ${(commits - before.commits) / each} commits`,
  )
  t.ok(logged + indexed < bytesADay, `${logged + indexed} bytes a day`)
})
