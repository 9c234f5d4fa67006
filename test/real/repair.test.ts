// A disk dies: a new, empty one is adopted under the same name, and everything comes back to it by itself.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld } from '../../src/programs/program.ts'
import { readConfig } from '../../src/system/config.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { changeConfig, collection, makeArchive } from '../support/archive.ts'
import { snapshot, writeNoise } from '../support/files.ts'
import { until } from '../support/until.ts'

const archive = await makeArchive(t)
const { home, pillars, tracker } = archive
const root = join(import.meta.dirname, '..', '..')
const source = join(home, 'source')
const filesCount = 203

changeConfig(join(home, 'tracker', 'tracker.toml'), { 'repair.settle': '1s' })
await archive.start()

const data = (): string => join(archive.volume('pillar-3'), collection, 'data', 'source')

t.test(
  '[REP-1] everything comes back to a new empty disk, also when the tracker dies',
  async (t) => {
    for (let n = 0; n < 200; n++)
      writeNoise(join(source, `folder-${n % 7}`, `${n}`), n * 500, n + 1)
    writeNoise(join(source, 'ü mläut\n'), 10, 5000)
    writeNoise(join(source, 'empty'), 0, 1)
    writeNoise(join(source, 'big.bin'), 90_000_000, 4711)
    const args = ['put', collection, source, '--as', 'source', '--wait', 'all']
    const put = await (await archive.colonnade(args)).ended
    t.equal(put.code, 0, put.errors)
    t.match(put.output, `${filesCount} files stored`)
    const before = snapshot(data())

    await pillars['pillar-3'].kill()
    const mount = dirname(archive.volume('pillar-3'))
    rmSync(mount, { recursive: true })
    mkdirSync(mount)
    const config = readConfig(join(home, 'pillar-3', 'agent.toml'), agentShape).values
    await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount)
    pillars['pillar-3'].start()
    await until('it is under way', () => tracker.events('repair.begun').length > 0)
    // It holds still, so that there is time to look.
    pillars['pillar-3'].pause()
    const status = await (await archive.colonnade(['status', '--check'])).ended
    const asked = spawnSync(
      process.execPath,
      [
        join(root, 'src', 'tracker.ts'),
        'status',
        '--config',
        join(home, 'tracker', 'tracker.toml'),
      ],
      { encoding: 'utf8' },
    )
    await tracker.kill()
    tracker.start()
    pillars['pillar-3'].goOn()
    t.equal(status.code, 1, 'it is not safe meanwhile')
    t.match(status.output, /repairing: \d+ of 203 files to pillar-3/)
    t.match(asked.stdout, /^home: .*pillar-1 203 files/, asked.stderr)
    t.match(asked.stdout, /repairing: \d+ of 203 files to pillar-3/)
    await until('it has them all', () => there() === filesCount, 120_000)
    t.same(snapshot(data()), before, 'the same bytes, names and times')
    await until('all is well again', async () => {
      const { output } = await (await archive.colonnade(['status'])).ended
      return output.startsWith(`Safe: ${filesCount} files, 3 copies`)
    })
  },
)

function there(): number {
  if (!existsSync(data())) return 0
  const all = readdirSync(data(), { recursive: true, withFileTypes: true })
  return all.filter((one) => one.isFile()).length
}
