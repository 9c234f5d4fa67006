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

interface Course {
  readonly runs: readonly Run[]
  sum(direction: 'down' | 'up'): number
  /** Resolves when so much of it all has passed, and it is still in its middle. */
  passed(direction: 'down' | 'up', bytes: number): Promise<void>
  /** Resolves when a run has ended well. */
  done(): Promise<void>
}

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
  /** A command that is given again when it has ended without success: each end is definite, and the next goes on. */
  async function course(args: readonly string[], rate: number): Promise<Course> {
    const runs = [await archive.colonnade(args, { rate })]
    const again = async (): Promise<void> => {
      const { errors, code } = (await runs.at(-1)?.ended) ?? { errors: '', code: null }
      t.comment(`${args[0]} ended with ${code}: ${errors.trim()}`)
      if (runs.length === 4) throw new Error(`four runs did not do it: ${errors}`)
      runs.push(await archive.colonnade(args, { rate }))
    }
    const sum = (direction: 'down' | 'up'): number =>
      runs.reduce((total, { line }) => total + line[direction], 0)
    return {
      runs,
      sum,
      async passed(direction, bytes) {
        await until(`${shown(bytes)} have passed ${direction}`, async () => {
          if (sum(direction) >= bytes) return true
          const last = runs.at(-1)
          if (last?.isRunning()) return false
          if ((await last?.ended)?.code === 0) throw new Error('it ended before its middle')
          await again()
          return false
        })
      },
      async done() {
        while ((await runs.at(-1)?.ended)?.code !== 0) await again()
      },
    }
  }
  const stored = (id: string, pillar: PillarName): string =>
    join(archive.volume(pillar), collection, 'data', id)
  const whole = (id: string): Promise<unknown> =>
    until(`${id} lies on all pillars`, () =>
      pillarNames.every((name) => existsSync(stored(id, name))),
    )

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
    const put = await course(args, 60 * mebibyte)
    const all = size * pillarNames.length
    await put.passed('down', all * 0.2)
    t.ok(partials(join(archive.volume('pillar-2'), '.incoming')).length > 0, 'it is half-way')
    await killed(pillars['pillar-2'])
    await put.passed('down', all * 0.45)
    await killed(tracker)
    if (mosquitto) {
      await put.passed('down', all * 0.7)
      await killed(mosquitto)
    }
    await put.done()
    await whole(`${id}/big.bin`)
    const again = resent(put.sum('down') + archive.relay.down - relayed, all)
    t.comment(`${kind}: put, ${put.runs.length} runs, sent again: ${shown(again)}`)
    t.ok(again <= limits.transferPageBytes, `sent again: ${shown(again)}`)
    for (const name of pillarNames) t.equal(sha256(stored(`${id}/big.bin`, name)), digest, name)
  })

  t.test('a pillar, the tracker and the broker are killed in the middle of a get', async (t) => {
    const id = 'put-under-fire/big.bin'
    const to = join(home, 'got.bin')
    const args = ['get', collection, id, '-o', to, '--pillar', 'pillar-1']
    const get = await course(args, 40 * mebibyte)
    await get.passed('up', size * 0.2)
    await killed(pillars['pillar-1'])
    await get.passed('up', size * 0.45)
    await killed(tracker)
    if (mosquitto) {
      await get.passed('up', size * 0.7)
      await killed(mosquitto)
    }
    await get.done()
    const again = resent(get.sum('up'), size)
    t.comment(`${kind}: get, ${get.runs.length} runs, sent again: ${shown(again)}`)
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
      const get = await course(args, 40 * mebibyte)
      await get.passed('up', size * 0.3)
      const busy = pillarNames.find((name) => deliveries(pillars[name]) > before[name])
      if (busy === undefined) throw new Error('nobody says that it delivers')
      await pillars[busy].kill()
      await get.done()
      const again = resent(get.sum('up'), size)
      t.comment(`${kind}: get from another, ${get.runs.length} runs, sent again: ${shown(again)}`)
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
    const put = await course(command, 60 * mebibyte)
    await put.passed('down', size * pillarNames.length * 0.4)
    await put.runs[0]?.kill()
    await put.done()
    await whole(`${id}/client-killed.bin`)
    const all = size * pillarNames.length
    const again = resent(put.sum('down') + archive.relay.down - relayed, all)
    t.comment(
      `${kind}: put by a killed client, ${put.runs.length} runs, sent again: ${shown(again)}`,
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
    const get = await course(command, 40 * mebibyte)
    await get.passed('up', size * 0.4)
    await get.runs[0]?.kill()
    t.ok(
      partials(join(folder, 'put-under-fire', '.colonnade-partial')).length > 0,
      'half of it is there',
    )
    await get.done()
    const again = resent(get.sum('up'), size)
    t.comment(
      `${kind}: get by a killed client, ${get.runs.length} runs, sent again: ${shown(again)}`,
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
