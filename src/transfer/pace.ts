/**
 * A link that is not to be filled: what passes is counted, and waits for its turn. Whoever waits for bytes of his own comes
 * first, but nobody is starved: a connection without bytes would be taken for a cut one.
 */
import type { Clock } from '../world/world.ts'
import type { Address, Dial, Request, Response, Urgency } from './transfer.ts'

/** How the link is shared among those who want it at the same time. */
const shares: Readonly<Record<Urgency, number>> = { restore: 16, store: 4, mend: 1 }

/** What passes at once: so much of a second of the link that turns are short, and no more than a buffer. */
const slice = { seconds: 0.25, bytesMin: 1024, bytesMax: 64 * 1024 }

export interface Pace {
  /** The most that should be asked for at once, bytes. */
  readonly slice: number
  /** Resolves when so many bytes may pass; when the signal is aborted, at once. */
  pass(bytes: number, urgency: Urgency, signal?: AbortSignal): Promise<void>
}

interface Waiter {
  readonly bytes: number
  go(): void
  gone: boolean
}

/** Start-time fair queueing: of those who wait, the one goes whose kind has had the least for its share. */
export function paceOf(clock: Clock, bytesPerSecond: number): Pace {
  const waiting: Record<Urgency, Waiter[]> = { restore: [], store: [], mend: [] }
  const had: Record<Urgency, number> = { restore: 0, store: 0, mend: 0 }
  const kinds = Object.keys(waiting) as Urgency[]
  let served = 0
  let freeAt = 0
  let running = false

  function next(): Waiter | undefined {
    const open = kinds.filter((kind) => waiting[kind].length > 0)
    const [first, ...rest] = open
    if (first === undefined) return undefined
    const kind = rest.reduce((best, one) => (had[one] < had[best] ? one : best), first)
    const waiter = waiting[kind].shift()
    served = had[kind]
    had[kind] += (waiter?.bytes ?? 0) / shares[kind]
    return waiter
  }
  async function run(): Promise<void> {
    running = true
    for (let waiter = next(); waiter; waiter = next()) {
      if (waiter.gone) continue
      const now = clock.monotonic()
      freeAt = Math.max(freeAt, now) + (waiter.bytes / bytesPerSecond) * 1000
      waiter.go()
      // What was not used while nobody wanted anything is not made up for.
      await clock.sleep(freeAt - now)
    }
    running = false
  }
  return {
    slice: Math.min(
      slice.bytesMax,
      Math.max(slice.bytesMin, Math.floor(bytesPerSecond * slice.seconds)),
    ),
    pass(bytes, urgency, signal) {
      if (signal?.aborted) return Promise.resolve()
      // Who comes back after a pause has no claim on what others had meanwhile.
      if (waiting[urgency].length === 0) had[urgency] = Math.max(had[urgency], served)
      return new Promise((resolve) => {
        const go = (): void => {
          signal?.removeEventListener('abort', leave)
          resolve()
        }
        const waiter: Waiter = { bytes, go, gone: false }
        const leave = (): void => {
          waiter.gone = true
          resolve()
        }
        signal?.addEventListener('abort', leave, { once: true })
        waiting[urgency].push(waiter)
        if (!running) void run()
      })
    },
  }
}

/** Both directions of what `counts` go by the pace; everything else is as fast as it can be. */
export const pacedDial =
  (dial: Dial, pace: Pace, counts: (to: Address) => boolean): Dial =>
  async (to, request, options) => {
    if (!counts(to)) return dial(to, request, options)
    const { urgency = 'store', signal } = options
    const slow = (body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> =>
      paced(body, pace, urgency, signal)
    return slowed(await dial(to, slowed(request, slow), options), slow)
  }

const slowed = <M extends Request | Response>(
  message: M,
  slow: (body: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>,
): M => (message.body ? { ...message, body: slow(message.body) } : message)

async function* paced(
  body: AsyncIterable<Uint8Array>,
  pace: Pace,
  urgency: Urgency,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of body) {
    for (let at = 0; at < bytes.length; at += pace.slice) {
      const part = bytes.subarray(at, at + pace.slice)
      await pace.pass(part.length, urgency, signal)
      yield part
    }
  }
}
