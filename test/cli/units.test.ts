// The parts of the command line that only compute: patterns, batches, names, verdicts, what is shown and how.

import { spawnSync } from 'node:child_process'
import { Writable } from 'node:stream'
import fc from 'fast-check'
import t from 'tap'
import { batcher, filesEach, several } from '../../src/cli/batches.ts'
import { besideId } from '../../src/cli/beside.ts'
import { sumLine } from '../../src/cli/checksums.ts'
import { excluding, globPattern } from '../../src/cli/glob.ts'
import {
  Complaint,
  exitCodes,
  formatCount,
  harmless,
  idText,
  many,
  output,
  reasonOf,
  table,
} from '../../src/cli/output.ts'
import { placeText } from '../../src/cli/progress.ts'
import { codeOf, newSummary } from '../../src/cli/put-summary.ts'
import { rowsOf, type Seen, verdict } from '../../src/cli/status.ts'
import { limits } from '../../src/limits.ts'
import { bytesOf, fileIdFault } from '../../src/protocol/scalars.ts'

const idParts = fc
  .stringMatching(/^[^/\0]{1,40}$/u)
  .filter((part) => fileIdFault(part) === undefined)
const ids = fc.array(idParts, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))

t.test('a glob means what it means in a shell', async (t) => {
  const cases: [glob: string, yes: string[], no: string[]][] = [
    ['*.tmp', ['a.tmp', '.tmp', 'a b.tmp', 'line\nbreak.tmp'], ['a.tmp2', 'atmp', 'a/b.tmp']],
    ['a?c', ['abc', 'a📷c', 'aéc'], ['ac', 'abbc', 'a/c']],
    ['**/x', ['x', 'a/x', 'a/b/x'], ['ax', 'a/bx', 'x/a']],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['a/xb', 'ab', 'a/x/by']],
    ['a/**', ['a/b', 'a/b/c'], ['a', 'b/a/c']],
    ['[a-c]x', ['ax', 'cx'], ['dx', 'x', '/x']],
    ['[!a-c]x', ['dx', 'éx', '📷x'], ['ax', '/x', 'x']],
    ['[]x]', [']', 'x'], ['[]x]', 'a']],
    ['[x', ['[x'], ['x']],
    ['[z-a]', ['[z-a]'], ['z', 'b']],
    ['\\*', ['*'], ['a', '\\*']],
    ['a.b+c^$(d)|{e}', ['a.b+c^$(d)|{e}'], ['aXb+c^$(d)|{e}', 'a.bb']],
    ['', [''], ['a']],
    ['\\', ['\\'], ['']],
  ]
  for (const [glob, yes, no] of cases) {
    for (const text of yes) t.match(text, globPattern(glob), `${glob} matches ${text}`)
    for (const text of no) t.notMatch(text, globPattern(glob), `${glob} does not match ${text}`)
  }
})

t.test(
  'every name is matched by itself when it is quoted, and by nothing but itself',
  async (t) => {
    const quoted = (text: string): string => text.replace(/[\\*?[\]]/g, '\\$&')
    fc.assert(
      fc.property(ids, ids, (one, other) => {
        const pattern = globPattern(quoted(one))
        return pattern.test(one) && pattern.test(other) === (one === other)
      }),
    )
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (glob) => globPattern(glob) instanceof RegExp),
    )
    t.pass()
  },
)

t.test('what --exclude passes over', async (t) => {
  const cases: [glob: string, local: string, folder: boolean, excluded: boolean][] = [
    ['*.tmp', 'deep/down/a.tmp', false, true],
    ['cache', 'deep/cache', true, true],
    ['cache/', 'deep/cache', true, true],
    ['cache/', 'deep/cache', false, false],
    ['/cache', 'cache', true, true],
    ['/cache', 'deep/cache', true, false],
    ['./cache', 'cache', true, true],
    ['./cache', 'deep/cache', true, false],
    ['deep/*.tmp', 'deep/a.tmp', false, true],
    ['deep/*.tmp', 'very/deep/a.tmp', false, false],
    ['**/deep/*.tmp', 'very/deep/a.tmp', false, true],
  ]
  for (const [glob, local, folder, expected] of cases)
    t.equal(excluding([glob])(local, folder), expected, `${glob} and ${local}`)
  t.equal(excluding([])('a', false), false)
  t.equal(excluding(['b', 'a'])('a', false), true)
})

