/** A small proxy as offices have them: CONNECT to one name only, by password, and perhaps with an eye on what is spoken. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface ConnectProxy {
  /** As `HTTPS_PROXY` has it. */
  readonly url: string
  /** What it was asked for, and refused. */
  readonly asked: string[]
  readonly refused: string[]
  /** Protocols that clients named in their first words (ALPN), of those that were let through. */
  readonly spoken: string[]
}

export interface ProxyOptions {
  /** `host:port` that it leads to, and where that is. */
  readonly name: string
  readonly port: number
  /** Ends lines on which anything but HTTP is to be spoken. */
  readonly onlyHttp?: boolean
}

const password = 'pass:word'

export async function connectProxy(t: Test, options: ProxyOptions): Promise<ConnectProxy> {
  const [asked, refused, spoken]: string[][] = [[], [], []]
  const sockets = new Set<Socket>()
  const right = `Basic ${Buffer.from(`user:${password}`).toString('base64')}`
  const server = createServer((_, answer) => answer.writeHead(405).end())
  server.on('connection', (socket) => sockets.add(socket))
  server.on('connect', (request, near: Socket) => {
    near.on('error', () => undefined)
    asked?.push(request.url ?? '')
    if (request.url !== options.name || request.headers['proxy-authorization'] !== right) {
      refused?.push(request.url ?? '')
      near.end('HTTP/1.1 403 Forbidden\r\n\r\n')
      return
    }
    near.write('HTTP/1.1 200 Connection established\r\n\r\n')
    near.once('data', (hello: Buffer) => {
      const words = hello.includes('\x04mqtt') ? 'mqtt' : 'http/1.1'
      if (options.onlyHttp && words !== 'http/1.1') return near.destroy()
      spoken?.push(words)
      const far = connect(options.port, '127.0.0.1')
      sockets.add(far)
      far.on('error', () => near.destroy()).on('close', () => near.destroy())
      near.on('close', () => far.destroy())
      far.write(hello)
      near.pipe(far).pipe(near)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://user:${encodeURIComponent(password)}@127.0.0.1:${port}`,
    ...{ asked: asked ?? [], refused: refused ?? [], spoken: spoken ?? [] },
  }
}
