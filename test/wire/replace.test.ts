// ReplaceFile, as it is asked for on the wire and by the client library.

import t, { type Test } from 'tap'
import type { Client } from '../../src/client/client.ts'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { retainedPath } from '../../src/store/removal.ts'

const { signal } = new AbortController()
const all = ['pillar-1', 'pillar-2', 'pillar-3']

interface Setting {
  readonly fleet: Fleet
  readonly client: Client
  readonly old: PutItem
  readonly fresh: PutItem
  /** The checksum of the file on each pillar. */
  sums(): Promise<(string | undefined)[]>
  replace(old: string, item: PutItem, pillars: readonly string[]): ReturnType<typeof replaceFile>
}

/** Three pillars with one file, and other bytes for it. */
async function setting(t: Test): Promise<Setting> {
  const fleet = await startFleet({ seed: t.name, pillars: 3, copiesMin: 3 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const old = memoryItem(fleet.random, fleet, 'a.txt', 1_000)
  const fresh = memoryItem(fleet.random, fleet, 'a.txt', 30_000)
  await fleet.time.finish(putBatch(client, 'home', [old], { signal }))
  return {
    ...{ fleet, client, old, fresh },
    sums: () =>
      Promise.all(
        fleet.boards.map(async ({ index }) => (await index.stored('home', ['a.txt']))[0]?.checksum),
      ),
    replace: (checksum, item, pillars) =>
      fleet.time.finish(replaceFile(client, 'home', checksum, item, pillars, { signal })),
  }
}

t.test(
  '[RM-6] a file is replaced on the pillars that are named, its old bytes are kept aside',
  async (t) => {
    const { fleet, old, fresh, sums, replace } = await setting(t)
    const two = all.slice(0, 2)
    const done = await replace(old.checksum, fresh, two)
    t.same(
      done.map(({ pillar, is }) => [pillar, is]),
      two.map((pillar) => [pillar, 'done']),
    )
    t.same(await sums(), [fresh.checksum, fresh.checksum, old.checksum])
    const board = fleet.boards[0]
    const [aside] = (await board?.index.retained({ limit: 9 })) ?? []
    t.match(aside, { id: 'a.txt', checksum: old.checksum, state: 'kept' })
    const kept = aside && board?.disk.snapshot().get(retainedPath(fleet, aside))
    t.equal(kept?.length, 1_000)
    const entries = (await board?.index.audit(0, 99)) ?? []
    t.match(entries.at(-1), { event: 'replacement', actor: 'ann', outcome: /in the place of/ })
    const again = await replace(old.checksum, fresh, all)
    t.ok(
      again.every(({ is }) => is === 'done'),
      'said again it goes on where it stopped',
    )
    t.same(
      await sums(),
      all.map(() => fresh.checksum),
    )
  },
)

t.test('[RM-6] nothing is replaced unless every pillar that is named agrees', async (t) => {
  const { fleet, old, fresh, sums, replace } = await setting(t)
  const before = await sums()
  t.match(await replace('0'.repeat(64), fresh, all.slice(0, 1)), [
    { is: 'refused', why: /another checksum/ },
  ])
  const absent = { ...fresh, id: 'b.txt' }
  t.match(await replace(old.checksum, absent, all.slice(0, 1)), [{ is: 'absent' }])
  fleet.boards[2]?.crash()
  const silent = await replace(old.checksum, fresh, all)
  t.match(silent, [{ pillar: 'pillar-3', is: 'silent' }])
  t.same(await sums(), before)
})
