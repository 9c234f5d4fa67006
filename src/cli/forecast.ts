/** How long a long transfer will take, before it begins: by the limit, or by what the link carried the last time. */
import { readFileSync, writeFileSync } from 'node:fs'
import { formatBytes, formatDuration, formatRate } from '../world/units.ts'

export type Direction = 'put' | 'get'

/** What was measured is kept in a small file; that it can not be read or written is no matter. */
export interface LinkMemory {
  /** Bytes per second, as the user limits them. */
  readonly limit: number | undefined
  /** Bytes per second, as they were the last time. */
  last(direction: Direction): number | undefined
  remember(direction: Direction, bytes: number, ms: number): void
}

/** Less says more of how long a beginning takes than of the link. */
const telling = { bytes: 8 * 1024 * 1024, ms: 10_000 }

/** What takes less is over before it was worth a sentence. */
const longMs = 10 * 60_000

export function linkMemory(path: string, limit: number | undefined): LinkMemory {
  const read = (): Partial<Record<Direction, unknown>> => {
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as Partial<Record<Direction, unknown>>
    } catch {
      return {}
    }
  }
  return {
    limit,
    last(direction) {
      const rate = read()?.[direction]
      return typeof rate === 'number' && rate > 0 && Number.isFinite(rate) ? rate : undefined
    },
    remember(direction, bytes, ms) {
      if (bytes < telling.bytes || ms < telling.ms) return
      const rates = { ...read(), [direction]: Math.round((bytes / ms) * 1000) }
      try {
        writeFileSync(path, `${JSON.stringify(rates)}\n`)
      } catch {
        // A read-only home is no reason to fail.
      }
    },
  }
}

/** The sentence for the user; undefined when it is not long, or nothing is known. */
export function forecast(
  { limit, last }: Pick<LinkMemory, 'limit' | 'last'>,
  direction: Direction,
  bytes: number,
): string | undefined {
  const before = last(direction)
  const rate = Math.min(limit ?? Infinity, before ?? Infinity)
  const ms = (bytes / rate) * 1000
  if (!Number.isFinite(rate) || ms < longMs) return undefined
  const why = rate === limit ? `by the limit of ${formatRate(rate)}` : 'as fast as the last time'
  return `${formatBytes(bytes)} to ${direction}: about ${formatDuration(ms)}, ${why}`
}
