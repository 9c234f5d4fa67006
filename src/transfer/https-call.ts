import type { ClientRequest, IncomingMessage } from 'node:http'
import { type Agent, request as httpsRequest } from 'node:https'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Body, discard, exactly, promisedBytes } from './body.ts'
import { incoming, plainHeaders, written } from './https-message.ts'
import {
  type Address,
  Cut,
  type DialOptions,
  type Request,
  type Response,
  Unreachable,
} from './transfer.ts'

/** What the calls of one dialler share. */
export interface Pool {
  readonly agent: Agent
  /** Connections whose peer proved its identity. */
  readonly secured: WeakSet<Socket>
  readonly open: Set<Call>
  closed: boolean
}

/** One request on its way: what those who watch it share. */
export interface Call {
  readonly req: ClientRequest
  state: 'connecting' | 'sent' | 'sending' | 'answered'
  reused: boolean
  /** True while it is the peer's turn: only then is silence the peer's fault. */
  waiting: boolean
  /** Why we ended it ourselves. */
  why: Error | undefined
  end(why: Error): void
  /** Once answered or broken, nothing more of the body is taken. */
  stopBody(): void
}

function newCall(req: ClientRequest): Call {
  const call: Call = {
    req,
    state: 'connecting',
    reused: false,
    waiting: true,
    why: undefined,
    end: (why) => {
      call.why ??= why
      req.destroy(why)
    },
    stopBody: () => {},
  }
  return call
}

/** Tells `stale` when a kept connection was found dead before anything but the head was sent. */
export function attempt(
  pool: Pool,
  to: Address,
  request: Request,
  options: DialOptions,
): Promise<Response | 'stale'> {
  const body = request.method === 'PATCH' ? request.body : undefined
  const call = newCall(startRequest(pool.agent, to, request, body !== undefined))
  const { req } = call
  const aborted = () => call.end(new Cut('aborted'))
  pool.open.add(call)
  options.signal?.addEventListener('abort', aborted)
  req.once('close', () => {
    pool.open.delete(call)
    options.signal?.removeEventListener('abort', aborted)
    call.stopBody()
  })
  req.once('socket', (socket) => {
    secure(pool, call, socket as TLSSocket, to, options.connectMs, () => {
      call.state = 'sent'
      watchSilence(call, socket, options.idleMs)
      if (body === undefined) req.end()
      else req.flushHeaders()
    })
  })
  req.once('continue', () => {
    if (body !== undefined && call.state === 'sent') void sendBody(call, body, request.headers)
  })
  return new Promise((resolve, reject) => {
    req.once('response', (message) => {
      if (call.state === 'sent') discard(body)
      call.state = 'answered'
      call.stopBody()
      resolve(responseOf(call, message, request.method))
    })
    req.on('error', (error) => {
      if (call.state === 'sent' && call.reused && call.why === undefined) resolve('stale')
      else reject(call.why ?? troubleOf(error, call, to))
    })
  })
}

function startRequest(
  agent: Agent,
  to: Address,
  request: Request,
  withBody: boolean,
): ClientRequest {
  const url = URL.parse(to.url)
  if (url?.protocol !== 'https:') throw new Unreachable(`${to.url} is no https address`)
  return httpsRequest({
    agent,
    host: url.hostname.replace(/^\[|\]$/g, ''),
    port: url.port || 443,
    servername: to.identity,
    method: request.method,
    path: request.path,
    headers: {
      ...request.headers,
      // The exchange says 100 once it wants the body, so that a refusal costs no transfer.
      ...(withBody ? { expect: '100-continue' } : {}),
      ...(request.method === 'PATCH' && !withBody ? { 'content-length': '0' } : {}),
    },
  })
}

/** Calls `ready` once the connection is up and its peer has proved who it is; nothing is sent before. */
function secure(
  pool: Pool,
  call: Call,
  socket: TLSSocket,
  to: Address,
  connectMs: number,
  ready: () => void,
): void {
  if (pool.secured.has(socket)) {
    call.reused = true
    ready()
    return
  }
  const late = () => call.end(new Unreachable(`${to.url} did not connect within ${connectMs} ms`))
  const timer = setTimeout(late, connectMs)
  socket.once('close', () => clearTimeout(timer))
  socket.once('secureConnect', () => {
    clearTimeout(timer)
    pool.secured.add(socket)
    ready()
  })
}

/** Cuts a call when its peer has neither taken nor sent a byte for `idleMs`. */
function watchSilence(call: Call, socket: Socket, idleMs: number): void {
  const silent = () => {
    if (call.waiting) call.end(new Cut(`not a byte for ${idleMs} ms`))
    else socket.setTimeout(idleMs)
  }
  socket.setTimeout(idleMs)
  socket.on('timeout', silent)
  call.req.once('close', () => socket.off('timeout', silent))
}

function troubleOf(error: Error, call: Call, to: Address): Error {
  const code = 'code' in error ? String(error.code) : ''
  // In TLS 1.3 the peer's refusal of our certificate comes after our side of the handshake is complete.
  const refused = call.state === 'connecting' || code.startsWith('ERR_SSL_')
  const message = `${to.identity} at ${to.url}: ${error.message}`
  return refused ? new Unreachable(message, { cause: error }) : new Cut(message, { cause: error })
}

async function sendBody(call: Call, body: Body, headers: Request['headers']): Promise<void> {
  const { req } = call
  const chunks = exactly(body, promisedBytes(headers), (message) => new Error(message))
  const stopped = () => call.state === 'answered' || req.destroyed
  call.state = 'sending'
  call.stopBody = () => void chunks.return().catch(() => {})
  try {
    for (;;) {
      call.waiting = false
      const { value: chunk, done } = await chunks.next()
      call.waiting = true
      if (stopped()) return
      if (done) break
      await written(req, chunk)
    }
    req.end()
  } catch (error) {
    if (!stopped()) call.end(error as Error)
  }
}

function responseOf(call: Call, message: IncomingMessage, method: string): Response {
  const { req } = call
  const status = message.statusCode ?? 0
  const headers = plainHeaders(message)
  // A request whose body was refused leaves a connection that nothing can be said on any more.
  const finish = () => {
    if (!req.writableFinished) req.destroy()
  }
  if (method === 'HEAD' || status === 204 || status === 304 || headers['content-length'] === '0') {
    message.once('end', finish).resume()
    return { status, headers }
  }
  const cut = (error: unknown) => call.why ?? new Cut('the answer broke off', { cause: error })
  const chunks = incoming(message, call, cut, finish)
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => chunks.next(),
    return: async () => {
      req.destroy()
      await chunks.return()
      return { done: true, value: undefined }
    },
  }
  return { status, headers, body: { [Symbol.asyncIterator]: () => iterator } }
}
