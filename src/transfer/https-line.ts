/**
 * One kept connection for requests without a body, one after the other. Node.js's own client makes buffers and objects for
 * each record of TLS: that alone was most of what fetching cost.
 */
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { limits } from '../limits.ts'
import { dechunking, type Framing, framingOf, type Head, parseHead } from './answer-text.ts'
import { type Landing, landing } from './https-landing.ts'
import {
  type Address,
  Cut,
  type DialOptions,
  type Request,
  type Response,
  Unreachable,
} from './transfer.ts'

export interface Line {
  /** Resolves once the peer has proved who it is; rejects with `Unreachable`. */
  readonly ready: Promise<void>
  /** Resolves once nothing more can be asked over it. */
  readonly gone: Promise<void>
  isGone(): boolean
  /**
   * One request, when none is under way; `stale` when the connection was found dead before a byte of the answer came. `freed` is
   * called once the next one may be asked, or the line is gone.
   */
  ask(request: Request, options: DialOptions, freed: () => void): Promise<Response | 'stale'>
  end(why: Error): void
  /** Why it ended, or this. */
  broken(message: string): Error
}

/** How a line is opened: the newest session with the same peer shortens the handshake. */
export interface Opening extends ConnectionOptions {
  keep(session: Buffer): void
}

export function openLine(to: Address, tls: Opening, connectMs: number): Line {
  if (URL.parse(to.url)?.protocol !== 'https:')
    throw new Unreachable(`${to.url} is no https address`)
  const wire = openWire(to, tls, connectMs)
  return {
    ready: wire.ready,
    gone: wire.gone,
    isGone: wire.isGone,
    end: wire.end,
    broken: wire.broken,
    async ask(request, { signal, idleMs }, freed) {
      const aborted = (): void => wire.end(new Cut('aborted'))
      let isOver = false
      const over = (keep: boolean): void => {
        if (isOver) return
        isOver = true
        signal?.removeEventListener('abort', aborted)
        if (keep) wire.rest()
        else wire.end(new Cut('nobody reads on'))
        freed()
      }
      signal?.addEventListener('abort', aborted)
      if (signal?.aborted) aborted()
      try {
        wire.send(request, to, idleMs)
        const head = await wire.head()
        if (!head) {
          over(false)
          return 'stale'
        }
        return answerOf(wire, request, head, over)
      } catch (error) {
        over(false)
        throw error
      }
    },
  }
}

function answerOf(
  wire: Wire,
  { method }: Request,
  head: Head,
  over: (keep: boolean) => void,
): Response {
  const framing = framingOf(method, head)
  if (framing === undefined) throw new Cut('an answer whose end can not be known')
  const isKept = framing !== 'close' && !/\bclose\b/i.test(head.headers.connection ?? '')
  if (framing === 0) {
    over(isKept && !wire.hasMore())
    return head
  }
  const chunks = bodyOf(wire, framing, (whole) => over(whole && isKept && !wire.hasMore()))
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => chunks.next(),
    // A reader that leaves is not waited for by the network: the rest of the answer would come first.
    return: async () => {
      over(false)
      await chunks.return()
      return { done: true, value: undefined }
    },
  }
  return { ...head, body: { [Symbol.asyncIterator]: () => iterator } }
}

async function* bodyOf(
  wire: Wire,
  framing: Framing,
  ended: (whole: boolean) => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks = dechunking()
  let left = typeof framing === 'number' ? framing : Number.POSITIVE_INFINITY
  let whole = false
  try {
    while (left > 0) {
      const bytes = await wire.take()
      if (bytes === undefined) {
        if (framing !== 'close') throw wire.broken('the answer broke off')
        break
      }
      if (framing === 'chunked') {
        yield* chunks.parts(bytes)
        if (chunks.isOver()) break
        continue
      }
      if (bytes.length > left) throw new Cut('the answer is longer than it said')
      left -= bytes.length
      yield bytes
    }
    whole = true
  } catch (error) {
    throw error instanceof Cut ? error : new Cut('the answer broke off', { cause: error })
  } finally {
    ended(whole)
  }
}

interface Wire extends Pick<Line, 'ready' | 'gone' | 'isGone' | 'end' | 'broken'> {
  send(request: Request, to: Address, idleMs: number): void
  /** Undefined when the connection ended before a byte came. */
  head(): Promise<Head | undefined>
  /** What has come, once there is something; undefined once the connection has ended. */
  take(): Promise<Uint8Array | undefined>
  /** Something came that nobody has asked for. */
  hasMore(): boolean
  /** No request is under way. */
  rest(): void
}

