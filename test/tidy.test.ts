// The source obeys its own rules, as far as the linter cannot tell.

import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const root = resolve(import.meta.dirname, '..')
const roots = ['src/agent.ts', 'src/tracker.ts', 'src/cli.ts']

// Folders whose files decide things. They and the ports know the outside through ports only.
const behaviour =
  /^src\/(limits\.ts$|bay\/(?!system)|(client|exchange|pillar|placement|post|protocol|sim|store|tracker|vault|world)\/|power\/(?!(board|nut)\.ts$)|trust\/(directory|trust)\.ts$|transfer\/(?!https))/

// Not adapters of ours in the sense of the layers: the simulation runs the real SQL on :memory:.
const simulated = [
  ...[
    'changes',
    'database',
    'inspection',
    'queries',
    'removals',
    'rows',
    'schema',
    'sqlite',
    'trail',
  ].map((name) => `src/index/${name}.ts`),
  'src/state/sqlite.ts',
  ...['changes', 'queries', 'rows', 'schema', 'sets', 'sqlite'].map(
    (name) => `src/view/${name}.ts`,
  ),
]
const simulatedModules = [
  'node:assert',
  'node:assert/strict',
  'node:buffer',
  // Digests only, synchronous.
  'node:crypto',
  'node:path',
  'node:sqlite',
  'valibot',
]

const notImportedByName = /^node-linux-/

const topLevel = new Set(
  `package.json tsconfig.json src firmware-notes scripts test deploy README.md DESIGN.md CHANGELOG.md
  LICENSE package-lock.json biome.json .taprc .ci .gitignore`.split(/\s+/),
)

type Source = { path: string; text: string; tree: ts.SourceFile; imports: string[] }

const sources = new Map(
  globSync(['src/**/*.ts', 'scripts/**/*.ts'], { cwd: root })
    .sort()
    .map((path) => [path, parse(path, readFileSync(join(root, path), 'utf8'))]),
)
const inSrc = [...sources.values()].filter(({ path }) => path.startsWith('src/'))
const complete = roots.every((path) => sources.has(path))
const untilComplete = complete ? {} : { skip: 'not all three programs are there yet' }

t.test('no file is longer than 400 lines', async (t) => {
  const long = inSrc.filter(({ text }) => text.trimEnd().split('\n').length > 400)
  t.same(paths(long), [])
})

t.test('no file holds what is forbidden in it', async (t) => {
  t.same(inSrc.flatMap(forbidden), [])
})

t.test('what is forbidden is found when it is there', async (t) => {
  const bad: [string, string][] = [
    ['const a = Math.random()', 'Math.random'],
    ['const a = process.env.HOME', 'process.env'],
    ['const a: any = 1', 'any'],
    ['const a = b as any', 'any'],
    ['const a = b as unknown as string', 'as unknown as'],
    ['const a = globalThis.setTimeout', 'globalThis'],
    ['const a = import.meta.url', 'import.meta'],
    ['const a = await b()', 'top-level await'],
    ['for await (const a of b) c(a)', 'top-level await'],
    [`// ${'FIX'}ME: later`, 'note to self'],
  ]
  for (const [text, what] of bad)
    t.same(forbidden(parse('src/pillar/bad.ts', text)), [`src/pillar/bad.ts:1: ${what}`], text)
  const fine = 'export const f = async (any: number) => await g(any) // as any other'
  t.same(forbidden(parse('src/pillar/fine.ts', fine)), [])
})

t.test('each dependency is imported by exactly one file', untilComplete, async (t) => {
  const { dependencies, optionalDependencies } = readJson('package.json')
  const names = Object.keys({ ...dependencies, ...optionalDependencies })
  t.ok(names.length > 0)
  const importers = (name: string) => paths(inSrc.filter((source) => importsPackage(source, name)))
  // Schemas are what the protocol is written in: the whole folder is the adapter.
  t.ok(importers('valibot').every((path) => path.startsWith('src/protocol/')))
  const single = names.filter((name) => !notImportedByName.test(name) && name !== 'valibot')
  for (const name of single)
    t.equal(importers(name).length, 1, `${name}: ${importers(name).join(', ') || 'nowhere'}`)
  t.same(importers('reflect-metadata'), importers('@peculiar/x509'))
})

t.test('every imported package is a dependency', async (t) => {
  const { dependencies } = readJson('package.json')
  const packages = inSrc
    .flatMap(({ imports }) => imports)
    .filter((name) => /^(?!node:)[^./]/.test(name))
  t.same(
    [...new Set(packages.map(packageName))].filter((name) => !(name in dependencies)),
    [],
  )
})

t.test('the simulation reaches no adapter', async (t) => {
  const reached = reach(paths(inSrc).filter((path) => path.startsWith('src/sim/')))
  const allowed = (path: string) => behaviour.test(path) || isPort(path) || simulated.includes(path)
  t.same(
    [...reached].filter((path) => !allowed(path)),
    [],
  )
  const modules = [...reached].flatMap((path) => outside(path))
  t.same(
    [...new Set(modules)].filter((name) => !simulatedModules.includes(name)),
    [],
  )
})

// What everybody must find alike depends on nothing that could differ.
t.test('placement reaches nothing but itself', async (t) => {
  const reached = [...reach(paths(inSrc).filter((path) => path.startsWith('src/placement/')))]
  t.ok(reached.length > 0)
  t.same(
    reached.filter((path) => !path.startsWith('src/placement/')),
    [],
  )
  t.same([...new Set(reached.flatMap((path) => outside(path)))], ['node:assert/strict'])
})

