/** Memory of each process while small files, 1 GiB and 2 GiB go through: it must not grow with either. */
import { closeSync, openSync, readFileSync, readSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { bigFile, GiB, MiB, smallFiles } from '../../test/support/net-files.ts'
import { anonymousBytes } from '../../test/support/net-watch.ts'
import { type Box, inBox, pillars, type Step } from './box.ts'
import { inMiB, type Measurement, markdown, tell } from './table.ts'

const names = ['tracker', ...pillars, 'client'] as const

export const memory: Measurement = ({ scale, nodeOptions }) =>
  inBox(nodeOptions, async (box) => {
    const { home, fleet, step } = box
    const idle = Object.fromEntries(
      Object.entries(fleet.pids).map(([name, pid]) => [name, anonymousBytes(pid)]),
    )
    const count = 2_000 * scale
    const gib = Math.floor(GiB * scale)
    const put = (name: string): Promise<Step> => {
      tell(`put ${name}`)
      return step('put', 'home', join(home, name), '--as', name, '--wait', 'all')
    }
    smallFiles(join(home, 'small'), count, 10_000)
    const small = await put('small')
    bigFile(join(home, 'one'), 'one.bin', gib)
    const one = await put('one')
    bigFile(join(home, 'two'), 'two.bin', 2 * gib + 16 * MiB)
    const two = await put('two')
    const fetched = await get(box)
    const offset = 2 * gib + 12_345
    const range = await part(box, offset)
    const columns: [string, (name: string) => string][] = [
      ['idle', (name) => inMiB(idle[name])],
      [`put ${count} files of 10 kB`, (name) => peakAndEnd(small, name)],
      [`put ${inMiB(gib)}`, (name) => peakAndEnd(one, name)],
      [`put ${inMiB(2 * gib + 16 * MiB)}`, (name) => peakAndEnd(two, name)],
      ['get the same', (name) => peakAndEnd(fetched, name)],
      [`get 1 MiB of it at ${offset}`, (name) => peakAndEnd(range, name)],
    ]
    const rows = names.map((name) => [name, ...columns.map(([, cell]) => cell(name))])
    return markdown(['RssAnon, peak / end', ...columns.map(([head]) => head)], rows)
  })

const peakAndEnd = ({ usage }: Step, name: string): string =>
  `${inMiB(usage[name]?.peak)} / ${inMiB(usage[name]?.end)}`

async function get({ home, step }: Box): Promise<Step> {
  tell('get it')
  const got = await step('get', 'home', 'two/two.bin', '-o', join(home, 'back.bin'))
  rmSync(join(home, 'back.bin'))
  return got
}

/** Reads a range beyond the first two gigabytes, and holds it against the original. */
async function part({ home, step }: Box, offset: number): Promise<Step> {
  const range = ['--offset', `${offset}`, '--length', `${MiB}`]
  const got = await step('get', 'home', 'two/two.bin', ...range, '-o', join(home, 'part'))
  const wanted = Buffer.alloc(MiB)
  const file = openSync(join(home, 'two/two.bin'), 'r')
  readSync(file, wanted, 0, MiB, offset)
  closeSync(file)
  if (!wanted.equals(readFileSync(join(home, 'part')))) throw new Error('the range differs')
  return got
}
