// How far a repair is, while its plan is still becoming debts.

import t from 'tap'
import type { Client } from '../../src/client/client.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { type Debt, ledger } from '../../src/tracker/ledger.ts'
import { tally } from '../../src/tracker/tally.ts'

const time = simClock()
const world = simWorld(time.clock, simRandom('tally'), 'tracker')
const collections = [{ name: 'home', pillars: ['attic', 'cellar'] }]
const client = { world, directory: { document: () => ({ collections }) } } as unknown as Client
const debt = (n: number): Debt => ({
  collection: 'home',
  pillar: 'attic',
  file: { id: `${n}`, size: 1, checksum: 'a', mtime: '2026-01-01T00:00:00.000Z' },
  holders: ['cellar'],
  repair: true,
})

t.test('[REP-1] what is left is what has not come, whether it is a debt yet or not', async (t) => {
  const state = openState(':memory:')
  t.teardown(() => state.close())
  const debts = ledger(state)
  const all = tally({ client, ledger: debts })
  const home = { collection: 'home', pillar: 'attic' }
  await debts.owe([debt(0), debt(0)])
  t.same(await all.repairs(), [{ ...home, files: 1, filesLeft: 1 }], 'from before a restart')
  const listed = all.begin('home', ['attic', 'cellar'], [10, 0])
  listed('attic')
  t.same(await all.repairs(), [{ ...home, files: 10, filesLeft: 10 }])
  await time.advance(3_000)
  for (const n of [1, 2, 3]) {
    listed('attic')
    await debts.owe([debt(n)])
  }
  await debts.settle([debt(0), debt(1)])
  all.paid('cellar')
  t.same(await all.repairs(), [{ ...home, files: 10, filesLeft: 8, msLeft: 12_000 }])
  all.begin('home', ['attic'], [8])
  t.match(await all.repairs(), [{ files: 10 }], 'found again in the middle')
  await all.listed('home', ['attic'])
  await debts.settle([debt(2), debt(3)])
  all.paid('attic')
  t.same(await all.repairs(), [])
  t.match(world.lines().at(-1), /repair\.done .*"files":10/)
})
