/** What the head of the compose file tells, done to the letter; then a pillar and a client from outside use it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import type { Test } from 'tap'
import { contained, readCompose } from './compose.ts'
import { until } from './until.ts'

const deploy = resolve(import.meta.dirname, '../../deploy')
const host = 'tracker.example.org'
const user = '1000:1000'

export interface Stage {
  readonly base: string
  /** The folder of the programs. */
  readonly dist: string
  /** A root with what both images have: mosquitto, and the libraries of any Debian. */
  readonly image: string
}

type Run = (command: string, ...args: string[]) => string

export async function composeStory(t: Test, stage: Stage): Promise<void> {
  const { base, dist, image } = stage
  const folder = join(base, 'deploy')
  mkdirSync(folder, { recursive: true })
  symlinkSync(dist, join(base, 'dist'))
  for (const name of ['compose.yaml', 'mosquitto.conf', 'mosquitto.acl'])
    cpSync(join(deploy, name), join(folder, name))
  const within = network(t, image)
  const ask = (command: string, ...args: string[]) => {
    const [first = '', ...rest] = [...within, command, ...args]
    return spawnSync(first, rest, { cwd: folder, encoding: 'utf8' })
  }
  const run: Run = (command, ...args) => {
    const { status, stdout, stderr } = ask(command, ...args)
    t.equal(status, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`)
    return stdout
  }
  const text = readFileSync(join(folder, 'compose.yaml'), 'utf8')
  t.throws(() => readCompose(text, {}), 'without its variables it does not start')
  const variables = { COLONNADE_HOST: host, COLONNADE_USER: user }
  const { broker, tracker } = readCompose(text, variables).services
  if (broker === undefined || tracker === undefined) throw new Error('not the services we know')
  t.same(broker.networks?.default.aliases, [host], 'the broker is found by the name of the server')

  const log = openSync(join(base, 'log'), 'w')
  for (const line of steps(text)) run('sh', '-c', line)
  const { pillar, client } = members(stage, run)
  const start = (command: readonly string[]): ChildProcess => {
    const [first = '', ...rest] = [...within, ...command]
    const child = spawn(first, rest, { stdio: ['pipe', log, log] })
    t.teardown(() => child.kill('SIGKILL'))
    return child
  }
  const services = [broker, tracker].map((one) => start(contained(one, folder, image)))
  start([tool(dist, '-agent'), 'run', '--config', pillar, '--stop-with-parent'])

  const colonnade = tool(dist, '')
  const status = (): string => ask(colonnade, 'status', '--config', client).stdout
  await until('the pillar answers', () => /^ +attic .* OK: /m.test(status())).catch((error) => {
    throw new Error(`${error}: ${readFileSync(join(base, 'log'), 'utf8').slice(-2000)}`)
  })
  const file = join(base, 'sunset.txt')
  writeFileSync(file, 'red and gold, '.repeat(10_000))
  run(colonnade, 'put', 'photos', file, '--wait', 'all', '--config', client)
  const back = join(base, 'back.txt')
  run(colonnade, 'get', 'photos', 'sunset.txt', '-o', back, '--config', client)
  t.ok(readFileSync(back).equals(readFileSync(file)), 'the same bytes')

  for (const service of services.reverse()) {
    spawnSync('pkill', ['-TERM', '-P', `${grandchild(service)}`])
    await once(service, 'exit')
  }
  t.ok(existsSync(join(folder, 'broker/data/mosquitto.db')), 'what the broker knows is kept')
  t.same(readdirSync(join(image, 'srv/archive')), [], 'nothing was written beside the volumes')
}

/** Writes what has to be changed in configurations, and makes the members; returns the configurations of the two outside. */
function members({ base, dist }: Stage, run: Run): { pillar: string; client: string } {
  const home = join(base, 'deploy/archive')
  const mount = join(base, 'disk')
  mkdirSync(mount)
  const tracker = tool(dist, '-tracker')
  const config = join(home, 'tracker/tracker.toml')
  change(config, 'listen = "0.0.0.0:8883"', 'listen = ""')
  run(tracker, 'add', 'pillar', 'attic', home, '--mount', mount)
  run(tracker, 'add', 'client', 'laptop', home)
  run(tracker, 'collection', 'photos', home, '--pillars', 'attic', '--copies-min', '1')
  const pillar = join(home, 'attic/agent.toml')
  const client = join(home, 'laptop/client.toml')
  for (const path of [config, pillar, client])
    change(path, '# identity = "tracker"', 'identity = "broker"')
  run(tool(dist, '-agent'), 'disks', 'adopt', mount, '--config', pillar)
  run('chown', '-R', user, home, join(base, 'deploy/broker'))
  return { pillar, client }
}

function change(path: string, from: string, to: string): void {
  const text = readFileSync(path, 'utf8')
  if (!text.includes(from)) throw new Error(`${path} has no ${from}`)
  writeFileSync(path, text.replace(from, to))
}

const tool = (dist: string, name: string): string => join(dist, `colonnade${name}-linux-x64`)

/** The lines that the head of the file gives to be typed. */
const steps = (text: string): string[] =>
  text.split('\n').flatMap((line) => /^# {8}(\S.*)$/.exec(line)?.slice(1) ?? [])

/** A network of its own, where the server's name leads to itself: what runs a command in it. */
function network(t: Test, image: string): string[] {
  const name = `colcompose${process.pid}`
  const settings = join('/etc/netns', name)
  const hosts = `127.0.0.1 localhost ${host}\n`
  mkdirSync(settings, { recursive: true })
  writeFileSync(join(settings, 'hosts'), hosts)
  writeFileSync(join(image, 'etc/hosts'), hosts)
  for (const args of [
    ['netns', 'add', name],
    ['-n', name, 'link', 'set', 'lo', 'up'],
  ])
    t.equal(spawnSync('ip', args).status, 0)
  t.teardown(() => {
    spawnSync('ip', ['netns', 'del', name])
    rmSync(settings, { recursive: true })
  })
  return ['ip', 'netns', 'exec', name]
}

/** `ip netns exec` becomes bubblewrap, whose child is the first process of the service's own namespace. */
function grandchild(child: ChildProcess): number {
  const { stdout } = spawnSync('pgrep', ['-P', `${child.pid}`], { encoding: 'utf8' })
  return Number(stdout.trim())
}
