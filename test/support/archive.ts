/** A whole archive of real processes in a folder of a test: a tracker, three pillars, a broker, and commands. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { parse as parseToml, stringify as stringifyToml } from 'smol-toml'
import type { Test } from 'tap'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld } from '../../src/programs/program.ts'
import { add, decide, init } from '../../src/setup/found.ts'
import { readConfig } from '../../src/system/config.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { issue } from '../../src/trust/certificates.ts'
import { makeKeyPair } from '../../src/trust/keys.ts'
import { freePort, type Meter, meterHost, openMeter } from './meter.ts'
import { type Event, lastLines, type Program, plainEnvironment, program } from './program.ts'

export const collection = 'home'
export const pillarNames = ['pillar-1', 'pillar-2', 'pillar-3'] as const
export type PillarName = (typeof pillarNames)[number]

const root = join(import.meta.dirname, '..', '..')

export interface Archive {
  readonly home: string
  readonly kind: 'embedded' | 'mosquitto'
  readonly tracker: Program
  readonly pillars: Readonly<Record<PillarName, Program>>
  /** Only when it is a program of its own. */
  readonly mosquitto: Program | undefined
  /** What passes through the exchange of the tracker. */
  readonly relay: Meter
  readonly programs: readonly Program[]
  /** Starts all and waits until they are connected. */
  start(): Promise<void>
  /** The folder of a pillar's volume. */
  volume(pillar: PillarName): string
  /** Forgets every session and queue of mosquitto, which must not run. */
  wipeBroker(): void
  /** Another run of the program of pillars, with a configuration of its own. */
  agent(name: string, config: string): Program
  /** A run of the command line as the member `client`. */
  colonnade(args: readonly string[], options?: RunOptions): Promise<Run>
}

export interface RunOptions {
  /** Bytes a second that pass between its exchange and the pillars. */
  readonly rate?: number
}

export interface Run {
  /** What passes through its own exchange: down to pillars, up from them. */
  readonly line: Meter
  readonly ended: Promise<Ended>
  /** The objects it has printed so far; with --json. */
  objects(): Record<string, unknown>[]
  output(): string
  isRunning(): boolean
  kill(): Promise<void>
}

export interface Ended {
  readonly code: number | null
  readonly output: string
  readonly errors: string
}

/** Founds an archive and everything that is needed to run it; nothing runs yet. It is torn down with the test. */
export async function makeArchive(t: Test, kind: Archive['kind'] = 'embedded'): Promise<Archive> {
  const home = t.testdirName
  rmSync(home, { recursive: true, force: true })
  mkdirSync(home, { recursive: true })
  const ports = { exchange: await freePort(), broker: await freePort() }
  const broker = {
    url: `mqtts://127.0.0.1:${ports.broker}`,
    identity: kind === 'mosquitto' ? 'broker' : 'tracker',
  }
  await found(home, kind, ports, broker)
  mkdirSync(join(home, 'logs'))
  const programs = makePrograms(home, kind)
  const { tracker, pillars } = programs
  const mosquitto = kind === 'mosquitto' ? await makeMosquitto(home, ports.broker) : undefined
  const all = [...(mosquitto ? [mosquitto] : []), tracker, ...Object.values(pillars)]
  const relay = await openMeter(ports.exchange)
  const runs = new Set<Run>()
  t.teardown(async () => {
    if (!t.passing()) for (const one of all) t.comment(`--- ${one.name}\n${lastLines(one.log)}`)
    for (const run of runs) await run.kill()
    for (const one of all) {
      one.goOn()
      await one.kill()
    }
    for (const run of runs) await run.line.close()
    await relay.close()
    rmSync(home, { recursive: true, force: true })
  })
  return {
    home,
    kind,
    tracker,
    pillars,
    mosquitto,
    relay,
    programs: all,
    async start() {
      for (const one of all) {
        if (one.pid !== undefined) continue
        one.start()
        // The others would find nobody there, and wait before they try again.
        if (one === mosquitto || one === tracker) await one.ready()
      }
      await Promise.all(all.map((one) => one.ready()))
    },
    volume: (pillar) => join(home, 'volumes', pillar, 'colonnade'),
    wipeBroker: () => rmSync(join(home, 'mosquitto', 'mosquitto.db'), { force: true }),
    agent(name, config) {
      const one = ours(home, kind, name, 'agent.ts', config)
      all.push(one)
      return one
    },
    async colonnade(args, options = {}) {
      const run = await startRun(home, args, options)
      runs.add(run)
      return run
    },
  }
}

interface Ports {
  readonly exchange: number
  readonly broker: number
}

async function found(
  home: string,
  kind: Archive['kind'],
  ports: Ports,
  broker: { url: string; identity: string },
): Promise<void> {
  await init(home, {
    archive: 'tried',
    host: meterHost,
    exchangePort: `${ports.exchange}`,
    brokerPort: `${ports.broker}`,
  })
  const common = {
    'broker.url': broker.url,
    'broker.identity': broker.identity,
  }
  const near = { ...common, 'tracker.url': `https://127.0.0.1:${ports.exchange}` }
  changeConfig(join(home, 'tracker', 'tracker.toml'), {
    ...common,
    'broker.listen': kind === 'embedded' ? `127.0.0.1:${ports.broker}` : '',
    'exchange.listen': `127.0.0.1:${ports.exchange}`,
  })
  for (const name of pillarNames) {
    const mount = join(home, 'volumes', name)
    mkdirSync(mount, { recursive: true })
    await add(home, 'pillar', name, join(home, name), {
      'volume.mount': mount,
      'volume.reserve': '64MiB',
    })
    const path = join(home, name, 'agent.toml')
    changeConfig(path, near)
    const config = readConfig(path, agentShape).values
    await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount)
  }
  for (const name of ['client', 'other']) {
    await add(home, 'client', name, join(home, name))
    changeConfig(join(home, name, 'client.toml'), near)
  }
  decide(home, { name: collection, pillars: [...pillarNames], copiesMin: 2, algorithm: 'sha256' })
}