/** The connection itself, and what is the fault of whom when it falls silent. */
function openWire(to: Address, tls: Opening, connectMs: number): Wire {
  const land = landing()
  const state: State = { why: undefined, isOurs: false, isGone: false, waiting: false, idleMs: 0 }
  const socket: TLSSocket = connect({
    ...tls,
    ...placeOf(to),
    onread: {
      buffer: land.room,
      callback(count: number): boolean {
        // To return false is not enough: the next `resume` would do nothing.
        if (!land.came(count)) socket.pause()
        return true
      },
    },
  } as ConnectionOptions)
  socket.on('session', (session) => tls.keep(session))
  const proof = proved(socket, to, connectMs, state, (why) => end(why))
  const over = (): void => {
    state.isGone = true
    land.over()
    proof.fail()
  }
  function end(why: Error): void {
    state.isOurs ||= state.why === undefined
    state.why ??= why
    socket.destroy()
    // At once: whoever waits for it has nothing to wait for.
    over()
  }
  socket.on('timeout', () => {
    if (state.idleMs === 0) socket.destroy()
    else if (state.waiting) end(new Cut(`not a byte for ${state.idleMs} ms`))
    else socket.setTimeout(state.idleMs)
  })
  socket.once('end', () => socket.destroy())
  const gone = new Promise<void>((resolve) => {
    socket.once('close', () => {
      over()
      resolve()
    })
  })
  async function more(than: number): Promise<void> {
    state.waiting = true
    if (socket.isPaused()) socket.resume()
    await land.more(than)
    state.waiting = false
  }
  const broken = (message: string): Error => state.why ?? new Cut(message)
  return {
    ready: proof.ready,
    gone,
    isGone: () => state.isGone,
    send(request, { url }, idleMs) {
      state.idleMs = idleMs
      socket.setTimeout(idleMs)
      socket.write(headOf(request, new URL(url).host), 'latin1')
    },
    head: () => headFrom(land, state, more, broken),
    async take() {
      await more(0)
      const bytes = land.take()
      return bytes.length > 0 ? bytes : undefined
    },
    hasMore: () => land.peek().length > 0,
    rest() {
      state.idleMs = 0
      // Sooner than the server, so that we never send into its closing.
      socket.setTimeout(limits.keepAliveMs / 2)
      if (socket.isPaused()) socket.resume()
    },
    broken,
    end,
  }
}

/** Undefined when the connection ended before a byte came, and not by us. */
async function headFrom(
  land: Pick<Landing, 'peek' | 'skip'>,
  state: State,
  more: (than: number) => Promise<void>,
  broken: (message: string) => Error,
): Promise<Head | undefined> {
  for (;;) {
    const text = Buffer.from(land.peek()).toString('latin1')
    const at = text.indexOf('\r\n\r\n')
    if (at >= 0) {
      const head = parseHead(text.slice(0, at))
      land.skip(at + 4)
      if (!head) throw new Cut('an answer that is no HTTP/1.1')
      if (head.status >= 200) return head
      continue
    }
    if (text.length > limits.headerBytesMax) throw new Cut('the head is too long')
    if (state.isGone && (text.length > 0 || state.isOurs)) throw broken('the head broke off')
    if (state.isGone) return undefined
    await more(text.length)
  }
}

interface State {
  why: Error | undefined
  /** It was ended by us, for the reason of the request. */
  isOurs: boolean
  isGone: boolean
  /** True while it is the peer's turn: only then is silence the peer's fault. */
  waiting: boolean
  /** 0 while no request is under way. */
  idleMs: number
}

/** What goes over the wire; whatever would begin a line of its own is no header. */
function headOf({ method, path, headers }: Request, host: string): string {
  const fields = Object.entries({ host, ...headers })
  const isPlain = /^[\t\x20-\x7e\x80-\xff]*$/
  if (
    !/^\/[\x21-\x7e]*$/.test(path) ||
    !fields.every((field) => field.every((text) => isPlain.test(text)))
  )
    throw new Error('this can not be said in a request')
  const lines = fields.map(([name, value]) => `${name}: ${value}`)
  return [`${method} ${path} HTTP/1.1`, ...lines, '', ''].join('\r\n')
}

function placeOf({ identity, url }: Address): ConnectionOptions {
  const { hostname, port } = new URL(url)
  return {
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port || 443),
    servername: identity,
  }
}

/** Resolves once the peer has proved who it is; nothing is sent before. */
function proved(
  socket: TLSSocket,
  { identity, url }: Address,
  connectMs: number,
  state: Pick<State, 'why'>,
  end: (why: Error) => void,
): { readonly ready: Promise<void>; fail(): void } {
  const about = `${identity} at ${url}`
  let isConnected = false
  let fail = (): void => undefined
  const ready = new Promise<void>((resolve, reject) => {
    const late = (): void => end(new Unreachable(`${url} did not connect within ${connectMs} ms`))
    const timer = setTimeout(late, connectMs)
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      isConnected = true
      socket.setNoDelay(true)
      resolve()
    })
    socket.on('error', (error) => {
      const code = 'code' in error ? String(error.code) : ''
      // In TLS 1.3 the peer's refusal of our certificate comes after our side of the handshake is complete.
      const refused = !isConnected || code.startsWith('ERR_SSL_')
      const message = `${about}: ${error.message}`
      const Why = refused ? Unreachable : Cut
      state.why ??= new Why(message, { cause: error })
    })
    fail = () => {
      clearTimeout(timer)
      reject(state.why ?? new Unreachable(`${about}: the connection was closed`))
    }
  })
  ready.catch(() => undefined)
  return { ready, fail }
}
