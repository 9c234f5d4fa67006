/** A file in fragments on four pillars of this computer: fetched from them, and by way of the tracker. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { decide } from '../../src/setup/found.ts'
import { bigFile, difference, MiB } from '../../test/support/net-files.ts'
import { startFleet } from '../../test/support/net-fleet.ts'
import { watchedRun } from './box.ts'
import { inMiB, inSeconds, type Measurement, markdown, rate, tell } from './table.ts'

const pillars = ['pillar-1', 'pillar-2', 'pillar-3', 'pillar-4'] as const
const films = 'films'

/** All that a process has read and written so far, sockets too. */
const moved = (pid: number): number =>
  [...readFileSync(`/proc/${pid}/io`, 'utf8').matchAll(/^[rw]char: (\d+)$/gm)].reduce(
    (sum, [, bytes]) => sum + Number(bytes),
    0,
  )

export const pieces: Measurement = async ({ scale, nodeOptions }) => {
  const bytes = Math.ceil(256 * scale) * MiB
  const home = mkdtempSync(join(tmpdir(), 'colonnade-measure-'))
  try {
    const fleet = await startFleet({
      ...{ home, pillars, nodeOptions, bundled: true, ports: [28443, 28883] },
      collections: { home: pillars },
      founded: () =>
        decide(home, {
          ...{ name: films, pillars: [...pillars], copiesMin: 2, algorithm: 'sha256' },
          fragments: { bytes: 4 * MiB, copies: 2 },
        }),
    })
    const source = bigFile(join(home, 'source'), 'big.bin', bytes)
    const rows: string[][] = []
    const step = async (name: string, ...args: string[]): Promise<void> => {
      tell(name)
      const tracker = fleet.pids.tracker ?? 0
      const before = moved(tracker)
      const { ms, usage } = await watchedRun(fleet, args)
      const through = ((moved(tracker) - before) / 1e6).toFixed(1)
      const peak = inMiB(usage.client?.peak)
      rows.push([name, inSeconds(ms), rate(bytes, ms), `${through} MB`, peak])
    }
    try {
      await step(`put ${inMiB(bytes)}, 2 copies`, 'put', films, source)
      for (const [name, ...more] of [['from pillars'], ['by the tracker', '--pillar', 'tracker']]) {
        const to = join(home, `back ${name}`)
        await step(`get, ${name}`, 'get', films, '--all', '-o', `${to}/`, ...more)
        const differs = difference(source, to)
        if (differs !== '') throw new Error(differs)
      }
    } finally {
      await fleet.stop()
    }
    const head = ['fragments', 'time', 'rate', 'read and written by the tracker', 'client, peak']
    return markdown(head, rows)
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
