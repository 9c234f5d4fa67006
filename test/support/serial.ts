/** A serial cable of this machine: two pseudo-terminals that socat joins. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
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
