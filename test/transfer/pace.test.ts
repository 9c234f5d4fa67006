// The link that is not to be filled.

import fc from 'fast-check'
import t from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { pacedDial, paceOf } from '../../src/transfer/pace.ts'
import type { Dial, Urgency } from '../../src/transfer/transfer.ts'

t.test(
  '[XFER-9] never more passes than the limit allows, and never less while somebody wants it',
  async (t) => {
    const rates = fc.integer({ min: 1_000, max: 10_000_000 })
    const parts = fc.array(fc.integer({ min: 1, max: 4_000 }), { minLength: 2, maxLength: 40 })
    const property = fc.asyncProperty(rates, parts, async (rate, sizes) => {
      const time = simClock()
      const pace = paceOf(time.clock, rate)
      const all = sizes.map((bytes) => pace.pass(bytes, 'store'))
      await time.finish(Promise.all(all))
      const before = sizes.slice(0, -1).reduce((sum, bytes) => sum + bytes, 0)
      // The last one passes when what was before it has had its time.
      return Math.abs(time.clock.monotonic() - (before / rate) * 1000) < 1e-6 * before + 1
    })
    await t.resolves(fc.assert(property, { numRuns: 100 }))
  },
)

t.test('[XFER-9] who waits for bytes of his own comes first, and nobody is starved', async (t) => {
  const time = simClock()
  const pace = paceOf(time.clock, 1_000)
  const passed: Record<Urgency, number> = { restore: 0, store: 0, mend: 0 }
  const longest: Record<Urgency, number> = { restore: 0, store: 0, mend: 0 }
  const stop = new AbortController()
  const want = async (urgency: Urgency): Promise<void> => {
    let last = time.clock.monotonic()
    for (;;) {
      await pace.pass(250, urgency, stop.signal)
      if (stop.signal.aborted) return
      passed[urgency] += 250
      longest[urgency] = Math.max(longest[urgency], time.clock.monotonic() - last)
      last = time.clock.monotonic()
    }
  }
  const all = [want('mend'), want('store'), want('restore')]
  await time.run(210_000)
  const { restore, store, mend } = passed
  t.ok(restore > 3.5 * store && restore < 4.5 * store, `restore ${restore}, store ${store}`)
  t.ok(store > 3.5 * mend && store < 4.5 * mend, `store ${store}, mend ${mend}`)
  t.ok(
    longest.mend < 10_000,
    `mending waited ${longest.mend} ms at most: no connection is cut for it`,
  )
  const total = restore + store + mend
  t.ok(total > 209_000 && total <= 210_250, `${total} bytes in 210 s`)
  stop.abort()
  await time.finish(Promise.all(all))
})

t.test('who comes back after a pause has no claim on what others had meanwhile', async (t) => {
  const time = simClock()
  const pace = paceOf(time.clock, 1_000)
  for (let n = 0; n < 100; n++) await time.finish(pace.pass(250, 'mend'))
  const order: Urgency[] = []
  const want = (urgency: Urgency): Promise<unknown> =>
    pace.pass(250, urgency).then(() => order.push(urgency))
  const all = [...Array(20)].flatMap(() => [want('store'), want('mend')])
  await time.finish(Promise.all(all))
  const early = order.slice(0, 12).filter((one) => one === 'mend').length
  t.ok(early === 2, `of the first 12 are mended ${early}`)
})

t.test('who gives up does not take a turn', async (t) => {
  const time = simClock()
  const pace = paceOf(time.clock, 1_000)
  const stop = new AbortController()
  void pace.pass(1_000, 'store')
  const given = pace.pass(1_000_000, 'store', stop.signal)
  const last = pace.pass(1, 'store')
  stop.abort()
  await given
  await time.finish(last)
  t.equal(time.clock.monotonic(), 1_000)
})

t.test(
  '[XFER-9] both directions of what counts are slow, and whole; what is near is not',
  async (t) => {
    const time = simClock()
    const bytes = new Uint8Array(4_000).map((_, n) => n)
    let sent: number[] = []
    async function* body(): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 3_999)
      yield bytes.subarray(3_999)
    }
    const dial: Dial = async (_, request) => {
      for await (const part of request.body ?? []) sent.push(...part)
      return { status: 200, headers: {}, body: body() }
    }
    const slow = pacedDial(dial, paceOf(time.clock, 1_000), ({ identity }) => identity === 'relay')
    const call = async (identity: string): Promise<void> => {
      sent = []
      const request = { method: 'PATCH', path: '/x', headers: {}, body: body() } as const
      const response = await slow({ identity, url: '' }, request, { connectMs: 1, idleMs: 1 })
      const got: number[] = []
      for await (const part of response.body ?? []) got.push(...part)
      t.strictSame([sent, got], [[...bytes], [...bytes]])
    }
    await time.finish(call('laptop'))
    t.equal(time.clock.monotonic(), 0)
    await time.finish(call('relay'))
    const ms = time.clock.monotonic()
    t.ok(ms > 6_900 && ms <= 8_000, `8 000 bytes at 1 000 a second took ${ms} ms`)
  },
)
