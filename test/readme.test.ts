// What README and DESIGN.md say of the program is what the program says of itself.

import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { responseCodes } from '../src/protocol/codes.ts'
import { configTable } from '../src/system/config.ts'
import { agentShape, clientShape, trackerShape } from '../src/system/config-shapes.ts'
import { version } from '../src/system/version.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

t.test('README has every key of the configuration, as the program knows them', async (t) => {
  for (const shape of [agentShape, trackerShape, clientShape])
    t.ok(read('README.md').includes(configTable(shape)), configTable(shape))
})

t.test('README names only scripts that there are, and the version is one', async (t) => {
  const { scripts, version: packaged } = JSON.parse(read('package.json'))
  const named = [...read('README.md').matchAll(/npm run ([a-z]+)/g)].map((match) => match[1] ?? '')
  t.ok(named.length > 3)
  for (const name of named) t.ok(name in scripts, name)
  t.equal(version, packaged)
})

t.test('every clause of DESIGN.md is cited by a test', async (t) => {
  const clauses = new Set(
    [...read('DESIGN.md').matchAll(/\*\*\[([A-Z]+-\d+)\]\*\*/g)].map((match) => match[1] ?? ''),
  )
  t.ok(clauses.size > 20)
  const tests = globSync('test/**/*.ts', { cwd: root }).filter(
    (path) => path !== 'test/readme.test.ts',
  )
  const texts = tests.map(read).join('\n')
  t.same(
    [...clauses].filter((clause) => !texts.includes(`[${clause}]`)),
    [],
  )
})

t.test('every response code is explained', async (t) => {
  for (const [code, meaning] of Object.entries(responseCodes)) t.match(meaning, /^[A-Z].+\.$/, code)
})
