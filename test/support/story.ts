/** The whole way that README describes, by programs that are given as commands: founded, joined, used. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import type { Test } from 'tap'
import { freePort } from './meter.ts'

type ProgramName = 'agent' | 'tracker' | 'cli'

/** What starts a program. */
export type CommandOf = (program: ProgramName) => readonly [command: string, ...args: string[]]

export interface Cast {
  readonly tracker: CommandOf
  /** One pillar each. */
  readonly pillars: Readonly<Record<string, CommandOf>>
  readonly putter: CommandOf
  readonly getter: CommandOf
}

/** Runs in an empty folder with an empty environment. */
export async function tellStory(t: Test, base: string, cast: Cast): Promise<void> {
  const empty = join(base, 'empty')
  const home = join(base, 'srv')
  const names = Object.keys(cast.pillars)
  const running: ChildProcess[] = []
  t.teardown(() => {
    for (const child of running) child.kill('SIGKILL')
  })
  const run = (by: CommandOf, program: ProgramName, ...args: string[]): string => {
    const [command, ...first] = by(program)
    const options = { cwd: empty, env: {}, encoding: 'utf8', timeout: 180_000 } as const
    const { status, stdout, stderr, error } = spawnSync(command, [...first, ...args], options)
    t.equal(status, 0, `${program} ${args[0]}: ${stdout}${stderr}${error ?? ''}`)
    return stdout
  }
  const start = (by: CommandOf, program: ProgramName, config: string): ChildProcess => {
    const [command, ...first] = by(program)
    const args = [...first, 'run', '--config', config, '--stop-with-parent']
    const options = { cwd: empty, env: {}, stdio: ['pipe', 'ignore', 'ignore'] } as const
    const child = spawn(command, args, { ...options, stdio: [...options.stdio] })
    running.push(child)
    return child
  }

  mkdirSync(empty, { recursive: true })
  const exchange = await freePort()
  const ports = ['--exchange-port', `${exchange}`, '--broker-port', `${await freePort()}`]
  const where = ['--archive', 'books', '--host', '127.0.0.1', ...ports]
  run(cast.tracker, 'tracker', 'init', home, ...where)
  for (const [name, by] of Object.entries(cast.pillars)) {
    const mount = join(base, name)
    mkdirSync(mount)
    run(cast.tracker, 'tracker', 'add', 'pillar', name, home, '--site', name, '--mount', mount)
    run(by, 'agent', 'disks', 'adopt', mount, '--config', join(home, name, 'agent.toml'))
  }
  run(cast.tracker, 'tracker', 'add', 'client', 'laptop', home)
  run(cast.tracker, 'tracker', 'collection', 'photos', home, '--pillars', ...names)

  start(cast.tracker, 'tracker', join(home, 'tracker', 'tracker.toml'))
  await listening(exchange)
  const pillars = Object.entries(cast.pillars).map(([name, by]) => {
    const config = join(home, name, 'agent.toml')
    const child = start(by, 'agent', config)
    const volume = join(base, name, 'colonnade')
    return { child, volume, doctor: () => run(by, 'agent', 'doctor', '--config', config) }
  })

  const bytes = Buffer.from('red and gold, '.repeat(100_000))
  writeFileSync(join(base, 'sunset.txt'), bytes)
  const config = ['--config', join(home, 'laptop', 'client.toml')]
  const there = (): boolean => {
    const [command, ...first] = cast.getter('cli')
    const said = spawnSync(command, [...first, 'status', ...config], { cwd: empty, env: {} })
    return names.every((name) => new RegExp(`^ +${name} .* OK: `, 'm').test(`${said.stdout}`))
  }
  for (const end = Date.now() + 120_000; !there() && Date.now() < end; );
  run(cast.putter, 'cli', 'put', 'photos', join(base, 'sunset.txt'), '--wait', 'all', ...config)
  for (const name of names) {
    const back = join(base, `from-${name}.txt`)
    run(cast.getter, 'cli', 'get', 'photos', 'sunset.txt', '-o', back, '--pillar', name, ...config)
    t.ok(readFileSync(back).equals(bytes), `equal bytes from ${name}`)
  }
  const status = run(cast.getter, 'cli', 'status', '--check', ...config)
  t.match(status, /^Safe: 1 file, 2 copies in 2 places/)
  t.match(
    run(cast.getter, 'cli', 'verify', 'photos', ...config),
    /^proven on attic, cellar: 1 of 1 file/,
  )

  for (const { child, doctor, volume } of pillars) {
    const up = doctor()
    for (const check of ['board', 'cipher', 'member', 'broker', 'exchange', 'space'])
      t.match(up, new RegExp(`^ok +${check} `, 'm'), up)
    // The lists follow when it is quiet.
    t.match(
      up,
      /^(ok +index +photos 1 file \(as the|WARN +index +photos: 1 files? in the index, 0 in)/m,
    )
    child.kill('SIGTERM')
    await once(child, 'exit')
    const before = seen(volume)
    t.match(doctor(), /^ok +index +photos 1 file$/m)
    t.same(seen(volume), before, 'nothing was changed by looking')
  }
}

/** Every file below, with its size and time. */
const seen = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((path) => {
    const { size, mtimeMs } = statSync(join(folder, path))
    return `${path} ${size} ${mtimeMs}`
  })

async function listening(port: number): Promise<void> {
  for (const end = Date.now() + 60_000; Date.now() < end; ) {
    const found = await new Promise<boolean>((done) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('connect', () => done(true)).on('error', () => done(false))
      socket.unref()
    })
    if (found) return
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`nobody listens at ${port}`)
}
