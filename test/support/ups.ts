/** A UPS at the far end of a serial cable of this machine, and Network UPS Tools' own programs. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { systemSerial } from '../../src/serial/node.ts'
import { type SimUps, simUps } from '../../src/sim/ups.ts'
import { systemClock } from '../../src/system/clock.ts'
import { freePort } from './meter.ts'
import { plainEnvironment } from './program.ts'

/** Answers on the line at this path, until the line ends. */
export async function connectUps(
  t: Test,
  path: string,
  ups = simUps(systemClock()),
): Promise<SimUps> {
  const line = await systemSerial.open({ path, baud: 2400 })
  t.teardown(() => line.close())
  const take = ups.device({
    options: { path, baud: 2400 },
    closed: line.closed,
    send: (bytes) => void line.write(Buffer.from(bytes as string)).catch(() => undefined),
  })
  line.onBytes(take)
  return ups
}

export interface Nut {
  readonly port: number
  /** What stands in the file of the dummy driver. */
  says(status: string, more?: Readonly<Record<string, string>>): void
  readonly driver: ChildProcess
  readonly server: ChildProcess
}

const drivers = '/lib/nut'

/** NUT's own server with one UPS, `ups`, by one of its drivers. */
export async function startNut(
  t: Test,
  driver: 'dummy-ups' | 'blazer_ser' | 'nutdrv_qx',
  device?: string,
): Promise<Nut> {
  // A short path: it ends in a socket.
  const folder = mkdtempSync(join(tmpdir(), 'colonnade-nut-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  for (const name of ['etc', 'run']) mkdirSync(join(folder, name))
  chmodSync(join(folder, 'run'), 0o700)
  const port = await freePort()
  const state = join(folder, 'etc', 'ups.dev')
  const says: Nut['says'] = (status, more = {}) =>
    writeFileSync(
      state,
      Object.entries({ 'ups.status': status, ...more })
        .map(([name, value]) => `${name}: ${value}\n`)
        .join(''),
    )
  says('OL')
  const isDummy = driver === 'dummy-ups'
  const file = (name: string, text: string): void =>
    writeFileSync(join(folder, 'etc', name), text, { mode: 0o600 })
  file(
    'ups.conf',
    `maxretry = 1\npollinterval = 1\n[ups]\n driver = ${driver}\n port = ${device ?? state}\n desc = "tried"\n${isDummy ? ' mode = dummy-loop\n' : ''}`,
  )
  file('upsd.conf', `LISTEN 127.0.0.1 ${port}\nMAXAGE 3\n`)
  file('upsd.users', '')
  const env = {
    ...plainEnvironment(),
    NUT_CONFPATH: join(folder, 'etc'),
    NUT_STATEPATH: join(folder, 'run'),
    NUT_ALTPIDPATH: join(folder, 'run'),
  }
  const start = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(join(drivers, program), args, { env, stdio: 'ignore' })
    t.teardown(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    })
    return child
  }
  return {
    port,
    says,
    driver: start(driver, ['-a', 'ups', '-u', 'root', '-F']),
    server: start('upsd', ['-u', 'root', '-F']),
  }
}
