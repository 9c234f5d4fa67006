// One port, reached by one name, through a proxy: nothing else gets out of the network that boards and computers are in.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { adopt } from '../../src/programs/agent.ts'
import { openWorld } from '../../src/programs/program.ts'
import { add, decide, init } from '../../src/setup/found.ts'
import { readConfig } from '../../src/system/config.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { changeConfig } from '../support/archive.ts'
import { type ConnectProxy, connectProxy, type ProxyOptions } from '../support/connect-proxy.ts'
import { snapshot, writeNoise } from '../support/files.ts'
import { freePort } from '../support/meter.ts'
import { lastLines, type Program, plainEnvironment, program } from '../support/program.ts'

const root = join(import.meta.dirname, '..', '..')
const host = 'tracker.example.org'

interface Place {
  readonly home: string
  readonly port: number
  readonly proxy: ConnectProxy
  readonly tracker: Program
  run(script: 'agent' | 'tracker' | 'cli', ...args: string[]): Promise<Ended>
  start(name: string, script: 'agent' | 'tracker', up: readonly string[]): Promise<Program>
}
interface Ended {
  readonly code: number
  readonly output: string
  readonly errors: string
}

/** A tracker that is known by its name to the proxy only. */
async function place(t: Test, options: Partial<ProxyOptions> = {}): Promise<Place> {
  const home = t.testdirName
  rmSync(home, { recursive: true, force: true })
  mkdirSync(join(home, 'logs'), { recursive: true })
  const port = await freePort()
  const proxy = await connectProxy(t, { name: `${host}:443`, port, ...options })
  await init(home, { archive: 'home', host, exchangePort: '443' })
  changeConfig(join(home, 'tracker', 'tracker.toml'), { 'exchange.listen': `127.0.0.1:${port}` })
  const env = { ...plainEnvironment(), HTTPS_PROXY: proxy.url, NO_PROXY: '' }
  const programs: Program[] = []
  t.teardown(async () => {
    for (const one of programs) {
      if (!t.passing()) t.comment(`--- ${one.name}\n${lastLines(one.log)}`)
      await one.kill()
    }
    rmSync(home, { recursive: true, force: true })
  })
  const start: Place['start'] = async (name, script, up) => {
    const one = program({
      ...{ name, command: process.execPath, log: join(home, 'logs', `${name}.log`), env },
      args: [
        join(root, 'src', `${script}.ts`),
        'run',
        '--config',
        join(home, name, `${script}.toml`),
        '--stop-with-parent',
      ],
      isReady: (events) => up.every((event) => events.some((it) => it.event === event)),
    })
    programs.push(one)
    one.start()
    await one.ready()
    return one
  }
  return {
    ...{ home, port, proxy, start },
    tracker: await start('tracker', 'tracker', ['tracker.started']),
    async run(script, ...args) {
      const child = spawn(process.execPath, [join(root, 'src', `${script}.ts`), ...args], {
        env,
        cwd: home,
      })
      let [output, errors] = ['', '']
      child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
      child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
      const [code] = await once(child, 'close')
      return { code, output, errors }
    },
  }
}

async function invited({ run, home }: Place, ...args: string[]): Promise<string> {
  const config = join(home, 'tracker', 'tracker.toml')
  const { code, output, errors } = await run('tracker', 'invite', ...args, '--config', config)
  if (code !== 0) throw new Error(errors)
  return output.split('\n')[0] ?? ''
}