/** Gives some keys of a configuration other values; their names are as in the shapes, `section.key`. */
export function changeConfig(
  path: string,
  values: Readonly<Record<string, string | number | readonly string[]>>,
  into = path,
): void {
  const config = parseToml(readFileSync(path, 'utf8'))
  for (const [name, value] of Object.entries(values)) {
    const [section = '', key] = name.split('.')
    if (key === undefined) config[section] = value as string
    else config[section] = { ...(config[section] as object), [key]: value as string }
  }
  writeFileSync(into, stringifyToml(config), { mode: 0o600 })
}

function makePrograms(
  home: string,
  kind: Archive['kind'],
): { tracker: Program; pillars: Record<PillarName, Program> } {
  const pillar = (name: PillarName): Program =>
    ours(home, kind, name, 'agent.ts', join(home, name, 'agent.toml'))
  return {
    tracker: ours(home, kind, 'tracker', 'tracker.ts', join(home, 'tracker', 'tracker.toml')),
    pillars: {
      'pillar-1': pillar('pillar-1'),
      'pillar-2': pillar('pillar-2'),
      'pillar-3': pillar('pillar-3'),
    },
  }
}

function ours(
  home: string,
  kind: Archive['kind'],
  name: string,
  script: 'agent.ts' | 'tracker.ts',
  config: string,
): Program {
  const started = script === 'agent.ts' ? 'agent.started' : 'tracker.started'
  const within = kind === 'embedded' && script === 'tracker.ts'
  return program({
    name,
    log: join(home, 'logs', `${name}.log`),
    command: process.execPath,
    args: [join(root, 'src', script), 'run', '--config', config, '--stop-with-parent'],
    isReady: (events) => has(events, started) && (within || has(events, 'bus.connected')),
  })
}

const has = (events: readonly Event[], name: string): boolean =>
  events.some(({ event }) => event === name)

/** mosquitto with the configuration that we ship; only paths, port and user are changed. */
async function makeMosquitto(home: string, port: number): Promise<Program> {
  const folder = join(home, 'mosquitto')
  mkdirSync(folder)
  const pem = (name: string): string => readFileSync(join(home, 'archive', name), 'utf8')
  const pair = makeKeyPair()
  const certificate = await issue(
    { certificate: pem('ca.pem'), privateKey: pem('ca.key') },
    { name: 'broker', publicKey: pair.publicKey },
  )
  const shipped = join(root, 'deploy')
  const config = readFileSync(join(shipped, 'mosquitto.conf'), 'utf8')
    .replaceAll(/\/etc\/mosquitto\/colonnade|\/var\/lib\/mosquitto/g, folder)
    .replace('listener 8883', `listener ${port} 127.0.0.1`)
  writeFileSync(join(folder, 'ca.crt'), pem('ca.pem'))
  writeFileSync(join(folder, 'broker.crt'), certificate)
  writeFileSync(join(folder, 'broker.key'), pair.privateKey, { mode: 0o600 })
  writeFileSync(join(folder, 'acl'), readFileSync(join(shipped, 'mosquitto.acl')), { mode: 0o600 })
  const user = process.getuid?.() === 0 ? '\nuser root\n' : ''
  writeFileSync(join(folder, 'mosquitto.conf'), `${config}${user}`)
  return program({
    name: 'mosquitto',
    log: join(home, 'logs', 'mosquitto.log'),
    command: 'mosquitto',
    args: ['-c', join(folder, 'mosquitto.conf')],
    isReady: (_events, said) => / running\n/.test(said),
  })
}

/** Each run has a configuration of its own, since the port of its exchange is that of its meter. */
async function startRun(home: string, args: readonly string[], options: RunOptions): Promise<Run> {
  const port = await freePort()
  const line = await openMeter(port, options.rate)
  const config = join(home, 'client', `client-${port}.toml`)
  changeConfig(
    join(home, 'client', 'client.toml'),
    { 'exchange.listen': `127.0.0.1:${port}`, 'exchange.advertise': [meterHost] },
    config,
  )
  const child = spawn(
    process.execPath,
    [join(root, 'src', 'cli.ts'), ...args, '--config', config],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: plainEnvironment(),
      cwd: home,
    },
  )
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  const ended = once(child, 'close').then(([code]) => ({ code, output, errors }))
  return {
    line,
    ended,
    output: () => output,
    objects: () =>
      output
        .split('\n')
        .slice(0, -1)
        .filter((one) => one.startsWith('{'))
        .map((one) => JSON.parse(one)),
    isRunning: () => child.exitCode === null && child.signalCode === null,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** What lies half-way on a volume, or in a folder that a get fills. */
export function partials(folder: string): string[] {
  if (!existsSync(folder)) return []
  return readdirSync(folder).filter((name) => statSync(join(folder, name)).isFile())
}
