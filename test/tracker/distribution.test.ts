// The driver of distributions, over the simulated bus, with small pillars.

import t from 'tap'
import { limits } from '../../src/limits.ts'
import type { Fragment } from '../../src/protocol/fragments.ts'
import { abandonMs } from '../../src/tracker/distribution.ts'
import { offeredAs } from '../../src/tracker/distribution-words.ts'
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
  const name = offeredAs(tracker.world, collection, first?.fragment ?? { hash: '', size: 0 })
  const ask = { peer: 'pillar-1', offset: 0, length: 1, safe: 0 }
  t.same(await at.bench.read({ issuer: 'tracker', name }, ask, forever), { is: 'gone' })
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
  t.ok(took < 60_000, 'although it needs ten minutes and more for its part')
  const asked = (slow?.heard ?? []).flatMap((message) =>
    message.type === 'FragmentDistributionDelivered' && message.from === 'tracker'
      ? message.fragments.flatMap(({ hash, recipients }) =>
          recipients.includes('pillar-1') ? [hash] : [],
        )
      : [],
  )
  t.ok(new Set(asked).size <= limits.fragmentsAskedMax + 64, `${new Set(asked).size} at a time`)
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
  const began = at.time.clock.monotonic()
  await t.rejects(spread(), { message: 'the source can not be read: no such file' })
  t.ok(at.time.clock.monotonic() - began < 60_000, 'nobody else is asked')
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
    await at.time.finish(
      at.view.change([
        { do: 'file', file, slices: [wanted.fragment] },
        { ...hold, fragment: unwanted.fragment },
      ]),
    )
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

