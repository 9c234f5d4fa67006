import t from 'tap'
import { simSerial } from '../../src/sim/serial.ts'
import { serialContract } from './serial.ts'

serialContract(t, 'simulated', async () => {
  const serial = simSerial()
  const path = '/dev/serial/by-id/usb-ups'
  let received = ''
  let wake = (): void => undefined
  let says: (text: string) => void = () => undefined
  const plug = async (): Promise<void> =>
    serial.plug(path, (end) => {
      says = (text) => end.send(Buffer.from(text, 'latin1'))
      return (bytes) => {
        received += Buffer.from(bytes).toString('latin1')
        wake()
      }
    })
  await plug()
  return {
    ...{ serial, path, plug },
    pull: () => serial.pull(path),
    deviceSays: (text) => says(text),
    async deviceReads(length) {
      while (received.length < length)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      const taken = received.slice(0, length)
      received = received.slice(length)
      return taken
    },
  }
})
