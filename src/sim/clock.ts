import { strict as assert } from 'node:assert'
import type { Clock } from '../world/world.ts'

/** Time of a whole simulated fleet: nothing passes but by `run`, `advance` or `finish`. */
export interface SimClock {
  /** The true time. */
  readonly clock: Clock
  /** A clock of one board: time passes as for all, but it may have its own idea of the date. */
  board(offsetMs?: number): BoardClock
  /** Wakes all sleepers due up to this time, in the order (time, arrival); then it is that time. */
  run(untilMs: number): Promise<void>
  /** `run` for so much longer. */
  advance(ms: number): Promise<void>
  /** Lets time pass until the work has ended, and gives its result; throws after `limitMs` (a day when absent). */
  finish<T>(work: Promise<T>, limitMs?: number): Promise<T>
  /** Sleepers that wait now. */
  waiting(): number
}

export interface BoardClock extends Clock {
  /** What the board's date is off by from now on, in milliseconds; `monotonic` does not notice. */
  setOffset(ms: number): void
}

/** 2026-01-01T00:00:00Z: where simulated time begins unless told otherwise, in milliseconds since 1970. */
const beginning = 1_767_225_600_000

export function simClock(startMs: number = beginning): SimClock {
  const sleepers = sleeperQueue()
  let elapsed = 0

  const sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    assert(!Number.isNaN(ms), 'a sleep has a length')
    if (signal?.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const sleeper: Sleeper = { at: elapsed + Math.max(0, ms), wake: end }
      function end(): void {
        sleeper.wake = undefined
        sleepers.gone()
        signal?.removeEventListener('abort', end)
        resolve()
      }
      signal?.addEventListener('abort', end)
      sleepers.add(sleeper)
    })
  }
  const monotonic = (): number => elapsed

  /** Wakes the next sleeper due by `until`; false when there is none. */
  const step = async (until: number): Promise<boolean> => {
    const next = sleepers.take(until)
    if (next === undefined) return false
    elapsed = Math.max(elapsed, next.at)
    next.wake?.()
    await drained()
    return true
  }
  const run = async (untilMs: number): Promise<void> => {
    await drained()
    while (await step(untilMs)) {
      // Each step may have added sleepers that are due as well.
    }
    elapsed = Math.max(elapsed, untilMs)
  }

  return {
    clock: { now: () => Math.floor(startMs + elapsed), monotonic, sleep },
    board(offsetMs = 0) {
      let offset = offsetMs
      return {
        now: () => Math.floor(startMs + elapsed + offset),
        monotonic,
        sleep,
        setOffset: (ms) => {
          offset = ms
        },
      }
    },
    run,
    advance: (ms) => run(elapsed + ms),
    async finish(work, limitMs = 24 * 3600_000) {
      const until = elapsed + limitMs
      let ended = false
      const end = (): void => {
        ended = true
      }
      work.then(end, end)
      await drained()
      while (!ended) {
        if (await step(until)) continue
        throw new Error(`not finished at ${elapsed} ms, ${sleepers.waiting()} sleepers wait`)
      }
      return work
    },
    waiting: () => sleepers.waiting(),
  }
}

/** Resolves once every promise that can go on without time passing has gone on. */
function drained(): Promise<void> {
  return new Promise((resolve) => {
    // biome-ignore lint/style/noRestrictedGlobals: the one place that lets promises run dry between two events
    setImmediate(resolve)
  })
}

/** One that waits until `at`; without `wake` when it was woken before its time. */
interface Sleeper {
  readonly at: number
  wake: (() => void) | undefined
}

/** A binary heap by (time, arrival): equal times wake in the order in which they fell asleep. */
function sleeperQueue() {
  const heap: { readonly sleeper: Sleeper; readonly arrival: number }[] = []
  let arrivals = 0
  let live = 0
  const before = (a: number, b: number): boolean => {
    const [x, y] = [heap[a], heap[b]]
    if (x === undefined || y === undefined) return x !== undefined
    return x.sleeper.at < y.sleeper.at || (x.sleeper.at === y.sleeper.at && x.arrival < y.arrival)
  }
  const swap = (a: number, b: number): void => {
    const [x, y] = [heap[a], heap[b]]
    assert(x !== undefined && y !== undefined)
    heap[a] = y
    heap[b] = x
  }
  const rise = (from: number): void => {
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!before(at, parent)) return
      swap(at, parent)
      at = parent
    }
  }
  const sink = (): void => {
    for (let at = 0; ; ) {
      const child = before(2 * at + 2, 2 * at + 1) ? 2 * at + 2 : 2 * at + 1
      if (child >= heap.length || !before(child, at)) return
      swap(at, child)
      at = child
    }
  }
  const pop = (): void => {
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return
    heap[0] = last
    sink()
  }
  return {
    add(sleeper: Sleeper): void {
      heap.push({ sleeper, arrival: arrivals++ })
      live++
      rise(heap.length - 1)
    },
    /** The first that is due by `until`; the ones woken before their time are passed over. */
    take(until: number): Sleeper | undefined {
      for (let top = heap[0]; top !== undefined; top = heap[0]) {
        if (top.sleeper.wake !== undefined && top.sleeper.at > until) return undefined
        pop()
        if (top.sleeper.wake !== undefined) return top.sleeper
      }
      return undefined
    },
    gone(): void {
      live--
    },
    waiting: (): number => live,
  }
}
