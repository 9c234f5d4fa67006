/** A serial cable of this machine: two pseudo-terminals that socat joins. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { until } from './until.ts'

export interface Cable {
  /** What the program under test opens. */
  readonly host: string
  /** What stands for the device. */
  readonly device: string
  /** As if the plug was pulled: both ends hang up, and are gone. */
  pull(): void
  /** Puts it in, under the same names. */
  plug(): Promise<void>
}

export async function startCable(t: Test): Promise<Cable> {
  const folder = mkdtempSync(join(tmpdir(), 'colonnade-serial-'))
  const [host, device] = [join(folder, 'host'), join(folder, 'device')]
  let child: ChildProcess | undefined
  const pull = (): void => {
    child?.kill('SIGKILL')
    for (const end of [host, device]) rmSync(end, { force: true })
  }
  const plug = async (): Promise<void> => {
    if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit')
    child = spawn(
      'socat',
      [host, device].map((link) => `pty,raw,echo=0,link=${link}`),
      { stdio: 'ignore' },
    )
    await until('the cable is there', () => existsSync(host) && existsSync(device))
  }
  t.teardown(() => {
    pull()
    rmSync(folder, { recursive: true, force: true })
  })
  await plug()
  return { host, device, pull, plug }
}

/**
 * The program asks as one asks a UPS of the Megatec kind, and shows the answer. Runs with an empty environment but for
 * `temporary`, an own folder, in which nothing is left.
 */
export async function asksUps(
  t: Test,
  [command, ...first]: readonly [command: string, ...args: string[]],
  temporary: string,
): Promise<void> {
  mkdirSync(temporary)
  const { host, device } = await startCable(t)
  const far = await open(device, 'r+')
  const args = ['serial', host, '--baud', '2400', '--send', 'Q1', '--seconds', '30']
  const child = spawn(command, [...first, ...args], { env: { TMPDIR: temporary } })
  const ended = once(child, 'exit')
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes) => {
      said += bytes
    })
  const asked = Buffer.alloc(16)
  const { bytesRead } = await far.read(asked, 0, 16, null)
  t.equal(asked.toString('latin1', 0, bytesRead), 'Q1\r')
  await far.write('(230.1 012')
  await until('the answer is shown', () => said.includes('(230.1 012'))
  t.match(said, '28 32 33 30 2e 31 20 30 31 32  "(230.1 012"', said)
  child.kill('SIGTERM')
  t.same(await ended, [0, null], said)
  t.same(readdirSync(temporary), [], 'nothing is left of its native part')
  await far.close()
}
