/** Serial lines of this machine: the only importer of serialport, whose native part is loaded with the first line. */
import { read, readdirSync, readFileSync, readlinkSync, realpathSync } from 'node:fs'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import type { SerialPort } from 'serialport'
import type { Line, Serial, SerialOptions } from './serial.ts'

export const systemSerial: Serial = {
  async open({ path, baud }: SerialOptions): Promise<Line> {
    const { SerialPort } = await import('serialport')
    // `hupcl` would take DTR away at the end, by which many a board restarts.
    const port = new SerialPort({ path, baudRate: baud, autoOpen: false, hupcl: false })
    await new Promise<void>((done, fail) =>
      port.open((error) => (error ? fail(new Error(`${path}: ${error.message}`)) : done())),
    )
    hangUpEnds(port)
    return lineOn(port)
  },
}

const readOnce = promisify(read)

/**
 * To read nothing of a line that always waits for a byte means that the other end has hung up. The library asks again then,
 * as fast as it can and for ever (its `unixRead`), so that a pulled plug would cost a core and all memory.
 */
function hangUpEnds({ port }: SerialPort): void {
  if (!port || !('poller' in port)) throw new Error('serial lines are known of Linux only')
  const line = port
  line.read = async (buffer, offset, length) => {
    const fd = (): number => {
      if (line.isOpen && line.fd !== null) return line.fd
      throw Object.assign(new Error('closed'), { canceled: true })
    }
    for (;;) {
      try {
        const { bytesRead } = await readOnce(fd(), buffer, offset, length, null)
        if (bytesRead === 0) throw new Error('the other end has hung up')
        return { bytesRead, buffer }
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException
        if (code !== 'EAGAIN' && code !== 'EINTR') throw error
      }
      // It may have been closed meanwhile, and its poller with it.
      fd()
      await new Promise<void>((done, fail) =>
        line.poller.once('readable', (error: Error | null) => (error ? fail(error) : done())),
      )
    }
  }
}

function lineOn(port: SerialPort): Line {
  let hear: (bytes: Uint8Array) => void = () => undefined
  let ending: string | undefined
  const closed = new Promise<string>((done) => {
    port.on('close', (error: Error | null) =>
      done(ending ?? (error ? `the line ended: ${error.message}` : 'closed')),
    )
  })
  const end = async (reason: string): Promise<void> => {
    ending ??= reason
    if (port.isOpen) port.close(() => undefined)
    await closed
  }
  // Not every error closes it by itself: half a line is none.
  port.on('error', (error: Error) => void end(`the line failed: ${error.message}`))
  port.on('data', (bytes: Buffer) => hear(Uint8Array.from(bytes)))
  return {
    closed,
    onBytes(listener) {
      hear = listener
    },
    async write(bytes) {
      const ended = closed.then((why) => Promise.reject(new Error(why)))
      const written = new Promise<void>((done, fail) =>
        port.write(bytes, (error) => (error ? fail(error) : done())),
      )
      await Promise.race([written, ended])
    },
    close: () => end('closed'),
  }
}

/** A serial line that is there. */
export interface SerialFound {
  /** The name to configure; by the adapter's own name and number, if it has one. */
  readonly path: string
  readonly device: string
  /** The driver: `ftdi_sio`, `cdc_acm`, `uart-pl011`. */
  readonly driver: string
}

/** All serial lines below a root, which is `/`, sorted by path. No line is opened, and no other program asked. */
export function serialLines(root: string): SerialFound[] {
  const byId = new Map<string, string>()
  const ids = join(root, 'dev/serial/by-id')
  for (const name of namesIn(ids))
    byId.set(basename(readlinkSync(join(ids, name))), `/dev/serial/by-id/${name}`)
  const found: SerialFound[] = []
  for (const name of namesIn(join(root, 'sys/class/tty'))) {
    const folder = join(root, 'sys/class/tty', name)
    const driver = driverOf(folder)
    // A console has no driver; a port of a PC that nothing is behind has no type.
    if (driver === undefined || typeOf(folder) === '0') continue
    const device = `/dev/${name}`
    found.push({ path: byId.get(name) ?? device, device, driver })
  }
  return found.sort((one, two) => (one.path < two.path ? -1 : 1))
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function driverOf(folder: string): string | undefined {
  try {
    return basename(realpathSync(join(folder, 'device/driver')))
  } catch {
    return undefined
  }
}

function typeOf(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'type'), 'utf8').trim()
  } catch {
    return undefined
  }
}
