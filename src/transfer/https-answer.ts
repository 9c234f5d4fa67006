import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'
import { discard, exactly, plainText, promisedBytes, serveFailed } from './body.ts'
import { incoming, plainHeaders, written } from './https-message.ts'
import { Cut, type Request, type Response, type Serve } from './transfer.ts'

/** State of one request on one connection. */
export interface Exchange {
  /** True while it is the peer's turn to send or to take bytes: only then is silence the peer's fault. */
  waiting: boolean
  /** The peer holds its body back until it is told to go on. */
  readonly expects: boolean
}

export interface Answering {
  readonly peer: string
  readonly serve: Serve
  readonly world: Pick<World, 'log'>
  readonly lingerMs: number
  /** How long this refusal is to be held back, milliseconds: whoever is refused often waits for it. */
  pause(): number
}

/** Answers one request by the Serve function; never rejects. */
export async function answer(
  { peer, serve, world, lingerMs, pause }: Answering,
  req: IncomingMessage,
  res: ServerResponse,
  exchange: Exchange,
): Promise<void> {
  const gone = new AbortController()
  res.once('close', () => {
    if (!res.writableFinished) gone.abort()
  })
  res.once('finish', () => {
    if (!req.complete) linger(req, lingerMs)
  })
  req.on('error', () => {}) // told to who reads the body, and by `gone`
  try {
    const request = requestOf(req, res, exchange)
    const response = 'status' in request ? request : await served(request)
    const ms = refusals.has(response.status) ? pause() : 0
    if (ms > 0) await sleep(ms)
    if (gone.signal.aborted) discard(response.body)
    else await respond(req, res, response, exchange)
  } catch (error) {
    if (!gone.signal.aborted) report('transfer.answer-broken', error)
    req.socket.destroy()
  }

  async function served(request: Request): Promise<Response> {
    try {
      return await serve(peer, request, gone.signal)
    } catch (error) {
      if (!gone.signal.aborted) report('transfer.serve-failed', error)
      return serveFailed()
    }
  }

  function report(event: string, error: unknown): void {
    world.log.error(event, { peer, method: req.method, path: req.url, error })
  }
}

/** Nobody of ours is told these in the course of things. */
const refusals: ReadonlySet<number> = new Set([400, 403, 405, 413, 431, 505])

/** What the peer asks, or the refusal of what nobody of ours would ask. */
function requestOf(
  req: IncomingMessage,
  res: ServerResponse,
  exchange: Exchange,
): Request | Response {
  const { url: path = '', method = '' } = req
  if (req.httpVersion !== '1.1') return plainText(505, 'HTTP/1.1 is spoken here')
  if (req.rawHeaders.length > 2 * limits.headersMax)
    return plainText(431, `at most ${limits.headersMax} fields in the head of a request`)
  if (!/^\/[^?#]*$/.test(path)) return plainText(400, 'a path without a query is wanted')
  const headers = plainHeaders(req)
  if (method === 'PATCH') return { method, path, headers, body: bodyOf(req, res, exchange) }
  if (method !== 'GET' && method !== 'HEAD' && method !== 'DELETE') {
    return plainText(405, 'GET, HEAD, PATCH and DELETE are known here')
  }
  return { method, path, headers }
}

/** The request's body; asks the peer for it only when somebody begins to read. */
async function* bodyOf(
  req: IncomingMessage,
  res: ServerResponse,
  exchange: Exchange,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (exchange.expects && !res.headersSent) res.writeContinue()
  yield* incoming(req, exchange, (cause) => new Cut('the request broke off', { cause }))
}

async function respond(
  req: IncomingMessage,
  res: ServerResponse,
  { status, headers, body }: Response,
  exchange: Exchange,
): Promise<void> {
  const silent = req.method === 'HEAD' || status === 204 || status === 304
  const length = body === undefined && !silent ? { 'content-length': '0' } : {}
  res.sendDate = false // a board may take itself to be in 1970
  res.writeHead(status, { ...headers, ...length })
  exchange.waiting = true
  if (silent || body === undefined) {
    discard(body)
    res.end()
    return
  }
  exchange.waiting = false
  for await (const chunk of exactly(body, promisedBytes(headers), (why) => new Error(why))) {
    exchange.waiting = true
    await written(res, chunk)
    exchange.waiting = false
  }
  exchange.waiting = true
  res.end()
}

/**
 * The peer is still sending a body that nobody wants. Closing at once would make its system throw away our answer
 * unread (RFC 9112 §9.6), so the rest is read and dropped for a moment.
 */
function linger(req: IncomingMessage, ms: number): void {
  const close = () => req.socket.destroy()
  const timer = setTimeout(close, ms)
  req.socket.once('close', () => clearTimeout(timer))
  req.once('end', close)
  req.resume()
}
