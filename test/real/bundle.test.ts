// Each program as one file, in an empty folder with an empty environment: the whole way that README describes.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '../..')
const base = mkdtempSync(join(tmpdir(), 'colonnade-bundle-'))
const empty = join(base, 'empty')
const running: ChildProcess[] = []

t.before(() => {
  mkdirSync(empty)
  const built = spawnSync(process.execPath, [join(root, 'scripts/bundle.ts'), join(base, 'dist')], {
    encoding: 'utf8',
    env: {},
  })
  t.equal(built.status, 0, built.stderr)
})
t.teardown(() => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(base, { recursive: true, force: true })
})

const file = (program: string): string => join(base, 'dist', `colonnade-${program}.cjs`)

function run(program: string, ...args: string[]) {
  const done = spawnSync(process.execPath, [file(program), ...args], {
    cwd: empty,
    env: {},
    encoding: 'utf8',
    timeout: 120_000,
  })
  return { status: done.status, out: done.stdout, err: done.stderr }
}

function start(program: string, config: string): void {
  const args = [file(program), 'run', '--config', config, '--stop-with-parent']
  running.push(
    spawn(process.execPath, args, { cwd: empty, env: {}, stdio: ['pipe', 'ignore', 'ignore'] }),
  )
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  await new Promise((done) => server.close(done))
  return port
}

async function listening(port: number): Promise<void> {
  for (const end = Date.now() + 30_000; Date.now() < end; ) {
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

t.test('an archive is founded, joined and used by the three files alone', async (t) => {
  const exchange = await freePort()
  const broker = await freePort()
  const home = join(base, 'srv')
  const founded = run(
    'tracker',
    'init',
    home,
    '--archive',
    'books',
    '--host',
    '127.0.0.1',
    '--exchange-port',
    `${exchange}`,
    '--broker-port',
    `${broker}`,
  )
  t.equal(founded.status, 0, founded.err)
  for (const name of ['attic', 'cellar']) {
    mkdirSync(join(base, name))
    const added = run(
      'tracker',
      'add',
      'pillar',
      name,
      home,
      '--site',
      name,
      '--mount',
      join(base, name),
    )
    t.equal(added.status, 0, added.err)
    const adopted = run(
      'agent',
      'disks',
      'adopt',
      join(base, name),
      '--config',
      join(home, name, 'agent.toml'),
    )
    t.equal(adopted.status, 0, adopted.err)
  }
  t.equal(run('tracker', 'add', 'client', 'laptop', home).status, 0)
  t.equal(run('tracker', 'collection', 'photos', home, '--pillars', 'attic', 'cellar').status, 0)

  start('tracker', join(home, 'tracker', 'tracker.toml'))
  await listening(exchange)
  for (const name of ['attic', 'cellar']) start('agent', join(home, name, 'agent.toml'))

  writeFileSync(join(base, 'sunset.txt'), 'red and gold')
  const config = ['--config', join(home, 'laptop', 'client.toml')]
  const put = run('cli', 'put', 'photos', join(base, 'sunset.txt'), '--wait', 'all', ...config)
  t.equal(put.status, 0, put.err)
  const got = run('cli', 'get', 'photos', 'sunset.txt', '-o', join(base, 'back.txt'), ...config)
  t.equal(got.status, 0, got.err)
  t.equal(readFileSync(join(base, 'back.txt'), 'utf8'), 'red and gold')
  const status = run('cli', 'status', '--check', ...config)
  t.equal(status.status, 0, status.out + status.err)
  t.match(status.out, /^Safe: 1 file, 2 copies in 2 places/)
})
