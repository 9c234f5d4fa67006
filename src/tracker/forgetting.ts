/**
 * When copies that nobody needs may go. Whoever does not know of a file takes its fragments for such: a tracker that was
 * rebuilt, that came back from a backup, or whose clock was wrong must not throw them away. How long it has watched is
 * durable, so that one that is started anew each day gives up what nobody needs as well.
 */
import type { Directory } from '../trust/directory.ts'
import type { View } from '../view/view.ts'
import type { Clock } from '../world/world.ts'
import type { Members } from './roles.ts'

export interface ForgettingParts {
  readonly clock: Clock
  readonly directory: Pick<Directory, 'collection'>
  readonly members: Pick<Members, 'surveyed'>
  readonly view: Pick<View, 'fact' | 'change'>
  /** Whether the texts of this pillar were read. */
  knows(collection: string, pillar: string): Promise<boolean>
  readonly graceMs: number
}

export interface Forgetting {
  /** Milliseconds since 1970: what nobody has needed since before may go. Undefined: nothing may. */
  before(collection: string): Promise<number | undefined>
  /** Counts how long it is watched, until the signal is aborted. */
  watch(signal: AbortSignal): Promise<void>
}

/** What the clock said when it had been watched for so long, over all runs; both in milliseconds. */
interface Mark {
  readonly wall: number
  readonly watched: number
}

const jumpMs = 3_600_000
const markMsMax = 3_600_000
const marksFact = 'watched'

export function forgetting(parts: ForgettingParts): Forgetting {
  const { directory, members, knows, graceMs } = parts
  const watched = watching(parts, Math.min(markMsMax, graceMs / 8))
  return {
    async before(collection) {
      const policy = directory.collection(collection)
      const since = await watched.since()
      if (!policy || since === undefined) return undefined
      const surveyed = members.surveyed(collection)
      const unknown = policy.pillars.filter((pillar) => !surveyed.includes(pillar))
      // What was acknowledged is told of by as many pillars as that took.
      if (unknown.length >= policy.copiesMin) return undefined
      for (const pillar of surveyed) if (!(await knows(collection, pillar))) return undefined
      return since
    },
    watch: watched.watch,
  }
}

/** Marks are made every `markMs`; a clock that jumped or went back makes it begin anew. */
function watching({ clock, view, graceMs }: ForgettingParts, markMs: number) {
  let begun = { wall: clock.now(), run: clock.monotonic(), watched: 0 }
  let marks: Mark[] = []
  const ran = (): number => clock.monotonic() - begun.run
  const isSteady = (): boolean => Math.abs(clock.now() - begun.wall - ran()) < jumpMs
  const opened = (async () => {
    const known = JSON.parse((await view.fact(marksFact)) ?? '[]') as Mark[]
    const last = known.at(-1)
    if (!last || last.wall > begun.wall) return
    marks = known
    begun = { ...begun, watched: last.watched }
  })()
  async function mark(): Promise<void> {
    if (!isSteady()) {
      begun = { wall: clock.now(), run: clock.monotonic(), watched: 0 }
      marks = []
    }
    const watched = begun.watched + ran()
    const last = marks.at(-1)
    // A start soon after the last mark tells nothing new.
    if (last && watched - last.watched < markMs / 2) return
    const needed = marks.findLastIndex((one) => watched - one.watched >= graceMs)
    marks = [...marks.slice(Math.max(0, needed)), { wall: clock.now(), watched }]
    await view.change([{ do: 'fact', key: marksFact, value: JSON.stringify(marks) }])
  }
  return {
    /** Since when it has been watched for the time of grace, by the clock of then. */
    async since(): Promise<number | undefined> {
      await opened
      // Whatever was counted before: this run has had time to hear of everything, too.
      if (!isSteady() || ran() < markMs) return undefined
      const now = begun.watched + ran()
      return marks.findLast((one) => now - one.watched >= graceMs)?.wall
    },
    async watch(signal: AbortSignal): Promise<void> {
      await opened
      while (!signal.aborted) {
        await mark()
        await clock.sleep(markMs, signal)
      }
    },
  }
}
