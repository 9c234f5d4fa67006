/** Four gigabytes through a relay of half a gigabyte to three pillars, one of them ten times slower. */
import { MiB } from '../../test/support/net-files.ts'
import { spoolStory } from '../../test/support/net-stories.ts'
import { inMiB, inSeconds, type Measurement, markdown, rate } from './table.ts'

const quota = 512 * MiB
const bitsPerSecond = 800e6

export const spool: Measurement = async ({ scale, nodeOptions }) => {
  const bytes = Math.floor(4096 * MiB * scale)
  const told = await spoolStory({ bytes, quota, bitsPerSecond, nodeOptions })
  const { tracker, client, ...pillars } = told.memory
  const pillar = Math.max(...Object.values(pillars).map(({ peak }) => peak))
  return markdown(
    ['spool', ''],
    [
      [`${inMiB(bytes)} to 3 pillars, two at 100 MB/s, one at 10 MB/s`, inSeconds(told.putMs)],
      ['rate', rate(bytes, told.putMs)],
      ['whole copies', `${told.stored.length}`],
      [`spool on disk, peak (quota ${inMiB(quota)})`, inMiB(told.spoolPeak)],
      [
        'tracker RssAnon in the first, in the last quarter',
        `${inMiB(told.trackerEarly)}, ${inMiB(told.trackerLate)}`,
      ],
      [
        'tracker, client, pillars, peak RssAnon',
        `${inMiB(tracker?.peak)}, ${inMiB(client?.peak)}, ${inMiB(pillar)}`,
      ],
    ],
  )
}
