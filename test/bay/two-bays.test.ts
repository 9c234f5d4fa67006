// A pillar with two disks, each in a bay of one controller: whatever is asked of both, each wakes and sleeps by itself.

import t, { type Test } from 'tap'
import { heardAlarms } from '../../src/client/alarms.ts'
import { getBatch } from '../../src/client/get.ts'
import { statuses } from '../../src/client/list.ts'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import type { FleetOptions } from '../../src/sim/fleet-ground.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { mountedMs, rack } from '../support/rack.ts'

const { signal } = new AbortController()
const [second, minute, hour, day] = [1_000, 60_000, 3_600_000, 24 * 3_600_000]

type Item = PutItem & { readonly bytes: Uint8Array }

/** Two files on each of the disks, both of which sleep. */
async function setting(t: Test, onMax = 2, options: Partial<FleetOptions> = {}) {
  const one = rack(2, onMax)
  const fleet = await startFleet({
    ...{ seed: t.name, pillars: 1, copiesMin: 1, disks: 2 },
    cold: (_, world, disk, slot) => one.disk(slot, world, disk),
    ...options,
  })
  const [board] = fleet.boards
  if (!board) throw new Error('no board')
  const client = await fleet.client('ann')
  const item = (id: string, size = 100_000): Item => memoryItem(fleet.random, fleet, id, size)
  const put = (...items: readonly Item[]) => putBatch(client, 'home', items, { signal })
  const asleep = async (): Promise<void> => {
    for (let n = 0; n < 60 && [0, 1].some((slot) => one.bays()?.hasPower(slot)); n++)
      await fleet.time.advance(30 * second)
    t.same(
      [0, 1].map((slot) => one.bays()?.hasPower(slot)),
      [false, false],
      'both sleep',
    )
  }
  await fleet.time.advance(15 * minute)
  const groups: [Item[], Item[]] = [
    [item('a'), item('b')],
    [item('c'), item('d')],
  ]
  for (const group of groups) {
    await asleep()
    const results = await fleet.time.finish(put(...group))
    t.ok(results.every(({ outcome }) => outcome === 'stored'))
  }
  await fleet.time.advance(minute)
  await asleep()
  const on = (slot: number): string[] =>
    [...(board.volumes[slot]?.disk.snapshot() ?? [])]
      .flatMap(([path]) => /^home\/data\/(.+)$/.exec(path)?.[1] ?? [])
      .sort()
  t.same(
    [on(0), on(1)],
    [
      ['a', 'b'],
      ['c', 'd'],
    ],
    'the second are where more room is',
  )
  /** What was asked for came, and how long the pillar said that it takes. */
  async function get(items: readonly Item[]) {
    const offers: number[] = []
    const line: typeof client.line = {
      ...client.line,
      ask: async (asking) => {
        const result = await client.line.ask(asking)
        for (const party of result.values())
          if (party.at === 'answered' && 'timeToDeliver' in party.answer)
            offers.push(Number(party.answer.timeToDeliver))
        return result
      },
    }
    const landings = items.map(() => memoryLanding(fleet))
    const begun = fleet.time.clock.monotonic()
    const wanted = items.map(({ id, size }, n) => ({ id, size, landing: landings[n] as never }))
    const results = await fleet.time.finish(
      getBatch({ ...client, line }, 'home', wanted, { signal }),
    )
    for (const [n, { outcome }] of results.entries())
      if (outcome === 'fetched') t.same(landings[n]?.bytes(), items[n]?.bytes)
    const took = fleet.time.clock.monotonic() - begun
    return { outcomes: results.map(({ outcome }) => outcome), offer: offers[0] ?? 0, took }
  }
  const starts = () => one.bays()?.changes.filter((change) => change.on) ?? []
  const status = async () =>
    [...(await fleet.time.finish(statuses(client, 'home', signal))).values()][0]
  return { ...one, fleet, board, client, item, put, get, asleep, on, groups, starts, status }
}

t.test('[BAY-3] [BAY-5] both asked for at once: one after the other, and told so', async (t) => {
  const { get, groups, starts, asleep, calls, asked, fleet, status } = await setting(t)
  const woken = starts().length
  const { outcomes, offer, took } = await get(groups.flat())
  t.same(outcomes, ['fetched', 'fetched', 'fetched', 'fetched'])
  const [first, next, ...more] = starts().slice(woken)
  t.same([first?.slot, next?.slot].sort(), [0, 1])
  t.same(more, [], 'each is woken once')
  t.ok((next?.at ?? 0) - (first?.at ?? 0) >= 12 * second, 'at a distance')
  t.ok(took >= mountedMs + 12 * second, `${took} ms`)
  t.ok(offer >= took * 0.8 && offer < took * 2, `${offer} ms were told, it took ${took}`)
  await asleep()
  // What stands on one wakes one, and is told as such.
  const single = await get(groups[1])
  t.same(
    starts()
      .slice(woken + 2)
      .map(({ slot }) => slot),
    [1],
  )
  t.ok(single.offer < offer - 10 * second, `${single.offer} ms`)
  await asleep()
  const [before, said] = [calls.length, asked()]
  for (let n = 0; n < 12; n++) {
    await fleet.time.advance(hour / 12)
    t.match(await status(), { verdict: 'OK', files: 4 })
  }
  t.equal(calls.length - before, 0, '[BAY-4] an hour of questions is not one call of a disk')
  t.equal(asked() - said, 0, 'nor a word to the controller')
})

