import type { Line, Serial, SerialOptions } from '../serial/serial.ts'

/** The other end of one line while it is open: what the device on it sees and does. */
export interface DeviceEnd {
  readonly options: SerialOptions
  /** Brings bytes to the program. */
  send(bytes: Uint8Array | string): void
  /** Resolves when the line has ended. */
  readonly closed: Promise<string>
}

/** A device: called for each line that is opened to it, gives what takes the bytes that the program writes. */
export type Device = (end: DeviceEnd) => (bytes: Uint8Array) => void

export interface SimSerial extends Serial {
  /** Plugs a device in at a path; another one there is pulled first. */
  plug(path: string, device: Device): void
  /** Pulls it: its line ends, and cannot be opened until something is plugged in there again. */
  pull(path: string): void
  /** Whether a program has it open now. */
  isOpen(path: string): boolean
}

/** Serial lines in memory, with the manners of real ones: one program a line, bytes arrive a turn later. */
export function simSerial(): SimSerial {
  const devices = new Map<string, Device>()
  const open = new Map<string, (why: string) => void>()

  const pull = (path: string): void => {
    devices.delete(path)
    open.get(path)?.('the plug was pulled')
  }
  return {
    plug(path, device) {
      pull(path)
      devices.set(path, device)
    },
    pull,
    isOpen: (path) => open.has(path),
    async open(options) {
      const device = devices.get(options.path)
      if (!device) throw new Error(`${options.path}: there is no such device`)
      if (open.has(options.path)) throw new Error(`${options.path}: another program has it open`)
      return lineTo(device, options, {
        begin: (end) => void open.set(options.path, end),
        end: () => void open.delete(options.path),
      })
    },
  }
}

function lineTo(
  device: Device,
  options: SerialOptions,
  held: { begin(end: (why: string) => void): void; end(): void },
): Line {
  let listener: (bytes: Uint8Array) => void = () => undefined
  let ended: string | undefined
  let tell: (why: string) => void = () => undefined
  const closed = new Promise<string>((resolve) => {
    tell = resolve
  })
  const end = (why: string): void => {
    if (ended !== undefined) return
    ended = why
    held.end()
    tell(why)
  }
  held.begin(end)
  const take = device({
    options,
    closed,
    send(bytes) {
      const copy = typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes.slice()
      queueMicrotask(() => {
        if (ended === undefined) listener(copy)
      })
    },
  })
  return {
    closed,
    onBytes(next) {
      listener = next
    },
    async write(bytes) {
      if (ended !== undefined) throw new Error(`the line has ended: ${ended}`)
      const copy = bytes.slice()
      queueMicrotask(() => {
        if (ended === undefined) take(copy)
      })
    },
    async close() {
      end('closed')
    },
  }
}
