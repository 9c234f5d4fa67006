/** The time by which proofs grow old. */
import type { Desk } from './pillar.ts'

export interface ScrubTime {
  /** Milliseconds since 1970; goes on from where it was noted when the board has lost the date. */
  now(): number
  /** The board's date is before what was noted: how long it was off is not known either. */
  isLost(): boolean
  /** To be kept with what was done until now. */
  entry(): readonly [key: string, value: string]
}

const key = 'scrub time'

/**
 * A board without a battery for its clock begins in 1970, and may never hear the time: then it goes by steady time. Where the
 * system says that its clock was set, that alone counts.
 */
export async function scrubTime({ world, state, synchronised }: Desk): Promise<ScrubTime> {
  const { clock } = world
  const noted = Number((await state.get(key)) ?? 0)
  const begun = clock.monotonic()
  const now = (): number => {
    const date = clock.now()
    return synchronised?.() ? date : Math.max(date, noted + clock.monotonic() - begun)
  }
  return { now, isLost: () => now() > clock.now(), entry: () => [key, String(now())] }
}
