// What is done on which power: readings in, modes and plans out.

import t from 'tap'
import {
  finishing,
  firstState,
  observe,
  type PowerLimits,
  type PowerState,
  planOf,
} from '../../src/power/policy.ts'
import { fullPlan, type Reading, unknownReading } from '../../src/power/power.ts'

const second = 1_000
const minute = 60 * second
const limits: PowerLimits = {
  steadyMs: minute,
  batteryMs: 10 * minute,
  chargeMin: 30,
  runtimeMsMin: 3 * minute,
  finishMs: minute,
  silentMs: minute,
}
const mains: Reading = { supply: 'mains', low: false, ending: false }
const battery: Reading = { supply: 'battery', low: false, ending: false }
const silence = unknownReading('no answer')

/** A power that is looked at every 5 s. */
function course(options: Partial<PowerLimits> = {}) {
  const all = { ...limits, ...options }
  let now = 0
  let state: PowerState = firstState(now)
  /** It is seen 5 s later, and goes on for so long. */
  const see = (reading: Reading, ms = 0): string => {
    const end = now + 5 * second + ms
    while (now < end) {
      now += 5 * second
      state = observe(state, reading, now, all)
    }
    return state.mode
  }
  return {
    see,
    plan: () => planOf(state, all),
    state: () => state,
    /** How long it takes until the mode is so, milliseconds. */
    untilMode(mode: string, reading: (ms: number) => Reading, limitMs = 60 * minute): number {
      for (let ms = 0; ms <= limitMs; ms += 5 * second) if (see(reading(ms)) === mode) return ms
      return Number.POSITIVE_INFINITY
    },
  }
}

t.test('[PWR-1] what is done on which power', async (t) => {
  const { see, plan } = course()
  t.equal(see(mains), 'mains')
  t.same(plan(), fullPlan)
  t.equal(see(battery, 10 * second), 'battery')
  t.match(plan(), { refusal: /battery/, writes: true, background: false, stop: false })
  t.equal(plan().finishMs, minute)
  const low = { ...battery, low: true }
  t.equal(see(low, 5 * second), 'ending')
  t.match(plan(), { refusal: /ends/, finishMs: 0, stop: true })
})

t.test('[PWR-6] a flicker is nothing, and mains must stand before they are mains', async (t) => {
  const { see, state } = course()
  see(mains, minute)
  t.equal(see(battery), 'mains')
  t.equal(see(mains), 'mains')
  t.equal(see(battery, 5 * second), 'battery')
  t.equal(see(mains, 50 * second), 'battery')
  t.equal(see(battery), 'battery', 'again from the beginning')
  t.equal(see(mains, 55 * second), 'battery')
  t.equal(see(silence), 'battery', 'silence is not steady either')
  t.equal(see(mains, 55 * second), 'battery')
  t.equal(see(mains), 'mains')
  // Flapping for an hour: one change of the mode.
  const { see: again, state: then } = course()
  again(mains, minute)
  const modes = new Set<string>()
  for (let n = 0; n < 60; n++) {
    again(battery, 10 * second)
    modes.add(again(mains, 50 * second))
  }
  t.same([...modes].sort(), ['battery'], JSON.stringify(then().battery))
  t.ok(state().battery.usedMs >= 0)
})

t.test('[PWR-5] time on battery counts, whatever the device says of its charge', async (t) => {
  const full = { ...battery, charge: 100, runtimeMs: 99 * minute }
  t.equal(
    course().untilMode('ending', () => full),
    10 * minute,
  )
  // Short outages one after the other use it up, too: the battery is not charged so fast.
  const { see } = course()
  see(mains, minute)
  let outages = 0
  for (; see(full, 3 * minute) !== 'ending' && outages < 50; outages++) see(mains, 2 * minute)
  t.ok(outages >= 2 && outages <= 4, `${outages} outages of 3 min`)
})

t.test('[PWR-5] mains give the time back at a tenth', async (t) => {
  const { see, state } = course()
  see(battery, 5 * minute)
  t.equal(state().battery.usedMs, 5 * minute)
  see(mains, 20 * minute)
  t.equal(Math.round(state().battery.usedMs / minute), 3)
  see(mains, 60 * minute)
  t.equal(state().battery.usedMs, 0)
})

t.test('[PWR-5] charge and time by the device, the worst of all figures', async (t) => {
  const charge = (at: (minutes: number) => number) =>
    course({ batteryMs: 60 * minute }).untilMode('ending', (ms) => ({
      ...battery,
      charge: at(ms / minute),
    })) / minute
  t.ok(Math.abs(charge((min) => 100 - 5 * min) - 14) < 1, 'steadily down to 30 %')
  // Said to be full for three minutes, then it falls to the half within seconds: it is worn, and goes on so.
  const jump = charge((min) => (min < 3 ? 100 : 45))
  t.ok(jump >= 3 && jump < 4, `${jump} min`)
  t.ok(charge((min) => (min < 0.3 ? 100 : 60)) > 59, 'the voltage sags at once')
  const { see, state } = course()
  for (const said of [50, 50, 40, 40, 95, 95]) see({ ...battery, charge: said })
  t.equal(state().battery.charge, 40, 'a charge that rises on battery is not believed')
  const runtime = course({ batteryMs: 60 * minute }).untilMode('ending', (ms) => ({
    ...battery,
    runtimeMs: 8 * minute - ms,
  }))
  t.ok(runtime >= 4.9 * minute && runtime <= 5.2 * minute, `${runtime / minute}`)
})

