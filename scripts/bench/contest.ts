/** Contenders that take turns, so that a machine which is slow now is slow for all of them: only the ratios count. */
import { anonymousBytes, processorMs } from '../../test/support/net-watch.ts'

/** What one turn took. */
export interface Turn {
  readonly ms: number
  readonly processorMs: number
  /** Highest RssAnon seen of the process under test, where it is one that stays. */
  readonly memory?: number
}

export interface Contender {
  readonly name: string
  turn(): Promise<Turn>
}

/** What a contender took for one unit of work: medians. */
export interface Score {
  readonly name: string
  readonly ms: number
  readonly processorMs: number
  readonly memory: number | undefined
}

export interface Contest {
  readonly ours: Score
  readonly peers: readonly (Score & {
    /** Our processor time by theirs, the median of all rounds. */
    readonly processor: number
    /** Our time by theirs. */
    readonly time: number
  })[]
}

export const median = (numbers: readonly number[]): number => percentile(numbers, 50)

export function percentile(numbers: readonly number[], percent: number): number {
  const sorted = [...numbers].sort((a, b) => a - b)
  const at = Math.min(sorted.length - 1, Math.floor((sorted.length * percent) / 100))
  return sorted[at] ?? Number.NaN
}

/** Lets all take turns, `rounds` times, after one turn each that is not counted. */
export async function contest(
  ours: Contender,
  peers: readonly Contender[],
  rounds: number,
): Promise<Contest> {
  const all = [ours, ...peers]
  const turns = new Map<Contender, Turn[]>(all.map((one) => [one, []]))
  for (const one of all) await one.turn()
  for (let round = 0; round < rounds; round++)
    for (const one of all) turns.get(one)?.push(await one.turn())
  const of = (one: Contender): Turn[] => turns.get(one) ?? []
  const mine = of(ours)
  const ratio = (theirs: readonly Turn[], value: (turn: Turn) => number): number =>
    median(mine.map((turn, n) => value(turn) / value(theirs[n] ?? turn)))
  return {
    ours: scoreOf(ours.name, mine),
    peers: peers.map((peer) => ({
      ...scoreOf(peer.name, of(peer)),
      processor: ratio(of(peer), (turn) => turn.processorMs),
      time: ratio(of(peer), (turn) => turn.ms),
    })),
  }
}

function scoreOf(name: string, turns: readonly Turn[]): Score {
  const memory = turns.flatMap((turn) => turn.memory ?? [])
  return {
    name,
    ms: median(turns.map((turn) => turn.ms)),
    processorMs: median(turns.map((turn) => turn.processorMs)),
    memory: memory.length > 0 ? Math.max(...memory) : undefined,
  }
}

const sampleMs = 50

/** What processes that stay take while the work is done. */
export async function whileWatched(
  pids: readonly number[],
  work: () => Promise<void>,
): Promise<Turn> {
  const taken = (): number => pids.reduce((sum, pid) => sum + processorMs(pid), 0)
  const held = (): number => pids.reduce((sum, pid) => sum + (anonymousBytes(pid) ?? 0), 0)
  let memory = held()
  const timer = setInterval(() => {
    memory = Math.max(memory, held())
  }, sampleMs)
  const [began, before] = [performance.now(), taken()]
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  return { ms: performance.now() - began, processorMs: taken() - before, memory }
}
