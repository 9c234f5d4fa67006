/** One gigabyte to three pillars of the same network and back: what crosses the tracker's link. */
import { lanStory } from '../../test/support/net-stories.ts'
import { inMiB, inSeconds, type Measurement, markdown, rate } from './table.ts'

export const lan: Measurement = async ({ scale, nodeOptions }) => {
  const bytes = 1e9 * scale
  const told = await lanStory(bytes, nodeOptions)
  if (told.differs !== '') throw new Error(told.differs)
  const peak = (name: string): string => inMiB(told.memory[name]?.peak)
  return markdown(
    ['lan', 'time', 'rate', 'through the tracker', 'client, peak RssAnon'],
    [
      [
        `put ${bytes / 1e6} MB, 3 copies`,
        inSeconds(told.putMs),
        rate(bytes, told.putMs),
        `${(told.putThroughTracker / 1e3).toFixed(0)} kB`,
        peak('client put'),
      ],
      [
        `get ${bytes / 1e6} MB`,
        inSeconds(told.getMs),
        rate(bytes, told.getMs),
        `${(told.getThroughTracker / 1e3).toFixed(0)} kB`,
        peak('client get'),
      ],
    ],
  )
}
