import { constants, X509Certificate } from 'node:crypto'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { createSecureContext, type PeerCertificate, type TLSSocket } from 'node:tls'
import { allowances } from '../door/allowance.ts'
import { boundHandshakes, type HandshakeLimits } from '../door/flood.ts'
import { proxiedAgent, proxyFor } from '../door/proxy.ts'
import { webSockets } from '../door/websocket.ts'
import { limits } from '../limits.ts'
import { cipherOrder } from '../system/cpu.ts'
import { identityOf, keyIn, type Pem } from '../trust/keys.ts'
import type { PublicKey } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { answer, type Exchange } from './https-answer.ts'
import { attempt, type Pool } from './https-call.ts'
import { cutDawdlers } from './https-dawdle.ts'
import { type DoorLimits, type DoorOptions, door } from './https-door.ts'
import { openLines } from './https-lines.ts'
import { type Address, Cut, type Dial, Unreachable } from './transfer.ts'

/** Certificate of the archive's authority, and our own with its key. */
export interface Credentials {
  readonly ca: Pem
  readonly cert: Pem
  readonly key: Pem
}

export interface Dialling {
  /** Without certificate and key we are nobody, and few doors are open. */
  readonly tls: Pick<Credentials, 'ca'> & Partial<Credentials>
  /** Whether who proves to be this identity may do so with this key; for revocation. */
  admit?(identity: string, key: PublicKey): boolean
  readonly world: Pick<World, 'log'>
}

export interface Serving extends DoorOptions {
  readonly host: string
  /** 0 for any free one. */
  readonly port: number
  readonly tls: Credentials
  readonly world: Pick<World, 'log'>
  readonly limits?: Partial<ServeLimits>
}

export type ServeLimits = DoorLimits &
  HandshakeLimits &
  Record<
    | 'keepAliveMs'
    | 'handshakeMs'
    | 'headersMs'
    | 'headerBytesMax'
    | 'lingerMs'
    | 'transferIdleMs'
    | 'dawdleMs'
    | 'dawdleBytesMin'
    | 'refusalsBurst'
    | 'refusalsPerSecond',
    number
  >

export interface Served {
  readonly port: number
  /** Breaks the connections of those who would not be let in any more. */
  recheck(): void
  /** Our certificate is another from now on, of the same key. */
  certify(certificate: Pem): void
  /** Breaks what is open; resolves once no connection is left. */
  close(): Promise<void>
}

const tlsOptions = ({ ca, cert, key }: Dialling['tls']) =>
  ({
    ca,
    ...(cert === undefined || key === undefined ? {} : { cert, key }),
    minVersion: 'TLSv1.3',
    ciphers: cipherOrder(),
    ALPNProtocols: ['http/1.1'],
    noDelay: true,
  }) as const

function goesByProxy({ url }: Address): boolean {
  const { hostname = '', port } = URL.parse(url) ?? {}
  try {
    return proxyFor(hostname.replace(/^\[|\]$/g, ''), Number(port || 443)) !== undefined
  } catch {
    // What is wrong with it is told where it is dialled.
    return true
  }
}

export interface Dialler {
  /** Our certificate is another from now on, of the same key. */
  certify(certificate: Pem): void
  close(): void
}

/**
 * Dials over a bounded pool of kept connections for each address and identity; uploads, and what goes by a proxy, by Node.js's
 * own client over another one. A kept connection that turns out to be dead is replaced, as long as nothing of the body was sent.
 */
export function httpsDial({ tls, admit, world }: Dialling): Dial & Dialler {
  const checkServerIdentity = (identity: string, certificate: PeerCertificate) =>
    notNamed(identity, certificate, admit)
  const contextOf = (mine: Dialling['tls']) => createSecureContext(tlsOptions(mine))
  let secureContext = contextOf(tls)
  const lines = openLines(() => ({ ...tlsOptions(tls), secureContext, checkServerIdentity }))
  const agent = proxiedAgent({
    ...tlsOptions(tls),
    keepAlive: true,
    scheduling: 'lifo',
    maxSockets: limits.connectionsPerAddressMax,
    checkServerIdentity,
    timeout: limits.keepAliveMs / 2, // sooner than the server, so that we never send into its closing
  })
  const pool: Pool = {
    agent,
    secured: new WeakSet(),

    open: new Set(),
    closed: false,
  }

  const dial: Dial = async (to, request, options) => {
    for (let tries = 0; tries <= limits.connectionsPerAddressMax; tries++) {
      if (pool.closed) throw new Unreachable('this dialler is closed')
      if (options.signal?.aborted) throw new Cut('aborted')
      const answer =
        request.method === 'PATCH' || goesByProxy(to)
          ? await attempt(pool, to, request, options)
          : await lines.ask(to, request, options)
      if (answer !== 'stale') return answer
      world.log.debug('transfer.stale', { url: to.url })
    }
    throw new Unreachable(`${to.identity} at ${to.url} closes every connection`)
  }

  const close = () => {
    pool.closed = true
    for (const call of pool.open) call.end(new Cut('this dialler was closed'))
    lines.close(new Cut('this dialler was closed'))
    agent.destroy()
  }
  const certify = (cert: Pem): void => {
    Object.assign(agent.options, { cert })
    secureContext = contextOf({ ...tls, cert })
  }
  return Object.assign(dial, { close, certify })
}

