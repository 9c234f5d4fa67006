// A collection in fragments, used as any other: real pillars, tracker and client in simulation.

import t, { type Test } from 'tap'
import type { Client } from '../../src/client/client.ts'
import { getBatch } from '../../src/client/get.ts'
import { survey } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { remove, restore } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'

const collection = 'pieces'
const bytes = 65_536
const signal = new AbortController().signal
const hour = 3_600_000

async function archive(t: Test, seed: string) {
  const fleet = await startFleet({
    ...{ seed, pillars: 4, copiesMin: 2, fragments: { bytes, copies: 2 } },
  })
  await fleet.time.advance(30_000)
  const ann = await fleet.client('ann')
  t.teardown(async () => {
    if (!t.passing) t.comment(fleet.lines().slice(-60).join('\n'))
  })
  return { fleet, ann }
}

const item = (fleet: Fleet, id: string, size: number) =>
  memoryItem(fleet.random.fork(id), fleet, id, size)
type Item = ReturnType<typeof item>
const exact = ({ id, checksum }: Item) => ({ id, checksum })

const put = (fleet: Fleet, client: Client, items: readonly Item[]) =>
  fleet.time.finish(putBatch(client, collection, items, { signal }), 6 * hour)

async function fetched(
  { time, ...fleet }: Fleet,
  client: Client,
  { id, bytes, checksum }: Item,
  part: { offset?: number; length?: number } = {},
): Promise<boolean> {
  const { offset = 0, length = bytes.length - offset } = part
  const whole = part.offset === undefined && part.length === undefined
  const landing = memoryLanding({ time, ...fleet }, whole ? checksum : undefined)
  const items = [{ id, checksum, size: bytes.length, landing, ...part }]
  const [got] = await time.finish(getBatch(client, collection, items, { signal }), 6 * hour)
  const right = Buffer.from(landing.bytes()).equals(bytes.subarray(offset, offset + length))
  return got?.outcome === 'fetched' && right
}

t.test('[VAULT-4] a client that has the same bytes twice sends them once', async (t) => {
  const { fleet, ann } = await archive(t, 'twice')
  const first = item(fleet, 'first', 3 * bytes)
  let sent = 0
  const counted: Item = {
    ...first,
    id: 'second',
    offer: {
      ...first.offer,
      async *read(offset, length, by) {
        sent += length
        yield* first.offer.read(offset, length, by)
      },
    },
  }
  t.equal((await put(fleet, ann, [first]))[0]?.outcome, 'stored')
  t.match(await put(fleet, ann, [counted]), [{ outcome: 'stored', copies: ['tracker'] }])
  t.equal(sent, 0, 'no byte of the second is asked for')
  t.ok(await fetched(fleet, ann, counted))
})

t.test(
  "[VAULT-6] a file larger than the tracker's disk is refused before it is sent",
  async (t) => {
    const { fleet, ann } = await archive(t, 'too large')
    const small = item(fleet, 'small', 100)
    const large = {
      ...{ id: 'large', size: 2 ** 31, checksum: 'a'.repeat(64), mtime: 0 },
      offer: {
        size: 2 ** 31,
        read: () => {
          throw new Error('nobody is to ask for it')
        },
      },
    }
    const results = await fleet.time.finish(
      putBatch(ann, collection, [large, small], { signal }),
      hour,
    )
    t.match(results, [{ outcome: 'refused' }, { outcome: 'stored' }])
    t.match(
      results[0]?.why,
      /larger than the disk of the tracker \(\d+ bytes\), where each file waits/,
    )
    const [standing] = await fleet.time.finish(
      putBatch(ann, collection, [{ ...large, size: 2 ** 30 - 1 }], { signal }),
      hour,
    )
    t.match(standing?.why, /the disk of the tracker, where .* has room for \d+ bytes now/)
  },
)

