/** Tracker and pillars as processes of their own, which end when we do. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'

export interface Processes {
  /** Asks all to end, pillars first; resolves when they have. */
  stop(): Promise<void>
  /** Rejects when one ends unasked. */
  readonly broken: Promise<never>
}

const root = resolve(process.argv[1] ?? '', '../..')
const patienceMs = 20_000

export function startProcesses(home: string, pillars: readonly string[]): Processes {
  mkdirSync(join(home, 'logs'), { recursive: true })
  let stopping = false
  let fail: (error: Error) => void = () => undefined
  const broken = new Promise<never>((_, reject) => {
    fail = reject
  })
  broken.catch(() => undefined)
  const begin = (program: string, name: string, config: string): ChildProcess => {
    const log = openSync(join(home, 'logs', `${name}.log`), 'a')
    const args = [join(root, 'src', program), 'run', '--config', config, '--stop-with-parent']
    // Their standard input is a pipe from us: it closes when we end, however we end.
    const child = spawn(process.execPath, args, { stdio: ['pipe', log, log], detached: true })
    child.on('exit', (code, signal) => {
      if (!stopping)
        fail(
          new Error(
            `${name} has ended (${signal ?? code}); its log is ${join(home, 'logs', `${name}.log`)}`,
          ),
        )
    })
    return child
  }
  const tracker = begin('tracker.ts', 'tracker', join(home, 'tracker/tracker.toml'))
  const agents = pillars.map((name) => begin('agent.ts', name, join(home, name, 'agent.toml')))
  return {
    broken,
    async stop() {
      stopping = true
      await Promise.all(agents.map(end))
      await end(tracker)
    },
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), patienceMs)
  await ended
  clearTimeout(late)
}
