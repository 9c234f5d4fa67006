import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import t from 'tap'
import { serialLines, systemSerial } from '../../src/serial/node.ts'
import type { Line } from '../../src/serial/serial.ts'
import { simSerial } from '../../src/sim/serial.ts'
import { needs } from '../support/needs.ts'
import { startCable } from '../support/serial.ts'
import { byLength, serialContract } from './serial.ts'

serialContract(t, 'simulated', async () => {
  const serial = simSerial()
  const path = '/dev/serial/by-id/usb-ups'
  const received = byLength()
  let says: (text: string) => void = () => undefined
  const plug = async (): Promise<void> =>
    serial.plug(path, (end) => {
      says = (text) => end.send(Buffer.from(text, 'latin1'))
      return received.hear
    })
  await plug()
  return {
    ...{ serial, path, plug },
    pull: () => serial.pull(path),
    deviceSays: (text) => says(text),
    deviceReads: received.take,
  }
})

const { skip } = needs(t, ['socat'])
if (skip) t.test('real lines', { skip }, async () => {})
else
  serialContract(t, 'real, by pseudo-terminals', async (t) => {
    const { host, device, pull, plug } = await startCable(t)
    let line: Line
    const received = byLength()
    const answer = async (): Promise<void> => {
      line = await systemSerial.open({ path: device, baud: 2400 })
      line.onBytes(received.hear)
    }
    await answer()
    t.teardown(() => line.close())
    return {
      ...{ serial: systemSerial, path: host, pull },
      deviceSays: (text) => void line.write(Buffer.from(text, 'latin1')),
      async plug() {
        await line.closed
        await plug()
        await answer()
      },
      deviceReads: received.take,
    }
  })

t.test('what is no serial line is refused, and says which it was', async (t) => {
  const path = join(t.testdir({ note: 'mine' }), 'note')
  await t.rejects(systemSerial.open({ path, baud: 9600 }), { message: new RegExp(`^${path}: .`) })
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
