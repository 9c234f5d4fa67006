// `colonnade-agent rebuild`: on a real volume, with the agent stopped; refused while it runs.

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { collection, makeArchive } from '../support/archive.ts'
import { plainEnvironment } from '../support/program.ts'
import { until } from '../support/until.ts'

const archive = await makeArchive(t)
const { home, pillars } = archive
const one = pillars['pillar-1']
const root = archive.volume('pillar-1')
const agent = join(import.meta.dirname, '../../src/agent.ts')

function rebuild(...args: string[]) {
  const config = join(home, 'pillar-1', 'agent.toml')
  const all = [agent, 'rebuild', ...args, join(root, '..'), '--config', config]
  const { status, stdout, stderr } = spawnSync(process.execPath, all, {
    encoding: 'utf8',
    env: plainEnvironment(),
  })
  return { status, stdout, stderr }
}

await archive.start()
for (const name of ['ann', 'bob', 'eve']) writeFileSync(join(home, name), `bytes of ${name}`)
const put = await archive.colonnade([
  'put',
  collection,
  ...['ann', 'bob', 'eve'].map((name) => join(home, name)),
])
await put.ended
await until('all have all', () =>
  ['ann', 'bob', 'eve'].every((name) => existsSync(join(root, collection, 'data', name))),
)

t.test('[REB-3] while the agent runs it is refused, and nothing is changed', async (t) => {
  for (const what of ['index', 'bag']) {
    const { status, stderr } = rebuild(what)
    t.equal(status, 1)
    t.match(stderr, /the agent is running on this volume: stop it first/)
  }
  t.notOk(existsSync(join(root, '.index.sqlite.damaged-1')))
})

t.test('[REB-3] --dry-run says what differs, and the index is made anew', async (t) => {
  await one.kill('SIGTERM')
  t.match(rebuild('index', '--dry-run'), {
    status: 0,
    stdout: /home: 3 files in the index, 3 lines/,
  })
  rmSync(join(root, collection, 'data', 'bob'))
  writeFileSync(join(root, collection, 'data', 'odd'), 'by hand')
  t.match(rebuild('index', '--dry-run'), {
    status: 1,
    stdout: /1 files are not there, 1 are unknown/,
  })
  writeFileSync(join(root, '.index.sqlite'), 'no database')
  t.match(rebuild('index'), { status: 0, stdout: /2 files are listed again, 1 were listed/ })
  t.equal(readFileSync(join(root, '.index.sqlite.damaged-1'), 'utf8'), 'no database')
  t.equal(readFileSync(join(root, collection, 'data', 'odd'), 'utf8'), 'by hand')
})

t.test('[REB-3] the lists are made anew from the index', async (t) => {
  rmSync(join(root, collection, 'data', 'odd'))
  rmSync(join(root, collection, 'manifest-sha256.txt'))
  t.match(rebuild('bag'), { status: 0, stdout: /home: lists of 2 files/ })
  const { status } = spawnSync('sh', [join(root, 'check.sh'), root])
  t.equal(status, 0)
  t.match(rebuild('bag', '--dry-run'), { status: 0 })
})

t.test(
  'what the disk has lost is told and brought again, and an index that is lost is',
  async (t) => {
    rmSync(join(root, '.index.sqlite'))
    one.start()
    await one.ready()
    t.match(one.events('index.lost'), [{ why: 'it is not there' }])
    await until('the tracker has heard of it', async () => {
      const run = await archive.colonnade(['alarms', '--json'])
      await run.ended
      return run.objects().some(({ text }) => /index .* is lost/.test(String(text)))
    })
    t.pass()
  },
)

t.test('[DISK-9] a pillar that can not start says so', async (t) => {
  await one.kill('SIGTERM')
  rmSync(join(root, 'volume.json'))
  one.start()
  t.equal(await one.ended(), 1)
  await until('the tracker has heard of it', async () => {
    const run = await archive.colonnade(['alarms', '--json'])
    await run.ended
    return run.objects().some(({ text }) => /can not start: there is no volume/.test(String(text)))
  })
  t.pass()
})
