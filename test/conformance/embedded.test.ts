// The conformance suite as anybody runs it: the command, against our agent as a process of its own on the embedded broker.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { collection } from '../support/archive.ts'
import { plainEnvironment } from '../support/program.ts'
import { realPillar } from './archive.ts'
import { cases } from './cases.ts'
import { report } from './report.ts'
import { needs, type Result } from './suite.ts'

const script = join(import.meta.dirname, '..', '..', 'scripts', 'conformance.ts')

async function conformance(...args: string[]) {
  const child = spawn(process.execPath, [script, ...args], { env: plainEnvironment() })
  const [out, errors]: [string[], string[]] = [[], []]
  child.stdout.setEncoding('utf8').on('data', (text) => out.push(text))
  child.stderr.setEncoding('utf8').on('data', (text) => errors.push(text))
  const [code] = await once(child, 'close')
  return { code, output: out.join(''), errors: errors.join('') }
}

const { pillar, client, other } = await realPillar(t, 'embedded')

t.test('our agent passes all that can be tried without a hand on it', async (t) => {
  const where = ['--config', client, '--other', other, '--pillar', pillar, '--timeout', '30']
  const { code, output, errors } = await conformance(...where, '--collection', collection, '--json')
  t.equal(errors, '')
  const lines = output.trimEnd().split('\n')
  const results = lines.slice(0, -1).map((line): Result => JSON.parse(line))
  report(t, results, ['restart', 'flip', 'fill', 'full'])
  t.same(
    new Set(results.flatMap((one) => (one.is === 'not run' ? [one.why] : []))),
    new Set([needs.restart]),
  )
  const notRun = results.filter((one) => one.is === 'not run').length
  t.same(JSON.parse(lines.at(-1) ?? ''), {
    ...{ passed: cases.length - notRun, failed: 0, notRun },
  })
  t.equal(code, 0)
})

t.test('a line a case, what is not run is named and not counted as passed', async (t) => {
  const common = ['--config', client, '--pillar', pillar]
  const { code, output } = await conformance(...common, '--only', 'another client|md5')
  t.equal(code, 0)
  t.match(
    output,
    /^ok {8}the MD5 of a file that was just put is that of its bytes {2}\[theirs 8, /m,
  )
  t.match(output, /^not run {3}a request in the name of another client is not heard {2}\[.*\]$/m)
  t.match(output, /^ {10}needs a second client of the archive \(--other\)$/m)
  t.match(output, /^2 cases on pillar-1: 1 passed, 0 failed, 1 not run$/m)
  // Nobody is there under this name, which the archive knows all the same.
  const absent = await conformance(
    ...['--config', client, '--pillar', 'pillar-2', '--timeout', '1', '--only', 'MD5'],
  )
  t.equal(absent.code, 1)
  t.match(absent.output, /^FAILED {4}the MD5 .*\n {10}waited 1000 ms in vain: .*PutFileRequest$/m)
  t.match(absent.output, /: 0 passed, 1 failed, 0 not run$/m)
})

t.test('wrong usage is said, with what would be right', async (t) => {
  for (const [args, why] of [
    [[], /--config and --pillar are needed/],
    [['--bogus'], /--bogus/],
    [['--only', 'no such case'], /fits no case/],
    [['--only', '('], /no regular expression/],
    [['--config', client, '--pillar', pillar, '--timeout', 'x'], /no number of seconds/],
  ] as const) {
    const { code, errors } = await conformance(...args)
    t.equal(code, 2)
    t.match(errors, why)
    t.match(errors, /^usage: npm run conformance/m)
  }
  const unknown = await conformance('--config', client, '--pillar', 'nobody')
  t.equal(unknown.code, 1)
  t.match(unknown.errors, /knows no collection that nobody keeps/)
  const broker = await conformance('--config', client, '--pillar', pillar, '--broker', 'x://y')
  t.match(broker.errors, /a broker is named by mqtts/)
  t.match((await conformance('--help')).output, /--only PATTERN/)
  const listed = await conformance('--list', '--only', '\\[GET-1\\]')
  t.match(
    listed.output,
    /^a damaged file is never delivered whole, and alarmed\n {4}not in theirs: flip/m,
  )
})
