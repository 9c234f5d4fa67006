// Tracker, boards and computers as processes of their own: a code lets them in, and no secret shows on the way.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  copyFileSync,
  globSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { decide } from '../../src/setup/found.ts'
import { readConfig } from '../../src/system/config.ts'
import { trackerShape } from '../../src/system/config-shapes.ts'
import { type Archive, changeConfig, makeArchive, pillarNames } from '../support/archive.ts'
import { snapshot, writeNoise } from '../support/files.ts'
import { needs } from '../support/needs.ts'
import { expired, makePki } from '../support/pki.ts'
import { type Program, plainEnvironment } from '../support/program.ts'
import { until } from '../support/until.ts'

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

const upsPassword = 'what-the-ups-hears'

const has = (one: Program, event: string): boolean => one.events(event).length > 0

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

const pem = (...path: string[]): string => readFileSync(join(...path), 'utf8')

interface Tls {
  readonly cert?: string
  readonly key?: string
}
const credentials = (folder: string): Tls => ({
  cert: pem(folder, 'certificate.pem'),
  key: pem(folder, 'key.pem'),
})

/** What is answered to somebody's first words; nothing when the connection is refused. */
function answered(home: string, servername: string, port: number, tls: Tls, words: Buffer) {
  return new Promise<string>((resolve) => {
    const ca = pem(home, 'archive', 'ca.pem')
    const socket = connect({ ...tls, ca, host: '127.0.0.1', port, servername })
    let heard = ''
    socket.setTimeout(10_000, () => socket.destroy())
    socket.on('secureConnect', () => socket.write(words))
    socket.on('data', (more) => {
      heard += more.toString('latin1')
      socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(heard))
  })
}

/** Whom exchange and broker let in, as `exchange broker`. */
async function letIn(archive: Archive, name: string, tls: Tls): Promise<string> {
  const { home, kind } = archive
  const config = readConfig(join(home, 'tracker', 'tracker.toml'), trackerShape).values
  const exchange = Number(config['exchange.listen'].split(':')[1])
  const broker = Number(new URL(config['broker.url']).port)
  const get = Buffer.from('GET /archive-document HTTP/1.1\r\nhost: x\r\n\r\n')
  const id = Buffer.from(`${name}.probe`)
  const body = [0, 4, ...Buffer.from('MQTT'), 4, 2, 0, 60, 0, id.length, ...id]
  const hello = Buffer.from([0x10, body.length, ...body])
  const owner = kind === 'mosquitto' ? 'broker' : 'tracker'
  const [bytes, packet] = await Promise.all([
    answered(home, 'tracker', exchange, tls, get),
    answered(home, owner, broker, tls, hello),
  ])
  const status = /^HTTP\/1.1 (\d+)/.exec(bytes)?.[1] ?? 'no'
  return `${status} ${packet === '\x20\x02\x00\x00' ? 'yes' : 'no'}`
}

/** mosquitto gets the list of revoked certificates, as the README says it. */
async function bringList({ home, mosquitto }: Archive): Promise<void> {
  if (!mosquitto) return
  const path = join(home, 'mosquitto', 'mosquitto.conf')
  copyFileSync(join(home, 'tracker', 'revoked.crl'), join(home, 'mosquitto', 'revoked.crl'))
  writeFileSync(path, readFileSync(path, 'utf8').replace('#crlfile', 'crlfile'))
  await mosquitto.kill('SIGTERM')
  mosquitto.start()
  await mosquitto.ready()
}

/** What others may write to, and secrets and state that others may read, below the folders of all members. */
function loose(home: string): string[] {
  const isOpen = /^(ca\.pem|certificate\.pem|archive-document|revoked\.crl)$/
  const below = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, withFileTypes: true }).flatMap((one) => {
      const path = join(one.parentPath, one.name)
      if (one.isSocket()) return []
      const others = statSync(path).mode & (isOpen.test(one.name) ? 0o022 : 0o077)
      return others === 0 ? [] : [`${path} ${(statSync(path).mode & 0o777).toString(8)}`]
    })
  const folders = ['archive', 'tracker', 'attic', 'laptop'].map((name) => join(home, name))
  const open = folders.filter((folder) => (statSync(folder).mode & 0o077) !== 0)
  return [...open, ...folders.flatMap(below)]
}

type Colonnade = (...args: string[]) => Promise<{ code: number; output: string; errors: string }>

/** What `laptop` may do, before and after the owner has said so. */
async function roles(t: Test, home: string, colonnade: Colonnade): Promise<void> {
  const deposits = /laptop is depositor of photos: puts and gets, no more/
  const sum = (await colonnade('checksums', 'photos')).output.slice(0, 64)
  const victim = ['photos', 'a', '--checksum', sum, '--pillar', 'attic'] as const
  t.match(await colonnade('delete', ...victim), { code: 1, errors: deposits })
  const owner = ['--owner-key', join(home, 'archive', 'owner.key')]
  t.match(await colonnade('permit', 'laptop', 'curator', '--collection', 'photos', ...owner), {
    code: 0,
    output: /laptop is curator of photos/,
  })
  t.match((await colonnade('members')).output, /laptop +client +depositor of \*, curator of photos/)
  t.match((await colonnade('collection', 'show', 'photos')).output, /^laptop is curator$/m)
  await until('the pillar has heard of it', async () => {
    return (await colonnade('delete', ...victim)).code === 0
  })
}

