/** MQTT in WebSockets (RFC 6455; MQTT 3.1.1 §6): for networks that let nothing out but HTTPS. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { createWebSocketStream, WebSocket, WebSocketServer } from 'ws'
import { limits } from '../limits.ts'

/** Where it is asked for, and by what name. */
export const webSocketPath = '/mqtt'
const subprotocol = 'mqtt'

const bounds = { maxPayload: limits.packetBytesMax, perMessageDeflate: false }

/** Bytes of MQTT by a WebSocket over the connection that `connect` opens. */
export function webSocketTo(url: string, connect: () => TLSSocket): Duplex {
  const socket = new WebSocket(url, [subprotocol], {
    ...bounds,
    createConnection: connect,
    handshakeTimeout: limits.handshakeMs,
    followRedirects: false,
  })
  return streamOf(socket)
}

/** The library leaves a stream half open whose socket has gone. */
function streamOf(socket: WebSocket): Duplex {
  const stream = createWebSocketStream(socket)
  socket.once('close', () => stream.destroy())
  return stream
}

/** Takes upgrades to MQTT, by those who may; refuses all others by one sentence. */
export function webSockets(
  may: (socket: TLSSocket) => boolean,
  take: (stream: Duplex, socket: TLSSocket) => void,
) {
  const server = new WebSocketServer({ ...bounds, noServer: true, clientTracking: false })
  return (request: IncomingMessage, socket: TLSSocket, head: Buffer): void => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(/\s*,\s*/)
    if (request.url !== webSocketPath || !offered.includes(subprotocol) || !may(socket)) {
      const why = `only ${subprotocol} is spoken by WebSocket here, at ${webSocketPath}, by members\n`
      socket.on('error', () => undefined)
      socket.end(
        `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: ${why.length}\r\n\r\n${why}`,
      )
      return
    }
    server.handleUpgrade(request, socket, head, (web) => take(streamOf(web), socket))
  }
}
