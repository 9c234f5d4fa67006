/** An archive of real processes, on the hosts of a made-up network or all on this one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld, read } from '../../src/programs/program.ts'
import { writeMemberConfig } from '../../src/setup/configs.ts'
import { add, decide, init } from '../../src/setup/found.ts'
import { agentShape, trackerShape } from '../../src/system/config-shapes.ts'
import type { Network } from './net-hosts.ts'

const root = resolve(import.meta.dirname, '../..')
const patienceMs = 60_000

export interface FleetOptions {
  /** An empty folder for everything. */
  readonly home: string
  readonly pillars: readonly string[]
  /** Each collection, and who keeps it. */
  readonly collections: Readonly<Record<string, readonly string[]>>
  /** Without it, all run on this host. Its far host is `tracker`, and one is `client`. */
  readonly network?: Network
  readonly ports?: readonly [exchange: number, broker: number]
  readonly spoolQuota?: number
  /** Runs what is delivered: the sources take more memory, for their parsing alone. */
  readonly bundled?: boolean
  /** Something to be done before anything runs. */
  readonly founded?: (home: string) => void
  /** Options of Node.js for tracker and pillars. */
  readonly nodeOptions?: readonly string[]
}

export interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

export interface Command {
  readonly pid: number
  readonly ended: Promise<Ended>
  kill(): void
}

export interface Fleet {
  readonly home: string
  readonly pids: Readonly<Record<string, number>>
  /** Runs the command line of the client; it is killed when the fleet stops. */
  start(...args: string[]): Command
  /** Runs it to its end; rejects unless it ends well. */
  run(...args: string[]): Promise<Ended>
  /** What a program logged, one object a line. */
  log(name: string): readonly Record<string, unknown>[]
  stop(): Promise<void>
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { home, pillars, network, nodeOptions = [] } = options
  await found(options)
  options.founded?.(home)
  if (options.bundled) await bundle(join(home, 'programs'))
  mkdirSync(join(home, 'logs'), { recursive: true })
  const children = new Map<string, ChildProcess>()
  const commands = new Set<ChildProcess>()
  const place = (host: string): readonly string[] => network?.on(host) ?? []
  const log = (name: string): Record<string, unknown>[] => logOf(join(home, 'logs', `${name}.log`))

  const fileOf = (program: string): string =>
    options.bundled
      ? join(home, 'programs', `colonnade-${program}.cjs`)
      : join(root, 'src', `${program}.ts`)
  const begin = (name: string, program: string, config: string): void => {
    const out = openSync(join(home, 'logs', `${name}.log`), 'a')
    const args = [...nodeOptions, fileOf(program), 'run', '--config', config]
    // Their standard input is a pipe from us: it closes when we end, however we end.
    const command = [...place(name), process.execPath, ...args, '--stop-with-parent']
    const child = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['pipe', out, out],
      env: plainEnvironment(),
    })
    closeSync(out)
    children.set(name, child)
  }
  const started = async (name: string, event: string): Promise<void> => {
    const end = Date.now() + patienceMs
    while (!log(name).some((line) => line.event === event)) {
      const ended = children.get(name)?.exitCode !== null
      if (ended || Date.now() > end)
        throw new Error(
          `${name} did not start:\n${readFileSync(join(home, 'logs', `${name}.log`))}`,
        )
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  const start = (...args: string[]): Command => {
    const config = ['--config', join(home, 'client/client.toml')]
    const command = [...place('client'), process.execPath, fileOf('cli'), ...args]
    const child = spawn(command[0] ?? '', [...command.slice(1), ...config], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: plainEnvironment(),
    })
    commands.add(child)
    return { pid: child.pid ?? 0, ended: ending(child), kill: () => void child.kill('SIGKILL') }
  }
  begin('tracker', 'tracker', join(home, 'tracker/tracker.toml'))
  await started('tracker', 'tracker.started')
  for (const name of pillars) begin(name, 'agent', join(home, name, 'agent.toml'))
  for (const name of pillars) await started(name, 'agent.started')
  return {
    home,
    pids: Object.fromEntries([...children].map(([name, child]) => [name, child.pid ?? 0])),
    start,
    log,
    async run(...args) {
      const ended = await start(...args).ended
      if (ended.code !== 0)
        throw new Error(`colonnade ${args.join(' ')}: ${ended.code}\n${ended.out}${ended.err}`)
      return ended
    },
    async stop() {
      for (const child of commands) child.kill('SIGKILL')
      await Promise.all(
        [...children].filter(([name]) => name !== 'tracker').map(([, one]) => end(one)),
      )
      const tracker = children.get('tracker')
      if (tracker) await end(tracker)
    },
  }
}

async function bundle(folder: string): Promise<void> {
  const args = [join(root, 'scripts/bundle.ts'), folder]
  const child = spawn(process.execPath, args, { stdio: 'pipe', env: plainEnvironment() })
  const { code, err } = await ending(child)
  if (code !== 0) throw new Error(`the programs could not be bundled: ${err}`)
}

/** What tap and npm put there changes what is measured, and where a client looks for its archive. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const {
    NODE_OPTIONS: _options,
    COLONNADE_CONFIG: _config,
    COLONNADE_HOME: _home,
    ...rest
  } = process.env
  return rest
}

async function found(options: FleetOptions): Promise<void> {
  const { home, pillars, network, ports = [8443, 8883] } = options
  const [exchangePort, brokerPort] = ports.map(String) as [string, string]
  const host = network?.address('tracker') ?? '127.0.0.1'
  await init(home, { archive: 'net', host, exchangePort, brokerPort })
  if (options.spoolQuota !== undefined) setSpool(home, options.spoolQuota)
  for (const name of pillars) {
    const mount = join(home, 'volumes', name)
    mkdirSync(mount, { recursive: true })
    const values = { 'volume.mount': mount, 'volume.reserve': '256MiB' }
    await add(home, 'pillar', name, join(home, name), values)
    const config = read(join(home, name, 'agent.toml'), agentShape)
    await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount)
  }
  const near = { 'exchange.listen': '127.0.0.1:0', 'exchange.advertise': ['127.0.0.1'] }
  await add(home, 'client', 'client', join(home, 'client'), network ? {} : near)
  for (const [name, keepers] of Object.entries(options.collections)) {
    const copiesMin = Math.min(2, keepers.length)
    decide(home, { name, pillars: [...keepers], copiesMin, algorithm: 'sha256' })
  }
}

function setSpool(home: string, quota: number): void {
  const values = read(join(home, 'tracker/tracker.toml'), trackerShape)
  writeMemberConfig(join(home, 'tracker'), {
    role: 'tracker',
    name: values.name,
    archive: values.archive,
    owner: values.owner,
    exchangeUrl: values['exchange.urls'][0] ?? '',
    brokerUrl: values['broker.url'],
    values: {
      'broker.listen': values['broker.listen'],
      'exchange.listen': values['exchange.listen'],
      'spool.quota': `${quota}B`,
    },
  })
}

function logOf(path: string): Record<string, unknown>[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

async function ending(child: ChildProcess): Promise<Ended> {
  let out = ''
  let err = ''
  child.stdout?.setEncoding('utf8').on('data', (text) => {
    out += text
  })
  child.stderr?.setEncoding('utf8').on('data', (text) => {
    err += text
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, out, err }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await ended
  clearTimeout(late)
}
