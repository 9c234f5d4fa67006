/** End to end: what puts and gets cost with more pillars, with large and small files, and with more stored already. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openIndex } from '../../src/index/sqlite.ts'
import { bigFile, MiB, smallFiles } from '../../test/support/net-files.ts'
import { startFleet } from '../../test/support/net-fleet.ts'
import { type Step, watchedRun } from '../measure/box.ts'
import { fill } from '../measure/listing.ts'
import { type Bench, type Result, type Row, tell } from './result.ts'

const collection = 'solo'

export const fleet: Row = async (bench) => {
  const results: Result[] = []
  for (const count of bench.quick ? [1, 3] : [1, 3, 5])
    results.push(...(await round(bench, count, 0)))
  for (const stored of bench.quick ? [1_000, 10_000] : [1_000, 10_000, 100_000])
    results.push(...(await round(bench, 1, stored)))
  return results
}

/** One fleet from its beginning: `stored` files are in the index of each pillar already. */
async function round({ quick }: Bench, count: number, stored: number): Promise<Result[]> {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-bench-'))
  const pillars = Array.from({ length: count }, (_, n) => `pillar-${n + 1}`)
  try {
    const running = await startFleet({
      ...{ home, pillars, bundled: true, ports: [28443, 28883] as const },
      collections: { [collection]: pillars },
      founded: () => {
        if (stored > 0) for (const name of pillars) noted(home, name, stored)
      },
    })
    const about = `${count} ${count === 1 ? 'pillar' : 'pillars'}, ${stored} files stored before`
    tell(about)
    const step = (...args: string[]): Promise<Step> => watchedRun(running, args)
    const files = quick ? 100 : 500
    const bytes = (quick ? 64 : 512) * MiB
    const [small, big] = ['small', 'big']
    smallFiles(join(home, small), files, 10_000)
    bigFile(join(home, big), 'big.bin', bytes)
    const put = (what: string): Promise<Step> =>
      step('put', collection, join(home, what), '--as', what, '--wait', 'all')
    const get = (what: string): Promise<Step> =>
      step('get', collection, `${what}/**`, '-o', join(home, `${what}-back`))
    const many = ({ ms }: Step): string => `${((files / ms) * 1000).toFixed(0)} files/s`
    const fast = ({ ms }: Step): string => `${(bytes / 1e3 / ms).toFixed(0)} MB/s`
    const told = [
      `put ${many(await put(small))}, ${fast(await put(big))}`,
      `get ${many(await get(small))}, ${fast(await get(big))}`,
    ]
    await running.stop()
    return [{ job: about, ours: told.join('; '), reach: '' }]
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}

/** As if they were there; nobody reads their bytes. */
function noted(home: string, pillar: string, count: number): void {
  const index = openIndex(join(home, 'volumes', pillar, 'colonnade', '.index.sqlite'))
  fill(index, count)
  index.close()
}
