// The real command line against a real archive: every process its own, one start for the whole file.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createHash, createHmac } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import t from 'tap'
import { decide } from '../../src/setup/found.ts'
import { makeArchive, pillarNames } from '../support/archive.ts'
import { sha256, snapshot, writeNoise } from '../support/files.ts'
import { plainEnvironment } from '../support/program.ts'
import { until } from '../support/until.ts'
import { patternOf, seen, stepsOf } from './transcript.ts'

const root = join(import.meta.dirname, '..', '..')
const archive = await makeArchive(t)
const { home } = archive
for (const name of [
  ...['letters', 'diary', 'deleted', 'torture', 'large', 'long', 'locked', 'crowd'],
])
  decide(home, { name, pillars: [...pillarNames], copiesMin: 2, algorithm: 'sha256' })

const config = join(home, 'client', 'test.toml')
writeFileSync(
  config,
  readFileSync(join(home, 'client', 'client.toml'), 'utf8').replace(
    /^\[exchange\]$/m,
    '[exchange]\nlisten = "127.0.0.1:0"\nadvertise = ["127.0.0.1"]',
  ),
)
const bin = join(home, 'bin')
mkdirSync(bin)
writeFileSync(
  join(bin, 'colonnade'),
  `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'src', 'cli.ts')}' "$@"\n`,
)
chmodSync(join(bin, 'colonnade'), 0o755)
const env = {
  ...plainEnvironment(),
  COLONNADE_CONFIG: config,
  PATH: `${bin}:${process.env.PATH}`,
  LC_ALL: 'C.UTF-8',
  // Most of a short command is its start.
  NODE_COMPILE_CACHE: join(home, 'compiled'),
}

interface Ended {
  readonly code: number | null
  readonly out: Buffer
  readonly errors: string
}

function begin(
  args: readonly string[],
  cwd = home,
): { child: ChildProcess; ended: Promise<Ended> } {
  const child = spawn(join(bin, 'colonnade'), args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  const out: Buffer[] = []
  let errors = ''
  child.stdout.on('data', (bytes) => out.push(bytes))
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text))
  const ended = once(child, 'close').then(([code]) => ({ code, out: Buffer.concat(out), errors }))
  return { child, ended }
}
const colonnade = (...args: string[]): Promise<Ended> => begin(args).ended

/** What --json has said: every line is an object. */
const objects = ({ out }: Ended): Record<string, unknown>[] =>
  out
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line))

function folder(name: string): string {
  const path = join(home, name)
  mkdirSync(path, { recursive: true })
  return path
}

// They only ask and are short: together they take half as long.
t.jobs = 3
await archive.start()

