/**
 * When copies that nobody needs may go. Whoever does not know of a file takes its fragments for such: a tracker that was
 * rebuilt, that came back from a backup, or whose clock was wrong must not throw them away.
 */
import type { Directory } from '../trust/directory.ts'
import type { Clock } from '../world/world.ts'
import type { Members } from './roles.ts'

export interface ForgettingParts {
  readonly clock: Pick<Clock, 'now' | 'monotonic'>
  readonly directory: Pick<Directory, 'collection'>
  readonly members: Pick<Members, 'surveyed'>
  /** Whether the texts of this pillar were read. */
  knows(collection: string, pillar: string): Promise<boolean>
  readonly graceMs: number
}

const jumpMs = 3_600_000

/** Milliseconds since 1970: what nobody has needed since before may go. Undefined: nothing may. */
export function forgetting(parts: ForgettingParts) {
  const { clock, directory, members, knows, graceMs } = parts
  const begun = { wall: clock.now(), run: clock.monotonic() }
  return async (collection: string): Promise<number | undefined> => {
    const ran = clock.monotonic() - begun.run
    const isSteady = Math.abs(clock.now() - begun.wall - ran) < jumpMs
    const policy = directory.collection(collection)
    if (!policy || !isSteady || ran < graceMs) return undefined
    const surveyed = members.surveyed(collection)
    const unknown = policy.pillars.filter((pillar) => !surveyed.includes(pillar))
    // What was acknowledged is told of by as many pillars as that took.
    if (unknown.length >= policy.copiesMin) return undefined
    for (const pillar of surveyed) if (!(await knows(collection, pillar))) return undefined
    return clock.now() - graceMs
  }
}
