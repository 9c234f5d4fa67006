// Hours in which what can wait may use the link.

import t from 'tap'
import { Cut, type Urgency } from '../../src/transfer/transfer.ts'
import { windowsOf } from '../../src/transfer/windows.ts'
import { parseSpan, type Span } from '../../src/world/units.ts'
import { pattern, patternSink, pulling, rig } from '../exchange/rig.ts'

const hour = 3_600_000
const to = { identity: 'tracker', url: 'https://203.0.113.1:443' }
const spansOf = (...texts: string[]): Span[] => texts.flatMap((text) => parseSpan(text) ?? [])

t.test('[XFER-10] hours are read as people write them', async (t) => {
  t.same(parseSpan('22:00-06:00'), { from: 1320, to: 360 })
  t.same(parseSpan('00:00-24:00'), { from: 0, to: 1440 })
  for (const text of [
    '',
    '22-6',
    '24:00-06:00',
    '22:00-22:00',
    '22:60-23:00',
    '2:00-3:00',
    '22:00-25:00',
  ])
    t.equal(parseSpan(text), undefined, text)
})

t.test(
  '[XFER-10] the next window is known, also over midnight and when the clocks change',
  async (t) => {
    let now = 0
    // An hour ahead of UTC, two from 2026-03-29T01:00Z on: the hour from 2 to 3 is missing in that night.
    const change = Date.parse('2026-03-29T01:00:00Z')
    const windows = (...texts: string[]) =>
      windowsOf({
        spans: spansOf(...texts),
        clock: { now: () => now },
        minutesEast: (at) => (at < change ? 60 : 120),
        earliest: () => Date.parse('2026-01-01T00:00:00Z'),
        counts: ({ identity }) => identity === 'tracker',
      })
    const waitsAt = (time: string, ...texts: string[]): number => {
      now = Date.parse(time)
      return windows(...texts).waitMs(to) / hour
    }
    t.equal(waitsAt('2026-02-01T20:59:30Z', '22:00-06:00'), 30_000 / hour)
    for (const open of ['21:00:00', '23:30:00', '04:59:59'])
      t.equal(waitsAt(`2026-02-01T${open}Z`, '22:00-06:00'), 0, open)
    t.equal(waitsAt('2026-02-01T05:00:00Z', '22:00-06:00'), 16)
    t.equal(waitsAt('2026-02-01T05:00:00Z', '22:00-06:00', '12:00-13:00'), 6)
    t.equal(waitsAt('2026-02-01T05:00:00Z'), 0, 'without windows it is always open')
    t.equal(waitsAt('2026-03-28T20:00:00Z', '03:00-04:00'), 5, 'three o’clock comes an hour sooner')
    t.equal(waitsAt('2026-03-28T20:00:00Z', '02:00-03:00'), 28, 'and two o’clock not at all')
    t.equal(windows('22:00-06:00').waitMs({ ...to, identity: 'ann' }), 0, 'the own network is free')
    t.equal(
      waitsAt('1970-01-01T12:00:00Z', '22:00-06:00'),
      0,
      'by a wrong clock no window is known',
    )
  },
)

t.test(
  '[XFER-10] what can wait waits for hours without failing, and what is fetched does not',
  async (t) => {
    for (const [urgency, hours] of [
      ['store', 13],
      ['mend', 13],
      ['restore', 0],
    ] as const satisfies readonly (readonly [Urgency, number])[]) {
      const ground = await rig()
      const { time } = ground
      const began = time.clock.monotonic()
      // Closed from the middle of the transfer on: it has moved something, and then nothing for hours.
      let page = 0
      const closed: (number | undefined)[] = []
      const windows = {
        waitMs: () => {
          const opens = began + 13 * hour - time.clock.monotonic()
          return page > 0 && opens > 0 ? opens : 0
        },
      }
      const place = patternSink()
      const work = pulling(ground, { peer: 'attic', size: 1_000 }, place.sink, {
        pageBytes: 250,
        urgency,
        windows,
        closedFor: (ms) => void closed.push(ms),
        dial: async (_, { headers }) => {
          // After hours of waiting, one cut more or less means nothing.
          if (++page === 2 || page === 3) throw new Cut('broke')
          const [first = 0, last = 0] = (headers.range ?? '').match(/\d+/g)?.map(Number) ?? []
          const range = { 'content-range': `bytes ${first}-${last}/1000` }
          return { status: 206, headers: range, body: pattern(first, last - first + 1, 70) }
        },
      })
      t.equal(await time.finish(work), 1_000, urgency)
      t.equal(place.written, 1_000)
      t.equal(Math.floor((time.clock.monotonic() - began) / hour), hours, urgency)
      t.equal(
        closed.filter((ms) => ms !== undefined).length > 0,
        hours > 0,
        'what it waits for is told',
      )
      t.equal(closed.at(-1), undefined, 'and that it does not any more')
    }
  },
)

t.test('[XFER-10] who waits for a window can be stopped', async (t) => {
  const ground = await rig()
  const stop = new AbortController()
  const work = pulling(ground, { peer: 'attic', size: 10 }, patternSink().sink, {
    signal: stop.signal,
    windows: { waitMs: () => hour },
    dial: async () => {
      throw new Error('it dialled')
    },
  })
  const rejected = t.rejects(work, /stopped/)
  await ground.time.run(5_000)
  stop.abort()
  await ground.time.finish(rejected)
})