t.test('[DIST-7] what is kept for good is never noted as temporary again', async (t) => {
  const at = await arena({ pillars: 2, copies: 2 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const all = some(1)
  const hashes = all.map(({ fragment }) => fragment.hash)
  const file = { collection, checksum: made('file').fragment.hash, size: 1 }
  await at.time.finish(at.view.change([{ do: 'file', file, slices: fragmentsOf(all) }]))
  const pillar = at.pillars.get('pillar-1')
  const of = { conversation: '00000000-0000-7000-8000-000000000001' }
  const stageOf = async () => (await at.view.holders(collection, hashes))[0]
  // The disk of the view takes longer for what was said first.
  at.commitMs.push(500, 1)
  void pillar?.obtained(of, 'temporary', hashes)
  void pillar?.obtained(of, 'persisted', hashes)
  await at.time.advance(2_000)
  t.same(await stageOf(), [{ pillar: 'pillar-1', stage: 'persisted' }])
  void pillar?.obtained(of, 'temporary', hashes)
  await at.time.advance(2_000)
  t.same(await stageOf(), [{ pillar: 'pillar-1', stage: 'persisted' }], 'late')
  await at.time.finish(tracker.stop())
})

t.test(
  '[DIST-7] applications and failures of other distributions, or epochs, are not heard',
  async (t) => {
    const at = await arena({ pillars: 2, copies: 1 })
    const tracker = at.tracker()
    await at.time.advance(1_000)
    const all = some(1)
    const hash = all[0]?.fragment.hash ?? ''
    const pillar = at.pillars.get('pillar-1')
    for (const { manner } of at.pillars.values()) manner.full = true
    const spread = tracker.spread(collection, fragmentsOf(all), sourceOf(all), {
      enough: 1,
      signal: forever,
    })
    await at.time.advance(100)
    const conversation = said(at, 'FragmentDistributionStarted')[0]?.conversation ?? ''
    const other = '00000000-0000-7000-8000-000000000001'
    const apply = (of: string, counter: number) =>
      pillar?.say<'FragmentDistributionRequested'>({
        type: 'FragmentDistributionRequested',
        conversation: of,
        epoch: { counter, tracker: 'tracker' },
        collection,
        fragments: [hash],
        bytesOpen: 1 << 20,
      })
    void apply(other, 1)
    void apply(conversation, 7)
    await at.time.advance(60_000)
    t.equal(said(at, 'FragmentDistributionDelivered').length, 0)
    if (pillar) pillar.manner.missesOrders = true
    void apply(conversation, 1)
    await at.time.advance(31_000)
    const orders = said(at, 'FragmentDistributionDelivered').length
    t.ok(orders > 0)
    void pillar?.say<'FragmentDistributionFailed'>({
      type: 'FragmentDistributionFailed',
      conversation: other,
      collection,
      fragments: [{ hash }],
    })
    if (pillar) pillar.manner.missesOrders = false
    await at.time.advance(31_000)
    t.same(await at.persisted(hash), ['pillar-1'], 'it is still waited for')
    await at.time.finish(spread)
    await at.time.finish(tracker.stop())
  },
)

t.test(
  '[DIST-4] a pillar that fetches slowly is waited for, and nobody is asked beside it',
  async (t) => {
    const at = await arena({ pillars: 3, copies: 1 })
    const tracker = at.tracker()
    await at.time.advance(1_000)
    const all = some(1)
    const source = (wanted: Fragment) => ({
      size: wanted.size,
      async *read(offset: number, length: number): AsyncGenerator<Uint8Array> {
        for await (const bytes of sourceOf(all)(wanted).read(offset, length))
          for (let at = 0; at < bytes.length; at += 50) {
            await tracker.world.clock.sleep(10_000)
            yield bytes.subarray(at, at + 50)
          }
      },
    })
    const began = at.time.clock.monotonic()
    const options = { enough: 1, signal: forever }
    await at.time.finish(tracker.spread(collection, fragmentsOf(all), source, options))
    t.ok(at.time.clock.monotonic() - began > 200_000)
    const orders = said(at, 'FragmentDistributionDelivered')
    t.equal(new Set(orders.map(({ page }) => page)).size, 1)
    await at.time.finish(tracker.stop())
  },
)

t.test('[DIST-4] with a new connection it is said again at once', async (t) => {
  const at = await arena({ pillars: 2, copies: 2 })
  const tracker = at.tracker()
  await at.time.advance(1_000)
  const all = some(1)
  for (const { manner } of at.pillars.values()) manner.missesOrders = true
  const options = { enough: 2, signal: forever }
  const spread = tracker.spread(collection, fragmentsOf(all), sourceOf(all), options)
  await at.time.advance(35_000)
  for (const { manner } of at.pillars.values()) manner.missesOrders = false
  const before = said(at, 'FragmentDistributionDelivered').length
  at.broker.restart()
  await at.time.advance(3_000)
  t.ok(said(at, 'FragmentDistributionDelivered').length > before)
  await at.time.finish(spread, 3_000)
  await at.time.finish(tracker.stop())
})

t.test('[DIST-11] who wants more of the same waits for more', async (t) => {
  for (const laterMs of [0, 500]) {
    const at = await arena({ pillars: 2, copies: 2 })
    const tracker = at.tracker()
    await at.time.advance(1_000)
    const all = some(1)
    const slow = at.pillars.get('pillar-2')
    if (slow) slow.manner.slowMs = 15_000
    const hash = all[0]?.fragment.hash ?? ''
    const first = tracker.spread(collection, fragmentsOf(all), sourceOf(all), {
      enough: 1,
      signal: forever,
    })
    if (laterMs > 0) await at.time.advance(laterMs)
    const second = tracker.spread(collection, fragmentsOf(all), sourceOf(all), {
      enough: 2,
      signal: forever,
    })
    await at.time.finish(second)
    t.equal((await at.persisted(hash)).length, 2)
    await first
    await at.time.finish(tracker.stop())
  }
})

t.test(
  '[DIST-13] what nobody has needed for a week is given up, if it is only temporary',
  async (t) => {
    const at = await arena({ pillars: 2, copies: 2 })
    const tracker = at.tracker()
    await at.time.advance(1_000)
    const [old, young, kept] = [made('old'), made('young'), made('kept')]
    const hashes = fragmentsOf([old, young, kept]).map(({ hash }) => hash)
    const now = tracker.world.clock.now()
    for (const [n, { fragment }] of [old, young, kept].entries()) {
      const file = { collection, checksum: made(`file ${n}`).fragment.hash, size: 1 }
      const since = now - (n === 1 ? 1_000 : abandonMs + 1_000)
      const unfile = { do: 'unfile', file, at: since } as const
      await at.time.finish(at.view.change([{ do: 'file', file, slices: [fragment] }, unfile]))
    }
    const pillar = at.pillars.get('pillar-1')
    for (const hash of hashes) pillar?.held.set(hash, 'temporary')
    pillar?.held.set(hashes[2] ?? '', 'persisted')
    void pillar?.obtained(
      { conversation: '00000000-0000-7000-8000-000000000001' },
      'temporary',
      hashes,
    )
    await at.time.advance(1_000)
    t.same([...(pillar?.held.keys() ?? [])], hashes.slice(1))
    await at.time.finish(tracker.stop())
  },
)
