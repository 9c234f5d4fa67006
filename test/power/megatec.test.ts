// The frames of the Megatec protocol; where each comes from is in firmware-notes/ups-megatec.md.

import fc from 'fast-check'
import t from 'tap'
import { cutOrder, faultOf, parseStatus, readingOf } from '../../src/power/megatec.ts'

const mains = '(226.0 195.0 226.0 014 49.0 27.5 30.0 00001000'

t.test('[PWR-2] answers as they are printed in the sources', async (t) => {
  t.same(parseStatus(mains), {
    ...{ inputVolts: 226, faultVolts: 195, outputVolts: 226, load: 14, hertz: 49 },
    ...{ batteryVolts: 27.5, celsius: 30, utilityFail: false, batteryLow: false, bypass: false },
    ...{ failed: false, standby: true, testing: false, shutdown: false },
  })
  t.match(parseStatus('(208.4 140.0 208.4 034 59.9 2.05 35.0 00110000'), {
    ...{ batteryVolts: 2.05, bypass: true, failed: true, standby: false },
  })
  t.match(parseStatus('(209.7 209.7 219.7 020 50.0 41.8 23.3 00000001'), { utilityFail: false })
  const cut = parseStatus('(002.9 000.0 000.0 000 00.0 2.02 21.0 10000001')
  t.match(cut, { utilityFail: true, inputVolts: 2.9, shutdown: false })
  t.match(cut && readingOf(cut), { supply: 'battery', low: false, batteryVolts: 2.02 })
})

t.test('each bit of the status means what it says', async (t) => {
  const bits: [string, object][] = [
    ['10000000', { supply: 'battery', low: false, ending: false }],
    ['11000000', { supply: 'battery', low: true, ending: false }],
    ['00000010', { supply: 'mains', ending: true }],
    ['00010000', { supply: 'mains', text: 'the UPS has failed its own test' }],
    ['00000100', { supply: 'mains', text: 'the UPS tests its battery' }],
    ['00101001', { supply: 'mains', low: false, ending: false }],
  ]
  for (const [word, reading] of bits) {
    const status = parseStatus(`(226.0 195.0 226.0 014 49.0 27.5 30.0 ${word}`)
    t.match(status && readingOf(status), reading, word)
  }
})

t.test('what a device has no sensor for is absent', async (t) => {
  const status = parseStatus('(230.1 230.1 230.1 012 50.0 ---.- --.- 00001001')
  t.match(status, { batteryVolts: undefined, celsius: undefined, utilityFail: false })
  t.notOk('batteryVolts' in (status ? readingOf(status) : { batteryVolts: 0 }))
})

t.test('[PWR-2] what is not exactly an answer is none', async (t) => {
  const wrong = [
    '',
    'Q1',
    '#220.0 000 024.0 50.0',
    '(NAK',
    mains.slice(0, -1),
    mains.slice(1),
    `${mains}0`,
    mains.slice(0, 20) + mains,
    mains.replace('00001000', '00002000'),
    mains.replace('226.0 ', ''),
    mains.replace('226.0', '226,0'),
    '(234.9 50.0 229.8 50.0 000.0 000 369.1 ---.- 026.5 ---.- 018.8 100000000001',
    '\u00f8\u0080\u0078\u00ff',
  ]
  for (const one of wrong) {
    t.equal(parseStatus(one), undefined, JSON.stringify(one))
    t.match(faultOf(one), /^[a-z]/)
  }
  t.match(faultOf('Q1'), /does not know the question/)
  t.match(faultOf('\u00f8\u0080'), /speed/)
})

t.test('[PWR-2] a device that contradicts itself says nothing of mains', async (t) => {
  const status = parseStatus('(002.9 000.0 220.0 014 00.0 24.0 30.0 00001000')
  t.match(status && readingOf(status), { supply: 'unknown', text: /2\.9 V/ })
})

t.test('[PWR-2] no beginning, end, or mixture of answers is one', async () => {
  const volts = fc.integer({ min: 0, max: 9_999 }).map((n) => (n / 10).toFixed(1).padStart(5, '0'))
  const bits = fc.integer({ min: 0, max: 255 }).map((n) => n.toString(2).padStart(8, '0'))
  const answer = fc
    .tuple(volts, volts, bits)
    .map(([one, two, word]) => `(${one} ${two} 220.0 014 50.0 27.5 30.0 ${word}`)
  fc.assert(
    fc.property(answer, fc.nat(45), answer, (one, cut, two) => {
      if (parseStatus(one) === undefined) return false
      const half = one.slice(0, cut)
      return (
        parseStatus(half) === undefined &&
        (cut === 0 || parseStatus(half + two) === undefined) &&
        (cut === 0 || parseStatus(one.slice(cut)) === undefined)
      )
    }),
    { numRuns: 300, seed: 1 },
  )
})

t.test('[PWR-12] the order to cut, as it is printed in the sources', async (t) => {
  t.equal(cutOrder(12_000), 'S.2R0003\r')
  t.equal(cutOrder(54_000), 'S.9R0003\r')
  t.equal(cutOrder(55_000), 'S01R0003\r', 'never sooner than it was said')
  t.equal(cutOrder(3 * 60_000), 'S03R0003\r')
  t.equal(cutOrder(10 * 60_000), 'S10R0003\r')
  for (const wrong of [0, 11_999, 600_001, Number.NaN]) t.throws(() => cutOrder(wrong), RangeError)
})
