/**
 * What goes over the wire to a bay controller, as `firmware-notes/bay-controller.md` says it. A frame is one line of ASCII:
 * `@`, a number of two hexadecimal digits, words, `*`, the CRC of what is between, a line feed. Pure.
 */

export interface Frame {
  /** Of the request, and of its answer: 1 to 255. */
  readonly number: number
  readonly words: readonly string[]
}

/** With its line feed. */
export const lineBytesMax = 80

/** CRC-16/IBM-3740 ("CCITT-FALSE"): polynomial 0x1021, begins with 0xFFFF; of `123456789` it is 0x29B1. */
export function crc16(text: string): number {
  let crc = 0xffff
  for (let at = 0; at < text.length; at++) {
    crc ^= text.charCodeAt(at) << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff
  }
  return crc
}

const hex = (value: number, digits: number): string =>
  value.toString(16).toUpperCase().padStart(digits, '0')

/** The line of a frame. */
export function written({ number, words }: Frame): string {
  const inner = [hex(number, 2), ...words].join(' ')
  const line = `@${inner}*${hex(crc16(inner), 4)}\n`
  if (!frame.test(line) || line.length > lineBytesMax) throw new Error(`not a frame: ${inner}`)
  return line
}

const frame = /^@(([0-9A-F]{2})((?: [A-Z0-9][A-Za-z0-9.-]*)+))\*([0-9A-F]{4})\r?\n$/

/** The frame of a line; undefined when anything in it is not as it has to be. */
export function read(line: string): Frame | undefined {
  const [, inner = '', number = '', words = '', crc = ''] = frame.exec(line) ?? []
  if (inner === '' || number === '00' || hex(crc16(inner), 4) !== crc) return undefined
  return { number: Number.parseInt(number, 16), words: words.trim().split(' ') }
}

/** Takes bytes in any pieces, and gives the frames that are whole; whatever else comes is passed over. */
export function frames(): (bytes: Uint8Array) => Frame[] {
  let line = ''
  return (bytes) => {
    const found: Frame[] = []
    for (const byte of bytes) {
      // A frame that was cut is over where another begins.
      if (byte === 0x40) line = ''
      if (line.length < lineBytesMax) line += String.fromCharCode(byte)
      if (byte !== 0x0a) continue
      const one = read(line)
      if (one) found.push(one)
      line = ''
    }
    return found
  }
}

/** How a bay is, as the controller says. */
export type BayState = 'off' | 'starting' | 'on' | 'fault'

const letters: Readonly<Record<string, BayState>> = { 0: 'off', 1: 'on', S: 'starting', F: 'fault' }

/** The state of each bay, by its letters: `01S` is off, on, starting. Undefined when a letter is none. */
export function statesOf(text: string): BayState[] | undefined {
  const states = [...text].map((letter) => letters[letter])
  return states.every((state) => state !== undefined) ? states : undefined
}
