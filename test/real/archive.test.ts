// Tracker and pillars as processes of their own: what is put comes back, and lies readable on every disk.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '../../src/limits.ts'
import { collection, makeArchive, partials, pillarNames } from '../support/archive.ts'
import { checkBag, sha256, snapshot, writeNoise } from '../support/files.ts'
import { until } from '../support/until.ts'

const archive = await makeArchive(t)
const { home, pillars } = archive
const source = join(home, 'source')
const names = [
  'photo.jpg',
  'empty',
  'deep/er/and/deeper/letter.txt',
  'umlaut ä, ünd spaces',
  '📷/snap.raw',
  'line\nbreak',
  '100%=done',
  `${'long '.repeat(48)}name`,
  'Case',
  'case',
]

await archive.start()

t.test('a folder is put, and every byte and time of it comes back', async (t) => {
  for (const [n, name] of names.entries())
    writeNoise(join(source, name), name === 'empty' ? 0 : 10_000 * n * n + n, n + 1)
  const put = await (
    await archive.colonnade(['put', collection, source, '--as', 'source', '--wait', 'all'])
  ).ended
  t.equal(put.code, 0, put.errors)
  t.match(put.output, `${names.length} files stored`)
  const to = join(home, 'back')
  const get = await (await archive.colonnade(['get', collection, '--all', '-o', `${to}/`])).ended
  t.equal(get.code, 0, get.errors)
  t.same(snapshot(join(to, 'source')), snapshot(source))
})

t.test('put again: nothing is sent', async (t) => {
  const run = await archive.colonnade(['put', collection, source, '--as', 'source'])
  const { code, output } = await run.ended
  t.equal(code, 0)
  t.match(output, `0 files stored (0 B), ${names.length} known`)
  t.equal(run.line.connections, 0, 'no pillar came for bytes')
})

t.test('get again: what is there is left alone', async (t) => {
  const to = join(home, 'back')
  const run = await archive.colonnade(['get', collection, '--all', '-o', `${to}/`])
  const { code, output } = await run.ended
  t.equal(code, 0)
  t.match(output, `${names.length} were there already`)
  t.equal(run.line.connections, 0, 'no pillar came with bytes')
})

t.test('put while a pillar is off: done, and the tracker brings it the rest', async (t) => {
  await pillars['pillar-3'].kill('SIGTERM')
  const late = join(home, 'late')
  for (let n = 0; n < 20; n++) writeNoise(join(late, `file-${n}`), 100_000 * n, 100 + n)
  const put = await (await archive.colonnade(['put', collection, late, '--as', 'late'])).ended
  t.equal(put.code, 0, put.errors)
  t.match(put.output, 'pillar-3 is owed 20 of them; the tracker brings them when it returns')
  pillars['pillar-3'].start()
  await until(
    'the tracker has delivered',
    () =>
      archive.tracker.events('owed.delivered').reduce((sum, { files }) => sum + Number(files), 0) >=
      20,
  )
  t.same(
    snapshot(join(archive.volume('pillar-3'), collection, 'data', 'late')),
    snapshot(late),
    'the same bytes and times as at the source',
  )
})

t.test('sha256sum accepts the bags while the archive runs and is idle', async (t) => {
  const all = names.length + 20
  for (const name of pillarNames) {
    const bag = join(archive.volume(name), collection)
    const manifest = join(bag, 'manifest-sha256.txt')
    await until(
      `the manifest of ${name} is up to date`,
      () =>
        existsSync(manifest) && readFileSync(manifest, 'utf8').trimEnd().split('\n').length === all,
      limits.manifestIdleMs * 4,
    )
    t.equal(checkBag(bag), all, name)
  }
})

t.test('sha256sum accepts the bags once the archive has been stopped', async (t) => {
  const last = join(home, 'last')
  writeNoise(last, 123_456, 7)
  const put = await (await archive.colonnade(['put', collection, last, '--wait', 'all'])).ended
  t.equal(put.code, 0, put.errors)
  for (const name of pillarNames) await pillars[name].kill('SIGTERM')
  for (const name of pillarNames) {
    const bag = join(archive.volume(name), collection)
    t.equal(await pillars[name].ended(), 0, `${name} ends in order`)
    t.equal(checkBag(bag), names.length + 21, name)
    t.equal(sha256(join(bag, 'data', 'last')), sha256(last))
    t.same(partials(join(archive.volume(name), '.incoming')), [])
  }
})
