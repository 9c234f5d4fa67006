// The whole archive, or any part of it at any time, is killed under a load of small puts: what a command has said to
// be stored is there.

import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import {
  collection,
  makeArchive,
  type PillarName,
  partials,
  pillarNames,
} from '../support/archive.ts'
import { sha256, snapshot, writeNoise } from '../support/files.ts'
import { xorshift } from '../support/random.ts'
import { until } from '../support/until.ts'

const killsMin = 20
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
t.comment(`SEED=${seed}`)
const random = xorshift(seed)

const archive = await makeArchive(t)
const { home, pillars, tracker, programs } = archive

const dataOf = (pillar: PillarName): string => join(archive.volume(pillar), collection, 'data')

function makeFiles(folder: string, count: number): void {
  mkdirSync(folder)
  for (let n = 0; n < count; n++) writeNoise(join(folder, `file-${n}`), random() % 20_000, random())
}

interface Acknowledged {
  readonly id: string
  readonly copies: readonly PillarName[]
}

/** What the lines that were printed say to be stored, and where. */
const acknowledged = (objects: readonly Record<string, unknown>[]): Acknowledged[] =>
  objects
    .filter(({ outcome }) => outcome === 'stored')
    .map(({ id, copies }) => ({ id: `${id}`, copies: copies as PillarName[] }))

/** How many of the copies that were confirmed are not there, or hold other bytes than the source. */
function lost(all: readonly Acknowledged[]): string[] {
  const digests = new Map(all.map(({ id }) => [id, sha256(join(home, id))]))
  return all.flatMap(({ id, copies }) =>
    copies
      .filter((pillar) => {
        const path = join(dataOf(pillar), id)
        return !existsSync(path) || sha256(path) !== digests.get(id)
      })
      .map((pillar) => `${id} on ${pillar}`),
  )
}

/** Until a command has put it all; every end before is definite. */
async function putAll(folder: string): Promise<void> {
  const command = ['put', collection, join(home, folder), '--as', folder, '--wait', 'all']
  for (let tries = 1; ; tries++) {
    const { code, errors } = await (await archive.colonnade(command)).ended
    if (code === 0) break
    if (tries === 3) throw new Error(`not stored: ${errors}`)
  }
  const source = snapshot(join(home, folder))
  for (const name of pillarNames)
    await until(
      `${name} has all of ${folder}`,
      () =>
        existsSync(join(dataOf(name), folder)) &&
        readdirSync(join(dataOf(name), folder)).length === Object.keys(source).length,
    )
}

await archive.start()

t.test('everything is killed at once in the middle of a put of many small files', async (t) => {
  makeFiles(join(home, 'many'), 600)
  const command = ['put', collection, join(home, 'many'), '--as', 'many', '--json']
  const run = await archive.colonnade(command)
  await until('150 files are stored', () => {
    if (!run.isRunning()) throw new Error('it ended before its middle')
    return acknowledged(run.objects()).length >= 150
  })
  await Promise.all([...programs.map((one) => one.kill()), run.kill()])
  const stored = acknowledged(run.objects())
  t.ok(stored.length < 600, `${stored.length} of 600 were said to be stored`)
  await archive.start()
  t.same(lost(stored), [], 'nothing that was said to be stored is lost')
  await putAll('many')
  for (const name of pillarNames)
    t.same(snapshot(join(dataOf(name), 'many')), snapshot(join(home, 'many')), name)
})

t.test(`${killsMin} kills of pillars and tracker while small files are put`, async (t) => {
  const stored: Acknowledged[] = []
  const folders: string[] = []
  const codes = new Map<number | null, number>()
  let over = false
  const load = async (): Promise<void> => {
    while (!over) {
      const folder = `load-${folders.length}`
      makeFiles(join(home, folder), 80)
      folders.push(folder)
      const command = ['put', collection, join(home, folder), '--as', folder, '--json']
      const run = await archive.colonnade([...command, '--idle-timeout', '20s'])
      const { code } = await run.ended
      codes.set(code, (codes.get(code) ?? 0) + 1)
      stored.push(...acknowledged(run.objects()))
    }
  }
  const recoveries: number[] = []
  const kill = async (): Promise<void> => {
    const victims = [tracker, ...Object.values(pillars)]
    for (let n = 0; n < killsMin; n++) {
      await setTimeout(random() % 400)
      const victim = victims[random() % victims.length] ?? tracker
      await victim.kill()
      const began = performance.now()
      victim.start()
      await victim.ready()
      recoveries.push(Math.round(performance.now() - began))
    }
  }
  const loading = load()
  await kill().finally(() => {
    over = true
  })
  await loading
  const slowest = Math.max(...recoveries)
  t.comment(
    `${killsMin} kills, ${stored.length} files acknowledged in ${folders.length} puts (exit codes ${[...codes].map(([code, count]) => `${code}: ${count}`).join(', ')}), slowest recovery ${slowest} ms`,
  )
  t.ok(stored.length > 0)
  t.same(lost(stored), [], 'nothing that was said to be stored is lost')
  for (const folder of folders) await putAll(folder)
  for (const name of pillarNames) {
    for (const folder of folders)
      t.same(
        snapshot(join(dataOf(name), folder)),
        snapshot(join(home, folder)),
        `${name}: ${folder}`,
      )
    await until(
      `nothing half-way is left on ${name}`,
      () => partials(join(archive.volume(name), '.incoming')).length === 0,
    )
  }
})
