/** A serial cable of this machine: two pseudo-terminals that socat joins. */
import { spawn } from 'node:child_process'
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
  /** As if the plug was pulled: both ends hang up. */
  pull(): void
}

export async function startCable(t: Test): Promise<Cable> {
  const folder = mkdtempSync(join(tmpdir(), 'colonnade-serial-'))
  const [host, device] = [join(folder, 'host'), join(folder, 'device')]
  const ends = [host, device].map((link) => `pty,raw,echo=0,link=${link}`)
  const child = spawn('socat', ends, { stdio: 'ignore' })
  const pull = (): void => void child.kill('SIGKILL')
  t.teardown(() => {
    pull()
    rmSync(folder, { recursive: true, force: true })
  })
  await until('the cable is there', () => existsSync(host) && existsSync(device))
  return { host, device, pull }
}