t.test('batches hold every file once and in order, and never more than they may', async (t) => {
  const file = fc.record({ id: ids, size: fc.nat(limits.batchBytesMax * 2) })
  fc.assert(
    fc.property(
      fc.array(file, { maxLength: 300 }),
      fc.integer({ min: 1, max: 64 }),
      (files, max) => {
        const batch = batcher<(typeof files)[number]>(max)
        const batches = files.flatMap((one) => {
          const full = batch.add(one)
          return full ? [full] : []
        })
        const rest = batch.rest()
        if (rest) batches.push(rest)
        for (const one of batches) {
          const bytes = one.reduce((sum, { size }) => sum + size, 0)
          if (one.length > max || one.length === 0) return false
          if (one.length > 1 && bytes > limits.batchBytesMax) return false
          const message = one.reduce((sum, { id }) => sum + bytesOf(JSON.stringify(id)) + 330, 0)
          if (one.length > 1 && message > limits.pageBytesMax) return false
        }
        return (
          batches.flat().every((one, n) => one === files[n]) &&
          batches.flat().length === files.length
        )
      },
    ),
  )
  t.equal(batcher().rest(), undefined, 'no files, no batch')
})

t.test('all pillars get a share of few files', async (t) => {
  t.same([filesEach(0, 3), filesEach(1, 3), filesEach(10, 3), filesEach(100_000, 3)], [1, 1, 4, 64])
  t.equal(filesEach(10, 0), 10)
})

function gate() {
  let resolve = (): void => undefined
  let reject = (_error: Error): void => undefined
  const promise = new Promise<void>((yes, no) => {
    resolve = yes
    reject = no
  })
  return { promise, resolve, reject }
}

t.test('several tasks run at a time, and the first failure is the one that is told', async (t) => {
  const lanes = several(2)
  const gates = [0, 1, 2].map(gate)
  let running = 0
  let most = 0
  const task = (n: number) => async (): Promise<void> => {
    most = Math.max(most, ++running)
    await gates[n]?.promise
    running--
  }
  await lanes.add(task(0))
  await lanes.add(task(1))
  const third = lanes.add(task(2))
  gates[0]?.reject(new Error('first'))
  gates[1]?.reject(new Error('second'))
  gates[2]?.resolve()
  await t.rejects(third, { message: 'first' })
  await t.rejects(lanes.all(), { message: 'first' })
  await lanes.settled()
  t.equal(most, 2)
})

t.test('a changed file goes beside, under a name that says when it changed', async (t) => {
  const at = Date.UTC(2026, 10, 22, 10, 11, 12, 345)
  const stamp = '(2026-11-22 101112)'
  t.equal(besideId('a/b.jpg', at), `a/b ${stamp}.jpg`)
  t.equal(besideId('a.b/c', at), `a.b/c ${stamp}`, 'the dot of a folder is none of the name')
  t.equal(besideId('.profile', at), `.profile ${stamp}`, 'a hidden file has no ending')
  t.equal(besideId('a.tar.gz', at), `a.tar ${stamp}.gz`)
  t.equal(besideId('a.', at), `a ${stamp}.`)
  t.equal(besideId('old', -1), 'old (1969-12-31 235959)')
  t.equal(bytesOf(besideId(`${'é'.repeat(125)}.jpg`, at)), 254, 'half a character is left out')
  const times = fc.integer({ min: -8.64e15, max: 8.64e15 })
  fc.assert(
    fc.property(ids, times, (id, time) => {
      const beside = besideId(id, time)
      return beside !== id && fileIdFault(beside) === undefined && beside === besideId(id, time)
    }),
  )
  const long = [...Array(4).fill('x'.repeat(250)), 'y'.repeat(20)].join('/')
  t.equal(fileIdFault(besideId(long, at)), undefined, 'it fits, however long the folder is')
})

const seen = (pillar: string, status: Partial<NonNullable<Seen['status']>> | undefined): Seen => ({
  pillar,
  site: `site-of-${pillar}`,
  status: status && {
    verdict: 'OK',
    text: 'all is well',
    version: '1',
    volumes: [],
    files: 12_345,
    bytes: 1,
    digest: 'd',
    receiving: 0,
    oldestProof: '2026-11-02T10:00:00.000Z',
    ...status,
  },
})

