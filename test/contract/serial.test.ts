import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import t from 'tap'
import { serialLines, systemSerial } from '../../src/serial/node.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simCables } from '../../src/sim/serial.ts'
import { needs } from '../support/needs.ts'
import { startCable } from '../support/serial.ts'
import { serialContract } from './serial.ts'

serialContract(t, 'the simulated cable', async (t) => {
  const { clock, advance } = simClock()
  let over = false
  t.teardown(() => {
    over = true
  })
  const pass = async () => {
    while (!over) {
      await advance(10)
      await setImmediate()
    }
  }
  void pass()
  const cables = simCables({ clock })
  cables.plug('/dev/bay')
  const { host: near, device: far } = cables
  return {
    near,
    far,
    nearPath: '/dev/bay',
    farPath: '/dev/bay',
    pull: () => cables.pull('/dev/bay'),
  }
})

const { skip } = needs(t, ['socat'])
if (skip) t.test('a real line', { skip }, async () => {})
else
  serialContract(t, 'a real line', async (t) => {
    const { host, device, pull } = await startCable(t)
    return { near: systemSerial, far: systemSerial, nearPath: host, farPath: device, pull }
  })

t.test('what is no serial line is refused, and left as it is', async (t) => {
  const path = join(t.testdir({ note: 'mine' }), 'note')
  await t.rejects(systemSerial.open({ path, baud: 9600 }))
})

t.test('at another speed nothing of it can be read', async (t) => {
  const { clock, advance } = simClock()
  const cables = simCables({ clock })
  cables.plug('/dev/bay')
  const host = await cables.host.open({ path: '/dev/bay', baud: 9600 })
  const device = await cables.device.open({ path: '/dev/bay', baud: 115_200 })
  const seen: Uint8Array[] = []
  device.onBytes((bytes) => seen.push(bytes))
  void host.write(Buffer.from('up'))
  await advance(10)
  t.equal(seen.length, 1)
  t.notSame(Buffer.concat(seen), Buffer.from('up'))
})

t.test('lines are found by the names of their adapters, without being opened', async (t) => {
  const root = mkdtempSync(join(tmpdir(), 'colonnade-tty-'))
  t.teardown(() => rmSync(root, { recursive: true }))
  const file = (path: string, text = '') => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), text)
  }
  const link = (path: string, to: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    symlinkSync(to, join(root, path))
  }
  for (const driver of ['ftdi_sio', 'serial8250', 'uart-pl011'])
    mkdirSync(join(root, 'sys/drivers', driver), { recursive: true })
  link('sys/class/tty/ttyUSB0/device/driver', '../../../../drivers/ftdi_sio')
  link('sys/class/tty/ttyAMA0/device/driver', '../../../../drivers/uart-pl011')
  link('sys/class/tty/ttyS0/device/driver', '../../../../drivers/serial8250')
  file('sys/class/tty/ttyAMA0/type', '32\n')
  file('sys/class/tty/ttyS0/type', '0\n')
  file('sys/class/tty/tty1/active')
  file('dev/ttyUSB0')
  link('dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0', '../../ttyUSB0')
  t.same(serialLines(root), [
    {
      path: '/dev/serial/by-id/usb-FTDI_FT232R_A1-if00-port0',
      device: '/dev/ttyUSB0',
      driver: 'ftdi_sio',
    },
    { path: '/dev/ttyAMA0', device: '/dev/ttyAMA0', driver: 'uart-pl011' },
  ])
  t.same(serialLines(join(root, 'nothing')), [])
})
