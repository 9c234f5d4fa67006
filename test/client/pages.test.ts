// A request that names more ids than a message holds goes as pages, and comes back as one listing.

import t from 'tap'
import { survey } from '../../src/client/list.ts'
import { type Final, type Listing, pages, pagesOf } from '../../src/client/pages.ts'
import { putBatch } from '../../src/client/put.ts'
import type { Index, StoredFile } from '../../src/index/index.ts'
import { limits } from '../../src/limits.ts'
import { bytesOf } from '../../src/protocol/scalars.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { digestOf } from '../../src/world/world.ts'

const { signal } = new AbortController()
const collection = 'home'
const pillar = 'pillar-1'

async function gathered<K extends Listing>(some: AsyncIterable<Final<K>>): Promise<Final<K>[]> {
  const found: Final<K>[] = []
  for await (const one of some) found.push(one)
  return found
}

/** Rows for so many files that nobody has the bytes of: listings ask the index only. */
async function fill(fleet: Fleet, index: Index, count: number): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) => `folder ${n % 100}/file number ${n}.jpeg`)
  const checksum = digestOf(fleet, 'nothing')
  const file = (id: string): Omit<StoredFile, 'timestamp' | 'sequence'> => ({
    collection,
    id,
    size: 1,
    checksum,
    mtime: 0,
    path: id,
    provenAt: 0,
  })
  for (let at = 0; at < count; at += 1_000)
    await index.commit(
      ids.slice(at, at + 1_000).map((id) => ({
        do: 'store',
        file: file(id),
        now: fleet.time.clock.now(),
      })),
    )
  return ids
}

const indexOf = (fleet: Fleet, n = 0): Index => {
  const index = fleet.boards[n]?.index
  if (!index) throw new Error('no such board')
  return index
}

t.test('[SUM-4] ids fit their pages, and none is lost or doubled', async (t) => {
  const ids = [
    ...Array.from({ length: 5_000 }, (_, n) => `short ${n}`),
    ...Array.from({ length: 300 }, (_, n) => `${'"long"/'.repeat(130)}${n}`),
  ]
  const split = pagesOf(ids, 60)
  t.same(split.flat(), ids)
  t.ok(split.length < 200, `${split.length} pages`)
  for (const page of split) t.ok(bytesOf(JSON.stringify(page)) < limits.pageBytesMax / 2)
  t.same(pagesOf([], 60), [])
})

t.test(
  '[SUM-4] thousands of ids, by each listing, while messages are lost and doubled',
  async (t) => {
    const fleet = await startFleet({ seed: 'pages', pillars: 2, copiesMin: 1 })
    const client = await fleet.client('ann')
    await fleet.time.advance(1_000)
    const stored = await fill(fleet, indexOf(fleet), 3_000)
    const absent = stored.slice(0, 1_500).map((id) => `${id}.not`)
    const ids = stored.flatMap((id, n) => [id, ...(absent[n] ? [absent[n]] : [])])
    Object.assign(fleet.busFaults, {
      lost: 0.25,
      duplicated: 0.25,
      delayed: 0.3,
      delayMsMax: 3_000,
    })
    for (const kind of ['GetFileIDs', 'GetChecksums', 'GetFileInfos'] as const) {
      // Said twice, asked for once.
      const query = { ids: [...ids, ...ids.slice(0, 50)] }
      const found = await fleet.time.finish(
        gathered(pages(client, kind, { collection, pillar, query, signal })),
      )
      t.same(
        found.flatMap(({ items }) => items.map((item) => item.id)).toSorted(),
        stored.toSorted(),
        kind,
      )
      t.same(
        found.flatMap(({ missing = [] }) => missing),
        absent,
        'in the order they were asked',
      )
      t.equal(new Set(found.map((one) => one.conversation)).size, 1, 'one conversation')
      t.equal(new Set(found.map((one) => one.page)).size, found.length, 'each page has its number')
      t.ok(found.length > 3)
    }
  },
)

