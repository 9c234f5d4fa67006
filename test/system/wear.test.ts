// R11: what a board writes to its card is counted, and what it writes to its volumes is not.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemLog } from '../../src/system/log.ts'
import { openVolumeThread } from '../../src/system/volume-thread.ts'
import { wear } from '../../src/system/wear.ts'

const grown = async (work: () => Promise<void>): Promise<number> => {
  const before = (await wear()).bytes
  await work()
  return (await wear()).bytes - before
}

/** An index into which some is written. */
const index = (root: string) => async (): Promise<void> => {
  const thread = await openVolumeThread({ root, index: 'index.sqlite' })
  const value = 'x'.repeat(100_000)
  for (const key of ['a', 'b', 'c']) await thread.index.commit([{ do: 'fact', key, value }])
  told = (await wear()).bytes
  await thread.close()
}
let told = 0

t.test('R11 an index that is kept apart from its disk counts, a volume does not', async (t) => {
  const [apart, volume] = [join(t.testdir({}), 'apart'), join(t.testdirName, 'volume')]
  for (const folder of [apart, volume]) mkdirSync(folder)
  writeFileSync(join(volume, 'volume.json'), '{}')
  const before = (await wear()).bytes
  await index(apart)()
  t.ok(told - before > 300_000, `${told - before} bytes`)
  const again = (await wear()).bytes
  await index(volume)()
  t.ok(told - again < 300_000, `${told - again} bytes`)
})

t.test('R11 so does the log', async (t) => {
  const log = systemLog({ name: 'test', level: 'error' })
  const bytes = await grown(async () => log.error('wear', { text: 'x'.repeat(1_000) }))
  t.ok(bytes > 1_000 && bytes < 2_000, `${bytes} bytes`)
  t.equal(await grown(async () => log.info('wear')), 0, 'what is not written is not counted')
})
