// Pillars with two disks each in a whole archive: one is away, comes back, dies for good and is replaced.

import t, { type Test } from 'tap'
import type { Client } from '../../src/client/client.ts'
import { statuses } from '../../src/client/list.ts'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { type Board, type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'

const { signal } = new AbortController()
const minute = 60_000
const day = 24 * 60 * minute

type Item = PutItem & { readonly bytes: Uint8Array }

interface Setting {
  readonly fleet: Fleet
  readonly client: Client
  readonly board: Board
  put(...ids: string[]): Promise<Item[]>
}

async function setting(t: Test, seed: string): Promise<Setting> {
  const fleet = await startFleet({ seed: t.name + seed, pillars: 3, copiesMin: 2, disks: 2 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  return {
    ...{ fleet, client, board },
    async put(...ids) {
      const items = ids.map((id) => memoryItem(fleet.random, fleet, id, 20_000))
      const results = await fleet.time.finish(putBatch(client, 'home', items, { signal }))
      t.ok(results.every(({ outcome }) => outcome === 'stored'))
      return items
    },
  }
}

/** How often each of these stands on a board, row and bytes, on any of its disks. */
async function standing({ volumes }: Board, items: readonly Item[]): Promise<number[]> {
  const counts = items.map(() => 0)
  for (const { disk, index } of volumes) {
    const files = disk.snapshot()
    const rows = await index.stored(
      'home',
      items.map(({ id }) => id),
    )
    for (const [n, item] of items.entries()) {
      const bytes = files.get(`home/data/${rows[n]?.path}`)
      const isIt = rows[n]?.checksum === item.checksum && bytes
      if (isIt && Buffer.from(bytes).equals(item.bytes)) counts[n] = (counts[n] ?? 0) + 1
    }
  }
  return counts
}

const ids = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, n) => `${prefix}${n}`)

async function again({ fleet, board }: Setting, change: () => void): Promise<void> {
  board.crash()
  change()
  await fleet.time.finish(board.start())
}

for (const seed of ['a', 'b']) {
  t.test(
    `[VOL-4] a disk that is away costs nothing, and has all when it is back: ${seed}`,
    async (t) => {
      const on = await setting(t, seed)
      const { fleet, client, board, put } = on
      const items = await put(...ids('f', 16))
      const counts = await Promise.all(board.volumes.map(({ index }) => index.summary()))
      t.ok(
        counts.every(([home]) => (home?.files ?? 0) >= 3),
        'both are used',
      )
      await again(on, () => board.unplugged.add(1))
      await fleet.time.advance(minute)
      const [status] = (await fleet.time.finish(statuses(client, 'home', signal))).values()
      t.match(status, { verdict: 'WARNING', text: /is not available/ })
      items.push(...(await put(...ids('g', 8))))
      await fleet.time.advance(2 * day)
      await again(on, () => board.unplugged.clear())
      await fleet.time.advance(2 * day)
      t.same(
        await standing(board, items),
        items.map(() => 1),
        'each once, on one of its disks',
      )
      const all = [...(await fleet.time.finish(statuses(client, 'home', signal))).values()]
      t.equal(new Set(all.map((one) => one?.digest)).size, 1)
      t.match(all, [{ verdict: 'OK', files: 24 }, { verdict: 'OK' }, { verdict: 'OK' }])
    },
  )

  t.test(`[VOL-4] a disk that dies is replaced, and filled by the others: ${seed}`, async (t) => {
    const on = await setting(t, seed)
    const { fleet, board, put } = on
    const items = await put(...ids('f', 16))
    await again(on, () => board.swap(1))
    await fleet.time.advance(2 * day)
    t.same(
      await standing(board, items),
      items.map(() => 1),
    )
  })
}
