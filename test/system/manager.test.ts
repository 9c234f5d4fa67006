import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { serviceManager } from '../../src/system/manager.ts'
import { needs } from '../support/needs.ts'
import { until } from '../support/until.ts'

t.test(
  'systemd is told that we are ready, alive, and ending',
  needs(t, ['socat', 'systemd-notify']),
  async (t) => {
    const socket = join(mkdtempSync(join(tmpdir(), 'notify-')), 's')
    const heard = spawn('socat', ['-u', `UNIX-RECV:${socket}`, '-'])
    t.teardown(() => heard.kill())
    let said = ''
    heard.stdout.on('data', (bytes) => (said += bytes))
    await until('somebody listens', () => existsSync(socket))
    const environment = { PATH: process.env.PATH, NOTIFY_SOCKET: socket, WATCHDOG_USEC: '600000' }
    const manager = serviceManager(environment)
    manager.ready()
    await until('it was said that we live', () => /READY=1[\s\S]*WATCHDOG=1/.test(said))
    manager.stopping()
    await until('it was said that we end', () => said.includes('STOPPING=1'))

    said = ''
    const others = serviceManager({ ...environment, WATCHDOG_PID: '1' })
    others.ready()
    await until('it was said that we are ready', () => said.includes('READY=1'))
    await new Promise((done) => setTimeout(done, 500))
    t.notMatch(said, /WATCHDOG/, 'the watchdog of somebody else')
    serviceManager({}).ready()
  },
)
