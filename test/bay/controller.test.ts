// A bay controller behind a line that is unplugged, garbled, late: never a wrong "on" or "off".

import t, { type Test } from 'tap'
import { controller } from '../../src/bay/controller.ts'
import { systemSerial } from '../../src/serial/node.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simSerial } from '../../src/sim/serial.ts'
import { simWorld } from '../../src/sim/world.ts'
import { systemWorld } from '../../src/system/world.ts'
import { simController } from '../support/bay-controller.ts'
import { needs } from '../support/needs.ts'
import { startCable } from '../support/serial.ts'

const path = '/dev/serial/by-id/usb-bays'

function setting(t: Test, { slots = 2, onMax = 4 } = {}) {
  const time = simClock()
  const world = simWorld(time.clock, simRandom(t.name), 'board')
  const line = simSerial()
  const bays = simController(time.clock, slots, onMax)
  const plug = () => line.plug(path, bays.device)
  plug()
  const host = controller(world, line, { path, baud: 9600 })
  return { time, line, bays, plug, host, world }
}

t.test('[BAY-2] a bay is on when the controller says so, and off as well', async (t) => {
  const { time, bays, host } = setting(t)
  await time.finish(host.bay(1).on())
  t.equal(bays.state(1), 'on')
  t.equal(bays.state(0), 'off')
  await time.finish(host.bay(1).on())
  await time.finish(host.bay(1).off())
  t.equal(bays.hasPower(1), false)
  t.equal(bays.changes.length, 2, 'said twice is done once')
  await t.rejects(time.finish(host.bay(7).on()), /no bay 7/)
})

t.test('[BAY-3] disks start one after the other, at a distance', async (t) => {
  const { time, bays, host } = setting(t, { slots: 4 })
  await time.finish(Promise.all([0, 1, 2, 3].map((slot) => host.bay(slot).on())))
  const starts = bays.changes.map(({ at }) => at)
  t.equal(starts.length, 4)
  for (const [n, at] of starts.entries())
    if (n > 0) t.ok(at - (starts[n - 1] ?? 0) >= 12_000, `start ${n} after ${at}`)
})

t.test('[BAY-3] what the supply does not carry waits until another sleeps', async (t) => {
  const { time, bays, host } = setting(t, { onMax: 1 })
  await time.finish(host.bay(0).on())
  let second = false
  const asked = host
    .bay(1)
    .on()
    .then(() => {
      second = true
    })
  await time.advance(20_000)
  t.equal(second, false)
  await time.finish(host.bay(0).off())
  await time.finish(asked)
  t.equal(bays.hasPower(0), false)
  t.equal(bays.state(1), 'on')
  // Another agent has it: it is told so, and not for ever.
  await t.rejects(time.finish(host.bay(0).on()), /POWER/)
})

t.test('[BAY-3] our own budget is kept as well', async (t) => {
  const { time, bays, line, world } = setting(t)
  const host = controller(world, line, { path, baud: 9600, onMax: 1 })
  await time.finish(host.bay(0).on())
  const asked = host.bay(1).on()
  await time.advance(600_000)
  t.equal(bays.hasPower(1), false)
  await time.finish(host.bay(0).off())
  await time.finish(asked)
  t.equal(bays.state(1), 'on')
})

t.test(
  '[BAY-2] silence, garbage, half frames and late answers say neither on nor off',
  async (t) => {
    const faults: [string, (bays: ReturnType<typeof setting>['bays']) => void][] = [
      ['silence', ({ faults }) => (faults.mangle = () => [])],
      ['garbage', ({ faults }) => (faults.mangle = (text) => [text.replace(/[01S]/g, 'x')])],
      ['half', ({ faults }) => (faults.mangle = (text) => [text.slice(0, -4)])],
      ['late', ({ faults }) => (faults.lateMs = 3_000)],
      // A frame of another request, whole and right, that says just what is hoped for.
      [
        'another’s',
        ({ faults }) => (faults.mangle = () => ['@01 OFF OK 00*8A4F\n', '@01 ON OK 11*2916\n']),
      ],
    ]
    for (const [name, fault] of faults) {
      const { time, bays, host } = setting(t)
      fault(bays)
      await t.rejects(time.finish(host.bay(0).on()), /does not answer/, name)
      await t.rejects(time.finish(host.bay(0).off()), /does not answer/, name)
      bays.faults.mangle = undefined
      bays.faults.lateMs = 0
      await time.finish(host.bay(0).on())
      t.equal(bays.state(0), 'on', `${name} is over`)
    }
  },
)

t.test('[BAY-2] a controller that does not switch is not believed to have', async (t) => {
  const { time, bays, host } = setting(t)
  bays.faults.stuck = true
  await t.rejects(time.finish(host.bay(0).on()), /bay 0 is off, and should be on/)
  bays.faults.stuck = false
  await time.finish(host.bay(0).on())
  bays.faults.stuck = true
  await t.rejects(time.finish(host.bay(0).off()), /bay 0 is on, and should be off/)
  t.ok(bays.hasPower(0))
})

t.test('[BAY-2] answers that come in pieces, twice, or behind noise are answers', async (t) => {
  const { time, bays, host } = setting(t)
  bays.faults.mangle = (text) => ['\u0000@zz', ...text, text]
  await time.finish(host.bay(0).on())
  t.equal(bays.state(0), 'on')
})

t.test('[BAY-2] an unplugged line is tried again, and opened when it is there', async (t) => {
  const { time, bays, host, line, plug } = setting(t)
  await time.finish(host.bay(0).on())
  line.pull(path)
  await t.rejects(time.finish(host.bay(0).off()), /does not answer/)
  t.ok(bays.hasPower(0), 'nothing was cut by pulling a plug')
  const off = host.bay(0).off()
  await time.advance(700)
  plug()
  await time.finish(off)
  t.notOk(bays.hasPower(0))
  line.pull(path)
  plug()
  await time.finish(host.bay(0).on())
  await host.close()
  t.notOk(line.isOpen(path))
})

t.test('[BAY-2] a controller that began anew is told again', async (t) => {
  const { time, bays, host } = setting(t)
  const on = host.bay(0).on()
  await time.advance(1_500)
  t.equal(bays.state(0), 'starting')
  bays.reset()
  await time.finish(on)
  t.equal(bays.state(0), 'on')
})

t.test('[BAY-2] over a real line', needs(t, ['socat']), async (t) => {
  const world = systemWorld('board', 'silent')
  const { host: near, device, pull } = await startCable(t)
  const bays = simController(world.clock, 2)
  const far = await systemSerial.open({ path: device, baud: 9600 })
  far.onBytes((bytes) => {
    const answer = bays.answer(bytes)
    if (answer !== '') void far.write(Buffer.from(answer))
  })
  const host = controller(world, systemSerial, { path: near, baud: 9600 })
  await host.bay(1).on()
  t.equal(bays.state(1), 'on')
  await host.bay(1).off()
  t.equal(bays.state(1), 'off')
  await host.close()
  await far.close()
  pull()
})