const warned = (mode: string) =>
  seen('a', {
    ...{ verdict: 'WARNING', text: `on ${mode}` },
    power: { mode, since: '2026-11-22T10:00:00.000Z', text: `on ${mode}` },
  })

t.test('the verdict says what is so and what to do', async (t) => {
  const sentence = (all: Seen[], copiesMin = 2): string => verdict(all, copiesMin).sentence
  const well = [
    seen('a', {}),
    seen('b', {}),
    seen('c', { oldestProof: '2026-10-01T00:00:00.000Z' }),
  ]
  t.same(verdict(well, 2), {
    safe: true,
    sentence: 'Safe: 12 345 files, 3 copies in 3 places, each proven since 2026-10-01',
  })
  const spread = (least: number) => seen('tracker', { copies: { least, wanted: 2, pillars: 5 } })
  t.same(verdict([spread(2)], 1), {
    safe: true,
    sentence: 'Safe: 12 345 files in fragments, 2 copies of each on 5 pillars',
  })
  t.match(verdict([spread(1)], 1), {
    safe: false,
    sentence: /some fragments have only 1 of 2 copies; they are brought to their number/,
  })
  const bad: [Seen[], string | RegExp][] = [
    [[seen('a', undefined), seen('b', undefined)], /no pillar answered; switch them on/],
    [[seen('a', { verdict: 'ERROR', text: 'EIO' }), seen('b', {})], /a has failed \(EIO\); look/],
    [
      [seen('a', {}), seen('b', { files: 3 })],
      /b has fewer files than the others; they are brought/,
    ],
    [[seen('a', {}), seen('b', { files: 3 }), seen('c', { files: 2 })], /b, c have fewer files/],
    [
      [seen('a', {}), seen('b', { digest: 'e' })],
      /different files; look with `colonnade checksums`/,
    ],
    [[seen('a', {}), seen('b', undefined)], /b did not answer, 12 345 files on 1 other; switch/],
    [[seen('a', { verdict: 'WARNING', text: 'full' }), seen('b', {})], /a: full; give it a larger/],
    [[seen('a', {})], /only 1 of 2 copies; add a pillar/],
    [
      [seen('a', {}), { ...seen('b', undefined), downUntil: 1e12 }],
      /b has gone for lack of power, 12 345 files on 1 other; the others wait for it/,
    ],
    [
      [seen('a', {}), seen('b', undefined), { ...seen('c', undefined), downUntil: 1e12 }],
      /b, c did not answer/,
    ],
    [[warned('battery'), seen('b', {})], /a: on battery; it takes nothing new until its mains/],
    [[warned('weak'), seen('b', {})], /better supply/],
    [[warned('unknown'), seen('b', {})], /look after its UPS/],
  ]
  for (const [all, expected] of bad) {
    t.match(sentence(all), expected)
    t.match(sentence(all), /^Attention: .*; /)
    t.equal(verdict(all, 2).safe, false)
  }
  const none = { files: 0, digest: 'd' }
  t.equal(
    sentence([seen('a', none), seen('b', none)]),
    'Safe: there are no files yet, 2 pillars ready',
  )
  const one = [
    { ...seen('a', { files: 1 }), site: undefined },
    { ...seen('b', { files: 1 }), site: undefined },
  ]
  t.match(sentence(one), 'Safe: 1 file, 2 copies in 1 place, ', 'no place named is one place')
})

t.test('versions are told when they differ, or when asked for', async (t) => {
  const rows = (all: Seen[], verbose = false): string =>
    rowsOf(all, { verbose })
      .map((row) => row.join(' '))
      .join('\n')
  const same = [seen('a', {}), seen('b', {}), seen('c', undefined)]
  t.notMatch(rows(same), 'version')
  t.equal(rows(same, true).match(/ version 1 OK: /g)?.length, 2)
  const upgraded = [seen('a', { version: '0.2.0' }), seen('b', {})]
  t.match(rows(upgraded), / version 0\.2\.0 OK: .*\n.* version 1 OK: /)
})

