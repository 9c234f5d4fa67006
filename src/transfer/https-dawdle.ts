/** Slow on purpose: who always gives or takes a byte just before he would be cut for his silence, and keeps a connection for ever. */
import type { Socket } from 'node:net'
import type { Exchange } from './https-answer.ts'

export type DawdleLimits = Record<'dawdleMs' | 'dawdleBytesMin', number>

const looks = 8

interface Seen {
  readonly exchange: Exchange
  bytes: number
  /** How often it was the peer's turn since then. */
  times: number
}

/** Looks at all requests now and then; to be cleared in the end. Time in which we hold them up ourselves does not count. */
export function cutDawdlers(
  exchanges: ReadonlyMap<Socket, Exchange>,
  { dawdleMs, dawdleBytesMin }: DawdleLimits,
): NodeJS.Timeout {
  const seen = new WeakMap<Socket, Seen>()
  const look = () => {
    for (const [socket, exchange] of exchanges) {
      const bytes = socket.bytesRead + socket.bytesWritten
      const known = seen.get(socket)
      if (known?.exchange !== exchange || bytes - known.bytes >= dawdleBytesMin)
        seen.set(socket, { exchange, bytes, times: 0 })
      else if (exchange.waiting && ++known.times >= looks) socket.destroy()
    }
  }
  return setInterval(look, dawdleMs / looks).unref()
}
