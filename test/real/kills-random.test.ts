// Pillars and tracker are killed at random times under a load of small puts: what a command has said to be stored is there.

import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { collection, makeArchive, partials, pillarNames } from '../support/archive.ts'
import {
  type Acknowledged,
  acknowledged,
  lost,
  makeFiles,
  putAll,
  sameEverywhere,
} from '../support/load.ts'
import { xorshift } from '../support/random.ts'
import { until } from '../support/until.ts'

const killsMin = 20
const seed = Number(process.env.SEED ?? Date.now() % 1_000_000)
t.comment(`SEED=${seed}`)
const random = xorshift(seed)

const archive = await makeArchive(t)
const { home, pillars, tracker } = archive
await archive.start()

t.test(`${killsMin} kills of pillars and tracker while small files are put`, async (t) => {
  const stored: Acknowledged[] = []
  const folders: string[] = []
  const codes = new Map<number | null, number>()
  let over = false
  const load = async (): Promise<void> => {
    while (!over) {
      const folder = `load/${folders.length}`
      makeFiles(join(home, folder), 80, random)
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
  t.same(lost(archive, stored), [], 'nothing that was said to be stored is lost')
  await putAll(archive, 'load')
  t.same(
    sameEverywhere(archive, 'load'),
    [true, true, true],
    'all bytes and times are equal everywhere',
  )
  for (const name of pillarNames)
    await until(
      `nothing half-way is left on ${name}`,
      () => partials(join(archive.volume(name), '.incoming')).length === 0,
    )
})