t.test('[SUM-4] several pages are on their way at a time, but not more than may', async (t) => {
  const fleet = await startFleet({ seed: 'bounded', pillars: 1, copiesMin: 1 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const ids = await fill(fleet, indexOf(fleet), 2_000)
  let open = 0
  let most = 0
  const counting = {
    ...client,
    line: {
      ...client.line,
      async ask(asking: Parameters<typeof client.line.ask>[0]) {
        most = Math.max(most, ++open)
        return client.line.ask(asking).finally(() => open--)
      },
    },
  }
  const listed = { collection, pillar, query: { ids }, signal }
  const found = await fleet.time.finish(gathered(pages(counting, 'GetFileInfos', listed)))
  t.equal(found.flatMap(({ items }) => items).length, ids.length)
  t.equal(most, limits.conversationsOpenMax)
  Object.assign(fleet.busFaults, { delayed: 1, delayMsMax: 4_000 })
  const enough = async (): Promise<void> => {
    for await (const { items } of pages(counting, 'GetFileInfos', listed))
      if (items.length > 0) return
  }
  await fleet.time.finish(enough())
  await fleet.time.advance(10)
  t.equal(open, 0, 'whoever has enough leaves nothing behind')
})

t.test('a listing of everything follows the cursor to its end', async (t) => {
  const fleet = await startFleet({ seed: 'everything', pillars: 1, copiesMin: 1 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const ids = await fill(fleet, indexOf(fleet), 2_500)
  const listed = { collection, pillar, query: {}, signal }
  const found = await fleet.time.finish(gathered(pages(client, 'GetFileIDs', listed)))
  t.same(
    found.flatMap(({ items }) => items.map((item) => item.id)),
    ids,
    'oldest first',
  )
  t.ok(found.length > 2)
})

t.test('[SUM-4] a pillar that refuses or is not there is told by its name', async (t) => {
  const fleet = await startFleet({ seed: 'refuses', pillars: 1, copiesMin: 1 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const ids = await fill(fleet, indexOf(fleet), 900)
  const listed = { collection, pillar, query: { ids }, signal }
  const checksumSpec = { algorithm: 'CRC-32' }
  const refused = gathered(pages(client, 'GetChecksums', { ...listed, checksumSpec }))
  await t.rejects(fleet.time.finish(refused), {
    name: 'Unable',
    message: 'pillar-1: there is no checksum algorithm CRC-32',
  })
  fleet.boards[0]?.crash()
  const began = fleet.time.clock.monotonic()
  const silent = gathered(pages(client, 'GetFileIDs', listed))
  await t.rejects(fleet.time.finish(silent), { message: 'pillar-1 did not answer' })
  t.ok(fleet.time.clock.monotonic() - began <= 60_000)
})

t.test('[SUM-4] computed checksums of many ids, page by page, as far as they are', async (t) => {
  const fleet = await startFleet({ seed: 'computed', pillars: 2, copiesMin: 2 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const items = Array.from({ length: 400 }, (_, n) =>
    memoryItem(fleet.random, fleet, `a folder/${n}`, 500),
  )
  for (let at = 0; at < items.length; at += 50)
    await fleet.time.finish(putBatch(client, collection, items.slice(at, at + 50), { signal }))
  Object.assign(fleet.busFaults, { lost: 0.2, duplicated: 0.2 })
  const checksumSpec = { algorithm: 'HMAC-SHA-512', salt: '07' }
  const query = { ids: [...items.map(({ id }) => id), 'absent'] }
  const told: number[] = []
  const working = (bytes: number): void => void told.push(bytes)
  const sums = async (one: string): Promise<string[]> => {
    const listed = { collection, pillar: one, query, signal, checksumSpec, working }
    const found = await fleet.time.finish(
      gathered<'GetChecksums'>(pages(client, 'GetChecksums', listed)),
    )
    t.same(
      found.flatMap(({ missing = [] }) => missing),
      ['absent'],
    )
    return found
      .flatMap(({ items: some }) => some.map(({ id, checksum }) => `${checksum} ${id}`))
      .toSorted()
  }
  const first = await sums('pillar-1')
  t.equal(first.length, 400)
  t.same(first, await sums('pillar-2'))
  fleet.boards[0]?.disk.faults.hang(20_000)
  told.length = 0
  await sums('pillar-1')
  t.ok(told.length > 4, 'that it is at it is told while the disk hangs')
})

t.test('[SUM-4] a survey of thousands of ids is one, of all pillars', async (t) => {
  const fleet = await startFleet({ seed: 'survey', pillars: 2, copiesMin: 1 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const ids = await fill(fleet, indexOf(fleet), 5_000)
  await fill(fleet, indexOf(fleet, 1), 5_000)
  const query = { ids: [...ids, 'absent'] }
  const { files, silent } = await fleet.time.finish(survey(client, collection, query, signal))
  t.same([files.size, silent], [5_000, []])
  t.same(files.get(ids[4_999] ?? '')?.pillars, ['pillar-1', 'pillar-2'])
})
