/** Three gigabytes in fragments on six disks of different sizes; two pillars and the tracker are killed on the way. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { piecesStory } from '../../test/support/pieces-story.ts'
import { inMiB, inSeconds, type Measurement, markdown, rate, tell } from './table.ts'

export const fragments: Measurement = async ({ scale, nodeOptions }) => {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-fragments-'))
  try {
    const bytes = 3e9 * scale
    const options = { home: join(home, 'it'), bytes, bundled: true, nodeOptions, say: tell }
    const told = await piecesStory(options)
    if (told.differs !== '') throw new Error(told.differs)
    const { full, memory, spread } = told
    return markdown(
      [`fragments: ${told.files} files, ${inMiB(told.bytes)}, 2 copies, 6 pillars`, ''],
      [
        [
          'put, with `kill -9` of two pillars and of the tracker with its broker',
          inSeconds(told.putMs),
        ],
        ['then, until each fragment had 2 copies on the disks', inSeconds(told.copiesMs)],
        ['get of all, compared', `${inSeconds(told.getMs)}, ${rate(told.bytes, told.getMs)}`],
        ['a tracker without its disk: until it listed all again', inSeconds(told.learntMs)],
        ...spread.map(({ pillar, bytes: held, of }) => [
          `on ${pillar}${of === undefined ? '' : `, a disk of ${inMiB(of)}`}`,
          inMiB(held),
        ]),
        [
          'fragments of a full pillar before and after more was put; left free',
          `${inMiB(full.before)}, ${inMiB(full.after)}; ${inMiB(full.free)}`,
        ],
        ['tracker, pillar, peak RssAnon', `${inMiB(memory.tracker)}, ${inMiB(memory.pillar)}`],
      ],
    )
  } finally {
    rmSync(home, { recursive: true, force: true })
  }
}
