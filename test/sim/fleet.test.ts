// A whole archive in one thread: real pillars, tracker and client on simulated clock, bus, disks and net.

import t from 'tap'
import { chaos } from '../../src/sim/chaos.ts'
import { apart } from './apart.ts'

const seeds = Number(process.env.FLEET_SEEDS ?? 200)

t.test('what was acknowledged is kept, and every operation ends, whatever fails', async (t) => {
  const sum = { stored: 0, refused: 0, failed: 0, fetched: 0, crashes: 0, virtualMs: 0 }
  const options = Array.from({ length: seeds }, (_, n) => ({
    ...{ seed: n + 1, operations: 5 },
    severity: n % 4 === 3 ? 1 : 0.5,
  }))
  // A broken invariant rejects with the seed and the last lines of every log.
  for (const report of await apart(options)) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name]
  }
  t.comment(
    `${seeds} seeds, ${Math.round(sum.virtualMs / 3_600_000)} simulated hours: ${sum.stored} files acknowledged, ` +
      `${sum.fetched} fetched, ${sum.refused} refused, ${sum.failed} said to have failed, ${sum.crashes} power cuts, 0 lost`,
  )
  t.ok(sum.stored > seeds * 3, 'most files are acknowledged all the same')
  t.ok(sum.fetched > seeds, 'files are fetched')
  t.ok(sum.refused > 0, 'other bytes under a known id are refused')
  t.ok(sum.crashes > seeds / 2, 'boards lose their power')
})

t.test('[PWR-9] and where mains fail, flap, and batteries end or lie as well', async (t) => {
  const sum = { stored: 0, fetched: 0, crashes: 0, outages: 0, shutDowns: 0, virtualMs: 0 }
  const options = Array.from({ length: Math.ceil(seeds / 10) }, (_, n) => ({
    ...{ seed: 9_000 + n, operations: 5, power: true },
    severity: n % 4 === 3 ? 1 : 0.5,
  }))
  for (const report of await apart(options))
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name]
  t.comment(
    `${options.length} seeds, ${Math.round(sum.virtualMs / 3_600_000)} simulated hours: ${sum.stored} files acknowledged, ` +
      `${sum.fetched} fetched, ${sum.outages} outages, ${sum.shutDowns} boards switched off, 0 lost`,
  )
  t.ok(sum.stored > options.length * 2, `${sum.stored} files are acknowledged all the same`)
  t.ok(sum.shutDowns > options.length / 4, `${sum.shutDowns} boards were switched off`)
})

t.test('the same seed replays bit for bit', async (t) => {
  for (const seed of [3, 4, 77]) {
    const once = await chaos({ seed, operations: 6, severity: 1 })
    t.same(await chaos({ seed, operations: 6, severity: 1 }), once, `seed ${seed}`)
  }
})

t.test('without faults everything is stored everywhere and comes back', async (t) => {
  for (const seed of [1, 2, 3]) {
    const { failed, crashes, stored } = await chaos({ seed, operations: 6, severity: 0 })
    t.same({ failed, crashes }, { failed: 0, crashes: 0 })
    t.ok(stored > 0)
  }
})
