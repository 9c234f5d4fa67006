/** Amounts as people write and read them. Everything inside is in bytes, milliseconds and bytes per second. */

const binary = ['KiB', 'MiB', 'GiB', 'TiB', 'PiB'] as const
const decimal = ['kB', 'MB', 'GB', 'TB', 'PB'] as const
const bits = ['kbit', 'Mbit', 'Gbit'] as const

const factors: ReadonlyMap<string, number> = new Map([
  ['b', 1],
  ...binary.map((unit, n) => [unit.toLowerCase(), 1024 ** (n + 1)] as const),
  ...decimal.map((unit, n) => [unit.toLowerCase(), 1000 ** (n + 1)] as const),
])
const bitFactors: ReadonlyMap<string, number> = new Map([
  ['bit', 1 / 8],
  ...bits.map((unit, n) => [unit.toLowerCase(), 1000 ** (n + 1) / 8] as const),
])
const times: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1_000],
  ['min', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
])

/** Bytes in a text like `16MiB`, `1.5 GB` or `512`; undefined when it is none. */
export function parseBytes(text: string): number | undefined {
  const amount = split(text)
  const factor = factors.get(amount?.unit.toLowerCase() || 'b')
  return whole(amount?.number, factor)
}

/** Milliseconds in a text like `90s`, `1.5h`, `5min` or `30d`; a number needs its unit, but for 0. */
export function parseDuration(text: string): number | undefined {
  const amount = split(text)
  if (amount?.number === 0 && amount.unit === '') return 0
  return whole(amount?.number, times.get(amount?.unit ?? ''))
}

/** Bytes per second in a text like `6Mbit/s` or `2MiB/s`. */
export function parseRate(text: string): number | undefined {
  if (!text.endsWith('/s')) return undefined
  const amount = split(text.slice(0, -2))
  const unit = amount?.unit.toLowerCase() ?? ''
  return whole(amount?.number, bitFactors.get(unit) ?? factors.get(unit))
}

/** Part of a day, in minutes from its beginning; over midnight when it ends before it begins. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** The hours in a text like `22:00-06:00`; undefined when it is none. */
export function parseSpan(text: string): Span | undefined {
  const match = /^([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|24:00)$/.exec(text)
  if (!match) return undefined
  const [from, to] = [minutes(match[1], match[2]), minutes(match[3] ?? '24', match[4] ?? '00')]
  return from === to ? undefined : { from, to }
}

const minutes = (hour = '', minute = ''): number => 60 * Number(hour) + Number(minute)

/** A size at a glance: `0 B`, `1023 B`, `1.5 KiB`, `16 MiB`. */
export const formatBytes = (bytes: number): string => scaled(bytes, 1024, ['B', ...binary])

/** A duration at a glance, in at most two units: `250 ms`, `1.5 s`, `2 min 30 s`, `3 h`, `30 d`. */
export function formatDuration(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`
  if (ms < 10_000) return `${tenths(ms / 1_000)} s`
  const seconds = Math.round(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3_600) return parts(seconds, 60, 'min', 's')
  const minutes = Math.round(ms / 60_000)
  if (minutes < 1_440) return parts(minutes, 60, 'h', 'min')
  return parts(Math.round(ms / 3_600_000), 24, 'd', 'h')
}

/** A rate as networks are sold: `6 Mbit/s`, `940 kbit/s`. */
export const formatRate = (bytesPerSecond: number): string =>
  `${scaled(bytesPerSecond * 8, 1000, ['bit', ...bits])}/s`

function split(text: string): { number: number; unit: string } | undefined {
  const [, number, unit] = /^\s*(\d{1,15}(?:\.\d{1,9})?)\s*([a-zA-Z]*)\s*$/.exec(text) ?? []
  return number === undefined ? undefined : { number: Number(number), unit: unit ?? '' }
}

function whole(number: number | undefined, factor: number | undefined): number | undefined {
  if (number === undefined || factor === undefined) return undefined
  const amount = Math.round(number * factor)
  return Number.isSafeInteger(amount) ? amount : undefined
}

/** Three digits are enough to compare by; nothing is ever shown as `1024 KiB`. */
function scaled(amount: number, base: number, units: readonly string[]): string {
  let at = 0
  let left = amount
  while (at < units.length - 1 && Number(tenths(left)) >= base) {
    left /= base
    at++
  }
  return `${at === 0 ? Math.round(left) : tenths(left)} ${units[at] ?? ''}`
}

/** One decimal below ten, none above. */
const tenths = (number: number): string =>
  number < 9.95 ? String(Math.round(number * 10) / 10) : String(Math.round(number))

function parts(amount: number, base: number, big: string, small: string): string {
  const rest = amount % base
  const main = `${Math.floor(amount / base)} ${big}`
  return rest === 0 ? main : `${main} ${rest} ${small}`
}
