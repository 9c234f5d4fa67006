/** Keeps those who have proved nothing yet from filling a server: so many at a time, of one address and of all. */
import type { Server, Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'

export type HandshakeLimits = Record<'handshakesPerAddressMax' | 'handshakesMax', number>

/** One line says it for all that come in a minute. */
const quietMs = 60_000

/** To be called before the server listens; `server` is one of TLS. */
export function boundHandshakes(
  server: Server,
  { log }: Pick<World, 'log'>,
  bounds: HandshakeLimits = limits,
): void {
  const pending = new Map<string, string>()
  const counts = new Map<string, number>()
  let quietUntil = Number.NEGATIVE_INFINITY

  function over(key: string): void {
    const address = pending.get(key)
    if (address === undefined) return
    pending.delete(key)
    const left = (counts.get(address) ?? 1) - 1
    if (left > 0) counts.set(address, left)
    else counts.delete(address)
  }
  server.on('connection', (socket: Socket) => {
    const address = addressOf(socket)
    const count = (counts.get(address) ?? 0) + 1
    if (count > bounds.handshakesPerAddressMax || pending.size >= bounds.handshakesMax) {
      socket.destroy()
      if (performance.now() < quietUntil) return
      quietUntil = performance.now() + quietMs
      log.warn('door.flooded', { address, pending: pending.size })
      return
    }
    const key = keyOf(socket)
    counts.set(address, count)
    pending.set(key, address)
    socket.once('close', () => over(key))
  })
  server.on('secureConnection', (socket: TLSSocket) => over(keyOf(socket)))
}

const addressOf = (socket: Socket): string => socket.remoteAddress ?? ''
const keyOf = (socket: Socket): string => `${addressOf(socket)} ${socket.remotePort}`