t.test('[BAY-3] where the supply carries one, each has its turn', async (t) => {
  const { get, groups, starts, bays, fleet, asleep } = await setting(t, 1)
  const woken = starts().length
  let most = 0
  const over = new AbortController()
  const looking = (async () => {
    while (!over.signal.aborted) {
      most = Math.max(most, [0, 1].filter((slot) => bays()?.hasPower(slot)).length)
      await fleet.time.clock.sleep(500, over.signal)
    }
  })()
  const { outcomes, offer, took } = await get(groups.flat())
  t.same(outcomes, ['fetched', 'fetched', 'fetched', 'fetched'])
  t.equal(starts().length - woken, 2, 'one gives way, and is not woken again')
  t.ok(took < 50 * second, `${took} ms: one that nobody asks anything of does not linger`)
  t.ok(offer > took / 2, `${offer} ms were told`)
  over.abort()
  await fleet.time.finish(looking)
  t.equal(most, 1)
  await asleep()
})

t.test('[BAY-5] puts wake one of them, and all that come meanwhile go there', async (t) => {
  const { put, item, starts, fleet, on, asleep } = await setting(t)
  const woken = starts().length
  const puts = Array.from({ length: 6 }, async (_, n) => {
    await fleet.time.clock.sleep(n * 15 * second)
    return put(item(`more-${n}`), item(`also-${n}`))
  })
  for (const results of await fleet.time.finish(Promise.all(puts)))
    t.ok(results.every(({ outcome }) => outcome === 'stored'))
  t.equal(starts().length - woken, 1)
  t.same([on(0).length, on(1).length].sort(), [14, 2].sort())
  await asleep()
})

t.test(
  '[BAY-7] a bay that never comes: the other serves, nothing is written elsewhere',
  async (t) => {
    const all = await setting(t)
    const { get, put, item, broken, fleet, client, on, groups, status, asleep, bays } = all
    broken.add(1)
    const both = get(groups.flat())
    t.same((await both).outcomes, ['fetched', 'fetched', 'failed', 'failed'])
    t.match(await status(), {
      verdict: 'WARNING',
      text: /could not be woken/,
      files: 4,
      volumes: [{ state: 'ready' }, { state: 'failed', text: /its file system did not come/ }],
    })
    const texts: string[] = []
    const hear = async () => {
      for await (const { text } of heardAlarms(client, {}, signal)) texts.push(text)
    }
    await fleet.time.finish(hear())
    t.equal(texts.filter((text) => /did not come/.test(text)).length, 1, `told once: ${texts}`)
    t.match(await fleet.time.finish(put(item('e'))), [{ outcome: 'stored' }])
    t.same(
      [on(0), on(1)],
      [
        ['a', 'b', 'e'],
        ['c', 'd'],
      ],
      'new files go to the one that comes',
    )
    await asleep()
    t.same(bays()?.hasPower(1), false, 'and it is not left on')
    broken.clear()
    t.same((await get(groups.flat())).outcomes, ['fetched', 'fetched', 'fetched', 'fetched'])
    t.match(await status(), { verdict: 'OK', files: 5 })
  },
)

t.test(
  '[BAY-7] [PWR-9] mains fail while both wake: nothing is lost, both are put down',
  async (t) => {
    const all = await setting(t, 2, { power: {} })
    const { board, put, item, fleet, on, bays, get, groups, reset } = all
    const { power } = board
    if (!power) throw new Error('no UPS')
    const powered: boolean[][] = []
    power.onStep = (step) => {
      if (step === 'shutDown') powered.push([0, 1].map((slot) => bays()?.hasPower(slot) ?? true))
    }
    for (const at of [2 * second, mountedMs, mountedMs + 8 * second]) {
      const late = item(`late-${at}`, 2_000_000)
      const working = Promise.all([get(groups[1]), put(late)])
      await fleet.time.advance(at)
      Object.assign(power.ups, { mains: false, low: true })
      await fleet.time.advance(3 * minute)
      t.equal(board.running(), undefined, `stopped, ${at} ms after they were asked for`)
      reset()
      Object.assign(power.ups, { mains: true, low: false })
      await fleet.time.finish(board.start())
      await fleet.time.finish(working)
      const again = await fleet.time.finish(put(late))
      t.equal(again[0]?.outcome, 'stored')
    }
    t.same(powered, [
      [false, false],
      [false, false],
      [false, false],
    ])
    t.same((await get(groups.flat())).outcomes, ['fetched', 'fetched', 'fetched', 'fetched'])
    t.equal(on(0).length + on(1).length, 7)
  },
)

t.test('[BAY-6] all is read again, disk after disk, in a few wakings', async (t) => {
  const { fleet, board, starts, asleep } = await setting(t)
  const [woken, begun] = [starts().length, fleet.time.clock.now()]
  await fleet.time.advance(95 * day)
  for (const { index } of board.volumes) {
    const { files } = await index.list({ collection: 'home', limit: 9 })
    t.equal(files.length, 2)
    for (const { id, provenAt } of files) t.ok(provenAt > begun, `${id} was read`)
  }
  for (const disk of [0, 1]) {
    const times = starts()
      .slice(woken)
      .filter(({ slot }) => slot === disk).length
    t.ok(times <= 14, `${times} times in 95 days`)
  }
  await asleep()
})
