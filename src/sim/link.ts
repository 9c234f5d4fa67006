import { Cut } from '../transfer/transfer.ts'
import type { Clock } from '../world/world.ts'

export interface LinkOptions {
  readonly clock: Clock
  readonly idleMs: number
  latencyMs(): number
  readonly fate: { readonly bytes: number; readonly silently: boolean } | undefined
  /** True while nothing passes. */
  blocked(): boolean
  /** Called once, when the link has ended in whatever way. */
  closed(): void
  count(what: 'cut' | 'bytesUp' | 'bytesDown', n: number): void
}

/** One simulated connection while it carries one request and its answer. */
export interface Link {
  readonly count: LinkOptions['count']
  /** Aborted when the connection is cut. */
  readonly gone: AbortSignal
  cut(why: Error): void
  /** Everything has arrived; nothing can cut it any more. */
  finish(): void
  /** Waits for the peer: rejects once the link is cut, and cuts it when nothing passes for `idleMs`. */
  turn<T>(promise: Promise<T>): Promise<T>
  /** Rejects once the link is cut, whatever becomes of the promise. */
  unlessCut<T>(promise: Promise<T>): Promise<T>
  /** Resolves when `bytes` have arrived; rejects, or never ends, when the fate of the link comes first. */
  carry(bytes: number): Promise<void>
  /** How many bytes will still arrive. */
  room(): number
  /** True while the maker of a request's body is busy: the silence is then not the peer's. */
  makerBusy: boolean
}

export function openLink(options: LinkOptions): Link {
  const { clock, fate, count } = options
  const line = breakable(options.closed)
  let left = fate?.bytes ?? Number.POSITIVE_INFINITY
  let heard = clock.monotonic()

  const cut = (why: Error) => {
    if (line.end(why)) count('cut', 1)
  }

  async function watch(over: AbortSignal): Promise<void> {
    while (!over.aborted && !line.gone.aborted) {
      if (link.makerBusy) heard = clock.monotonic()
      const ms = heard + options.idleMs - clock.monotonic()
      if (ms <= 0) cut(new Cut(`not a byte for ${options.idleMs} ms`))
      else await clock.sleep(ms, over)
    }
  }

  const link: Link = {
    count,
    gone: line.gone,
    cut,
    finish: () => void line.end(),
    unlessCut: line.unlessCut,
    room: () => Math.max(0, left),
    makerBusy: false,
    turn: async (promise) => {
      const over = new AbortController()
      heard = clock.monotonic()
      void watch(over.signal)
      try {
        return await line.unlessCut(promise)
      } finally {
        over.abort()
      }
    },
    carry: async (bytes) => {
      await line.unlessCut(clock.sleep(options.latencyMs(), line.gone))
      left -= bytes
      if (options.blocked() || (left < 0 && fate?.silently)) await line.unlessCut(never())
      if (left < 0) cut(new Cut('the connection broke'))
      await line.unlessCut(Promise.resolve())
      heard = clock.monotonic()
    },
  }
  return link
}

/** What can break while others wait for something on it. */
function breakable(closed: () => void) {
  const gone = new AbortController()
  const breaks = new Set<(why: Error) => void>()
  let ended = false
  let broken: Error | undefined
  return {
    gone: gone.signal,
    /** Breaks it when a reason is given; false when it had ended before. */
    end: (why?: Error): boolean => {
      if (ended) return false
      ended = true
      broken = why
      closed()
      if (why !== undefined) gone.abort()
      if (why !== undefined) for (const tell of breaks) tell(why)
      return true
    },
    unlessCut: <T>(promise: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        if (broken === undefined) breaks.add(reject)
        else reject(broken)
        promise.then(resolve, reject).finally(() => breaks.delete(reject))
      }),
  }
}

/**
 * The chunks of a body, one by one, as they arrive. Silence is the fault of the peer only: never while the `maker` of
 * a request's body, or the `reader` of an answer's, is the one who is busy.
 */
export async function* carried(
  link: Link,
  body: AsyncIterable<Uint8Array>,
  busy: 'maker' | 'reader',
): AsyncGenerator<Uint8Array, void> {
  const chunks = body[Symbol.asyncIterator]()
  const passing = <T>(promise: Promise<T>) => (busy === 'maker' ? promise : link.turn(promise))
  const next = async (): Promise<Uint8Array | undefined> => {
    link.makerBusy = busy === 'maker'
    const { value, done } = await link.unlessCut(chunks.next()).finally(() => {
      link.makerBusy = false
    })
    return done ? undefined : value
  }
  try {
    for (;;) {
      const chunk = await passing(next())
      if (chunk === undefined) return
      const arrives = Math.min(chunk.length, link.room())
      if (arrives > 0) {
        await passing(link.carry(arrives))
        const piece = new Uint8Array(chunk.subarray(0, arrives)) // its maker may use the chunk again
        yield piece
        // And so do we: whoever has kept it finds something else.
        piece.fill(0xdb)
      }
      if (arrives < chunk.length) await passing(link.carry(chunk.length - arrives))
    }
  } catch (error) {
    const failed = new Cut('the body broke off', { cause: error })
    // A failing maker of a request gets its own error back; whoever reads sees a cut.
    link.cut(busy === 'maker' ? (error as Error) : failed)
    throw error instanceof Cut ? error : failed
  } finally {
    chunks.return?.().then(undefined, () => {})
  }
}

const never = <T>(): Promise<T> => new Promise(() => {})
