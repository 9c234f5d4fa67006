/** A board gets a new version of its program in the middle of a transfer: the same steps as the package's, with real programs. */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { copyFileSync, mkdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { decide } from '../../src/setup/found.ts'
import { collection, makeArchive } from './archive.ts'
import { program } from './program.ts'
import { until } from './until.ts'

const versions = resolve(import.meta.dirname, '../../deploy/packages/versions')
const pillar = 'pillar-1'
const size = 48 * 1024 * 1024
/** What an interruption may cost, with what TLS and HTTP add. */
const resentMax = 9 * 1024 * 1024

export async function upgradeStory(t: Test, binary: string): Promise<void> {
  const archive = await makeArchive(t)
  const { home, tracker } = archive
  decide(home, { name: collection, pillars: [pillar], copiesMin: 1, algorithm: 'sha256' })
  const lib = join(home, 'lib')
  mkdirSync(join(lib, 'package'), { recursive: true })
  copyFileSync(versions, join(lib, 'versions'))
  const unpack = (how: 'install' | 'try', version: string): void => {
    rmSync(join(lib, 'package/colonnade-agent'), { force: true })
    copyFileSync(binary, join(lib, 'package/colonnade-agent'))
    const done = spawnSync('sh', [join(lib, 'versions'), how, version], { encoding: 'utf8' })
    t.equal(done.status, 0, done.stderr)
  }
  unpack('install', '1.0.0')
  const agent = program({
    name: pillar,
    log: join(home, 'logs', 'packaged.log'),
    command: join(lib, 'current/colonnade-agent'),
    args: ['run', '--config', join(home, pillar, 'agent.toml'), '--stop-with-parent'],
    isReady: (events) => events.some(({ event }) => event === 'bus.connected'),
  })
  t.teardown(() => agent.kill())
  tracker.start()
  await tracker.ready()
  agent.start()
  await agent.ready()

  const file = join(home, 'film.mkv')
  writeFileSync(file, randomBytes(size))
  const put = await archive.colonnade(['put', collection, file], { rate: 8e6 })
  await until('a third is there', () => put.line.down > size / 3)
  unpack('try', '2.0.0')
  await agent.kill('SIGTERM')
  agent.start()
  await agent.ready()
  t.equal((await put.ended).code, 0, 'the put knows nothing of it')
  const sent = put.line.down
  t.ok(sent < size + resentMax, `${sent - size} bytes more than the file`)

  t.equal(readlinkSync(`/proc/${agent.pid}/exe`), join(lib, '2.0.0/colonnade-agent'))
  const back = join(home, 'back.mkv')
  const get = await archive.colonnade(['get', collection, 'film.mkv', '-o', back])
  t.equal((await get.ended).code, 0)
  t.ok(readFileSync(back).equals(readFileSync(file)), 'the same bytes')
}
