// The tracker's machine is lost, and another one takes its place by the recovery kit: nobody visits a house.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { makeKit } from '../../src/setup/kit.ts'
import { readConfig } from '../../src/system/config.ts'
import { trackerShape } from '../../src/system/config-shapes.ts'
import { type Archive, changeConfig, collection, makeArchive } from '../support/archive.ts'
import { snapshot, writeNoise } from '../support/files.ts'
import { plainEnvironment } from '../support/program.ts'
import { until } from '../support/until.ts'

const root = join(import.meta.dirname, '..', '..')

async function run(script: 'tracker' | 'cli', ...args: string[]) {
  const command = [join(root, 'src', `${script}.ts`), ...args]
  const child = spawn(process.execPath, command, { env: plainEnvironment() })
  let [output, errors] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  const [code] = await once(child, 'close')
  return { code, output, errors }
}

const lastOf = (archive: Archive, event: string, key: string): unknown =>
  archive.tracker.events(event).at(-1)?.[key]

/** Every pillar keeps what the tracker has sealed last. */
const kept = (archive: Archive) =>
  until('every pillar keeps it', () =>
    Object.values(archive.pillars).every((one) => one.events('recovery.kept').length > 0),
  )

t.test('[KIT-3] [KIT-4] [KIT-5] a lost tracker is back by its kit', async (t) => {
  const archive = await makeArchive(t)
  const { home, tracker } = archive
  const config = join(home, 'tracker', 'tracker.toml')
  await archive.start()
  writeNoise(join(home, 'source', 'a'), 300_000, 1)
  const put = await archive.colonnade(['put', collection, join(home, 'source'), '--wait', 'all'])
  t.equal((await put.ended).code, 0)
  const invited = await run('tracker', 'invite', 'client', 'laptop', '--config', config)
  const [code = ''] = invited.output.split('\n')
  t.equal(invited.code, 0, invited.errors)
  await until('the code is in what pillars keep', () => {
    const kept = Object.values(archive.pillars).map((one) => one.events('recovery.kept').at(-1))
    const versions = kept.map((one) => Number(one?.version ?? 0))
    return versions.every(
      (one) => one > 0 && one >= Math.floor(statSync(join(home, 'tracker/invitations')).mtimeMs),
    )
  })
  const [page, words] = [join(home, 'kit.txt'), join(home, 'words')]
  writeFileSync(page, makeKit(readConfig(config, trackerShape).values, 'correct horse', Date.now()))
  writeFileSync(words, 'correct horse\n')
  await kept(archive)

  // Its disk, as it is found in a drawer later.
  await tracker.kill()
  for (const name of ['tracker', 'archive']) {
    cpSync(join(home, name), join(home, 'drawer', name), { recursive: true })
    rmSync(join(home, name), { recursive: true })
  }
  const wrong = join(home, 'wrong')
  writeFileSync(wrong, 'battery staple\n')
  const refused = await run('tracker', 'restore', page, home, '--passphrase-file', wrong)
  t.match(refused, { code: 1, errors: /the kit can not be opened by this passphrase/ })
  t.notOk(existsSync(join(home, 'archive')))
  const began = Date.now()
  const restored = await run('tracker', 'restore', page, home, '--passphrase-file', words)
  t.match(restored, { code: 0, output: /is the tracker of tried again/ }, restored.errors)
  const drawer = readFileSync(join(home, 'drawer/tracker/tracker.toml'), 'utf8')
  const listen = /^\[exchange\]\n(?:#.*\n)*listen = "(.*)"$/m.exec(drawer)?.[1] ?? ''
  changeConfig(config, { 'exchange.listen': listen })
  for (const name of ['ca.pem', 'ca.key', 'owner.key'])
    t.equal(
      readFileSync(join(home, 'archive', name), 'utf8').trim(),
      readFileSync(join(home, 'drawer/archive', name), 'utf8').trim(),
      name,
    )
  tracker.start()
  await until('all pillars have come', () => tracker.events('recovery.over').length > 0)
  const ms = Date.now() - began
  t.comment(`restored in ${ms} ms`)
  t.ok(ms < 90_000)
  const names = [...new Set(tracker.events('recovery.heard').map(({ pillar }) => pillar))].sort()
  t.same(names, ['pillar-1', 'pillar-2', 'pillar-3'])
  t.notOk(existsSync(join(home, 'tracker/recovering')))

  const get = await archive.colonnade(['get', collection, '--all', '-o', join(home, 'back/')])
  t.equal((await get.ended).code, 0)
  t.same(snapshot(join(home, 'back')), snapshot(join(home, 'source')))
  const laptop = join(home, 'laptop', 'client.toml')
  const joined = await run('cli', 'enrol', code, '--config', laptop)
  t.match(joined, { code: 0, output: /the client laptop/ }, 'codes of before are good')
  const document = Number(lastOf(archive, 'recovery.over', 'document'))

  // The old disk is put into a machine again, under the same address: it hears of it, and ends.
  await tracker.kill('SIGTERM')
  rmSync(join(home, 'tracker'), { recursive: true })
  cpSync(join(home, 'drawer', 'tracker'), join(home, 'tracker'), { recursive: true })
  tracker.start()
  await until('it has heard of the other', () => tracker.events('tracker.replaced').length > 0)
  t.equal(await tracker.ended(), 0)
  t.ok(document > 1)
  tracker.start()
  await until('nor does it start', () => tracker.events('tracker.replaced').length > 0)
  t.equal(await tracker.ended(), 0)
})
