// A checksum pillar as a process of its own, beside three that keep files.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld, read } from '../../src/programs/program.ts'
import { add, decide } from '../../src/setup/found.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { changeConfig, collection, makeArchive, pillarNames } from '../support/archive.ts'
import { snapshot, writeNoise } from '../support/files.ts'

t.test('[KIND-1] [KIND-2] it checks what the others keep, and is no copy', async (t) => {
  const archive = await makeArchive(t)
  const { home } = archive
  const source = join(home, 'source')
  const mount = join(home, 'volumes', 'witness')
  mkdirSync(mount, { recursive: true })
  await add(home, 'pillar', 'witness', join(home, 'witness'), {
    ...{ kind: 'checksum', 'volume.mount': mount, 'volume.reserve': '0B' },
  })
  const file = join(home, 'witness', 'agent.toml')
  const other = read(join(home, 'pillar-1', 'agent.toml'), agentShape)
  changeConfig(file, {
    ...{ 'broker.url': other['broker.url'], 'broker.identity': other['broker.identity'] },
    'tracker.url': other['tracker.url'],
  })
  const config = read(file, agentShape)
  await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount)
  const pillars = [...pillarNames, 'witness']
  decide(home, { name: collection, pillars, copiesMin: 3, algorithm: 'sha256' })
  const witness = archive.agent('witness', file)
  await archive.start()
  const run = async (...args: string[]) => (await archive.colonnade(args)).ended
  writeNoise(join(source, 'large'), 9_000_000, 1)
  writeNoise(join(source, 'small'), 10, 2)
  const put = await run('put', collection, source, '--wait', 'all', '--json')
  t.equal(put.code, 0, put.errors)
  t.match(put.output, /"copies":\["pillar-1","pillar-2","pillar-3"\],"checked":\["witness"\]/)
  const status = await run('status', '--check')
  t.equal(status.code, 0, status.output)
  t.match(status.output, /^Safe: 2 files, 3 copies/)
  t.match(status.output, /witness +2 checksums/)
  t.match((await run('ls', collection)).output, /3 copies +large/)
  t.match(await run('verify', collection, source), { code: 0, output: /safe to delete: 2 of 2/ })
  t.match(await run('verify', collection, '--pillar', 'witness'), {
    code: 1,
    errors: /keeps checksums only/,
  })
  t.match(await run('get', collection, 'small', '--pillar', 'witness', '-o', `${home}/x`), {
    code: 1,
    errors: /keeps checksums only/,
  })
  await witness.kill('SIGTERM')
  const kept = Object.keys(snapshot(join(mount, 'colonnade')))
  t.same(kept.filter((name) => !name.startsWith('.')).toSorted(), [
    'READ-ME-FIRST.txt',
    `${collection}/manifest-sha256.txt`,
    `${collection}/mtimes.txt`,
    'volume.json',
  ])
})