/** A board is let in, a computer, and a file goes by the tracker's exchange and back. */
async function story(t: Test, where: Place): Promise<void> {
  const { home, run, start } = where
  const mount = join(home, 'disk')
  mkdirSync(mount)
  const board = join(home, 'attic', 'agent.toml')
  const joined = await run(
    'agent',
    'enrol',
    await invited(where, 'pillar', 'attic'),
    '--mount',
    mount,
    '--config',
    board,
  )
  t.equal(joined.code, 0, joined.errors)
  t.match(readFileSync(board, 'utf8'), /url = "mqtts:\/\/tracker\.example\.org:443"/)
  changeConfig(board, { 'volume.reserve': '64MiB' })
  decide(home, { name: 'photos', pillars: ['attic'], copiesMin: 1, algorithm: 'sha256' })
  await start('attic', 'agent', ['agent.started', 'bus.connected'])
  const laptop = join(home, 'laptop', 'client.toml')
  const asked = await run(
    'cli',
    'enrol',
    await invited(where, 'client', 'laptop'),
    '--config',
    laptop,
  )
  t.equal(asked.code, 0, asked.errors)
  // Where it says it is near there is nobody: all bytes go by the tracker.
  changeConfig(laptop, { 'exchange.listen': '127.0.0.1:0', 'exchange.advertise': ['127.0.0.77'] })
  writeNoise(join(home, 'source', 'a'), 3_000_000, 1)
  const put = await run('cli', 'put', 'photos', join(home, 'source'), '--config', laptop)
  t.equal(put.code, 0, put.errors)
  const get = await run(
    'cli',
    'get',
    'photos',
    '--all',
    '-o',
    join(home, 'back/'),
    '--config',
    laptop,
  )
  t.equal(get.code, 0, get.errors)
  t.same(snapshot(join(home, 'back')), snapshot(join(home, 'source')))
}

t.test(
  '[DOOR-1] [DOOR-3] everything goes through one port, by one name, and by a proxy',
  async (t) => {
    const where = await place(t)
    await story(t, where)
    t.ok(where.proxy.spoken.includes('mqtt') && where.proxy.spoken.includes('http/1.1'))
    t.same(new Set(where.proxy.asked), new Set([`${host}:443`]))
    t.same(where.proxy.refused, [])
    const doctor = await where.run(
      'agent',
      'doctor',
      '--config',
      join(where.home, 'attic', 'agent.toml'),
    )
    t.match(doctor.output, /broker at tracker\.example\.org:443 is tracker/)
    const logs = ['tracker', 'attic'].map((one) =>
      readFileSync(join(where.home, 'logs', `${one}.log`), 'utf8'),
    )
    t.notMatch(
      logs.join('') + doctor.output,
      /pass(%3A|:)word/,
      'nobody says the password of the proxy',
    )
    t.match(
      readFileSync(join(where.home, 'tracker', 'tracker.toml'), 'utf8'),
      /^listen = "exchange"$/m,
    )
  },
)

t.test('[DOOR-2] where nothing but HTTPS gets out, MQTT goes in a WebSocket', async (t) => {
  const where = await place(t, { onlyHttp: true })
  const { home, proxy } = where
  const mount = join(home, 'disk')
  mkdirSync(mount)
  const volume = { 'volume.mount': mount, 'volume.reserve': '64MiB' }
  await add(home, 'pillar', 'attic', join(home, 'attic'), volume)
  const config = readConfig(join(home, 'attic', 'agent.toml'), agentShape).values
  await adopt(openWorld({ ...config, 'log.level': 'silent' }), config, mount)
  await where.start('attic', 'agent', ['agent.started', 'bus.connected'])
  t.same(new Set(proxy.spoken), new Set(['http/1.1']))
  t.ok(proxy.asked.length > proxy.spoken.length, 'the other way was tried first')
})

t.test('[DOOR-3] what the proxy does not let through is said, without its password', async (t) => {
  const where = await place(t, { name: 'another.example.org:443' })
  const code = await invited(where, 'pillar', 'attic')
  const joined = await where.run(
    'agent',
    'enrol',
    code,
    '--config',
    join(where.home, 'attic', 'agent.toml'),
  )
  t.match(joined, {
    code: 1,
    errors: /can not be reached at tracker\.example\.org.*the proxy answered 403/,
  })
  t.notMatch(joined.errors, /pass/)
})
