/** `npm run bundle [FOLDER]`: each program as one CommonJS file that needs nothing beside it but Node.js. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type BuildOptions, build } from 'esbuild'

const root = resolve(process.argv[1] ?? '', '../..')
const programs = ['agent', 'tracker', 'cli'] as const
/** Threads travel as texts under the names by which they are started. */
const workers = { 'volume.worker': 'src/disk/volume.worker.ts' } as const
/** Texts that programs write somewhere, by their paths. */
const texts = ['deploy/assemble.sh'] as const

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
}

async function textOf(entry: string, banner = ''): Promise<string> {
  const { outputFiles } = await build({ ...common, entryPoints: [entry], banner: { js: banner } })
  return outputFiles?.[0]?.text ?? ''
}

export async function bundle(folder: string): Promise<void> {
  mkdirSync(folder, { recursive: true })
  const assets: Record<string, string> = {}
  for (const [name, entry] of Object.entries(workers)) assets[name] = await textOf(entry)
  for (const path of texts) assets[path] = readFileSync(join(root, path), 'utf8')
  for (const program of programs) {
    const text = await textOf(
      `src/${program}.ts`,
      `const COLONNADE_ASSETS = ${JSON.stringify(assets)};`,
    )
    writeFileSync(join(folder, `colonnade-${program}.cjs`), text)
    process.stdout.write(`${join(folder, `colonnade-${program}.cjs`)}  ${text.length} bytes\n`)
  }
}

void bundle(resolve(process.argv[2] ?? join(root, 'dist'))).catch((error) => {
  process.stderr.write(`bundle: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
