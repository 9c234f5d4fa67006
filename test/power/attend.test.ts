// A pillar is run as long as there is power for it, whatever fails on the way.

import t, { type Test } from 'tap'
import { type Attended, attend } from '../../src/power/attend.ts'
import type { Leave, Power, Reading } from '../../src/power/power.ts'
import { unknownReading } from '../../src/power/power.ts'
import { type WatchOptions, watchPower } from '../../src/power/watch.ts'
import { simClock } from '../../src/sim/clock.ts'
import { usualPower } from '../../src/sim/powered.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'

const second = 1_000
const minute = 60 * second
const mains: Reading = { supply: 'mains', low: false, ending: false }
const low: Reading = { supply: 'battery', low: true, ending: false }

function bench(t: Test, first: Reading = mains, options: Partial<WatchOptions> = {}) {
  const time = simClock()
  const world = simWorld(time.clock, simRandom(t.name), 'board')
  const now = { reading: first, hangs: false }
  const power: Power = {
    read: () => (now.hangs ? new Promise(() => undefined) : Promise.resolve(now.reading)),
    close: async () => void steps.push('let go'),
  }
  const steps: string[] = []
  const fails = new Set<string>()
  let left: Leave | undefined
  const step = async (name: string, ms = 0): Promise<void> => {
    await time.clock.sleep(ms)
    steps.push(name)
    if (fails.has(name)) throw new Error(`${name} fails`)
  }
  let closingMs = 0
  const attended: Attended = {
    async open() {
      await step('open')
      return {
        async stop(leave) {
          left = leave
          await step('close', closingMs)
        },
      }
    },
    park: () => step('park'),
    unpark: () => step('unpark'),
    shutDown: () => step('shutDown'),
  }
  const watch = watchPower(world, power, { ...usualPower, ...options })
  const attendance = attend(world, watch, attended, { awayMs: 24 * 60 * minute })
  attendance.begun.catch(() => undefined)
  return {
    ...{ time, now, steps, fails, watch, attendance },
    left: () => left,
    closeTakes(ms: number): void {
      closingMs = ms
    },
    pass: (ms: number) => time.advance(ms),
    stop: () => time.finish(attendance.stop()),
  }
}

t.test('on mains it is opened, and closed when it is told to', async (t) => {
  const { time, steps, attendance, stop, left } = bench(t)
  await time.finish(attendance.begun)
  t.same(steps, ['open'])
  await stop()
  t.same(steps, ['open', 'close', 'let go'])
  t.equal(left(), undefined, 'it says nothing of power')
})

t.test('[PWR-9] without power nothing is opened, and the board goes off again', async (t) => {
  const { time, steps, attendance, now, pass, stop } = bench(t, low)
  await time.finish(attendance.begun)
  await pass(second)
  t.same(steps, ['park', 'shutDown'])
  now.reading = mains
  await pass(2 * minute)
  t.same(steps.slice(2), ['unpark', 'open'])
  await stop()
})

t.test('[PWR-9] whatever step fails, the next ones are done', async (t) => {
  const { time, steps, fails, attendance, now, pass, stop, left } = bench(t)
  await time.finish(attendance.begun)
  for (const one of ['close', 'park', 'unpark', 'shutDown']) fails.add(one)
  now.reading = low
  await pass(20 * second)
  t.same(steps, ['open', 'close', 'park', 'shutDown'])
  const until = (left()?.until ?? 0) - time.clock.now()
  t.ok(until > 24 * 60 * minute - 30 * second && until <= 24 * 60 * minute, `${until}`)
  now.reading = mains
  await pass(2 * minute)
  t.same(steps.slice(4), ['unpark', 'open'])
  await stop()
})

t.test('[PWR-9] closing that takes too long does not keep the board from going off', async (t) => {
  const { time, steps, attendance, now, pass, closeTakes, stop } = bench(t)
  await time.finish(attendance.begun)
  closeTakes(5 * minute)
  now.reading = low
  await pass(90 * second)
  t.same(steps, ['open', 'park', 'shutDown'])
  await stop()
})

t.test('[PWR-9] back before the point of no return: nobody switches off', async (t) => {
  const { time, steps, attendance, now, pass, closeTakes, stop } = bench(t, mains, {
    steadyMs: 10 * second,
  })
  await time.finish(attendance.begun)
  closeTakes(50 * second)
  now.reading = low
  await pass(15 * second)
  now.reading = mains
  await pass(2 * minute)
  t.same(steps, ['open', 'close', 'park', 'unpark', 'open'])
  await stop()
})

t.test('what can not be opened again is tried again; at first it is an error', async (t) => {
  const { time, steps, fails, attendance, now, pass, stop } = bench(t)
  await time.finish(attendance.begun)
  fails.add('open')
  now.reading = low
  await pass(20 * second)
  now.reading = mains
  await pass(3 * minute)
  t.ok(steps.filter((one) => one === 'open').length >= 3, steps.join(' '))
  fails.clear()
  await pass(minute)
  const opened = steps.length
  await pass(5 * minute)
  t.equal(steps.length, opened, 'it runs')
  await stop()
  const other = bench(t)
  other.fails.add('open')
  await t.rejects(other.time.finish(other.attendance.begun), /open fails/)
  await other.stop()
})

t.test('[PWR-11] a device that never answers is unknown, and the pillar runs', async (t) => {
  const { time, attendance, now, watch, pass, stop } = bench(t, unknownReading('no device'))
  now.hangs = true
  await time.finish(attendance.begun)
  await pass(2 * minute)
  t.match(watch.standing(), { mode: 'unknown', text: /too long to answer/ })
  t.equal(watch.plan().refusal, undefined)
  now.hangs = false
  now.reading = mains
  await pass(30 * second)
  t.match(watch.standing(), { mode: 'mains', text: 'on mains' })
  await stop()
})
