import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout } from 'node:timers/promises'

/** Where a meter listens: another address of this computer, so that it can have the port of what is behind it. */
export const meterHost = process.platform === 'linux' ? '127.0.0.2' : '[::1]'

/** A line to a port of this computer: counts what passes, and passes on no more than `rate` bytes a second. */
export interface Meter {
  /** Bytes that came from the port behind it. */
  readonly down: number
  /** Bytes that went to it. */
  readonly up: number
  readonly connections: number
  /** Bytes a second, both directions and all connections together; Infinity by default. */
  rate: number
  close(): Promise<void>
}

/** Listens at `meterHost` on the same port that it leads to on 127.0.0.1. */
export async function openMeter(port: number, rate = Number.POSITIVE_INFINITY): Promise<Meter> {
  const sockets = new Set<Socket>()
  const meter = { down: 0, up: 0, connections: 0, rate }
  let freeAt = 0

  /** Takes its turn on the line: resolves when so many bytes may pass. */
  async function turn(bytes: number): Promise<void> {
    const now = performance.now()
    freeAt = Math.max(freeAt, now) + (bytes / meter.rate) * 1000
    if (freeAt - now > 1) await setTimeout(freeAt - now)
  }
  async function carry(from: Socket, to: Socket, direction: 'up' | 'down'): Promise<void> {
    for await (const bytes of from) {
      await turn(bytes.length)
      meter[direction] += bytes.length
      if (!to.write(bytes)) await once(to, 'drain')
    }
    to.end()
  }
  const server = createServer((near) => {
    meter.connections++
    const far = connect(port, '127.0.0.1')
    const end = (): void => {
      near.destroy()
      far.destroy()
    }
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true).on('error', end)
      socket.on('close', () => sockets.delete(socket))
    }
    near.on('close', end)
    far.on('close', end)
    carry(near, far, 'up').catch(end)
    carry(far, near, 'down').catch(end)
  })
  server.listen(port, meterHost.replace(/[[\]]/g, ''))
  await once(server, 'listening')
  return Object.assign(meter, {
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  })
}

/** A port that is free on this computer, also at the address of meters. */
export async function freePort(): Promise<number> {
  for (;;) {
    const first = createServer().listen(0, '127.0.0.1')
    await once(first, 'listening')
    const { port } = first.address() as { port: number }
    const second = createServer().listen(port, meterHost.replace(/[[\]]/g, ''))
    const free = await once(second, 'listening').then(
      () => true,
      () => false,
    )
    await Promise.all([first, ...(free ? [second] : [])].map((one) => closed(one)))
    if (free) return port
  }
}

const closed = (server: ReturnType<typeof createServer>): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve()))