t.test(
  'when files were proven, and what is written to a card, is told when asked for',
  async (t) => {
    const proofAges = [30, 90].map((days) => ({ days, files: 200 - days }))
    const about = { proofAges, oldestProof: '2026-08-01T00:00:00.000Z' }
    const one = seen('a', {
      ...about,
      wear: { bytes: 5 << 20, ms: 86_400_000 },
      cipher: 'ChaCha20',
    })
    const text = (verbose: boolean): string => rowsOf([one], { verbose }).join()
    t.match(text(true), 'proven since 2026-08-01, 170 over 30 days, 110 over 90 days')
    t.match(text(true), /5 MiB written outside its disks in \d+ (h|d)/)
    t.match(text(true), 'ChaCha20 first')
    t.notMatch(text(false), 'written outside')
    t.notMatch(text(false), 'ChaCha20')
  },
)

t.test('a table lines up', async (t) => {
  t.same(table([]), [])
  t.same(
    table(
      [
        ['a', 'bcd', 'e'],
        ['fgh', 'i'],
      ],
      [0],
    ),
    ['  a  bcd  e', 'fgh  i'],
  )
  t.same(
    table([
      ['a', 'b'],
      ['cc', 'dd'],
    ]),
    ['a   b', 'cc  dd'],
  )
})

t.test('ids are shown so that they steer nothing, and shells read them back', async (t) => {
  t.equal(
    idText('a b/ü 📷 👨‍👩‍👧 \'"$*'),
    'a b/ü 📷 👨‍👩‍👧 \'"$*',
    'what is harmless stays as it is',
  )
  t.equal(idText('new\nline'), "$'new\\nline'")
  t.equal(idText("esc\u001b[31m it's a \\"), "$'esc\\x1b[31m it\\'s a \\\\'")
  t.equal(idText('\u009b2J\u202egnp'), "$'\\u009b2J\\u202egnp'")
  t.equal(idText('trailing '), "$'trailing '", 'a blank at the end is seen')
  const bash = (text: string): string =>
    spawnSync('bash', ['-c', `printf %s ${text}`], { env: { LC_ALL: 'C.UTF-8' } }).stdout.toString()
  const nasty = fc.array(
    fc.constantFrom(
      '\n',
      '\t',
      '\r',
      '\u001b',
      '\u007f',
      '\u009b',
      '\u202e',
      '\u2028',
      "'",
      '\\',
      'x1b',
      'n',
      'ü',
      ' ',
      '0',
    ),
    { minLength: 1, maxLength: 12 },
  )
  fc.assert(
    fc.property(nasty, (parts) => {
      const id = `${parts.join('')}\n`
      return bash(idText(id)) === id && harmless(idText(id)) === idText(id)
    }),
    { numRuns: 40 },
  )
})

/** What an output says to both streams; on a terminal or not. */
function said(options: Parameters<typeof output>[0], isTTY: boolean) {
  const texts = { out: '', err: '' }
  const stream = (name: keyof typeof texts) =>
    Object.assign(
      new Writable({
        write(chunk, _encoding, done) {
          texts[name] += chunk
          done()
        },
      }),
      { isTTY },
    )
  return { texts, out: output(options, { out: stream('out'), err: stream('err') }) }
}

t.test('results go to standard output, everything else beside it', async (t) => {
  const everything = (out: ReturnType<typeof output>): void => {
    out.line('line')
    out.exact('exact \u001b')
    out.tell('tell')
    out.object({ a: '\u001b\u009b\u202e' })
    out.note('note')
    out.warn('warn')
  }
  const plain = said({}, false)
  everything(plain.out)
  t.same(plain.texts, {
    out: 'line\nexact \u001b\ntell\n',
    err: 'colonnade: note\ncolonnade: warn\n',
  })
  const terminal = said({}, true)
  everything(terminal.out)
  t.same(terminal.texts, {
    out: 'line\nexact \\x1b\ntell\n',
    err: '\r\u001b[Kcolonnade: note\n\r\u001b[Kcolonnade: warn\n',
  })
  const quiet = said({ quiet: true }, false)
  everything(quiet.out)
  t.same(quiet.texts, { out: 'line\nexact \u001b\n', err: 'colonnade: warn\n' })
  const json = said({ json: true }, false)
  everything(json.out)
  t.equal(json.texts.out, '{"a":"\\u001b\\u009b\\u202e"}\n', 'harmless on a terminal too')
  t.same(JSON.parse(json.texts.out), { a: '\u001b\u009b\u202e' }, 'and the same text')
  t.equal(json.texts.err, 'colonnade: warn\n')
})