/**
 * What is wrong with the certificate of who should be `identity`. Node.js asks in full handshakes only: a resumed one
 * goes on from a full one with the same identity, as the agent keeps sessions by address and name, and forgets them
 * when a connection fails.
 */
function notNamed(
  identity: string,
  { raw }: { raw: Buffer },
  admit: Dialling['admit'],
): Error | undefined {
  const certificate = new X509Certificate(raw)
  const found = identityOf(certificate)
  if (found !== identity) return new Error(`this is ${found ?? 'nobody'}`)
  const key = keyIn(certificate)
  return admit?.(identity, key) === false
    ? new Error(`this key is not ${identity}'s any more`)
    : undefined
}

/** Listens to nobody yet. */
function newServer(serving: Serving, bounds: ServeLimits): Server {
  const server = createServer({
    ...tlsOptions(serving.tls),
    ...(serving.mqtt ? { ALPNProtocols: ['mqtt', 'http/1.1'] } : {}),
    requestCert: true,
    // Where strangers are answered, a wrong certificate is turned away by the door, before anything is read.
    rejectUnauthorized: serving.strangers === undefined,
    honorCipherOrder: true,
    // A peer that prefers ChaCha20 lacks AES instructions; for the better one of us either will do.
    secureOptions: constants.SSL_OP_CIPHER_SERVER_PREFERENCE | constants.SSL_OP_PRIORITIZE_CHACHA,
    handshakeTimeout: bounds.handshakeMs,
    headersTimeout: bounds.headersMs,
    connectionsCheckingInterval: Math.min(bounds.headersMs, 5_000),
    requestTimeout: 0, // uploads take as long as they take; silence ends them
    keepAliveTimeout: bounds.keepAliveMs,
    maxHeaderSize: bounds.headerBytesMax,
  })
  server.timeout = bounds.transferIdleMs
  // All of them are read, or none: what lies beyond a bound would be left out without a word.
  server.maxHeadersCount = 0
  return server
}

/**
 * Answers peers whose certificate our authority issued, under the name that it proves. Rejects when the address
 * cannot be listened on. The maker of an answer's body may use a chunk again once the next one is asked for.
 */
export async function httpsServe(serving: Serving): Promise<Served> {
  const { world } = serving
  const bounds: ServeLimits = { ...limits, ...serving.limits }
  const server = newServer(serving, bounds)
  const sockets = new Set<Socket>()
  const secured = new Set<TLSSocket>()
  const exchanges = new Map<Socket, Exchange>()
  const entrance = door(serving, bounds)
  const paces = allowances(bounds.refusalsBurst, bounds.refusalsPerSecond)
  const dawdling = cutDawdlers(exchanges, bounds)

  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  // Node.js would begin to read HTTP before the door has decided, and whatever is spoken.
  const toHttp = server.listeners('secureConnection')
  server.removeAllListeners('secureConnection')
  server.on('secureConnection', (socket) => {
    if (!entrance.opens(socket)) return void socket.destroy()
    const { peer = '', key } = entrance.guest(socket) ?? {}
    secured.add(socket)
    paces.enter(peer)
    socket.once('close', () => secured.delete(socket) && paces.leave(peer))
    if (socket.alpnProtocol !== 'mqtt') for (const begin of toHttp) begin.call(server, socket)
    else if (key === undefined) socket.destroy()
    else serving.mqtt?.(socket, peer, key)
  })
  boundHandshakes(server, world, bounds)
  const { mqtt } = serving
  if (mqtt) {
    const isMember = (socket: TLSSocket) => entrance.guest(socket)?.key !== undefined
    const upgrade = webSockets(isMember, (stream, socket) => {
      const { peer = '', key = '' } = entrance.guest(socket) ?? {}
      mqtt(stream, peer, key)
    })
    server.on('upgrade', (request, socket, head) => upgrade(request, socket as TLSSocket, head))
  }
  server.on('timeout', (socket: Socket) => {
    const exchange = exchanges.get(socket)
    if (exchange === undefined || exchange.waiting) socket.destroy()
    else socket.setTimeout(bounds.transferIdleMs)
  })
  server.on('tlsClientError', ({ message }) => world.log.debug('transfer.refused', { message }))
  for (const event of ['request', 'checkContinue'] as const) {
    server.on(event, (req, res) => {
      const socket = req.socket as TLSSocket
      const guest = entrance.guest(socket)
      if (guest === undefined) return void socket.destroy()
      const exchange: Exchange = { waiting: false, expects: event === 'checkContinue' }
      exchanges.set(socket, exchange)
      res.once('close', () => {
        if (exchanges.get(socket) === exchange) exchanges.delete(socket)
      })
      const pause = () => paces.take(guest.peer)
      void answer({ ...guest, world, lingerMs: bounds.lingerMs, pause }, req, res, exchange)
    })
  }

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(serving.port, serving.host, resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    recheck() {
      for (const socket of secured) if (!entrance.guest(socket)) socket.destroy()
    },
    certify: (cert) => server.setSecureContext(tlsOptions({ ...serving.tls, cert })),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        clearInterval(dawdling)
        for (const socket of sockets) socket.destroy()
      }),
  }
}
