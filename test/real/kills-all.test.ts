// Everything is killed at once: what a command has said to be stored is there.

import { join } from 'node:path'
import t from 'tap'
import { collection, makeArchive } from '../support/archive.ts'
import { acknowledged, lost, makeFiles, putAll, sameEverywhere } from '../support/load.ts'
import { xorshift } from '../support/random.ts'
import { until } from '../support/until.ts'

const archive = await makeArchive(t)
const { home, programs } = archive
await archive.start()

t.test('a command that was killed does not hold up the next one', async (t) => {
  makeFiles(join(home, 'abandoned'), 300, xorshift(3))
  const command = ['put', collection, join(home, 'abandoned'), '--as', 'abandoned']
  const run = await archive.colonnade(command, { rate: 200_000 })
  await until('bytes are on their way', () => run.line.down > 100_000)
  await run.kill()
  makeFiles(join(home, 'next'), 10, xorshift(4))
  const next = ['put', collection, join(home, 'next'), '--as', 'next', '--wait', 'all']
  const { code, errors } = await (await archive.colonnade(next)).ended
  t.equal(code, 0, errors)
  t.same(sameEverywhere(archive, 'next'), [true, true, true])
  await putAll(archive, 'abandoned')
  t.same(sameEverywhere(archive, 'abandoned'), [true, true, true])
})

t.test('everything is killed at once in the middle of a put of many small files', async (t) => {
  makeFiles(join(home, 'many'), 600, xorshift(5))
  const command = ['put', collection, join(home, 'many'), '--as', 'many', '--json']
  const run = await archive.colonnade(command)
  await until('150 files are stored', () => {
    if (!run.isRunning()) throw new Error('it ended before its middle')
    return acknowledged(run.objects()).length >= 150
  })
  await Promise.all([...programs.map((one) => one.kill()), run.kill()])
  const stored = acknowledged(run.objects())
  t.ok(stored.length < 600, `${stored.length} of 600 were said to be stored`)
  await archive.start()
  t.same(lost(archive, stored), [], 'nothing that was said to be stored is lost')
  await putAll(archive, 'many')
  t.same(
    sameEverywhere(archive, 'many'),
    [true, true, true],
    'all bytes and times are equal everywhere',
  )
})
