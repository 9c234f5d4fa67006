/** Many files of 10 kB through command line, broker and three pillars: files a second, and who takes how long for one. */
import { join } from 'node:path'
import { smallFiles } from '../../test/support/net-files.ts'
import { inBox, pillars, type Step } from './box.ts'
import { inSeconds, type Measurement, markdown, tell } from './table.ts'

export const small: Measurement = ({ scale, nodeOptions }) =>
  inBox(nodeOptions, async ({ home, step }) => {
    const count = 5_000 * scale
    const source = smallFiles(join(home, 'source'), count, 10_000)
    tell(`put ${count} files`)
    const put = await step('put', 'home', source, '--wait', 'all')
    tell(`put them again`)
    const again = await step('put', 'home', source, '--wait', 'all')
    tell(`get them`)
    const get = await step('get', 'home', '--all', '-o', join(home, 'back'))
    const row = (what: string, { ms, usage }: Step): string[] => [
      what,
      inSeconds(ms),
      (count / (ms / 1000)).toFixed(0),
      ...['client', 'tracker', ...pillars].map((name) =>
        ((usage[name]?.processorMs ?? 0) / count).toFixed(2),
      ),
    ]
    const head = ['client', 'tracker', ...pillars].map((name) => `${name}, CPU ms a file`)
    return markdown(
      [`${count} files of 10 kB`, 'time', 'files/s', ...head],
      [row('put, 3 copies', put), row('put again: nothing new', again), row('get', get)],
    )
  })
