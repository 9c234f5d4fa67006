/** Listing the ids of a large collection from a pillar's index. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { openIndex } from '../../src/index/sqlite.ts'
import { fill, pageIds, walk } from '../measure/listing.ts'
import { median } from './contest.ts'
import { type Row, tell } from './result.ts'

export const ids: Row = async ({ home, quick, rounds }) => {
  const count = quick ? 100_000 : 1_000_000
  tell(`note ${count} files`)
  const path = join(home, 'index.sqlite')
  const index = openIndex(path)
  fill(index, count)
  const turns = Array.from({ length: rounds + 1 }, () => {
    const before = process.cpuUsage()
    const { ms, pageMs } = walk(index)
    const { user, system } = process.cpuUsage(before)
    return { ms, pageMs, processorMs: (user + system) / 1000 }
  }).slice(1)
  index.close()
  rmSync(path)
  const perSecond = (of: readonly number[]): number => median(of.map((ms) => (count / ms) * 1000))
  const rate = perSecond(turns.map(({ ms }) => ms))
  // On a machine with other work, what a processor would do in a second says more.
  const byProcessor = perSecond(turns.map(({ processorMs }) => processorMs))
  const page = median(turns.map(({ pageMs }) => pageMs))
  const thousands = (number: number): string => `${Math.round(number / 1000)} 000`
  return [
    {
      job: `list ${count} ids from the index`,
      ours: `${thousands(rate)} ids/s, ${thousands(byProcessor)} for a second of CPU; slowest page of ${pageIds} ${page.toFixed(0)} ms`,
      reach: '≥ 500 000 ids/s, a page ≤ 50 ms',
      met: rate >= 500_000 && page <= 50,
    },
  ]
}
