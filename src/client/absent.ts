/** Who is away for lack of power, and for how long nobody makes anything of it. Pure. */
import { limits } from '../limits.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'

type Presence = MessageOf<'Presence'>

/** The Will of one that saved its power says nothing of that: its network may have gone with the mains. */
export function withPurpose(before: Presence | undefined, now: Presence): Presence {
  if (now.state === 'online' || now.downUntil !== undefined) return now
  if (before?.downUntil === undefined || before.session !== now.session) return now
  return { ...now, sentAt: before.sentAt, downUntil: before.downUntil }
}

/**
 * How much longer one that went on purpose is waited for, milliseconds; a week at most. How long it meant to be away is by
 * its own clock, how much of that is over by ours: a clock of its own that is ahead lengthens nothing, one that is behind
 * makes it one that has just gone.
 */
export function purposeLeftMs({ state, sentAt, downUntil }: Presence, now: number): number {
  if (state === 'online' || downUntil === undefined) return 0
  const meant = Math.min(timeValue(downUntil) - timeValue(sentAt), limits.downOnPurposeMsMax)
  return Math.max(0, Math.min(meant, timeValue(downUntil) - now))
}
