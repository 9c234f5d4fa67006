// The driver of distributions, over the simulated bus, with small pillars.

import t from 'tap'
import { limits } from '../../src/limits.ts'
import type { Fragment } from '../../src/protocol/fragments.ts'
import { type Arena, arena, collection, type Made, made, sourceOf } from './kit.ts'

const forever = new AbortController().signal
const fragmentsOf = (all: readonly Made[]): Fragment[] => all.map(({ fragment }) => fragment)
const some = (count: number): Made[] =>
  Array.from({ length: count }, (_, n) => made(`fragment ${n} `))
const said = (at: Arena, type: string) =>
  at.pillars.get('pillar-1')?.heard.filter((one) => one.type === type) ?? []

t.test('[DIST-1] each fragment comes to its copies, an info text to one more', async (t) => {
  const at = await arena({ pillars: 5, copies: 2 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const all = [...some(200), made('this file is ', 'info')]
  const began = at.time.clock.monotonic()
  await at.time.finish(
    tracker.spread(collection, fragmentsOf(all), sourceOf(all), { enough: 2, signal: forever }),
  )
  t.comment(`${at.time.clock.monotonic() - began} ms`)
  t.ok(at.time.clock.monotonic() - began < 10_000)
  await at.time.advance(60_000)
  for (const { fragment } of all) {
    const holders = await at.persisted(fragment.hash)
    t.equal(holders.length, fragment.kind === 'info' ? 3 : 2)
    for (const name of holders) t.equal(at.pillars.get(name)?.held.get(fragment.hash), 'persisted')
  }
  for (const message of at.pillars.get('pillar-1')?.heard ?? [])
    t.ok(JSON.stringify(message).length < limits.messageBytesMax - 1_000)
  t.same(at.scarce, [])
  const quiet = at.broker.counters.published
  await at.time.advance(600_000)
  t.equal(at.broker.counters.published, quiet, 'then nothing more is said')
  const [first] = all
  const read = await at.bench.read(
    { issuer: 'tracker', name: 'x' },
    { peer: 'pillar-1', offset: 0, length: 1, safe: 0 },
    forever,
  )
  t.ok(first && read.is === 'gone')
  await at.time.finish(tracker.stop())
})

t.test(
  '[DIST-7] every message lost, doubled, late or overtaken: all copies come all the same',
  async (t) => {
    for (let seed = 0; seed < 12; seed++) {
      const faults = { lost: 0.2, duplicated: 0.2, delayed: 0.1, reordered: 0.2, delayMsMax: 3_000 }
      const at = await arena({ pillars: 4, copies: 3, seed: `lossy ${seed}`, faults })
      const tracker = at.tracker()
      const all = some(10)
      await at.time.finish(
        tracker.spread(collection, fragmentsOf(all), sourceOf(all), { enough: 3, signal: forever }),
      )
      for (const { fragment } of all) {
        const holders = await at.persisted(fragment.hash)
        t.ok(holders.length >= 3)
        for (const name of holders)
          t.equal(at.pillars.get(name)?.held.get(fragment.hash), 'persisted')
      }
      await at.time.finish(tracker.stop())
    }
  },
)

t.test('[DIST-3] nobody has room, or all fail: it is said who and why', async (t) => {
  const at = await arena({ pillars: 3 })
  const tracker = at.tracker()
  const all = some(2)
  const manners = [...at.pillars.values()].map(({ manner }) => manner)
  const [a, b, c] = manners
  if (!a || !b || !c) return t.fail()
  a.full = true
  b.deaf = true
  at.absent.add('pillar-2')
  c.fails = 'the disk is broken'
  const began = at.time.clock.monotonic()
  await t.rejects(
    at.time.finish(
      tracker.spread(collection, fragmentsOf(all), sourceOf(all), { enough: 2, signal: forever }),
    ),
    {
      message:
        '2 of 2 fragments did not get enough copies: pillar-2 did not answer; pillar-1 did not apply, being full or not chosen; pillar-3 failed (the disk is broken)',
    },
  )
  t.ok(at.time.clock.monotonic() - began < 11 * 60_000)
  for (const one of manners) Object.assign(one, { full: false, deaf: false, fails: undefined })
  at.absent.clear()
  for (const one of manners) delete one.fails
  await at.time.finish(
    tracker.spread(collection, fragmentsOf(all), sourceOf(all), { enough: 2, signal: forever }),
  )
  t.same((await at.persisted(all[0]?.fragment.hash ?? '')).length, 2, 'whoever asks again goes on')
  await at.time.finish(tracker.stop())
})

t.test('[DIST-8] the tracker restarts at any moment', async (t) => {
  for (let ms = 1; ms < 40; ms += 3) {
    const at = await arena({ pillars: 3, seed: `restart ${ms}` })
    for (const { manner } of at.pillars.values()) manner.slowMs = 5
    let tracker = at.tracker()
    const all = some(3)
    await at.time.advance(100)
    const spread = () =>
      tracker.spread(collection, fragmentsOf(all), sourceOf(all), { enough: 2, signal: forever })
    const first = spread().catch(() => 'stopped')
    await at.time.advance(ms)
    await at.time.finish(tracker.stop())
    await first
    tracker = at.tracker()
    await at.time.finish(spread())
    for (const { fragment } of all)
      t.equal((await at.persisted(fragment.hash)).length, 2, `${ms} ms`)
    await at.time.finish(tracker.stop())
  }
})

t.test('[DIST-9] a slow pillar does not hold up the rest', async (t) => {
  const at = await arena({ pillars: 4, copies: 2 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const slow = at.pillars.get('pillar-1')
  if (slow) slow.manner.slowMs = 5_000
  const all = some(640)
  const began = at.time.clock.monotonic()
  await at.time.finish(
    tracker.spread(collection, fragmentsOf(all), sourceOf(all), { enough: 1, signal: forever }),
  )
  const took = at.time.clock.monotonic() - began
  t.comment(`${took} ms`)
  t.ok(took < (640 * 5_000) / 4, 'in less time than it needs for its part')
  await at.time.finish(tracker.stop())
})

t.test('[DIST-11] the same fragment, wanted twice at once, is distributed once', async (t) => {
  const at = await arena({ pillars: 3 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const all = some(3)
  const options = { enough: 2, signal: forever }
  const twice = [...fragmentsOf(all), ...fragmentsOf(all)]
  await at.time.finish(
    Promise.all([
      tracker.spread(collection, twice, sourceOf(all), { enough: 1, signal: forever }),
      tracker.spread(collection, fragmentsOf(all), sourceOf(all), options),
    ]),
  )
  t.equal(
    new Set(said(at, 'FragmentDistributionStarted').map(({ conversation }) => conversation)).size,
    1,
  )
  await at.time.finish(tracker.spread(collection, fragmentsOf(all), sourceOf(all), options))
  t.equal(
    said(at, 'FragmentDistributionStarted').length,
    1,
    'what is there is not distributed again',
  )
  await at.time.finish(tracker.stop())
})

t.test(
  '[DIST-11] when one gives up, another that wants the same goes on with its own source',
  async (t) => {
    const at = await arena({ pillars: 3 })
    const tracker = at.tracker()
    await at.time.advance(1_000)
    const all = some(1)
    for (const { manner } of at.pillars.values()) manner.slowMs = 1_000
    const giveUp = new AbortController()
    const first = tracker.spread(collection, fragmentsOf(all), sourceOf(all), {
      enough: 2,
      signal: giveUp.signal,
    })
    const second = tracker.spread(collection, fragmentsOf(all), sourceOf(all), {
      enough: 2,
      signal: forever,
    })
    const rejected = t.rejects(first, { message: 'stopped' })
    await at.time.advance(500)
    giveUp.abort()
    await rejected
    await at.time.finish(second)
    t.equal((await at.persisted(all[0]?.fragment.hash ?? '')).length, 2)
    await at.time.finish(tracker.stop())
  },
)

t.test('[DIST-12] a source that is gone ends it; what is there is kept', async (t) => {
  const at = await arena({ pillars: 3, copies: 2 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const all = some(1)
  let readsLeft = 0
  const source = (wanted: Fragment) => ({
    size: wanted.size,
    async *read(offset: number, length: number): AsyncGenerator<Uint8Array> {
      if (readsLeft-- <= 0) throw new Error('no such file')
      yield* sourceOf(all)(wanted).read(offset, length)
    },
  })
  const spread = () =>
    at.time.finish(
      tracker.spread(collection, fragmentsOf(all), source, { enough: 1, signal: forever }),
    )
  await t.rejects(spread(), { message: 'the source can not be read: no such file' })
  t.same(at.scarce, [], 'who wanted it knows')
  readsLeft = 1
  await spread()
  await at.time.advance(120_000)
  t.equal((await at.persisted(all[0]?.fragment.hash ?? '')).length, 1)
  t.same(at.scarce, [collection], 'the keeper goes on')
  await at.time.finish(tracker.stop())
})

t.test(
  '[DIST-13] what a pillar has for the time being since long ago is kept, when it is wanted',
  async (t) => {
    const at = await arena({ pillars: 3, copies: 2 })
    const tracker = at.tracker()
    await at.time.advance(1_000)
    const [wanted, unwanted, unknown] = [made('wanted'), made('unwanted'), made('unknown')]
    const file = { collection, checksum: wanted.fragment.hash, size: wanted.fragment.size }
    const hold = { do: 'hold', collection, pillar: 'pillar-3', stage: 'persisted' } as const
    await at.view.change([
      { do: 'file', file, slices: [wanted.fragment] },
      { ...hold, fragment: unwanted.fragment },
    ])
    const pillar = at.pillars.get('pillar-1')
    for (const { fragment } of [wanted, unwanted, unknown])
      pillar?.held.set(fragment.hash, 'temporary')
    void pillar?.obtained(
      { conversation: '00000000-0000-7000-8000-000000000001' },
      'temporary',
      fragmentsOf([wanted, unwanted, unknown]).map(({ hash }) => hash),
    )
    await at.time.advance(1_000)
    t.same([...(pillar?.held.values() ?? [])], ['persisted', 'temporary', 'temporary'])
    t.same(await at.persisted(wanted.fragment.hash), ['pillar-1'])
    t.equal(
      await at.view.fragment(collection, unknown.fragment.hash),
      undefined,
      'it is not made up',
    )
    at.gone.add('pillar-2')
    const stranger = at.pillars.get('pillar-2')
    void stranger?.obtained({ conversation: '00000000-0000-7000-8000-000000000002' }, 'persisted', [
      wanted.fragment.hash,
    ])
    await at.time.advance(1_000)
    t.same(
      await at.persisted(wanted.fragment.hash),
      ['pillar-1'],
      'one that is not registered does not count',
    )
    await at.time.finish(tracker.stop())
  },
)

t.test('[DIST-5] a broker that forgets everything stops nothing', async (t) => {
  const at = await arena({ pillars: 3, copies: 2 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const all = some(5)
  const spread = tracker.spread(collection, fragmentsOf(all), sourceOf(all), {
    enough: 2,
    signal: forever,
  })
  for (let n = 0; n < 6; n++) {
    await at.time.advance(7)
    at.broker.wipe(200)
  }
  await at.time.finish(spread, 120_000)
  for (const { fragment } of all) t.equal((await at.persisted(fragment.hash)).length, 2)
  await at.time.finish(tracker.stop())
})
