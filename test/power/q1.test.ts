// A UPS on a line that may be bad: never a word of good power that was not said, and said just now.

import t, { type Test } from 'tap'
import { q1Power } from '../../src/power/q1.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simSerial } from '../../src/sim/serial.ts'
import { type Manners, simUps } from '../../src/sim/ups.ts'

const path = '/dev/serial/by-id/usb-ups'
const { signal } = new AbortController()

function bench(t: Test) {
  const time = simClock()
  const serial = simSerial()
  const ups = simUps(time.clock)
  serial.plug(path, ups.device)
  const power = q1Power({ clock: time.clock }, serial, { path })
  t.teardown(() => power.close())
  return { time, serial, ups, power, read: () => time.finish(power.read(signal)) }
}

t.test('mains, battery, low, and back', async (t) => {
  const { ups, read } = bench(t)
  t.match(await read(), { supply: 'mains', low: false, inputVolts: 230.1 })
  ups.mains = false
  t.match(await read(), { supply: 'battery', low: false, inputVolts: 0 })
  ups.low = true
  t.match(await read(), { supply: 'battery', low: true })
  Object.assign(ups, { mains: true, low: false })
  t.match(await read(), { supply: 'mains', low: false })
})

t.test('[PWR-2] whatever a bad line says, it is unknown, and well again afterwards', async (t) => {
  const all: [Manners, RegExp][] = [
    ['silent', /no answer/],
    ['noise', /speed/],
    ['half', /half an answer/],
    ['late', /no answer/],
    ['echo', /does not know/],
    ['other', /another question/],
    ['twice', /more answers/],
    ['chatter', /without being asked|more answers/],
  ]
  for (const [manners, why] of all) {
    const { ups, read, time } = bench(t)
    t.equal((await read()).supply, 'mains')
    ups.manners = manners
    for (let n = 0; n < 4; n++) {
      await time.advance(5_000)
      const found = await read()
      t.match(found, { supply: 'unknown', text: why }, `${manners}: ${JSON.stringify(found)}`)
    }
    Object.assign(ups, { manners: 'good', mains: false })
    const times: string[] = []
    for (let n = 0; n < 2; n++) {
      times.push((await read()).supply)
      await time.advance(5_000)
    }
    t.notOk(times.includes('mains'), `${manners}: no answer of before is taken for one of now`)
    t.equal(times.at(-1), 'battery', manners)
  }
})

t.test('[PWR-2] late by one question: what was true then is not taken for now', async (t) => {
  const { ups, read } = bench(t)
  t.equal((await read()).supply, 'mains')
  ups.manners = 'late'
  t.equal((await read()).supply, 'unknown')
  // The answer "mains" is still on its way when they go.
  Object.assign(ups, { mains: false, manners: 'good' })
  t.equal((await read()).supply, 'battery')
  // Nor when it is all that comes.
  Object.assign(ups, { mains: true, manners: 'late' })
  t.equal((await read()).supply, 'unknown')
  Object.assign(ups, { mains: false, manners: 'silent' })
  t.equal((await read()).supply, 'unknown')
})

t.test('[PWR-3] a grave word is asked for again at once', async (t) => {
  const { ups, read, serial } = bench(t)
  await read()
  const before = ups.asked
  Object.assign(ups, { mains: false, low: true })
  t.match(await read(), { supply: 'battery', low: true })
  t.equal(ups.asked, before + 2)
  // One flipped bit in one answer.
  serial.plug(path, (end) => {
    let n = 0
    return () => end.send(`(230.1 230.1 230.1 012 50.0 27.3 25.0 0${n++ === 0 ? 1 : 0}001001\r`)
  })
  t.match(await read(), { supply: 'unknown', text: /contradict/ })
  t.match(await read(), { supply: 'mains', low: false })
})

t.test('[PWR-4] pulled and put in again, it is found by its name', async (t) => {
  const { ups, read, serial } = bench(t)
  await read()
  serial.pull(path)
  t.match(await read(), { supply: 'unknown' })
  t.match(await read(), { supply: 'unknown', text: /no such device/ })
  serial.plug(path, ups.device)
  t.match(await read(), { supply: 'mains' })
})

t.test('a look that is given up leaves nothing behind for the next', async (t) => {
  const { ups, power, time, read } = bench(t)
  ups.manners = 'silent'
  const stop = new AbortController()
  const looking = power.read(stop.signal)
  await time.advance(100)
  stop.abort()
  t.match(await time.finish(looking), { supply: 'unknown' })
  ups.manners = 'good'
  t.match(await read(), { supply: 'mains' })
})
