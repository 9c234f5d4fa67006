/** Each program as one CommonJS file that needs nothing beside it but Node.js. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type BuildOptions, build } from 'esbuild'
import { addon } from './addon.ts'

export const root = resolve(import.meta.dirname, '../..')
export const programs = ['agent', 'tracker', 'cli'] as const
export type ProgramName = (typeof programs)[number]

/** Threads travel as texts under the names by which they are started. */
const workers = { 'volume.worker': 'src/disk/volume.worker.ts' } as const

/** Texts that programs write somewhere, by their paths. */
const texts = ['deploy/assemble.sh', 'deploy/check.sh'] as const

const common: BuildOptions = {
  absWorkingDir: root,
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'cjs',
  legalComments: 'none',
  logLevel: 'warning',
  // A crash must not print one line of megabytes into the journal.
  lineLimit: 160,
  // Optional accelerators of a dependency that we do not have.
  external: ['bufferutil', 'utf-8-validate'],
  write: false,
  plugins: [addon(root)],
}

async function textOf(entry: string, packages: Set<string>, banner = ''): Promise<string> {
  const { outputFiles, metafile } = await build({
    ...common,
    entryPoints: [entry],
    banner: { js: banner },
    metafile: true,
  })
  for (const input of Object.keys(metafile?.inputs ?? {})) {
    const name = /^node_modules\/((?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/]+)\//.exec(input)?.[1]
    if (name !== undefined) packages.add(name)
  }
  return outputFiles?.[0]?.text ?? ''
}

export interface Bundles {
  /** Where each program lies. */
  readonly paths: Readonly<Record<ProgramName, string>>
  /** The packages whose code is in them, as folders below node_modules. */
  readonly packages: ReadonlySet<string>
}

/** Writes `colonnade-<program>.cjs` for each. */
export async function bundle(folder: string): Promise<Bundles> {
  mkdirSync(folder, { recursive: true })
  const assets: Record<string, string> = {}
  const packages = new Set<string>()
  for (const [name, entry] of Object.entries(workers)) assets[name] = await textOf(entry, packages)
  for (const path of texts) assets[path] = readFileSync(join(root, path), 'utf8')
  const paths = { agent: '', tracker: '', cli: '' }
  for (const program of programs) {
    const banner = `const COLONNADE_ASSETS = ${JSON.stringify(assets)};`
    const path = join(folder, `colonnade-${program}.cjs`)
    writeFileSync(path, await textOf(`src/${program}.ts`, packages, banner))
    paths[program] = path
  }
  return { paths, packages }
}
