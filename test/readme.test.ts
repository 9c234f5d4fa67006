// What README and DESIGN.md say of the program is what the program says of itself.

import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { responseCodes } from '../src/protocol/codes.ts'
import { configTable } from '../src/system/config.ts'
import { agentShape, clientShape, trackerShape } from '../src/system/config-shapes.ts'
import { version } from '../src/system/version.ts'
import { cases } from './conformance/cases.ts'
import { faults, gaps, rows, type Source, sourceTable, sourceText } from './conformance/suite.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const clausesOf = (design: string): Set<string> =>
  new Set([...design.matchAll(/\*\*\[([A-Z]+-\d+)\]\*\*/g)].map((match) => match[1] ?? ''))

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

t.test('README has the number of cases of the conformance suite, by source', async (t) => {
  t.ok(read('README.md').includes(sourceTable(cases)), sourceTable(cases))
  const all = cases.flatMap(({ sources }) => sources)
  t.equal(Object.keys(rows).length, 25)
  for (const row of Object.keys(rows)) t.ok(all.includes(`theirs ${Number(row)}`), row)
  for (const gap of Object.keys(gaps)) t.ok(all.includes(`gap: ${gap}` as Source), gap)
  for (const fault of Object.keys(faults)) t.ok(all.includes(`fault ${Number(fault)}`), fault)
  const names = cases.map(({ name }) => name)
  t.equal(new Set(names).size, names.length, 'no two have one name')
  const known = new Set([
    ...clausesOf(read('DESIGN.md')),
    ...Object.keys(gaps).map((one) => `gap: ${one}`),
  ])
  t.same(
    all.filter(
      (one) => !/^(theirs|fault) \d+$/.test(one) && !known.has(one.replace(/^\[|\]$/g, '')),
    ),
    [],
    'every source is there',
  )
  for (const one of all) t.notMatch(sourceText(one), /undefined/)
})

t.test('every clause of DESIGN.md is cited by a test', async (t) => {
  const clauses = clausesOf(read('DESIGN.md'))
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