t.test('[VAULT-7] a collection in fragments is put, listed and fetched as any other', async (t) => {
  const { fleet, ann } = await archive(t, 'used')
  const sizes = [0, 1, bytes, bytes + 1, 5 * bytes + 100]
  const items = sizes.map((size, n) => item(fleet, `folder/${n}.bin`, size))
  const results = await put(fleet, ann, items)
  t.same(
    results.map(({ outcome }) => outcome),
    sizes.map(() => 'stored'),
  )
  const { files } = await fleet.time.finish(survey(ann, collection, {}, signal))
  t.same([...files.keys()].sort(), items.map(({ id }) => id).sort())
  for (const known of files.values()) t.same(known.pillars, ['tracker'])
  for (const one of items) t.ok(await fetched(fleet, ann, one), one.id)
  const big = items[4]
  if (!big) throw new Error('there are five')
  t.ok(await fetched(fleet, ann, big, { offset: bytes - 10, length: 30 }))
  const held = await Promise.all(
    fleet.boards.map(async ({ index }) => (await index.list({ collection, limit: 1000 })).files),
  )
  const slices = held.flat().filter(({ id }) => !id.startsWith('files/'))
  t.equal(slices.length, 2 * (1 + 1 + 2 + 6), 'two copies of each fragment')
  t.ok(
    held.every(({ length }) => length > 0),
    'on all pillars',
  )
})

t.test('[VAULT-10] a put tells what is uploaded, and what pillars keep for good', async (t) => {
  const { fleet, ann } = await archive(t, 'told')
  const one = item(fleet, 'a.bin', 80 * bytes)
  const told: { came: number; safe: number | undefined }[] = []
  const progress = (came: number, safe?: number): void => void told.push({ came, safe })
  const work = putBatch(ann, collection, [one], { signal, progress })
  // While two of them are off one copy is not enough.
  for (const board of fleet.boards.slice(1)) board.crash()
  await fleet.time.advance(60_000)
  const last = told.at(-1)
  t.same(last, { came: one.size, safe: 0 })
  Object.assign(fleet.netFaults, { latencyMsMin: 900, latencyMsMax: 1_800 })
  for (const board of fleet.boards.slice(1)) await board.start()
  const [put] = await fleet.time.finish(work, 6 * hour)
  t.equal(put?.outcome, 'stored')
  t.ok(
    told.some(({ safe = 0 }) => safe > 0 && safe < one.size),
    'it grows',
  )
  t.ok(told.every(({ came, safe = 0 }) => safe <= came))
})

t.test('[VAULT-7] and deleted, taken back and replaced', async (t) => {
  const { fleet, ann } = await archive(t, 'changed')
  const one = item(fleet, 'a.bin', 3 * bytes)
  await put(fleet, ann, [one])
  const gone = await fleet.time.finish(
    remove(ann, collection, exact(one), ['tracker'], signal),
    hour,
  )
  t.same(
    gone.map(({ is }) => is),
    ['done'],
  )
  t.notOk(await fetched(fleet, ann, one))
  const back = await fleet.time.finish(
    restore(ann, collection, 'tracker', [exact(one)], signal),
    hour,
  )
  t.same(
    back.map(({ is }) => is),
    ['done'],
  )
  t.ok(await fetched(fleet, ann, one))
  const other = item(fleet, 'b.bin', 2 * bytes)
  const fresh = { ...other, id: 'a.bin' }
  const replaced = await fleet.time.finish(
    replaceFile(ann, collection, one.checksum, fresh, ['tracker'], { signal }),
    hour,
  )
  t.same(
    replaced.map(({ is }) => is),
    ['done'],
  )
  t.ok(await fetched(fleet, ann, fresh))
})

t.test('[VAULT-9] a tracker that lost its disk knows everything again from pillars', async (t) => {
  const { fleet, ann } = await archive(t, 'lost')
  const items = [0, 1, 2, 3].map((n) => item(fleet, `${n}.bin`, n * bytes + n))
  await put(fleet, ann, items)
  const gone = items[3]
  if (!gone) throw new Error('there are four')
  await fleet.time.finish(remove(ann, collection, exact(gone), ['tracker'], signal), hour)
  const before = await fleet.time.finish(survey(ann, collection, {}, signal))
  fleet.tracker.crash()
  fleet.tracker.lose()
  await fleet.tracker.start()
  await fleet.time.advance(5 * 60_000)
  const after = await fleet.time.finish(survey(ann, collection, {}, signal))
  const told = ({ files }: typeof before) =>
    [...files.values()].map(({ id, size, checksum, mtime }) => ({ id, size, checksum, mtime }))
  t.same(
    told(after).sort((a, b) => (a.id < b.id ? -1 : 1)),
    told(before).sort((a, b) => (a.id < b.id ? -1 : 1)),
  )
  for (const one of items.slice(0, 3)) t.ok(await fetched(fleet, ann, one), one.id)
  const again = await put(fleet, ann, [item(fleet, '1.bin', 77)])
  t.same(
    again.map(({ outcome }) => outcome),
    ['duplicate'],
    'other bytes are refused',
  )
})
