/** What a fleet costs while nothing is asked of it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { processorMs } from '../../test/support/net-watch.ts'
import { inBox, pillars } from '../measure/box.ts'
import { type Row, tell } from './result.ts'

export const idle: Row = ({ quick }) =>
  inBox([], async ({ fleet }) => {
    // What begins at the start has ended by then.
    await sleep(quick ? 5_000 : 30_000)
    const ms = quick ? 10_000 : 120_000
    tell(`watch an idle fleet for ${ms / 1000} s`)
    const taken = (): number[] => pillars.map((name) => processorMs(fleet.pids[name] ?? 0))
    const before = taken()
    await sleep(ms)
    const shares = taken().map((now, n) => ((now - (before[n] ?? 0)) / ms) * 100)
    const share = Math.max(...shares)
    return [
      {
        job: 'an idle pillar',
        ours: `${share.toFixed(2)} % of a core`,
        reach: '≤ 0.5 %',
        met: share <= 0.5,
      },
    ]
  })