t.test('[PWR-3] one grave word alone is noise, twice it is true', async (t) => {
  const low = { ...battery, low: true }
  for (const grave of [low, { ...mains, ending: true }, { ...battery, charge: 3 }]) {
    const { see } = course()
    see(battery, 2 * minute)
    t.equal(see(grave), 'battery', JSON.stringify(grave))
    t.equal(see(battery), 'battery')
    see(grave)
    see(grave)
    t.equal(see(grave), 'ending', JSON.stringify(grave))
  }
  const { see } = course()
  see(battery, 2 * minute)
  see(low)
  t.equal(see(silence), 'ending', 'it said that it ends, and then nothing')
  t.equal(course().see({ ...mains, low: true }, minute), 'mains', 'an empty battery on mains')
})

t.test('[PWR-6] what has begun to stop is called back by steady mains only', async (t) => {
  const { see, plan } = course()
  see({ ...battery, low: true }, 10 * second)
  t.equal(plan().stop, true)
  t.equal(see(mains, 50 * second), 'ending')
  t.equal(see(battery), 'ending')
  t.equal(see(mains, 55 * second), 'ending')
  t.equal(see(mains), 'mains')
})

t.test('[PWR-11] nobody can tell: told after a while, and work goes on', async (t) => {
  const { see, plan } = course()
  see(mains, minute)
  t.equal(see(silence, 50 * second), 'mains')
  t.equal(see(silence), 'mains')
  t.equal(see(silence), 'unknown')
  t.same(plan(), fullPlan)
  t.equal(see(mains), 'unknown', 'one good answer among noise')
  t.equal(see(mains), 'mains')
  t.equal(course().see(silence, minute), 'unknown', 'from the beginning')
})

t.test('[PWR-11] silence after battery is battery, until nobody can believe it', async (t) => {
  const { see, plan } = course()
  see(mains, minute)
  see(battery, minute)
  t.equal(see(silence, 5 * minute), 'battery')
  t.match(plan(), { refusal: /battery/ })
  t.equal(see(silence, 6 * minute), 'ending')
  t.equal(see(silence, 45 * minute), 'ending')
  t.equal(see(silence, 10 * minute), 'unknown', 'still there after an hour')
  t.equal(see(mains, 10 * second), 'mains')
  // The line breaks while it is not yet certain that the mains are back.
  const later = course()
  later.see(battery, minute)
  later.see(mains, 20 * second)
  t.equal(later.see(silence, 50 * second), 'battery')
  t.equal(later.see(silence, 30 * second), 'unknown')
})

t.test('[PWR-8] under-voltage: nothing is written until it is steady', async (t) => {
  const { see, plan } = course()
  const weak = { ...mains, underVoltage: true }
  see({ ...mains, underVoltage: false }, minute)
  t.equal(see(weak), 'weak')
  t.match(plan(), { refusal: /under-voltage/, writes: false, finishMs: Infinity, stop: false })
  t.equal(see({ ...mains, underVoltage: false }, 50 * second), 'weak')
  t.equal(see({ ...mains, underVoltage: false }), 'mains')
  see(weak, 2 * minute)
  t.equal(plan().finishMs, 0, 'what waited for it waits no longer')
  t.equal(see({ ...battery, underVoltage: true, low: true }, 10 * second), 'ending')
})

t.test('a start on battery begins nothing, a start without a battery stops', async (t) => {
  const { see, plan } = course()
  t.equal(see(battery), 'battery')
  t.match(plan(), { refusal: /battery/ })
  const { see: two } = course()
  two({ ...battery, low: true })
  t.equal(two({ ...battery, low: true }), 'ending', 'two looks, one after the other')
})

t.test(
  '[PWR-7] as much is finished as there is time for, the nearest to its end first',
  async (t) => {
    const work = [9_000, 100, 5_000, 0, 700].map((bytesLeft) => ({ bytesLeft }))
    const chosen = (ms: number) => [...finishing(work, 1, ms)].map(({ bytesLeft }) => bytesLeft)
    t.same(chosen(1_000), [0, 100, 700])
    t.same(chosen(0), [0])
    t.same(chosen(5_799), [0, 100, 700])
    t.same(chosen(5_800), [0, 100, 700, 5_000])
    t.same(chosen(Number.POSITIVE_INFINITY).length, 5)
    // Near the end of the battery there is less time than the configuration gives.
    const { see, plan } = course()
    see(battery, 9 * minute)
    t.equal(plan().finishMs, minute / 2)
  },
)
