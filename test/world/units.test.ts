import fc from 'fast-check'
import t from 'tap'
import {
  formatBytes,
  formatDuration,
  formatRate,
  parseBytes,
  parseDuration,
  parseRate,
} from '../../src/world/units.ts'

t.test('sizes are read as people write them', async (t) => {
  for (const [text, bytes] of [
    ['0', 0],
    ['512', 512],
    ['512B', 512],
    ['1KiB', 1024],
    ['16MiB', 16 * 1024 ** 2],
    ['1GiB', 1024 ** 3],
    ['1.5 GiB', 1.5 * 1024 ** 3],
    [' 2 tib ', 2 * 1024 ** 4],
    ['8TB', 8e12],
    ['1kB', 1000],
    ['', undefined],
    ['GiB', undefined],
    ['-1', undefined],
    ['1,5GiB', undefined],
    ['1e3', undefined],
    ['1GiB/s', undefined],
    ['16Mbit', undefined],
    ['9999999PiB', undefined],
  ] as const) {
    t.equal(parseBytes(text), bytes, text)
  }
})

t.test('durations are read with their unit', async (t) => {
  for (const [text, ms] of [
    ['0', 0],
    ['250ms', 250],
    ['90s', 90_000],
    ['5min', 300_000],
    ['1.5h', 5_400_000],
    ['30d', 30 * 86_400_000],
    ['30', undefined],
    ['30 days', undefined],
    ['5m', undefined],
    ['', undefined],
  ] as const) {
    t.equal(parseDuration(text), ms, text)
  }
})

t.test('rates are read in bits and in bytes', async (t) => {
  for (const [text, rate] of [
    ['6Mbit/s', 750_000],
    ['2MiB/s', 2 * 1024 ** 2],
    ['800 kbit/s', 100_000],
    ['1GB/s', 1e9],
    ['6Mbit', undefined],
    ['6M/s', undefined],
    ['6/s', undefined],
    ['/s', undefined],
  ] as const) {
    t.equal(parseRate(text), rate, text)
  }
})

t.test('amounts are told at a glance', async (t) => {
  t.strictSame(
    [0, 1, 1023, 1024, 1536, 10_445, 1024 ** 2 - 1, 16 * 1024 ** 2, 1024 ** 5 * 2000].map(
      formatBytes,
    ),
    ['0 B', '1 B', '1023 B', '1 KiB', '1.5 KiB', '10 KiB', '1 MiB', '16 MiB', '2000 PiB'],
  )
  t.strictSame(
    [0, 250, 1_000, 1_540, 59_400, 59_600, 60_000, 150_000, 3_599_600].map(formatDuration),
    ['0 ms', '250 ms', '1 s', '1.5 s', '59 s', '1 min', '1 min', '2 min 30 s', '1 h'],
  )
  t.strictSame(
    [3_600_000, 5_400_000, 86_400_000, 90_000_000, 30 * 86_400_000].map(formatDuration),
    ['1 h', '1 h 30 min', '1 d', '1 d 1 h', '30 d'],
  )
  t.strictSame([0, 10, 750_000, 117_500].map(formatRate), [
    '0 bit/s',
    '80 bit/s',
    '6 Mbit/s',
    '940 kbit/s',
  ])
})

t.test('what is told is read again as about the same', async () => {
  const near = (one: number | undefined, two: number) =>
    one !== undefined && Math.abs(one - two) <= two * 0.06 + 1
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e15 }), (amount) => {
      return near(parseBytes(formatBytes(amount)), amount)
    }),
  )
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 1e12 }), (amount) => {
      return near(parseRate(formatRate(amount)), amount)
    }),
  )
})
