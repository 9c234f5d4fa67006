/** `npm run bench`: our hot paths against the programs of others, in turns on this machine; a table and JSON. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, release, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { MiB } from '../test/support/net-files.ts'
import { bytes } from './bench/bytes.ts'
import { fleet } from './bench/fleet.ts'
import { idle } from './bench/idle.ts'
import { ids } from './bench/ids.ts'
import { messages } from './bench/messages.ts'
import { missing } from './bench/peers.ts'
import type { Result, Row } from './bench/result.ts'
import { small } from './bench/small.ts'
import { markdown } from './measure/table.ts'

const rows: Readonly<Record<string, Row>> = { bytes, small, messages, ids, idle, fleet }
const usage = `usage: npm run bench [-- ROW...] [--quick] [--json FILE]

ROW is one of ${Object.keys(rows).join(', ')}; all but fleet when none is named. --quick takes less than
two minutes, by smaller files and fewer rounds. What is compared with must be installed (nginx, rclone,
curl, openssl, mosquitto); what is missing is said.
`

/** Two minutes in all, or as long as it takes. */
const quickly = { rounds: 3, bytes: 128 * MiB, quick: true }
const thoroughly = { rounds: 7, bytes: 512 * MiB, quick: false }

/** What kind of machine this is, for whoever reads the figures elsewhere. */
function machine(): string {
  const model = /^(?:model name|Model)\s*:\s*(.*)$/m.exec(
    readFileSync('/proc/cpuinfo', 'utf8'),
  )?.[1]
  const load = loadavg()[0]?.toFixed(1)
  const cores = `${availableParallelism()} cores (${model ?? process.arch}), load ${load}`
  return `${cores}, Node.js ${process.version}, Linux ${release()}`
}

function table(results: readonly Result[]): string {
  const cells = results.map(({ job, ratio, reach, met, ours, peer = '', theirs = '' }) => [
    job,
    ratio === undefined ? '' : ratio.toFixed(2),
    reach + (met === undefined || met ? '' : ' (not met)'),
    peer,
    ours,
    theirs,
  ])
  return markdown(['job', 'ratio', 'reach', 'against', 'ours', 'theirs'], cells)
}

async function main(): Promise<void> {
  const options = { quick: { type: 'boolean' }, json: { type: 'string' } } as const
  const { values, positionals } = parseArgs({ options, allowPositionals: true })
  const names =
    positionals.length > 0 ? positionals : Object.keys(rows).filter((n) => n !== 'fleet')
  if (names.some((name) => !(name in rows))) throw new Error(`no such row\n\n${usage}`)
  const results: Result[] = []
  const about = { date: new Date().toISOString().slice(0, 10), machine: machine() }
  for (const name of names) {
    // Not in memory: a disk is what is measured.
    const home = mkdtempSync(join(process.env.TMPDIR ?? tmpdir(), 'colonnade-bench-'))
    try {
      const row = rows[name]
      if (row) results.push(...(await row({ ...(values.quick ? quickly : thoroughly), home })))
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  }
  process.stdout.write(`\n${about.date}, ${about.machine}\n\n${table(results)}\n`)
  if (missing().length > 0)
    process.stdout.write(`\nNot installed, and so not measured: ${missing().join(', ')}.\n`)
  if (values.json !== undefined)
    writeFileSync(
      resolve(values.json),
      `${JSON.stringify({ ...about, results, missing: missing() }, undefined, 2)}\n`,
    )
}

main().catch((error) => {
  process.stderr.write(`bench: error: ${error instanceof Error ? error.message : error}\n`)
  process.exitCode = 1
})
