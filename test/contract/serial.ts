import type { Test } from 'tap'
import type { Line, Serial } from '../../src/serial/serial.ts'

/** A place to plug something in, and the device that is plugged in there. */
export interface Bench {
  readonly serial: Serial
  readonly path: string
  /** Resolves when the device has received exactly this much more. */
  deviceReads(length: number): Promise<string>
  deviceSays(text: string): void
  /** Pulls the plug. */
  pull(): void
  /** Puts it in again, under the same name. */
  plug(): Promise<void>
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

/** What every adapter to serial lines promises; `setUp` gives a bench with the plug in. */
export function serialContract(t: Test, name: string, setUp: (t: Test) => Promise<Bench>): void {
  t.test(`${name}: bytes go both ways, all values of them`, async (t) => {
    const bench = await setUp(t)
    const line = await bench.serial.open({ path: bench.path, baud: 2400 })
    const heard = listen(line)
    await line.write(bytes('Q1\r'))
    t.equal(await bench.deviceReads(3), 'Q1\r')
    const all = String.fromCharCode(...Array.from({ length: 256 }, (_, n) => n))
    bench.deviceSays(all)
    t.equal(await heard(256), all)
    await line.write(bytes(all))
    t.equal(await bench.deviceReads(256), all)
    await line.close()
  })

  t.test(`${name}: one program a line, and again after it was closed`, async (t) => {
    const bench = await setUp(t)
    const line = await bench.serial.open({ path: bench.path, baud: 2400 })
    await t.rejects(bench.serial.open({ path: bench.path, baud: 2400 }))
    await line.close()
    t.equal(typeof (await line.closed), 'string')
    await t.rejects(line.write(bytes('Q1\r')))
    const again = await bench.serial.open({ path: bench.path, baud: 2400 })
    const heard = listen(again)
    bench.deviceSays('here')
    t.equal(await heard(4), 'here')
    await again.close()
    await again.close()
  })

  t.test(`${name}: a pulled plug ends the line, and it opens again by the same name`, async (t) => {
    const bench = await setUp(t)
    const line = await bench.serial.open({ path: bench.path, baud: 2400 })
    bench.pull()
    t.match(await line.closed, /./)
    await t.rejects(line.write(bytes('Q1\r')))
    await line.close()
    await t.rejects(bench.serial.open({ path: bench.path, baud: 2400 }))
    await bench.plug()
    const again = await bench.serial.open({ path: bench.path, baud: 2400 })
    await again.write(bytes('Q1\r'))
    t.equal(await bench.deviceReads(3), 'Q1\r')
    await again.close()
  })

  t.test(`${name}: what is not there is not opened`, async (t) => {
    const bench = await setUp(t)
    await t.rejects(bench.serial.open({ path: `${bench.path}-not`, baud: 2400 }))
  })
}

/** Gives what has come on the line, in pieces of the lengths asked for. */
function listen(line: Line): (length: number) => Promise<string> {
  const heard = byLength()
  line.onBytes(heard.hear)
  return heard.take
}

/** What has come, given in pieces of the lengths asked for, once so much is there. */
export function byLength() {
  let come = ''
  let wake = (): void => undefined
  return {
    hear(piece: Uint8Array): void {
      come += text(piece)
      wake()
    },
    async take(length: number): Promise<string> {
      while (come.length < length)
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      const taken = come.slice(0, length)
      come = come.slice(length)
      return taken
    },
  }
}