/** Runs a line as a user would; errors and results as they come. */
async function typed(command: string, cwd: string): Promise<string> {
  const child = spawn('bash', ['-c', `exec 2>&1; ${command}`], {
    cwd,
    env,
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (some) => (text += some))
  const [code] = await once(child, 'close')
  return seen(text.replaceAll(cwd, '<here>'), code)
}

t.test(
  '[XFER-9] --limit holds for what goes by the tracker, there and back',
  { buffered: true },
  async (t) => {
    const here = folder('limited')
    writeNoise(join(here, 'one.bin'), 2 * 1024 * 1024, 77)
    // No pillar reaches an exchange at such an address: everything goes by the relay.
    const away = join(home, 'client', 'away.toml')
    writeFileSync(away, readFileSync(config, 'utf8').replace('["127.0.0.1"]', '["203.0.113.1"]'))
    const timed = async (...args: string[]): Promise<number> => {
      const began = performance.now()
      const { code, errors } = await colonnade(...args, '--config', away, '--limit', '8Mbit/s')
      t.equal(code, 0, errors)
      return performance.now() - began
    }
    const put = await timed('put', 'large', here, '--as', 'limited')
    t.ok(put > 2_000, `2 MiB in ${Math.round(put)} ms`)
    const back = join(here, 'back.bin')
    const get = await timed('get', 'large', 'limited/one.bin', '-o', back)
    t.ok(get > 2_000, `2 MiB in ${Math.round(get)} ms`)
    t.equal(sha256(back), sha256(join(here, 'one.bin')))
  },
)

for (const name of ['first', 'refusals', 'changes', 'deleted'])
  t.test(`what test/cli/${name}.txt shows is what is to be seen`, { buffered: true }, async (t) => {
    const work = folder(name)
    const files = {
      'mine/2024/bob.txt': 'Dear Bob\n',
      'mine/2025/ann.txt': 'Dear Ann,\nall is well.\n',
      'mine/to do': '',
      'mine/diary.txt': 'Monday\n',
    }
    for (const [path, text] of Object.entries(files)) {
      if ((path === 'mine/diary.txt') !== (name === 'changes')) continue
      mkdirSync(dirname(join(work, path)), { recursive: true })
      writeFileSync(join(work, path), text)
      utimesSync(join(work, path), 1_700_000_000, 1_700_000_000)
    }
    const text = readFileSync(join(import.meta.dirname, `${name}.txt`), 'utf8')
    for (const { command, expected, line } of stepsOf(text)) {
      const found = await typed(command, work)
      t.match(found, patternOf(expected), `${name}.txt:${line}: $ ${command}`)
    }
  })

t.test('names as nasty as they come go in, are listed, summed, and come back', async (t) => {
  const source = folder('torture/source')
  const names = [
    'with space',
    'ümlaut'.normalize('NFC'),
    'ümlaut'.normalize('NFD'),
    '📷 emoji 👨‍👩‍👧',
    'new\nline',
    'tab\there',
    'return\rhere',
    'escape \u001b[31mred',
    'right-to-\u202egnp.exe',
    '100%',
    '%25',
    '-dash',
    '--all',
    'back\\slash',
    '\\nnot a line',
    'x'.repeat(255),
    `${'é'.repeat(127)}x`,
    'Case',
    'case',
    '=41',
    '=0A',
    '=',
    'trailing.',
    'trailing ',
    ' leading',
    'a:b',
    '*',
    '?',
    '$(x) `y`',
    "it's",
    'double"quote',
    '...',
    '~',
    '#hash',
    '.hidden',
    `${Array.from({ length: 40 }, (_, n) => `d${n}`).join('/')}/leaf`,
    `${'p'.repeat(250)}/${'q'.repeat(250)}/${'r'.repeat(250)}/${'s'.repeat(240)}`,
  ]
  for (const [n, name] of names.entries())
    writeNoise(join(source, name), n % 7 === 0 ? 0 : n * 999, n)
  const put = await colonnade('put', 'torture', source, '--json')
  t.equal(put.code, 0, put.errors)
  t.same(
    objects(put)
      .filter(({ outcome }) => outcome === 'stored')
      .map(({ id }) => id)
      .sort(),
    [...names].sort(),
  )
  const ls = await colonnade('ls', 'torture')
  t.equal(ls.out.toString().trimEnd().split('\n').length, names.length, 'one line each')
  t.notMatch(ls.out.toString(), /[^\P{Cc}\n]|\u202e/u, 'nothing steers the terminal')
  const listed = objects(await colonnade('ls', 'torture', '--json'))
  t.same(listed.map(({ id }) => id).sort(), [...names].sort())
  const sums = join(home, 'torture', 'sums')
  writeFileSync(sums, (await colonnade('checksums', 'torture')).out)
  const back = join(home, 'torture', 'back')
  const got = await colonnade('get', 'torture', '--all', '-o', back, '--json')
  t.equal(got.code, 0, got.errors)
  t.equal(objects(got).filter(({ outcome }) => outcome === 'fetched').length, names.length)
  t.same(snapshot(back), snapshot(source), 'bytes and times')
  t.equal(spawnSync('diff', ['-r', source, back]).status, 0)
  const checked = spawnSync('sha256sum', ['-c', '--strict', '--quiet', sums], { cwd: back })
  t.equal(checked.status, 0, `${checked.stdout}${checked.stderr}`)
  const one = await colonnade('get', 'torture', '-o', '-', '--', '-dash')
  t.equal(one.out.compare(readFileSync(join(source, '-dash'))), 0, 'by its name, behind --')
})

t.test('more long ids than a message holds', async (t) => {
  const source = folder('long')
  const deep = ['a', 'b', 'c'].map((name) => name.repeat(250)).join('/')
  const ids = Array.from({ length: 150 }, (_, n) => `${deep}/${n}-${'z'.repeat(200)}`)
  for (const [n, id] of ids.entries()) {
    mkdirSync(dirname(join(source, id)), { recursive: true })
    writeFileSync(join(source, id), `${n}`)
  }
  const put = await colonnade('put', 'long', source)
  t.match(put.out.toString(), '150 files stored', put.errors)
  const list = join(home, 'long.txt')
  writeFileSync(list, ids.join('\n'))
  const sums = await colonnade('checksums', 'long', '--ids-from', list)
  t.same([sums.code, sums.out.toString().trimEnd().split('\n').length], [0, 150], sums.errors)
})

t.test('[SUM-4] thousands of ids, by the books and from the bytes', async (t) => {
  const source = folder('crowd')
  const ids = Array.from({ length: 2_000 }, (_, n) => `${n % 25}/a rather ordinary name ${n}.txt`)
  for (const [n, id] of ids.entries()) {
    mkdirSync(dirname(join(source, id)), { recursive: true })
    writeFileSync(join(source, id), `text ${n}`)
  }
  const put = await colonnade('put', 'crowd', source)
  t.match(put.out.toString(), '2000 files stored', put.errors)
  const list = join(home, 'crowd.txt')
  writeFileSync(list, [...ids, 'absent'].join('\0'))
  const sums = ['checksums', 'crowd', '--ids-from', list, '--null']
  const wanted = (algorithm: string, key?: string): string[] =>
    ids
      .map((id, n) => {
        const hasher = key === undefined ? createHash(algorithm) : createHmac(algorithm, key)
        return `${hasher.update(`text ${n}`).digest('hex')}  ${id}`
      })
      .toSorted()
  for (const [options, lines] of [
    [[], wanted('sha256')],
    [['--algorithm', 'HMAC-SHA-384', '--salt', '4a656665'], wanted('sha384', 'Jefe')],
  ] as const) {
    const { code, out, errors } = await colonnade(...sums, ...options)
    t.equal(code, 3)
    t.equal(errors, 'colonnade: absent: no pillar that answered has it\n')
    t.same(out.toString().trimEnd().split('\n').toSorted(), lines)
  }
  const proven = await colonnade('verify', 'crowd', source, '--json')
  t.same(objects(proven).at(-1), { safe: 2_000, of: 2_000 }, proven.errors)
  t.equal(proven.code, 0)
})

t.test('status is one object, and says no more than a sentence with --quiet', async (t) => {
  const [status] = objects(await colonnade('status', 'torture', '--json'))
  t.match(status, { collection: 'torture', safe: true, verdict: /^Safe: / })
  const quiet = await colonnade('status', 'torture', '--quiet', '--check')
  t.match(quiet.out.toString(), /^Safe: [^\n]+\n$/)
  t.equal(quiet.code, 0)
})

t.test('when nobody answers, that is an exit code of its own', async (t) => {
  const lost = join(home, 'client', 'lost.toml')
  const text = readFileSync(config, 'utf8').replace(/mqtts:\/\/[^"]+/, 'mqtts://127.0.0.1:9')
  writeFileSync(lost, text)
  const args = ['--config', lost, '--idle-timeout', '1s', '--json']
  const { code, out, errors } = await colonnade('ls', 'torture', ...args)
  t.equal(code, 4)
  t.match(
    errors,
    'error: nobody lets us in at mqtts://127.0.0.1:9\ncolonnade: hint: is the archive',
  )
  t.match(JSON.parse(out.toString()), { error: /nobody/, hint: /running/, exitCode: 4 })
})

t.test('a part of a file is exactly those bytes, wherever they go', async (t) => {
  const path = join(folder('part'), 'noise')
  writeNoise(path, 3_000_000, 5)
  t.equal((await colonnade('put', 'large', path)).code, 0)
  const bytes = readFileSync(path)
  for (const [offset, length] of [
    [5, 5],
    [2_999_999, 1],
    [0, 3_000_000],
    [7, 0],
  ] as const) {
    const part = await colonnade(
      'get',
      'large',
      'noise',
      '--offset',
      `${offset}`,
      '--length',
      `${length}`,
    )
    t.equal(part.code, 0, part.errors)
    t.equal(part.out.compare(bytes.subarray(offset, offset + length)), 0, `${offset} and ${length}`)
  }
  const place = folder('part/nothing')
  const beyond = await begin(['get', 'large', 'noise', '--offset', '3000001', '-o', 'x'], place)
    .ended
  t.same([beyond.code, beyond.out.length], [1, 0])
  t.match(beyond.errors, 'noise has 3 000 000 bytes; what was asked for ends beyond them')
  t.same(globSync('**', { cwd: place }), ['.'], 'nothing is left behind')
  const { child, ended } = begin(['get', 'large', 'noise', '-o', '-'])
  child.stdout?.destroy()
  t.equal((await ended).code, 1, 'a reader that goes away is no reason to break down')
})

// Who may read everything becomes somebody who may not.
const nobody = 65_534
const isRoot = process.getuid?.() === 0
const cannotBe =
  isRoot && spawnSync(process.execPath, ['-e', ''], { uid: nobody }).status !== 0
    ? 'this user cannot become one with fewer rights'
    : false

t.test('what may not be read is passed over; the rest is stored', { skip: cannotBe }, async (t) => {
  const source = folder('locked')
  writeFileSync(join(source, 'open'), 'open')
  writeFileSync(join(source, 'secret'), 'secret', { mode: 0 })
  mkdirSync(join(source, 'shut'), { mode: 0 })
  writeFileSync(join(source, 'shut', 'inside'), 'inside')
  if (isRoot) spawnSync('chown', ['-R', `${nobody}`, source, join(home, 'client')])
  for (let up = home; isRoot && up !== '/' && up !== dirname(up); up = dirname(up)) {
    const { mode } = statSync(up)
    if ((mode & 1) === 0) {
      chmodSync(up, mode | 1)
      t.teardown(() => chmodSync(up, mode))
    }
  }
  const args = ['put', 'locked', source]
  const { stdout, stderr, status } = spawnSync(join(bin, 'colonnade'), args, {
    env,
    cwd: source,
    ...(isRoot ? { uid: nobody } : {}),
  })
  t.equal(status, 3, `${stdout}${stderr}`)
  t.match(`${stderr}`, `${join(source, 'secret')}: permission is denied`)
  t.match(`${stderr}`, `${join(source, 'shut')}: permission is denied`)
  t.match(`${stdout}`, '1 file stored (4 B), 0 known, 2 passed over')
  chmodSync(join(source, 'shut'), 0o755)
})

t.test('Ctrl-C ends a put and a get, and the same commands go on', async (t) => {
  const path = join(folder('large'), 'film')
  const size = 100_000_000
  writeNoise(path, size, 3)
  const incoming = (): number =>
    globSync(join(archive.volume('pillar-1'), '.incoming', '*'))
      .map((one) => statSync(one, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, one) => sum + one, 0)
  const put = begin(['put', 'large', path, '--as', 'cut'])
  await until('a part of it has come', () => incoming() > 8_000_000)
  put.child.kill('SIGINT')
  const cut = await put.ended
  t.equal(cut.code, 130)
  t.equal(cut.errors, 'colonnade: stopping; the same command goes on where it stopped\n')
  const again = await colonnade('put', 'large', path, '--as', 'cut')
  t.equal(again.code, 0, again.errors)
  const to = join(home, 'large', 'back')
  const args = ['get', 'large', 'cut/film', '-o', `${to}/`]
  const partial = (): number =>
    globSync(join(to, 'cut/.colonnade-partial/*'))
      .map((one) => statSync(one, { throwIfNoEntry: false })?.size ?? 0)
      .reduce((sum, one) => sum + one, 0)
  const get = begin([...args, '--verbose'])
  const begun = until('a part of it is there', () => partial() > 8_000_000).then(() => 'begun')
  const early = get.ended.then(({ code, errors }) => `it ended with ${code}: ${errors}`)
  t.equal(await Promise.race([begun, early]), 'begun')
  get.child.kill('SIGINT')
  t.equal((await get.ended).code, 130)
  const kept = partial()
  t.ok(kept > 8_000_000 && kept < size, `${kept} bytes are kept`)
  t.notOk(existsSync(join(to, 'cut/film')))
  const rest = await colonnade(...args)
  t.equal(rest.code, 0, rest.errors)
  t.equal(sha256(join(to, 'cut/film')), sha256(path))
  t.notOk(existsSync(join(to, 'cut/.colonnade-partial')))
  t.equal(basename(to), 'back')
  rmSync(to, { recursive: true })
})

t.test('[ALM-3] what goes wrong is followed as it happens, and is history after it', async (t) => {
  const path = join(folder('rotten'), 'rotten')
  writeNoise(path, 100_000, 6)
  t.equal((await colonnade('put', 'large', path)).code, 0)
  const { child, ended } = begin(['alarms', '--follow', '--json', '--code', 'CHECKSUM_ALARM'])
  let heard = ''
  child.stdout?.on('data', (bytes) => (heard += bytes))
  const stored = join(archive.volume('pillar-1'), 'large', 'data', 'rotten')
  const bytes = readFileSync(stored)
  bytes[50_000] = (bytes[50_000] ?? 0) ^ 1
  writeFileSync(stored, bytes)
  const get = ['get', 'large', 'rotten', '--pillar', 'pillar-1', '--overwrite', '-o']
  const place = folder('rotten/back')
  await until('it is heard', async () => {
    // Asked for until the other process listens, and at most once a minute is it said.
    t.equal((await colonnade(...get, place)).code, 1)
    return heard !== ''
  })
  child.kill('SIGINT')
  t.equal((await ended).code, 130)
  const alarm = { component: 'pillar-1', code: 'CHECKSUM_ALARM', fileId: 'rotten' }
  t.match(JSON.parse(heard.split('\n')[0] ?? ''), { ...alarm, collection: 'large' })
  const kept = await colonnade('alarms', '--since', '1h', '--json')
  t.equal(kept.code, 0)
  const found = objects(kept).filter(({ fileId }) => fileId === 'rotten')
  t.match(found[0], { ...alarm, sequence: Number, heardAt: String })
})

const noScript = spawnSync('script', ['--version']).status === 0 ? false : 'there is no script(1)'

t.test('a terminal sees a bar, and its cursor in the end', { skip: noScript }, async (t) => {
  const typescript = join(home, 'typescript')
  const path = join(folder('terminal'), 'film')
  writeNoise(path, 40_000_000, 4)
  t.equal((await colonnade('put', 'large', path, '--as', 'terminal')).code, 0)
  rmSync(path)
  const command = `colonnade get large terminal/film -o ${path}`
  const { status } = spawnSync('script', ['-qec', command, typescript], { cwd: home, env })
  t.equal(status, 0)
  const shown = readFileSync(typescript, 'utf8')
  t.match(shown, /get \[#*\.*\] .* of 38 MiB, 0 of 1 files, .*\/s, .* left/)
  t.ok(shown.lastIndexOf('\u001b[?25h') > shown.lastIndexOf('\u001b[?25l'), 'it is seen again')
  t.match(shown, '1 file fetched (38 MiB)')
  const proof = `colonnade verify large ${path} --as terminal`
  t.equal(spawnSync('script', ['-qec', proof, typescript], { cwd: home, env }).status, 0)
  t.match(readFileSync(typescript, 'utf8'), /verify \[[\s\S]*safe to delete: 1 of 1/)
})
