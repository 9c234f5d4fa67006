// Every participant killed in the middle of a transfer, on one kind of broker: the command goes on or ends definitely,
// what was there is not sent again, and all bytes come out equal.

import { existsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { limits } from '../../src/limits.ts'
import {
  type Archive,
  collection,
  makeArchive,
  type PillarName,
  partials,
  pillarNames,
  type Run,
} from '../support/archive.ts'
import { sha256, writeNoise } from '../support/files.ts'
import type { Program } from '../support/program.ts'
import { until } from '../support/until.ts'

const mebibyte = 1024 * 1024
const size = 200_000_000
/** Heads of requests and answers, records of TLS: what comes on top of the bytes, of each byte sent. */
const overhead = 0.002

/** What an operation needed beyond its bytes; at most one page for each transfer that was cut. */
function resent(passed: number, needed: number): number {
  return Math.max(0, Math.round(passed - needed * (1 + overhead)))
}

const shown = (bytes: number): string => `${(bytes / mebibyte).toFixed(1)} MiB`

export async function killStories(kind: Archive['kind']): Promise<void> {
  const archive = await makeArchive(t, kind)
  const { home, tracker, pillars, mosquitto } = archive
  const source = join(home, 'big.bin')
  writeNoise(source, size, 4711)
  const digest = sha256(source)
  await archive.start()

  /** Kills one in the middle and starts it again at once; it is connected again when this resolves. */
  async function killed(one: Program): Promise<void> {
    await one.kill()
    if (one === mosquitto) archive.wipeBroker()
    one.start()
    await one.ready()
  }
  /** The same command until it ends well: each end is definite, and the next run goes on. */
  async function repeated(first: Run, args: readonly string[]): Promise<{ runs: Run[] }> {
    const runs = [first]
    for (let run = first; ; ) {
      const { code, errors } = await run.ended
      if (code === 0) return { runs }
      t.comment(`ended with ${code}: ${errors.trim()}`)
      if (runs.length >= 3) throw new Error(`three runs did not do it: ${errors}`)
      run = await archive.colonnade(args)
      runs.push(run)
    }
  }
  const down = (runs: readonly Run[]): number => runs.reduce((sum, { line }) => sum + line.down, 0)
  const up = (runs: readonly Run[]): number => runs.reduce((sum, { line }) => sum + line.up, 0)
  const stored = (id: string, pillar: PillarName): string =>
    join(archive.volume(pillar), collection, 'data', id)
  const whole = (id: string): Promise<unknown> =>
    until(`${id} lies on all pillars`, () =>
      pillarNames.every((name) => existsSync(stored(id, name))),
    )
  /** Resolves when so much of it all has passed; the command must still run then. */
  async function passed(run: Run, direction: 'down' | 'up', bytes: number): Promise<void> {
    await until(`${shown(bytes)} have passed ${direction}`, () => {
      if (!run.isRunning()) throw new Error(`ended before its middle: ${run.output()}`)
      return run.line[direction] >= bytes
    })
  }

  function nothingLeft(): void {
    t.test('nothing half-way is left on any volume', async (t) => {
      for (const name of pillarNames)
        await until(
          `nothing is left in .incoming of ${name}`,
          () => partials(join(archive.volume(name), '.incoming')).length === 0,
        )
      t.pass()
    })
  }

  t.test('a pillar, the tracker and the broker are killed in the middle of a put', async (t) => {
    const id = 'put-under-fire'
    const relayed = archive.relay.down
    const args = ['put', collection, source, '--as', id, '--wait', 'all']
    const run = await archive.colonnade(args, { rate: 60 * mebibyte })
    const all = size * pillarNames.length
    await passed(run, 'down', all * 0.2)
    t.ok(partials(join(archive.volume('pillar-2'), '.incoming')).length > 0, 'it is half-way')
    await killed(pillars['pillar-2'])
    await passed(run, 'down', all * 0.45)
    await killed(tracker)
    if (mosquitto) {
      await passed(run, 'down', all * 0.7)
      await killed(mosquitto)
    }
    const { runs } = await repeated(run, args)
    await whole(`${id}/big.bin`)
    const again = resent(down(runs) + archive.relay.down - relayed, all)
    t.comment(`${kind}: put, ${runs.length} run, sent again: ${shown(again)}`)
    t.ok(again <= limits.transferPageBytes, `sent again: ${shown(again)}`)
    for (const name of pillarNames) t.equal(sha256(stored(`${id}/big.bin`, name)), digest, name)
  })

  t.test('a pillar, the tracker and the broker are killed in the middle of a get', async (t) => {
    const id = 'put-under-fire/big.bin'
    const to = join(home, 'got.bin')
    const args = ['get', collection, id, '-o', to, '--pillar', 'pillar-1']
    const run = await archive.colonnade(args, { rate: 30 * mebibyte })
    await passed(run, 'up', size * 0.2)
    await killed(pillars['pillar-1'])
    await passed(run, 'up', size * 0.45)
    await killed(tracker)
    if (mosquitto) {
      await passed(run, 'up', size * 0.7)
      await killed(mosquitto)
    }
    const { runs } = await repeated(run, args)
    const again = resent(up(runs), size)
    t.comment(`${kind}: get, ${runs.length} run, sent again: ${shown(again)}`)
    t.ok(again <= limits.transferPageBytes, `sent again: ${shown(again)}`)
    t.equal(sha256(to), digest)
    t.notOk(existsSync(join(home, '.colonnade-partial')), 'nothing half-way is left')
  })

  t.test(
    'the pillar that delivers dies for good: another one goes on where it stopped',
    async (t) => {
      const id = 'put-under-fire/big.bin'
      const to = join(home, 'other.bin')
      const args = ['get', collection, id, '-o', to]
      const deliveries = (one: Program): number => one.events('get.accepted').length
      const before = {
        'pillar-1': deliveries(pillars['pillar-1']),
        'pillar-2': deliveries(pillars['pillar-2']),
        'pillar-3': deliveries(pillars['pillar-3']),
      }
      const run = await archive.colonnade(args, { rate: 30 * mebibyte })
      await passed(run, 'up', size * 0.3)
      const busy = pillarNames.find((name) => deliveries(pillars[name]) > before[name])
      if (busy === undefined) throw new Error('nobody says that it delivers')
      await pillars[busy].kill()
      const { runs } = await repeated(run, args)
      const again = resent(up(runs), size)
      t.comment(`${kind}: get from another, ${runs.length} run, sent again: ${shown(again)}`)
      t.ok(again <= limits.transferPageBytes, `sent again: ${shown(again)}`)
      t.equal(sha256(to), digest)
      pillars[busy].start()
      await pillars[busy].ready()
    },
  )

  if (kind === 'mosquitto') return nothingLeft()
  t.test('the client is killed in the middle of a put, and put again', async (t) => {
    const id = 'client-killed'
    const relayed = archive.relay.down
    const args = ['put', collection, source, '--as', id, '--wait', 'all']
    // Other bytes than those that are there already, which would not travel.
    const other = join(home, 'client-killed.bin')
    writeNoise(other, size, 815)
    const command = args.with(2, other)
    const first = await archive.colonnade(command, { rate: 60 * mebibyte })
    await passed(first, 'down', size * pillarNames.length * 0.4)
    await first.kill()
    const { runs } = await repeated(await archive.colonnade(command), command)
    await whole(`${id}/client-killed.bin`)
    const all = size * pillarNames.length
    const again = resent(down([first, ...runs]) + archive.relay.down - relayed, all)
    t.comment(
      `${kind}: put by a killed client, ${runs.length} further run, sent again: ${shown(again)}`,
    )
    // Each pillar's transfer was cut.
    t.ok(again <= limits.transferPageBytes * pillarNames.length, `sent again: ${shown(again)}`)
    for (const name of pillarNames)
      t.equal(sha256(stored(`${id}/client-killed.bin`, name)), sha256(other), name)
  })

  t.test('the client is killed in the middle of a get, and gets again', async (t) => {
    const id = 'put-under-fire/big.bin'
    const folder = join(home, 'restored')
    const command = ['get', collection, id, '-o', `${folder}/`]
    const first = await archive.colonnade(command, { rate: 40 * mebibyte })
    await passed(first, 'up', size * 0.4)
    await first.kill()
    t.ok(
      partials(join(folder, 'put-under-fire', '.colonnade-partial')).length > 0,
      'half of it is there',
    )
    const { runs } = await repeated(await archive.colonnade(command), command)
    const again = resent(up([first, ...runs]), size)
    t.comment(
      `${kind}: get by a killed client, ${runs.length} further run, sent again: ${shown(again)}`,
    )
    t.ok(again <= limits.transferPageBytes, `sent again: ${shown(again)}`)
    t.equal(sha256(join(folder, id)), digest)
    t.notOk(
      existsSync(join(folder, 'put-under-fire', '.colonnade-partial')),
      'nothing half-way is left',
    )
  })

  return nothingLeft()
}
