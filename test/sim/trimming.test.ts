// Surplus copies in whole fleets: two trackers that trim at once, links that lose, double and delay, boards without power.

import t from 'tap'
import type { Client } from '../../src/client/client.ts'
import { nonceMs } from '../../src/pillar/fragments/nonces.ts'
import { type Fragment, fragmentFileId } from '../../src/protocol/fragments.ts'
import type { Fleet } from '../../src/sim/fleet.ts'
import { farewells } from '../../src/tracker/farewells.ts'
import { type Trim, trimmer } from '../../src/tracker/trimming.ts'
import { openView } from '../../src/view/sqlite.ts'
import { rig } from '../pillar/fragments/rig.ts'
import { operator } from './operator.ts'

const { signal } = new AbortController()
const collection = 'pieces'
const minute = 60_000
const hour = 60 * minute
const seeds = Number(process.env.TRIM_SEEDS ?? 5)

/** A tracker that does nothing but trim: one of several that think that they act, in the same epoch. */
async function trimming(fleet: Fleet, instance: string): Promise<{ client: Client; trim: Trim }> {
  const client = await operator(fleet, instance)
  const epoch = () => ({ counter: 1_000, tracker: 'tracker' })
  const told = farewells(client.world.clock)
  const parts = { client, view: openView(':memory:'), farewells: told, epoch }
  return { client, trim: trimmer(parts) }
}

async function holdersOf(fleet: Fleet, fragment: Fragment): Promise<string[]> {
  const id = fragmentFileId(fragment)
  const found = await Promise.all(
    fleet.boards.map(async ({ name, index, disk }) => {
      const [row] = await index.stored(collection, [id])
      const isThere = disk.snapshot().has(`${collection}/data/${row?.path}`)
      return row && isThere ? [name] : []
    }),
  )
  return found.flat()
}

/** Fragments on all of five pillars, of which two are to have each; no tracker runs any more. */
async function plenty(seed: string) {
  const at = await rig(seed, { pillars: 5, copies: 2 })
  await at.join()
  const conversation = '00000000-0000-7000-8000-0000000000d1'
  const names = at.fleet.boards.map(({ name }) => name)
  const fragments = [1, 2, 3].map((n) => at.fragment(new Uint8Array(1_000).fill(n)))
  await at.deliver(
    fragments.map((fragment) => ({ fragment, recipients: names })),
    conversation,
  )
  await at.pass(10_000)
  const all = fragments.map((one) => ({ ...one, outcome: 'complete' as const, holders: names }))
  await at.say('FragmentDistributionEnded', { conversation, fragments: all })
  await at.pass(minute)
  return { fleet: at.fleet, fragments }
}

t.test('[TRIM-3] two trackers that trim at once leave what there is to be', async (t) => {
  let trimmed = 0
  for (let seed = 1; seed <= seeds; seed++) {
    const { fleet, fragments } = await plenty(`two trackers ${seed}`)
    const random = fleet.random.fork('story')
    const trackers = [await trimming(fleet, 'one'), await trimming(fleet, 'two')] as const
    Object.assign(fleet.busFaults, {
      ...{ lost: 0.05, duplicated: 0.2, delayed: 0.3, delayMsMax: 8_000, reordered: 0.2 },
    })
    const { clock } = fleet.time
    // Each would have the other's best confirmer give up his copy, at the same time.
    const work = fragments.map(async (one) => {
      const mine = random.fork(one.hash)
      for (let attempt = 0; attempt < 6; attempt++) {
        const [x = '', y = '', ...rest] = shuffled(await holdersOf(fleet, one), mine)
        const pairs = [
          [x, y, rest[0] ?? x],
          [y, x, rest.at(-1) ?? y],
        ] as const
        await Promise.all(
          pairs.map(([from, ...confirm], n) => {
            const { trim } = trackers[n] ?? trackers[0]
            return trim(collection, from, [{ ...one, confirm }], { unwanted: false, signal })
          }),
        )
        await clock.sleep(mine.int(3 * nonceMs))
      }
    })
    const over = Promise.all(work)
    let isOver = false
    void over.then(() => {
      isOver = true
    })
    const began = fleet.time.clock.monotonic()
    while (!isOver && fleet.time.clock.monotonic() - began < 12 * hour) {
      await fleet.time.advance(random.int(2 * nonceMs))
      const board = random.pick(fleet.boards)
      if (random.chance(0.5))
        board.clock.setOffset(random.chance(0.5) ? 0 : -fleet.time.clock.now())
      if (random.chance(0.7)) continue
      board.crash()
      await fleet.time.advance(random.int(minute))
      await fleet.time.finish(board.start())
    }
    await fleet.time.finish(over, 24 * hour)
    for (const fragment of fragments) {
      const holders = await holdersOf(fleet, fragment)
      t.ok(holders.length >= 2, `seed ${seed}: ${fragment.hash} is on ${holders}`)
      trimmed += 5 - holders.length
    }
    for (const { client } of trackers) await fleet.time.finish(client.close())
  }
  t.comment(`${seeds} seeds: ${trimmed} copies were trimmed`)
  t.ok(trimmed > seeds / 2, 'and trimmed was all the same')
})

function shuffled<T>(all: readonly T[], random: { int(below: number): number }): T[] {
  const left = [...all]
  return all.map(() => left.splice(random.int(left.length), 1)[0] as T)
}
