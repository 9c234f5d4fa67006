// `npm test`: types, lint, tests; stops at the first that fails. Further arguments go to tap.

import { spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'

const root = dirname(import.meta.dirname)

const promises = pathToFileURL(join(root, 'test/support/promises.ts'))
const steps: [name: string, program: string, ...args: string[]][] = [
  ['tsc', 'typescript/bin/tsc', '--noEmit'],
  ['biome', '@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  ['tap', 'tap/dist/esm/run.mjs', `--node-arg=--import=${promises}`, ...process.argv.slice(2)],
]

// Ctrl-C reaches the running step by itself; its exit then ends this process.
process.on('SIGINT', () => {})

for (const [name, program, ...args] of steps) {
  const { status, signal, error } = spawnSync(
    process.execPath,
    [join(root, 'node_modules', program), ...args],
    {
      cwd: root,
      stdio: 'inherit',
    },
  )
  if (error) throw error
  if (status === 0) continue
  console.error(`npm test: \`${[name, ...args].join(' ')}\` failed`)
  process.exit(signal ? 128 + constants.signals[signal] : (status ?? 1))
}