t.test('the programs do not reach the simulation', async (t) => {
  const others = inSrc.filter(({ path }) => !path.startsWith('src/sim/'))
  const users = others.filter(({ path, imports }) =>
    imports.some((name) => target(path, name)?.startsWith('src/sim/')),
  )
  t.same(paths(users), [])
})

t.test('imports lead somewhere', async (t) => {
  const lost = [...sources.values()].flatMap(({ path, imports }) =>
    imports
      .filter((name) => name.startsWith('.') && !existsSync(join(root, dirname(path), name)))
      .map((name) => `${path}: ${name}`),
  )
  t.same(lost, [])
})

t.test('no file is dead', untilComplete, async (t) => {
  const isStart = (path: string) =>
    roots.includes(path) || /^(src\/sim|scripts)\//.test(path) || path.endsWith('.worker.ts')
  const alive = reach([...sources.keys()].filter(isStart))
  t.same(
    paths(inSrc).filter((path) => !alive.has(path)),
    [],
  )
})

t.test('package-lock.json is complete and names no registry', async (t) => {
  const { packages } = readJson('package-lock.json')
  const names = new Set(
    Object.keys(packages).map((key) => key.slice(key.lastIndexOf('node_modules/') + 13)),
  )
  const optional = Object.values<Record<string, object>>(packages).flatMap((entry) =>
    Object.keys(entry.optionalDependencies ?? {}),
  )
  t.ok(optional.length > 0)
  t.same(
    optional.filter((name) => !names.has(name)),
    [],
  )
  t.notMatch(readFileSync(join(root, 'package-lock.json'), 'utf8'), /"resolved"/)
})

const { status, stdout: tracked } = spawnSync('git', ['ls-files', '-z'], {
  cwd: root,
  encoding: 'utf8',
})
const unlessTracked = status === 0 ? {} : { skip: 'not a git checkout' }

t.test('the top level holds only what belongs there', unlessTracked, async (t) => {
  const names = new Set(tracked.split('\0').flatMap((path) => path.split('/', 1)))
  names.delete('')
  t.ok(names.has('package.json'))
  t.same(
    [...names].filter((name) => !topLevel.has(name)),
    [],
  )
})

function parse(path: string, text: string): Source {
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ES2023, true)
  const imports: string[] = []
  walk(tree, (node) => {
    const name =
      ts.isImportDeclaration(node) || ts.isExportDeclaration(node)
        ? node.moduleSpecifier
        : ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword
          ? node.arguments[0]
          : ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)
            ? node.argument.literal
            : undefined
    if (name && ts.isStringLiteralLike(name)) imports.push(name.text)
  })
  return { path, text, tree, imports }
}

function walk(node: ts.Node, visit: (node: ts.Node) => void) {
  visit(node)
  node.forEachChild((child) => walk(child, visit))
}

function forbidden({ path, text, tree }: Source): string[] {
  const found: string[] = []
  const at = (position: number, what: string) =>
    found.push(`${path}:${tree.getLineAndCharacterOfPosition(position).line + 1}: ${what}`)
  for (const { index } of text.matchAll(/\b(FIXME|TODO|XXX)\b/g)) at(index, 'note to self')
  walk(tree, (node) => {
    const what =
      everywhere(node) ?? (behaviour.test(path) || isPort(path) ? inBehaviour(node) : null)
    if (what) at(node.getStart(), what)
  })
  return found
}

// Both would stop the sources from being bundled into one CommonJS file.
function everywhere(node: ts.Node): string | null {
  if (ts.isMetaProperty(node) && node.keywordToken === ts.SyntaxKind.ImportKeyword)
    return 'import.meta'
  const waits = ts.isAwaitExpression(node) || (ts.isForOfStatement(node) && node.awaitModifier)
  return waits && !ts.findAncestor(node, ts.isFunctionLike) ? 'top-level await' : null
}

function inBehaviour(node: ts.Node): string | null {
  if (node.kind === ts.SyntaxKind.AnyKeyword) return 'any'
  if (ts.isIdentifier(node) && node.text === 'globalThis') return 'globalThis'
  if (ts.isPropertyAccessExpression(node)) {
    const name = node.getText()
    if (name === 'Math.random' || name === 'process.env') return name
  }
  const twice = ts.isAsExpression(node) && ts.isAsExpression(node.expression)
  return twice && node.expression.type.kind === ts.SyntaxKind.UnknownKeyword
    ? 'as unknown as'
    : null
}

// A port is the file named like its folder.
function isPort(path: string): boolean {
  return path.startsWith('src/') && basename(path, '.ts') === basename(dirname(path))
}

function paths(list: Source[]): string[] {
  return list.map(({ path }) => path)
}

function packageName(name: string): string {
  return name.split('/', name.startsWith('@') ? 2 : 1).join('/')
}

function importsPackage({ imports }: Source, name: string): boolean {
  return imports.some((imported) => packageName(imported) === name)
}

function target(from: string, name: string): string | undefined {
  return name.startsWith('.') ? join(dirname(from), name) : undefined
}

function outside(path: string): string[] {
  return sources.get(path)?.imports.filter((name) => !name.startsWith('.')) ?? []
}

function reach(starts: string[]): Set<string> {
  const reached = new Set(starts)
  for (const path of reached)
    for (const name of sources.get(path)?.imports ?? []) {
      const next = target(path, name)
      if (next) reached.add(next)
    }
  return reached
}

function readJson(name: string) {
  return JSON.parse(readFileSync(join(root, name), 'utf8'))
}
