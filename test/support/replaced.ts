/** A board that is gone for good: another one takes its disk, enrols under its name, and goes on. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, rmSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { layFiles } from './laid.ts'
import { startFleet } from './net-fleet.ts'
import { plainEnvironment } from './program.ts'

const root = resolve(import.meta.dirname, '../..')
const pillars = ['pillar-1', 'pillar-2', 'pillar-3']
const [gone = ''] = pillars

export interface Replacing {
  /** An empty folder. */
  readonly home: string
  /** Of 1 kB each, on each of three pillars. */
  readonly files: number
  readonly ports: readonly [exchange: number, broker: number]
  readonly nodeOptions: readonly string[]
  tell(what: string): void
}

export interface Replaced {
  /** From the first word of the new board to the verdict that all is safe. */
  readonly ms: number
  /** Of that, until it was a member and had begun to run. */
  readonly enrolledMs: number
  /** Files that were stored anew, and payloads that were touched. */
  readonly stored: number
  readonly touched: number
  readonly verdict: string
}

export async function replaceBoard(about: Replacing): Promise<Replaced> {
  const { home, files, ports, nodeOptions, tell } = about
  const volume = join(home, 'volumes', gone, 'colonnade')
  const fleet = await startFleet({
    ...{ home, pillars, ports, nodeOptions, collections: { home: pillars } },
    founded() {
      for (const name of pillars) {
        tell(`lay ${files} files on ${name}`)
        layFiles(join(home, 'volumes', name, 'colonnade'), files)
      }
    },
  })
  const safe = async (): Promise<string> => {
    for (;;) {
      const { out, code } = await fleet.start('status', '--check').ended
      if (code === 0 && out.startsWith('Safe: ') && out.includes('3 copies')) return out
    }
  }
  const children: ReturnType<typeof spawn>[] = []
  try {
    await safe()
    process.kill(fleet.pids[gone] ?? 0, 'SIGKILL')
    rmSync(join(home, gone), { recursive: true })
    const at = Date.now()
    tell('another board takes its place')
    const began = performance.now()
    const tracker = join(home, 'tracker/tracker.toml')
    const said = await ran('tracker', 'invite', 'pillar', gone, '--replace', '--config', tracker)
    const [code = ''] = said.split('\n')
    const config = join(home, 'another', 'agent.toml')
    await ran('agent', 'enrol', code, '--mount', join(volume, '..'), '--config', config)
    const agent = ['run', '--config', config, '--stop-with-parent']
    const child = spawn(process.execPath, [...nodeOptions, join(root, 'src/agent.ts'), ...agent], {
      stdio: ['pipe', 'ignore', 'pipe'],
      env: plainEnvironment(),
    })
    children.push(child)
    const enrolledMs = performance.now() - began
    await connected(child)
    const verdict = await safe()
    const ms = performance.now() - began
    child.kill('SIGTERM')
    await once(child, 'close')
    return { ms, enrolledMs, verdict, stored: storedIn(volume), touched: touchedIn(volume, at) }
  } finally {
    for (const child of children) child.kill('SIGKILL')
    await fleet.stop()
  }
}

/** Whoever asks it before waits until his question is said again. */
function connected({ stderr }: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve) => {
    stderr?.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('bus.connected')) resolve()
    })
  })
}

async function ran(program: 'agent' | 'tracker', ...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [join(root, 'src', `${program}.ts`), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: plainEnvironment(),
  })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`${program} ${args[0]}: ${out}${err}`)
  return out
}

/** What was laid there was never stored: whatever is, came anew. */
function storedIn(volume: string): number {
  const database = new DatabaseSync(join(volume, '.index.sqlite'), { readOnly: true })
  const found = database.prepare("SELECT count(*) AS files FROM audit WHERE event = 'ingestion'")
  const count = Number(found.get()?.files)
  database.close()
  return count
}

const touchedIn = (volume: string, since: number): number =>
  globSync('home/data/**/*.txt', { cwd: volume }).filter(
    (path) => statSync(join(volume, path)).ctimeMs >= since,
  ).length
