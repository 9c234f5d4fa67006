/**
 * Hours in which what can wait may use the link. Outside of them it waits, and is no failure: it goes on where it stopped when
 * the next window opens, also after a restart. A page that is under way is finished. Pure but for the clock.
 */
import type { Span } from '../world/units.ts'
import type { Clock } from '../world/world.ts'
import type { Address } from './transfer.ts'

export interface Windows {
  /** Milliseconds until the link to there may be used; 0 when it may be now. */
  waitMs(to: Address): number
}

export interface WindowParts {
  /** Minutes of the day; whatever they leave out is closed. */
  readonly spans: readonly Span[]
  readonly clock: Pick<Clock, 'now'>
  /** Minutes that the machine's own time is ahead of UTC at that moment. */
  minutesEast(at: number): number
  /** No clock that is right shows less. By one that is wrong no window is known: then nothing is kept waiting. */
  earliest(): number
  counts(to: Address): boolean
}

const minuteMs = 60_000
/** Two days and a change of the clock, which may leave out the hour of one of them. */
const lookMinutes = 50 * 60

export function windowsOf({ spans, clock, minutesEast, earliest, counts }: WindowParts): Windows {
  const isOpen = (at: number): boolean => {
    const minute = Math.floor(at / minuteMs + minutesEast(at)) % (24 * 60)
    return spans.some(({ from, to }) =>
      from < to ? minute >= from && minute < to : minute >= from || minute < to,
    )
  }
  return {
    waitMs(to) {
      const now = clock.now()
      if (spans.length === 0 || !counts(to) || now < earliest() || isOpen(now)) return 0
      const next = (Math.floor(now / minuteMs) + 1) * minuteMs
      // Minute by minute: the night in which the clocks change has other hours than its neighbours.
      for (let n = 0; n < lookMinutes; n++)
        if (isOpen(next + n * minuteMs)) return next + n * minuteMs - now
      return 0
    },
  }
}