async function story(t: Test, kind: Archive['kind']): Promise<void> {
  const archive = await makeArchive(t, kind)
  const { home } = archive
  const { run, shown } = commands(home)
  // At its most talkative: what is not said then is never said.
  const talkative = { 'log.level': 'debug' } as const
  for (const one of ['tracker/tracker.toml', ...pillarNames.map((name) => `${name}/agent.toml`)])
    changeConfig(join(home, one), talkative)
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
  changeConfig(board, { 'volume.reserve': '64MiB', ...talkative })
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
    ...talkative,
    'exchange.listen': here.exchange,
    'exchange.advertise': here.advertise,
  })
  writeNoise(join(home, 'source', 'a'), 300_000, 1)
  const colonnade = (...args: string[]) => run('cli', ...args, '--config', laptop)
  const receipts = join(home, 'receipts')
  const source = join(home, 'source')
  const put = await colonnade('put', 'photos', source, '--wait', 'all', '--receipt', receipts)
  t.equal(put.code, 0, put.errors)
  const checked = await run(
    'cli',
    'receipt',
    'verify',
    receipts,
    '--ca',
    join(home, 'archive/ca.pem'),
  )
  t.match(checked, {
    code: 0,
    output: /^attic \(home\) keeps photos\/a: .*\npillar-1 keeps photos\/a: /,
  })
  t.equal((await colonnade('get', 'photos', '--all', '-o', join(home, 'back/'))).code, 0)
  t.same(snapshot(join(home, 'back')), snapshot(join(home, 'source')))
  t.match((await colonnade('collection', 'show', 'photos')).output, /attic \(home\)/)

  const watched = join(home, 'attic', 'watched.toml')
  const ups = { 'power.source': 'nut', 'power.server': 'ups@127.0.0.1:9', 'power.user': 'watcher' }
  changeConfig(board, { ...ups, 'power.password': upsPassword }, watched)
  t.match((await run('agent', 'doctor', '--config', watched)).output, /exchange at .* is tracker/)
  t.match((await colonnade('status')).output, /photos/)
  const again = await run('agent', 'enrol', forBoard, '--config', join(home, 'thief/agent.toml'))
  t.match(again, { code: 1, errors: /^colonnade-agent: error: this code was used on .*\n$/ })
  const wrong = await run('cli', 'enrol', forBoard.replace(/.$/, '*'), '--config', join(home, 'x'))
  t.match(wrong, { code: 1, errors: /mistyped/ })

  if (kind === 'embedded') await roles(t, home, colonnade)

  const stranger = await (await makePki()).credentialsOf('pillar-1')
  t.equal(await letIn(archive, 'pillar-2', credentials(join(home, 'pillar-2'))), '200 yes')
  t.equal(await letIn(archive, 'attic', credentials(join(home, 'attic'))), '200 yes')
  const config = join(home, 'tracker', 'tracker.toml')
  const revoked = await run('tracker', 'revoke', 'attic', '--config', config)
  t.match(revoked, {
    code: 0,
    output: /^attic is revoked; .*\nits disk has every file of: photos$/m,
  })
  await until('its connection is cut', () => kind !== 'embedded' || has(attic, 'bus.closed'))
  await bringList(archive)
  await until('it is refused everywhere', async () => {
    return (await letIn(archive, 'attic', credentials(join(home, 'attic')))) === 'no no'
  })
  t.equal(await letIn(archive, 'pillar-2', credentials(join(home, 'pillar-2'))), '200 yes')
  t.equal(await letIn(archive, 'pillar-1', stranger), 'no no', 'a wrong certificate')
  t.equal(await letIn(archive, 'pillar-1', await expired(home, 'pillar-1')), 'no no', 'expired')
  t.equal(await letIn(archive, 'pillar-1', {}), '403 no', 'none')
  t.notMatch((await colonnade('collection', 'show', 'photos')).output, /attic/)
  t.match(await run('tracker', 'revoke', 'attic', '--config', config), {
    code: 1,
    errors: /^colonnade-tracker: error: there is no member attic\n$/,
  })

  t.same(loose(home), [], 'keys and state are for whom they belong to')
  const logs = archive.programs.map(({ log }) => readFileSync(log, 'utf8'))
  const titles = archive.programs.map(({ pid }) => pem(`/proc/${pid}/cmdline`))
  const all = [...shown, ...logs, ...titles].join('\n')
  const secrets = [...secretsBelow(home, codes), upsPassword]
  t.ok(secrets.length > 10)
  t.same(
    secrets.filter((secret) => all.includes(secret)),
    [],
    'no secret in a log, a message or the list of processes',
  )
  // Nor what would let another fetch or deliver: the beginning of a token is always the same.
  t.notMatch(all, /eyJ[\w-]{20,}\.|Bearer /)
}

t.test(
  '[ENR-2] [REV-1] [RCP-2] a board and a computer are let in by codes, and turned out: embedded broker',
  (t) => story(t, 'embedded'),
)
t.test(
  '[ENR-2] [REV-1] a board and a computer are let in by codes, and turned out: mosquitto',
  needs(t, ['mosquitto']),
  (t) => story(t, 'mosquitto'),
)
