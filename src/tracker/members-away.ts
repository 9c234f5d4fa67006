/**
 * How long pillars are away. Pure. Who died is suspect at once, and gone after the grace time; only joining anew ends that.
 * Within a run it is measured by the monotonic clock: a date that jumps makes nobody gone.
 */
export interface Away {
  /** Monotonic milliseconds; before zero for who was away when this tracker started. */
  readonly since: number
  /** It said that it would be back by then, monotonic milliseconds: until then it is not gone. */
  readonly until?: number | undefined
}

/** After a start everybody is given so long, whatever the dates say. */
export const settleMs = 3_600_000

/** At a start: away since it was last heard, but not nearly gone. */
export const awayAtStart = (
  heardAt: number,
  clock: { now: number; monotonic: number },
  graceMs: number,
): Away => {
  const away = Math.max(0, clock.now - heardAt)
  const most = Math.max(0, graceMs - settleMs)
  return { since: clock.monotonic - Math.min(away, most) }
}

/** Monotonic milliseconds. */
export const goneAt = ({ since, until }: Away, graceMs: number): number =>
  Math.max(since + graceMs, until ?? Number.NEGATIVE_INFINITY)
