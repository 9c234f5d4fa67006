// A collection in fragments: whole fleets in which everything fails, and named stories of what is hard.

import t from 'tap'
import { getBatch } from '../../src/client/get.ts'
import { listPillar } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { chaos } from '../../src/sim/chaos.ts'
import { checkPieces, isScarce } from '../../src/sim/chaos-pieces.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { apart } from './apart.ts'

const { signal } = new AbortController()
const seeds = Number(process.env.PIECES_SEEDS ?? 20)
const hour = 3_600_000

t.test('what was acknowledged has its copies, and every put ends, whatever fails', async (t) => {
  const sum = {
    ...{ stored: 0, refused: 0, failed: 0, fetched: 0, crashes: 0, trimmed: 0 },
    virtualMs: 0,
  }
  const options = Array.from({ length: seeds }, (_, n) => ({
    ...{ seed: n + 1, operations: 5, pieces: true },
    severity: n % 4 === 3 ? 1 : 0.5,
    churn: n % 5 === 2,
  }))
  // A broken invariant rejects with the seed and the last lines of every log.
  for (const report of await apart(options)) {
    for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += report[name]
  }
  t.comment(
    `${seeds} seeds, ${Math.round(sum.virtualMs / hour)} simulated hours: ${sum.stored} files acknowledged, ` +
      `${sum.fetched} fetched, ${sum.refused} refused, ${sum.failed} said to have failed, ${sum.crashes} power cuts, ${sum.trimmed} copies trimmed, 0 lost`,
  )
  t.ok(sum.stored > seeds * 3)
  t.ok(sum.fetched > seeds / 2)
  t.ok(sum.crashes > seeds / 2)
  t.ok(sum.trimmed > seeds / 4)
})

t.test('the same seed replays bit for bit', async (t) => {
  const once = await chaos({ seed: 7, operations: 5, severity: 1, pieces: true })
  t.same(await chaos({ seed: 7, operations: 5, severity: 1, pieces: true }), once)
})

async function setting(seed: string, pillars = 5) {
  const fleet = await startFleet({
    ...{ seed, pillars, copiesMin: 2 },
    fragments: { bytes: 65_536, copies: 2 },
  })
  const client = await fleet.client('ann')
  await fleet.time.advance(30_000)
  const items = [0, 1, 65_536, 65_537, 400_000].map((size) =>
    memoryItem(fleet.random, fleet, `photos/${size} bytes.jpg`, size),
  )
  const put = () => fleet.time.finish(putBatch(client, 'pieces', items, { signal }), 6 * hour)
  return { fleet, client, items, put }
}
const promisedOf = (items: readonly { id: string; bytes: Uint8Array; checksum: string }[]) =>
  new Map(items.map((item) => [item.id, item]))

t.test('a put is acknowledged when pillars have it, and comes back from them', async (t) => {
  const { fleet, client, items, put } = await setting('calm')
  t.same(
    (await put()).map(({ outcome }) => outcome),
    items.map(() => 'stored'),
  )
  await fleet.time.advance(60_000)
  t.equal(await isScarce(fleet), false)
  await checkPieces(fleet, client, promisedOf(items))
  t.same(
    (await put()).map(({ known }) => known),
    items.map(() => true),
    'said again, nothing is sent',
  )
  const landing = memoryLanding(fleet)
  const range = { id: '', offset: 65_530, length: 131_100, landing }
  const [big] = items.slice(-1)
  const [got] = await fleet.time.finish(
    getBatch(client, 'pieces', [{ ...range, id: big?.id ?? '' }], { signal }),
  )
  t.equal(got?.outcome, 'fetched')
  t.same(landing.bytes(), big?.bytes.slice(65_530, 65_530 + 131_100))
})

const listed = async (fleet: Fleet, client: Awaited<ReturnType<Fleet['client']>>) => {
  const found: [string, number, number][] = []
  const pages = listPillar(client, 'pieces', 'tracker', {}, signal)
  await fleet.time.finish(
    (async () => {
      for await (const { id, size, mtime } of pages) found.push([id, size, mtime])
    })(),
  )
  return found.sort()
}

t.test('a tracker that lost its disk has names, sizes, times and contents back', async (t) => {
  const { fleet, client, items, put } = await setting('lost disk')
  await put()
  await fleet.time.advance(60_000)
  const before = await listed(fleet, client)
  t.equal(before.length, items.length)
  fleet.tracker.crash()
  fleet.tracker.lose()
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(10 * 60_000)
  t.same(await listed(fleet, client), before)
  await checkPieces(fleet, client, promisedOf(items))
})
