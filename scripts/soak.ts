/**
 * `npm run soak -- MINUTES [SEED]`: fleets under faults, and altered bytes for everything that reads those of others, one seed
 * after the other, as long as you like. Prints what happened, and every seed that broke an invariant; exits 1 when one did.
 */
import { chaos } from '../src/sim/chaos.ts'
import { fuzz } from '../test/fuzz/fuzz.ts'

/** Of each kind, for each seed. */
const mutations = 300

const [minutesText = '1', seedText = `${Date.now() % 1_000_000}`] = process.argv.slice(2)
const minutes = Number(minutesText)
let seed = Number(seedText)

if (!(minutes > 0) || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: npm run soak -- MINUTES [SEED]\n')
  process.exitCode = 2
} else void soak()

async function soak(): Promise<void> {
  const end = Date.now() + minutes * 60_000
  const first = seed
  const sum = { stored: 0, fetched: 0, refused: 0, failed: 0, crashes: 0, virtualMs: 0 }
  let broken = 0
  let altered = 0
  for (; Date.now() < end; seed++) {
    try {
      const report = await chaos({ seed, operations: 12, severity: [0.3, 0.6, 1][seed % 3] ?? 1 })
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name]
    } catch (error) {
      broken++
      process.stdout.write(`VIOLATION ${error instanceof Error ? error.message : String(error)}\n`)
    }
    const { tried, findings } = await fuzz(seed, mutations)
    altered += tried
    broken += findings.length
    for (const one of findings) process.stdout.write(`VIOLATION ${JSON.stringify(one)}\n`)
    if (seed % 100 === 0) process.stdout.write(`seed ${seed}, ${JSON.stringify(sum)}\n`)
  }
  const days = (sum.virtualMs / 86_400_000).toFixed(1)
  process.stdout.write(
    `seeds ${first} to ${seed - 1}: ${sum.stored} files acknowledged, ${sum.fetched} fetched, ${sum.refused} refused, ` +
      `${sum.failed} failed and said so, ${sum.crashes} power cuts, ${days} simulated days, ${altered} altered inputs, ${broken} violations\n`,
  )
  process.exitCode = broken > 0 ? 1 : 0
}