t.test('an error is one sentence, then a hint', async (t) => {
  const one = said({ json: true }, false)
  t.equal(one.out.complain(new Complaint('it is so', exitCodes.nobody, 'do that')), 4)
  t.equal(one.texts.err, 'colonnade: error: it is so\ncolonnade: hint: do that\n')
  t.same(JSON.parse(one.texts.out), { error: 'it is so', hint: 'do that', exitCode: 4 })
  const other = said({}, false)
  t.equal(other.out.complain(Object.assign(new Error('EACCES: open x'), { code: 'EACCES' })), 1)
  t.equal(other.texts.err, 'colonnade: error: permission is denied\n')
  t.equal(reasonOf(new Error('as it is')), 'as it is')
  t.equal(reasonOf('a text'), 'a text')
})

t.test('counts are told as people write them', async (t) => {
  t.same([0, 1, 9_999, 12_345, 1_234_567].map(formatCount), [
    '0',
    '1',
    '9999',
    '12 345',
    '1 234 567',
  ])
  t.same(
    [many(0, 'file'), many(1, 'file'), many(2, 'copy', 'copies')],
    ['0 files', '1 file', '2 copies'],
  )
})

t.test('what is left is told from what moved, not from what was there', async (t) => {
  const work = { verb: 'put', bytes: 1024 ** 3, files: 12_345, quiet: false }
  const text = placeText(work, {
    moved: 128 * 1024 ** 2,
    passed: 512 * 1024 ** 2,
    files: 9,
    read: 5,
    seconds: 10,
  })
  t.equal(
    text,
    'put [###############.........] 640 MiB of 1 GiB, 9 of 12 345 files, 13 MiB/s, 30 s left',
  )
  const first = placeText(work, { moved: 0, passed: 0, files: 0, read: 5 * 1024 ** 2, seconds: 1 })
  t.equal(first, 'put [........................] 0 B of 1 GiB, 0 of 12 345 files, 5 MiB read')
  const empty = placeText(
    { ...work, bytes: 0, files: 1 },
    { moved: 0, passed: 0, files: 1, read: 0, seconds: 0 },
  )
  t.match(empty, '0 B of 0 B, 1 of 1 files')
})

t.test('[VAULT-10] of fragments it is told what is uploaded, and what is safe', async (t) => {
  const work = { verb: 'put', bytes: 1024 ** 3, files: 2, quiet: false }
  const place = { passed: 0, files: 0, read: 0, seconds: 10 }
  const moved = 512 * 1024 ** 2
  t.equal(
    placeText(work, { ...place, moved, safe: 128 * 1024 ** 2 }),
    'put [###=========............] 512 MiB of 1 GiB uploaded, 128 MiB safe, 0 of 2 files, 51 MiB/s, 22 s left',
  )
  t.equal(
    placeText(work, { ...place, moved: 1024 ** 3, safe: moved }),
    'put [############============] 1 GiB of 1 GiB uploaded, 512 MiB safe, 0 of 2 files, 3.3 s left',
    'what is uploaded is not done',
  )
  t.notMatch(placeText(work, { ...place, moved: 1024 ** 3, safe: 1024 ** 3 }), /left/)
})

t.test('the exit code of a put', async (t) => {
  const code = (changes: object, options = {}): number =>
    codeOf({ ...newSummary(), ...changes }, options)
  const owed = new Map([['a', 1]])
  t.equal(code({}), 0, 'nothing to do is done')
  t.equal(code({ stored: 1, owed }), 0, 'owed copies are no error')
  t.equal(code({ stored: 1, owed }, { waitAll: true }), 3, 'unless they were waited for')
  t.equal(code({ stored: 1, problems: 1 }), 3)
  t.equal(code({ problems: 1 }), 3)
  t.equal(code({ failed: 1 }), 1)
  t.equal(code({ known: 1, failed: 1 }), 3)
  t.equal(code({ failed: 2, unanswered: 2 }), 4)
  t.equal(code({ failed: 2, unanswered: 1 }), 1)
})

t.test('lines of checksums are those of sha256sum', async (t) => {
  const sum = 'ab'.repeat(32)
  t.equal(sumLine('a b', sum), `${sum}  a b`)
  t.equal(sumLine('a\nb\\c\rd', sum), `\\${sum}  a\\nb\\\\c\\rd`)
})
