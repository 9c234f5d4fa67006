// Tracker, boards and computers as processes of their own: a code lets them in, and no secret shows on the way.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { globSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decide } from '../../src/setup/found.ts'
import { type Archive, changeConfig, makeArchive } from '../support/archive.ts'
import { snapshot, writeNoise } from '../support/files.ts'
import { needs } from '../support/needs.ts'
import { plainEnvironment } from '../support/program.ts'

const root = join(import.meta.dirname, '..', '..')
const here = { exchange: '127.0.0.1:0', advertise: ['127.0.0.1'] }

/** Runs commands, and keeps all that they said and how they stood in the list of processes. */
function commands(home: string) {
  const shown: string[] = []
  async function run(script: 'agent' | 'tracker' | 'cli', ...args: string[]) {
    const options = { env: plainEnvironment(), cwd: home } as const
    const child = spawn(process.execPath, [join(root, 'src', `${script}.ts`), ...args], options)
    let [output, errors, title] = ['', '', '']
    const look = setInterval(() => {
      try {
        // The last look counts: what it was called before it could do anything is not for it to decide.
        title = readFileSync(`/proc/${child.pid}/cmdline`, 'utf8') || title
      } catch {
        // It has ended.
      }
    }, 5)
    child.stdout.setEncoding('utf8').on('data', (text) => (output += text))
    child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
    const [code] = await once(child, 'close')
    clearInterval(look)
    shown.push(errors, title, ...(args[0] === 'invite' ? [] : [output]))
    return { code, output, errors }
  }
  return { run, shown }
}

/** Every private key of the archive, a line of it each, and what codes hide. */
function secretsBelow(home: string, codes: readonly string[]): string[] {
  const keys = globSync(['**/*.key', '**/key.pem'], { cwd: home }).flatMap((path) =>
    readFileSync(join(home, path), 'utf8')
      .split('\n')
      .filter((line) => line.length > 20 && !line.startsWith('---')),
  )
  return [...keys, ...codes.map((code) => code.slice(-23))]
}

async function invited(archive: Archive, run: ReturnType<typeof commands>['run'], args: string[]) {
  const config = join(archive.home, 'tracker', 'tracker.toml')
  const { code, output, errors } = await run('tracker', 'invite', ...args, '--config', config)
  if (code !== 0) throw new Error(errors)
  return output.split('\n')[0] ?? ''
}

async function story(t: Test, kind: Archive['kind']): Promise<void> {
  const archive = await makeArchive(t, kind)
  const { home } = archive
  const { run, shown } = commands(home)
  await archive.start()
  const codes: string[] = []
  const invite = async (...args: string[]): Promise<string> => {
    codes.push(await invited(archive, run, args))
    return codes.at(-1) ?? ''
  }

  const mount = join(home, 'volumes', 'attic')
  mkdirSync(mount, { recursive: true })
  const board = join(home, 'attic', 'agent.toml')
  const forBoard = await invite('pillar', 'attic', '--site', 'home')
  const joined = await run('agent', 'enrol', forBoard, '--mount', mount, '--config', board)
  t.match(joined, { code: 0, output: /this machine is the pillar attic/ })
  t.match(joined.output, /adopted .* as volume .* of attic\nnext: colonnade-agent run --config/)
  changeConfig(board, { 'volume.reserve': '64MiB' })
  const attic = archive.agent('attic', board)
  attic.start()
  await attic.ready()
  decide(home, {
    name: 'photos',
    pillars: ['attic', 'pillar-1'],
    copiesMin: 2,
    algorithm: 'sha256',
  })

  const laptop = join(home, 'laptop', 'client.toml')
  t.match(await run('cli', 'enrol', await invite('client', 'laptop'), '--config', laptop), {
    code: 0,
    output: /this computer is the client laptop/,
  })
  changeConfig(laptop, {
    'exchange.listen': here.exchange,
    'exchange.advertise': here.advertise,
  })
  writeNoise(join(home, 'source', 'a'), 300_000, 1)
  const colonnade = (...args: string[]) => run('cli', ...args, '--config', laptop)
  const put = await colonnade('put', 'photos', join(home, 'source'), '--wait', 'all')
  t.equal(put.code, 0, put.errors)
  t.equal((await colonnade('get', 'photos', '--all', '-o', join(home, 'back/'))).code, 0)
  t.same(snapshot(join(home, 'back')), snapshot(join(home, 'source')))
  t.match((await colonnade('collection', 'show', 'photos')).output, /attic \(home\)/)

  const again = await run('agent', 'enrol', forBoard, '--config', join(home, 'thief/agent.toml'))
  t.match(again, { code: 1, errors: /^colonnade-agent: error: this code was used on .*\n$/ })
  const wrong = await run('cli', 'enrol', forBoard.replace(/.$/, '*'), '--config', join(home, 'x'))
  t.match(wrong, { code: 1, errors: /mistyped/ })

  const logs = archive.programs.map(({ log }) => readFileSync(log, 'utf8'))
  const titles = archive.programs.map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8'))
  const all = [...shown, ...logs, ...titles].join('\n')
  const secrets = secretsBelow(home, codes)
  t.ok(secrets.length > 10)
  t.same(
    secrets.filter((secret) => all.includes(secret)),
    [],
    'no secret in a log, a message or the list of processes',
  )
}

t.test('[ENR-2] a board and a computer are let in by codes: embedded broker', (t) =>
  story(t, 'embedded'),
)
t.test(
  '[ENR-2] a board and a computer are let in by codes: mosquitto',
  needs(t, ['mosquitto']),
  (t) => story(t, 'mosquitto'),
)
