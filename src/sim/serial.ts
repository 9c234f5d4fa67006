/** Simulated serial lines: by path two ends of a cable, which can be pulled, and which may mangle what passes. */
import type { Line, Serial, SerialOptions } from '../serial/serial.ts'
import type { Clock } from '../world/world.ts'

export interface SimCables {
  /** The host's end. */
  readonly host: Serial
  /** The device's end of the same cables. */
  readonly device: Serial
  /** Puts a cable in. */
  plug(path: string): void
  /** Pulls it: both ends are closed, and cannot be opened. */
  pull(path: string): void
}

export interface SimCableOptions {
  readonly clock: Clock
  /** What becomes of the bytes of one write, in pieces; as they are without it. */
  readonly mangle?: (bytes: Uint8Array, to: 'host' | 'device') => readonly Uint8Array[]
}

interface End {
  readonly baud: number
  hear(bytes: Uint8Array): void
  end(reason: string): void
}

type Cable = Map<'host' | 'device', End>

/** Bits on the wire for a byte: start, 8 of data, stop. */
const bitsPerByte = 10

export function simCables({ clock, mangle }: SimCableOptions): SimCables {
  const cables = new Map<string, Cable>()
  const side = (mine: 'host' | 'device'): Serial => {
    const other = mine === 'host' ? 'device' : 'host'
    return {
      async open({ path, baud }: SerialOptions): Promise<Line> {
        const cable = cables.get(path)
        if (cable === undefined) throw new Error(`${path}: no such file or directory`)
        if (cable.has(mine)) throw new Error(`${path}: held by another program`)
        return lineIn(cable, baud)
      },
    }
    function lineIn(cable: Cable, baud: number): Line {
      let resolve: (reason: string) => void = () => undefined
      const closed = new Promise<string>((done) => {
        resolve = done
      })
      let hear: (bytes: Uint8Array) => void = () => undefined
      let ended: string | undefined
      const me: End = {
        baud,
        hear: (bytes) => hear(bytes),
        end(reason) {
          if (ended !== undefined) return
          ended = reason
          if (cable.get(mine) === me) cable.delete(mine)
          resolve(reason)
        },
      }
      cable.set(mine, me)
      return {
        closed,
        onBytes(listener) {
          hear = listener
        },
        async write(bytes) {
          if (ended !== undefined) throw new Error(ended)
          const copy = Uint8Array.from(bytes)
          await clock.sleep((copy.length * bitsPerByte * 1000) / baud)
          if (ended !== undefined) throw new Error(ended)
          const far = cable.get(other)
          if (far === undefined) return
          // At another speed nothing of it can be read.
          const seen = far.baud === baud ? copy : copy.map((byte) => (byte * 0x3b) ^ 0xa5)
          for (const piece of mangle?.(seen, other) ?? [seen]) far.hear(piece)
        },
        async close() {
          me.end('closed')
        },
      }
    }
  }
  return {
    host: side('host'),
    device: side('device'),
    plug: (path) => {
      if (!cables.has(path)) cables.set(path, new Map())
    },
    pull(path) {
      const cable = cables.get(path)
      cables.delete(path)
      for (const end of [...(cable?.values() ?? [])]) end.end('the line ended: the plug was pulled')
    },
  }
}
