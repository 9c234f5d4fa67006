// `npm test`: types, lint, tests; stops at the first that fails. Further arguments go to tap.

import { spawnSync } from 'node:child_process'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)

const steps = [
  ['typescript/bin/tsc', '--noEmit'],
  ['@biomejs/biome/bin/biome', 'check', '--error-on-warnings'],
  ['tap/dist/esm/run.mjs', ...process.argv.slice(2)],
]

// Ctrl-C reaches the running step by itself; its exit then ends this process.
process.on('SIGINT', () => {})

for (const [tool = '', ...args] of steps) {
  const program = join(root, 'node_modules', tool)
  const { status, signal, error } = spawnSync(process.execPath, [program, ...args], {
    cwd: root,
    stdio: 'inherit',
  })
  if (error) throw error
  if (status === 0) continue
  console.error(`npm test: \`${tool.split('/').at(-1)} ${args.join(' ')}\` failed`)
  process.exit(signal ? 128 + constants.signals[signal] : (status ?? 1))
}
