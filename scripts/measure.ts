/** `npm run measure -- NAME`: what takes too long or too much for a test run, as a table for the README. */
import { release } from 'node:os'
import { binaries } from './measure/binaries.ts'
import { fragments } from './measure/fragments.ts'
import { lan } from './measure/lan.ts'
import { listing } from './measure/listing.ts'
import { memory } from './measure/memory.ts'
import { million } from './measure/million.ts'
import { pieces } from './measure/pieces.ts'
import { placement } from './measure/placement.ts'
import { rebuild } from './measure/rebuild.ts'
import { replaced } from './measure/replaced.ts'
import { small } from './measure/small.ts'
import { spool } from './measure/spool.ts'
import type { Measurement } from './measure/table.ts'
import { thousand } from './measure/thousand.ts'
import { view } from './measure/view.ts'

const measurements: Readonly<Record<string, Measurement>> = {
  ...{ binaries, fragments, lan, listing, memory, million, pieces, placement, small, spool },
  ...{ rebuild, replaced, thousand, view },
}
const usage = `usage: npm run measure -- NAME [--small] [-- OPTION-OF-NODE...]

NAME is one of ${Object.keys(measurements).join(', ')}. --small moves a hundredth of the bytes. Options of
Node.js are given to the tracker and the pillars. lan and spool need root and iproute2, binaries what
npm run build makes.
`

const args = process.argv.slice(2)
const dashes = args.indexOf('--')
const nodeOptions = dashes < 0 ? [] : args.slice(dashes + 1)
const [name = '', ...flags] = dashes < 0 ? args : args.slice(0, dashes)
const measurement = measurements[name]
if (measurement === undefined || flags.some((flag) => flag !== '--small')) {
  process.stderr.write(usage)
  process.exitCode = 2
} else {
  const scale = flags.includes('--small') ? 0.01 : 1
  void measurement({ scale, nodeOptions }).then(
    (table) => {
      const when = new Date().toISOString().slice(0, 10)
      const how = [name, ...args.slice(1)].join(' ')
      process.stdout.write(`\n${when}, Node.js ${process.version}, Linux ${release()}: `)
      process.stdout.write(`\`npm run measure -- ${how}\`\n\n${table}\n`)
    },
    (error) => {
      process.stderr.write(`measure: error: ${error instanceof Error ? error.message : error}\n`)
      process.exitCode = 1
    },
  )
}
