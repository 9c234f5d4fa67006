// A board without a clock, and without a network that tells it the time: for it, it is 1970, also for its TLS.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { decide } from '../../src/setup/found.ts'
import { changeConfig, collection, makeArchive } from '../support/archive.ts'
import { needs } from '../support/needs.ts'
import { plainEnvironment, program } from '../support/program.ts'
import { until } from '../support/until.ts'

const root = resolve(import.meta.dirname, '../..')
const library = globSync('/usr/lib/*/faketime/libfaketime.so.1')[0] ?? ''
/** Only the date is another; what runs steadily does. */
const longAgo = {
  ...plainEnvironment(),
  LD_PRELOAD: library,
  FAKETIME: '@1970-01-02 00:00:00',
  FAKETIME_DONT_FAKE_MONOTONIC: '1',
}

// [ENR-2] [CLK-1]
t.test(
  'a board in 1970 is let in, stores and answers, and destroys nothing',
  needs(t, ['faketime']),
  async (t) => {
    const archive = await makeArchive(t)
    const { home, tracker } = archive
    decide(home, { name: collection, pillars: ['attic'], copiesMin: 1, algorithm: 'sha256' })
    tracker.start()
    await tracker.ready()
    const run = async (script: string, env: NodeJS.ProcessEnv, ...args: string[]) => {
      const child = spawn(process.execPath, [join(root, 'src', script), ...args], { env })
      let said = ''
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text) => (said += text))
      const [code] = await once(child, 'close')
      t.equal(code, 0, said)
      return said
    }
    const trackerConfig = join(home, 'tracker/tracker.toml')
    const invite = ['invite', 'pillar', 'attic', '--config', trackerConfig]
    const [code = ''] = (await run('tracker.ts', plainEnvironment(), ...invite)).split('\n')
    const mount = join(home, 'volumes', 'attic')
    mkdirSync(mount)
    const config = join(home, 'attic', 'agent.toml')
    await run('agent.ts', longAgo, 'enrol', code.trim(), '--mount', mount, '--config', config)
    changeConfig(config, { 'volume.reserve': '64MiB' })

    const agent = program({
      name: 'attic',
      log: join(home, 'logs', 'attic.log'),
      command: process.execPath,
      args: [join(root, 'src/agent.ts'), 'run', '--config', config, '--stop-with-parent'],
      env: longAgo,
      isReady: (events) => events.some(({ event }) => event === 'bus.connected'),
    })
    t.teardown(() => agent.kill())
    agent.start()
    await agent.ready()
    t.match(agent.events('agent.started')[0]?.time, /^1970-01-02/)

    const file = join(home, 'sunset.txt')
    writeFileSync(file, 'red and gold, '.repeat(1_000))
    const colonnade = async (...args: string[]) => (await archive.colonnade(args)).ended
    t.equal((await colonnade('put', collection, file)).code, 0)
    const [line = ''] = (await colonnade('checksums', collection)).output.split('\n')
    const [checksum = ''] = line.split(' ')
    const which = ['--checksum', checksum, '--pillar', 'attic']
    const deleted = await colonnade('delete', collection, 'sunset.txt', ...which)
    t.equal(deleted.code, 1, 'it does not delete')
    t.match(deleted.errors, /clock/)
    const back = join(home, 'back.txt')
    t.equal((await colonnade('get', collection, 'sunset.txt', '-o', back)).code, 0)
    t.ok(readFileSync(back).equals(readFileSync(file)), 'the same bytes')

    // The same board, once it knows the time.
    await agent.kill('SIGTERM')
    const later = program({
      name: 'attic, now',
      log: join(home, 'logs', 'attic-now.log'),
      command: process.execPath,
      args: [join(root, 'src/agent.ts'), 'run', '--config', config, '--stop-with-parent'],
      isReady: (events) => events.some(({ event }) => event === 'bus.connected'),
    })
    t.teardown(() => later.kill())
    later.start()
    await later.ready()
    await until(
      'it deletes',
      async () => (await colonnade('delete', collection, 'sunset.txt', ...which)).code === 0,
    )
  },
)
