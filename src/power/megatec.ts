/**
 * Frames of the Megatec protocol, which most small UPSes speak ("Q1"); see firmware-notes/ups-megatec.md for the source of
 * each fact. Pure. A frame has no checksum, so that whatever is not exactly one is none.
 */
import { type Reading, unknownReading } from './power.ts'

/** Bits per second; 8 data bits, no parity, 1 stop bit. */
export const megatecBaud = 2_400
export const statusQuestion = 'Q1\r'
/** Longer than any answer. */
export const answerCharsMax = 128

export interface Status {
  readonly inputVolts: number | undefined
  /** Lowest or highest of the mains since the last question. */
  readonly faultVolts: number | undefined
  readonly outputVolts: number | undefined
  readonly load: number | undefined
  readonly hertz: number | undefined
  /** Of all cells by standby devices, of one cell by online ones. */
  readonly batteryVolts: number | undefined
  readonly celsius: number | undefined
  readonly utilityFail: boolean
  readonly batteryLow: boolean
  readonly bypass: boolean
  readonly failed: boolean
  readonly standby: boolean
  readonly testing: boolean
  readonly shutdown: boolean
}

/** The output goes off after this, and comes back 3 min after there are mains: with less some never come. Most answer nothing. */
export function cutOrder(afterMs: number): string {
  if (!(afterMs >= cutMsMin && afterMs <= cutMsMax)) throw new RangeError(`no delay: ${afterMs} ms`)
  // Tenths of a minute have one digit.
  const isShort = afterMs <= 54_000
  const after = isShort
    ? `.${Math.ceil(afterMs / 6_000)}`
    : `${Math.ceil(afterMs / 60_000)}`.padStart(2, '0')
  return `S${after}R0003\r`
}

export const cutMsMin = 12_000
export const cutMsMax = 10 * 60_000

/** `230.1`, `---.-` where a device has no such sensor. */
const field = String.raw`(\d{1,3}(?:\.\d{1,2})?|-+(?:\.-+)?)`
const frame = new RegExp(`^\\(${`${field} +`.repeat(7)}([01]{8})$`)

/** One answer to `Q1`, without its carriage return; undefined when it is none. */
export function parseStatus(answer: string): Status | undefined {
  const found = frame.exec(answer)
  if (!found) return undefined
  const value = (n: number): number | undefined => {
    const text = found[n] ?? '-'
    return text.startsWith('-') ? undefined : Number(text)
  }
  const bit = (n: number): boolean => found[8]?.[7 - n] === '1'
  return {
    inputVolts: value(1),
    faultVolts: value(2),
    outputVolts: value(3),
    load: value(4),
    hertz: value(5),
    batteryVolts: value(6),
    celsius: value(7),
    utilityFail: bit(7),
    batteryLow: bit(6),
    bypass: bit(5),
    failed: bit(4),
    standby: bit(3),
    testing: bit(2),
    shutdown: bit(1),
  }
}

/** What a status says of the power. */
export function readingOf(status: Status): Reading {
  const { inputVolts, outputVolts, batteryVolts, load, utilityFail } = status
  // A bit that fell on the way, or a device that contradicts itself: no word for good power.
  if (!utilityFail && inputVolts !== undefined && inputVolts < (outputVolts ?? 0) / 2)
    return unknownReading(`the UPS says that mains are there, at ${inputVolts} V`)
  const said = [
    ...(status.failed ? ['the UPS has failed its own test'] : []),
    ...(status.testing ? ['the UPS tests its battery'] : []),
  ]
  return {
    supply: utilityFail ? 'battery' : 'mains',
    low: status.batteryLow,
    ending: status.shutdown,
    ...(said.length > 0 ? { text: said.join(', ') } : {}),
    ...(inputVolts === undefined ? {} : { inputVolts }),
    ...(batteryVolts === undefined ? {} : { batteryVolts }),
    ...(load === undefined ? {} : { load }),
  }
}

/** Why an answer is none: for whoever looks after the cable. */
export function faultOf(answer: string): string {
  if (answer === '') return 'an empty answer'
  if (answer === statusQuestion.trim()) return 'the UPS does not know the question (it repeats it)'
  if (answer.startsWith('#') || answer.startsWith('(NAK') || answer.startsWith('(ACK'))
    return 'an answer to another question'
  const printable = /^[\x20-\x7e]*$/.test(answer)
  return printable ? 'half an answer, or one of another protocol' : 'noise: is the speed right?'
}
