/** The lines to each address and identity: a bounded number, the one used last first, and whoever comes when all are busy waits. */
import type { ConnectionOptions } from 'node:tls'
import { limits } from '../limits.ts'
import { gate } from '../world/lock.ts'
import { type Line, openLine } from './https-line.ts'
import { type Address, Cut, type DialOptions, type Request, type Response } from './transfer.ts'

export interface Lines {
  /** One request without a body; `stale` when the line was found dead before a byte came: another may do. */
  ask(to: Address, request: Request, options: DialOptions): Promise<Response | 'stale'>
  close(why: Error): void
}

interface Place {
  readonly gate: ReturnType<typeof gate>
  idle: Line[]
  /** Of the last connection, to shorten the next handshake; forgotten when one fails. */
  session: Buffer | undefined
}

/** `tls`: with what the next one proves who we are. */
export function openLines(tls: () => ConnectionOptions): Lines {
  const places = new Map<string, Place>()
  const open = new Set<Line>()
  let closed: Error | undefined
  const placeOf = ({ identity, url }: Address): Place => {
    const key = `${identity} ${url}`
    const place = places.get(key) ?? {
      gate: gate(limits.connectionsPerAddressMax),
      idle: [],
      session: undefined,
    }
    places.set(key, place)
    return place
  }
  function begun(place: Place, to: Address, connectMs: number): Line {
    const keep = (session: Buffer): void => {
      place.session = session
    }
    const { session } = place
    const line = openLine(to, { ...tls(), keep, ...(session ? { session } : {}) }, connectMs)
    line.ready.catch(() => {
      place.session = undefined
    })
    open.add(line)
    void line.gone.then(() => open.delete(line))
    return line
  }
  return {
    async ask(to, request, options) {
      const place = placeOf(to)
      const leave = await unlessAborted(place.gate.enter(), options.signal)
      place.idle = place.idle.filter((one) => !one.isGone())
      const kept = place.idle.pop()
      try {
        if (options.signal?.aborted) throw new Cut('aborted')
        if (closed) throw closed
        const line = kept ?? begun(place, to, options.connectMs)
        const connecting = (): void => line.end(new Cut('aborted'))
        options.signal?.addEventListener('abort', connecting)
        await line.ready.finally(() => options.signal?.removeEventListener('abort', connecting))
        const answer = await line.ask(request, options, () => {
          if (!line.isGone()) place.idle.push(line)
          leave()
        })
        if (answer !== 'stale' || kept) return answer
        throw line.broken(`${to.identity} at ${to.url} closes the connection without an answer`)
      } catch (error) {
        leave()
        throw error
      }
    },
    close(why) {
      closed = why
      for (const line of open) line.end(why)
    },
  }
}

/** Whoever does not wait any more lets in the next. */
async function unlessAborted(
  entering: Promise<() => void>,
  signal: AbortSignal | undefined,
): Promise<() => void> {
  if (signal === undefined) return entering
  let stop = (): void => undefined
  const aborted = new Promise<undefined>((resolve) => {
    stop = () => resolve(undefined)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
  })
  const leave = await Promise.race([entering, aborted])
  signal.removeEventListener('abort', stop)
  if (leave) return leave
  void entering.then((late) => late())
  throw new Cut('aborted')
}
