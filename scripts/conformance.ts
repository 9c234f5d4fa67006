/**
 * `npm run conformance -- --config CLIENT.toml --pillar ID`: holds a pillar to what is written of it, by messages and
 * HTTPS alone. Prints a line a case; exits 0 when none failed, 1 when one did, 2 for wrong usage.
 */
import { parseArgs } from 'node:util'
import { readConfig } from '../src/system/config.ts'
import { type ClientConfig, clientShape } from '../src/system/config-shapes.ts'
import { systemWorld } from '../src/system/world.ts'
import { cases } from '../test/conformance/cases.ts'
import { groundOf } from '../test/conformance/member.ts'
import { type Result, runCases, sourceText } from '../test/conformance/suite.ts'

const usage = `usage: npm run conformance -- --config CLIENT.toml --pillar ID [OPTION]...

Holds a pillar to what is written of it, by messages and HTTPS alone.

  --config FILE       configuration of an enrolled client: its keys, certificates, broker and exchange
  --pillar ID         the pillar
  --collection NAME   where files are put; the first that the pillar keeps, when absent
  --broker URL        another broker than that of the configuration
  --other FILE        configuration of a second client of the archive, for what one alone cannot try
  --only PATTERN      cases with this regular expression in their name or source
  --timeout SECONDS   a pillar without a sign for so long has not answered; 10
  --list              only says which cases there are, and where each comes from, in words
  --json              one object a line
  --help

The pillar must reach the exchange of the configuration (exchange.listen, exchange.advertise), at an address of its own
network. Files are put below conformance-.../ and deleted in the end; their bytes are kept aside for a while, and the trail
keeps their entries: better an archive, or a collection, for this alone. It takes about a minute and 150 MB. These are more
files than one client may delete in a day: unless the owner allows it before (\`colonnade collection allow NAME --member CLIENT
--changes 1000\`), some of them stay, and another run on that day fails where it deletes.

Exit codes: 0 none failed, 1 one failed, 2 wrong usage.
`

const options = {
  config: { type: 'string' },
  pillar: { type: 'string' },
  collection: { type: 'string' },
  broker: { type: 'string' },
  other: { type: 'string' },
  only: { type: 'string' },
  timeout: { type: 'string', default: '10' },
  list: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const
type Options = ReturnType<typeof parseArgs<{ options: typeof options }>>['values']

class Usage extends Error {}

const say = (line: string): void => void process.stdout.write(`${line}\n`)

function chosen({ only = '' }: Options): typeof cases {
  let pattern: RegExp
  try {
    pattern = new RegExp(only, 'i')
  } catch {
    throw new Usage(`--only ${only} is no regular expression`)
  }
  const found = cases.filter(
    ({ name, sources }) => pattern.test(name) || sources.some((one) => pattern.test(one)),
  )
  if (found.length === 0) throw new Usage(`--only ${only} fits no case`)
  return found
}

const marks: Record<Result['is'], string> = {
  passed: 'ok      ',
  failed: 'FAILED  ',
  'not run': 'not run ',
}

function told(result: Result, ms: number, json: boolean): void {
  if (json) {
    say(JSON.stringify({ ...result, ms: Math.round(ms) }))
    return
  }
  const why =
    result.is === 'passed' ? '' : `\n          ${result.why.replaceAll('\n', '\n          ')}`
  say(`${marks[result.is]}  ${result.name}  [${result.sources.join(', ')}]${why}`)
}

function configOf(path: string, broker: string | undefined): ClientConfig {
  const { values } = readConfig(path, clientShape)
  return broker === undefined ? values : { ...values, 'broker.url': broker }
}

async function run(given: Options): Promise<number> {
  const some = chosen(given)
  if (given.list) {
    for (const { name, sources } of some) {
      const texts = sources.map(sourceText)
      say(
        given.json
          ? JSON.stringify({ name, sources: texts })
          : `${name}\n    ${texts.join('\n    ')}`,
      )
    }
    return 0
  }
  const { config: path, pillar, broker, json } = given
  if (path === undefined || pillar === undefined)
    throw new Usage('--config and --pillar are needed')
  const timeoutMs = Number(given.timeout) * 1_000
  if (!(timeoutMs > 0)) throw new Usage(`--timeout ${given.timeout} is no number of seconds`)
  const world = systemWorld('conformance', 'silent')
  const { ground, close } = await groundOf({
    ...{ world, config: configOf(path, broker), pillar, timeoutMs },
    ...(given.other === undefined ? {} : { other: configOf(given.other, broker) }),
    collection: given.collection,
  })
  const results = await runCases(some, ground, (result, ms) => told(result, ms, json))
  await close()
  const count = (is: Result['is']): number => results.filter((one) => one.is === is).length
  const sum = { passed: count('passed'), failed: count('failed'), notRun: count('not run') }
  say(
    json
      ? JSON.stringify(sum)
      : `${results.length} cases on ${pillar}: ${sum.passed} passed, ${sum.failed} failed, ${sum.notRun} not run`,
  )
  return sum.failed > 0 ? 1 : 0
}

async function main(): Promise<number> {
  try {
    const { values } = parseArgs({ options })
    if (!values.help) return await run(values)
    process.stdout.write(usage)
    return 0
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    const wrong = error instanceof Usage || (error instanceof TypeError && 'code' in error)
    process.stderr.write(`conformance: error: ${why}\n${wrong ? `\n${usage}` : ''}`)
    return wrong ? 2 : 1
  }
}

// Whoever reads it may leave before the end, as `head` does.
process.stdout.on('error', () => process.exit(1))
void main().then((code) => {
  process.exitCode = code
})
