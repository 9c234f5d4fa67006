/** Each program of dist/ for this processor: its size, how long it takes to start, what it keeps in memory when idle. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { anonymousBytes } from '../../test/support/net-watch.ts'
import { binaryName } from '../build/binary.ts'
import { programs, root } from '../build/bundle.ts'
import { inMiB, type Measurement, markdown, tell } from './table.ts'

type Name = (typeof programs)[number]

const arch = process.arch === 'arm64' ? 'arm64' : 'x64'
const path = (name: Name): string => join(root, 'dist', binaryName(name, arch))

/** As in the units. */
const env = { NODE_OPTIONS: '--max-old-space-size=128 --max-semi-space-size=1' }

export const binaries: Measurement = async ({ scale }) => {
  const base = mkdtempSync(join(tmpdir(), 'colonnade-measure-'))
  const running: ChildProcess[] = []
  try {
    const memory = await idle(base, running, scale < 1 ? 2_000 : 30_000)
    const rows = programs.map((name) => [
      binaryName(name, arch),
      inMiB(statSync(path(name)).size),
      debSize(name),
      `${start(name)} ms`,
      inMiB(memory[name]),
    ])
    return markdown(['program', 'size', 'as .deb', 'cold start', 'idle, RssAnon'], rows)
  } finally {
    for (const child of running) child.kill('SIGKILL')
    rmSync(base, { recursive: true, force: true })
  }
}

/** The tracker's package has the command line in it, too. */
function debSize(name: Name): string {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const debian = arch === 'x64' ? 'amd64' : 'arm64'
  if (name === 'cli') return 'with the tracker'
  const file = join(root, 'dist', `colonnade-${name}_${version}_${debian}.deb`)
  return inMiB(statSync(file).size)
}

/** Median of 9 runs that only say their version, in milliseconds; the file is in the page cache. */
function start(name: Name): number {
  const times = Array.from({ length: 9 }, () => {
    const began = performance.now()
    spawnSync(path(name), ['--version'], { env })
    return performance.now() - began
  })
  return Math.round(times.sort((one, two) => one - two)[4] ?? 0)
}

async function idle(
  base: string,
  running: ChildProcess[],
  waitMs: number,
): Promise<Record<Name, number | undefined>> {
  const home = join(base, 'archive')
  const mount = join(base, 'disk')
  mkdirSync(mount)
  const ports = ['--exchange-port', '38443', '--broker-port', '38883']
  once('tracker', 'init', home, '--host', '127.0.0.1', ...ports)
  once('tracker', 'add', 'pillar', 'attic', home, '--mount', mount)
  once('tracker', 'add', 'client', 'laptop', home)
  once('tracker', 'collection', 'photos', home, '--pillars', 'attic', '--copies-min', '1')
  once('agent', 'disks', 'adopt', mount, '--config', join(home, 'attic/agent.toml'))
  const up = (name: Name, ...args: string[]): ChildProcess => {
    const child = spawn(path(name), args, { env, stdio: 'ignore' })
    running.push(child)
    return child
  }
  const tracker = up('tracker', 'run', '--config', join(home, 'tracker/tracker.toml'))
  await sleep(3_000)
  const agent = up('agent', 'run', '--config', join(home, 'attic/agent.toml'))
  const cli = up('cli', 'alarms', '--follow', '--config', join(home, 'laptop/client.toml'))
  tell(`idle for ${waitMs / 1000} s`)
  await sleep(waitMs)
  const of = (child: ChildProcess): number | undefined => anonymousBytes(child.pid ?? 0)
  return { tracker: of(tracker), agent: of(agent), cli: of(cli) }
}

function once(name: Name, ...args: string[]): void {
  const { status, stderr } = spawnSync(path(name), args, { env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`${name} ${args[0]}: ${stderr}`)
}
