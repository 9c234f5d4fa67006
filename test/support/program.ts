import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, statSync } from 'node:fs'
import { until } from './until.ts'

/** One line of a log. */
export interface Event {
  readonly event: string
  readonly [about: string]: unknown
}

/** A program that runs as a process of its own, can be killed at any time and started again. */
export interface Program {
  readonly name: string
  readonly log: string
  readonly pid: number | undefined
  start(): void
  /** Resolves when it said that it is up. */
  ready(): Promise<void>
  /** The process is gone when this resolves. */
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>
  pause(): void
  goOn(): void
  /** What it logged since its last start. */
  events(name?: string): Event[]
  /** Everything it said since its last start, also what is no event. */
  said(): string
  /** Resolves with exit code or signal of the process as it is now. */
  ended(): Promise<number | NodeJS.Signals>
}

export interface ProgramOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly log: string
  /** That of the test, without what its runner put into it, when absent. */
  readonly env?: NodeJS.ProcessEnv
  /** Whether what it said since its start says that it is up. */
  isReady(events: readonly Event[], said: string): boolean
}

/** The environment without what a test runner puts into it. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const ours = ([name]: [string, unknown]): boolean =>
    !/^(NODE_OPTIONS|NODE_V8_COVERAGE|INIT_CWD|_?TAP.*|COLONNADE_.*)$/.test(name)
  return Object.fromEntries(Object.entries(process.env).filter(ours))
}

export function program(options: ProgramOptions): Program {
  const { name, log } = options
  let child: ChildProcess | undefined
  let end: Promise<number | NodeJS.Signals> = Promise.resolve(0)
  let since = 0
  const alive = (): boolean =>
    child !== undefined && child.exitCode === null && child.signalCode === null
  const said = (): string =>
    existsSync(log) ? readFileSync(log).subarray(since).toString('utf8') : ''
  const events = (wanted?: string): Event[] =>
    said()
      .split('\n')
      .flatMap(parsed)
      .filter(({ event }) => wanted === undefined || event === wanted)
  return {
    name,
    log,
    get pid() {
      return alive() ? child?.pid : undefined
    },
    start() {
      if (alive()) throw new Error(`${name} runs already`)
      since = existsSync(log) ? statSync(log).size : 0
      const file = openSync(log, 'a')
      // Its standard input is a pipe from us: it closes when we end, however we end.
      child = spawn(options.command, options.args, {
        stdio: ['pipe', file, file],
        env: options.env ?? plainEnvironment(),
      })
      closeSync(file)
      end = once(child, 'exit').then(([code, signal]) => code ?? signal)
    },
    async ready() {
      await until(`${name} is up`, () => {
        if (!alive()) throw new Error(`${name} has ended: ${said().slice(-2_000)}`)
        return options.isReady(events(), said())
      })
    },
    async kill(signal = 'SIGKILL') {
      if (alive()) child?.kill(signal)
      await end
    },
    pause: () => void child?.kill('SIGSTOP'),
    goOn: () => void child?.kill('SIGCONT'),
    events,
    said,
    ended: () => end,
  }
}

function parsed(line: string): Event[] {
  try {
    return [JSON.parse(line) as Event]
  } catch {
    return []
  }
}

/** The end of a log, to be shown when a test fails. */
export const lastLines = (path: string, lines = 25): string =>
  existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n') : ''
