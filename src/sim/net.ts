import { type Body, discard, exactly, promisedBytes, serveFailed } from '../transfer/body.ts'
import {
  type Address,
  Cut,
  type Dial,
  type DialOptions,
  type Request,
  type Response,
  type Serve,
  Unreachable,
} from '../transfer/transfer.ts'
import type { Clock, Random } from '../world/world.ts'
import { carried, type Link, openLink } from './link.ts'

/** What goes wrong, as chances in [0, 1] for each request; may be changed while the net is in use. */
export interface NetFaults {
  /** Between these each head and each chunk takes to arrive. */
  latencyMsMin: number
  latencyMsMax: number
  /** The connection is refused: Unreachable. */
  refuse: number
  /** It breaks after a random number of bytes, heads included, in either direction. */
  cut: number
  /** It falls silent after as many. */
  hang: number
  /** A cut or a hang comes before so many bytes. */
  faultBytesMax: number
}

export const calmNet = (): NetFaults => ({
  latencyMsMin: 1,
  latencyMsMax: 5,
  refuse: 0,
  cut: 0,
  hang: 0,
  faultBytesMax: 16 * 1024 * 1024,
})

export interface NetWorld {
  readonly clock: Clock
  readonly random: Random
  readonly faults: NetFaults
}

export interface SimNet {
  /** `url` as it is dialled, e.g. `https://10.0.0.1:8443`; throws when something listens there. */
  serveAs(identity: string, url: string, serve: Serve): { close(): void }
  dialAs(identity: string): Dial
  /** Nothing passes between two identities or URLs, or between one and everybody; until healed. */
  partition(one: string, other?: string): void
  /** Ends one partition, or all. */
  heal(one?: string, other?: string): void
  readonly counters: Record<'requests' | 'unreachable' | 'cut' | 'bytesUp' | 'bytesDown', number>
}

interface Server {
  readonly identity: string
  readonly serve: Serve
  readonly links: Set<Link>
}

/** The twin of HTTPS for many identities in one thread: everything follows from the given clock and chance. */
export function simNet(world: NetWorld): SimNet {
  const { clock, random, faults } = world
  const servers = new Map<string, Server>()
  const partitions = new Set<string>()
  const counters = { requests: 0, unreachable: 0, cut: 0, bytesUp: 0, bytesDown: 0 }

  const separated = (client: string, { identity, url }: Address): boolean =>
    [client, identity, url].some((one) => partitions.has(one)) ||
    [identity, url].some((other) => partitions.has(pair(client, other)))

  const latencyMs = () =>
    faults.latencyMsMin + random.next() * (faults.latencyMsMax - faults.latencyMsMin)

  async function connect(client: string, to: Address, options: DialOptions): Promise<Server> {
    const ms = separated(client, to) ? options.connectMs : latencyMs()
    await clock.sleep(Math.min(ms, options.connectMs), options.signal)
    if (options.signal?.aborted) throw new Cut('aborted')
    if (ms >= options.connectMs) throw new Unreachable(`${to.url} did not connect`)
    const server = servers.get(to.url)
    if (server === undefined || random.next() < faults.refuse) {
      throw new Unreachable(`${to.url} refused the connection`)
    }
    if (server.identity === to.identity) return server
    throw new Unreachable(`${to.url} is ${server.identity}, not ${to.identity}`)
  }

  /** After how many bytes the link breaks or falls silent, if at all. */
  function fate(): { bytes: number; silently: boolean } | undefined {
    const drawn = random.next()
    const bytes = Math.floor(random.next() * faults.faultBytesMax)
    if (drawn < faults.cut) return { bytes, silently: false }
    return drawn < faults.cut + faults.hang ? { bytes, silently: true } : undefined
  }

  const dialAs =
    (client: string): Dial =>
    async (to, request, options) => {
      counters.requests++
      try {
        if (options.signal?.aborted) throw new Cut('aborted')
        const server = await connect(client, to, options)
        const link = openLink({
          clock,
          idleMs: options.idleMs,
          latencyMs,
          fate: fate(),
          blocked: () => separated(client, to),
          closed: () => server.links.delete(link),
          count: (what, n) => {
            counters[what] += n
          },
        })
        server.links.add(link)
        return await exchange(link, client, server.serve, request, options.signal)
      } catch (error) {
        if (error instanceof Unreachable) counters.unreachable++
        throw error
      }
    }

  return {
    serveAs: (identity, url, serve) => {
      if (servers.has(url)) throw new Error(`something listens at ${url} already`)
      const server: Server = { identity, serve, links: new Set() }
      servers.set(url, server)
      return {
        close: () => {
          if (servers.get(url) === server) servers.delete(url)
          for (const link of server.links) link.cut(new Cut('the peer was closed'))
        },
      }
    },
    dialAs,
    partition: (one, other) => {
      partitions.add(pair(one, other))
      if (other !== undefined) partitions.add(pair(other, one))
    },
    heal: (one, other) => {
      if (one === undefined) partitions.clear()
      else partitions.delete(pair(one, other))
      if (one !== undefined && other !== undefined) partitions.delete(pair(other, one))
    },
    counters,
  }
}

/** One request over one link, from head to head. */
async function exchange(
  link: Link,
  client: string,
  serve: Serve,
  request: Request,
  signal?: AbortSignal,
): Promise<Response> {
  const aborted = () => link.cut(new Cut('aborted'))
  signal?.addEventListener('abort', aborted)
  link.gone.addEventListener('abort', () => signal?.removeEventListener('abort', aborted))
  await link.turn(link.carry(headBytes(request)))
  const response = await link.turn(answered(link, client, serve, request))
  const { status, headers, body } = response
  await link.turn(link.carry(headBytes(response))).catch((error) => {
    discard(body)
    throw error
  })
  if (body !== undefined && request.method !== 'HEAD' && headers['content-length'] !== '0') {
    return { status, headers, body: downward(link, body, promisedBytes(headers)) }
  }
  discard(body)
  link.finish()
  return { status, headers }
}

async function answered(
  link: Link,
  client: string,
  serve: Serve,
  request: Request,
): Promise<Response> {
  const { method, path, headers } = request
  const upload = method === 'PATCH' ? upward(link, request) : undefined
  const said = { method, path, headers, ...(upload ? { body: upload.body } : {}) }
  try {
    const response = await serve(client, said, link.gone)
    if (link.gone.aborted) discard(response.body)
    return response
  } catch {
    return serveFailed()
  } finally {
    upload?.stop()
  }
}

/** The request's body as the server reads it: nothing is taken from its maker before that. */
function upward(link: Link, { body, headers }: Request): { body: Body; stop(): void } {
  const source = body === undefined ? [] : [body]
  let over = false
  async function* passed(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const one of source) {
      const wrong = (message: string) => new Error(message)
      for await (const chunk of carried(
        link,
        exactly(one, promisedBytes(headers), wrong),
        'maker',
      )) {
        if (over) throw new Cut('the request was answered')
        link.count('bytesUp', chunk.length)
        yield chunk
      }
    }
  }
  const stop = () => {
    over = true
    discard(body)
  }
  return { body: passed(), stop }
}

function downward(link: Link, body: Body, bytes: number | undefined): Body {
  async function* passed(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of carried(
      link,
      exactly(body, bytes, (why) => new Cut(why)),
      'reader',
    )) {
      link.count('bytesDown', chunk.length)
      yield chunk
    }
    link.finish()
  }
  const chunks = passed()
  const iterator: AsyncIterator<Uint8Array> = {
    next: () => chunks.next(),
    return: async () => {
      link.cut(new Cut('nobody reads on'))
      discard(body)
      await chunks.return()
      return { done: true, value: undefined }
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}

const pair = (one: string, other: string | undefined): string =>
  other === undefined ? one : `${one} ${other}`

/** About what a head weighs on the wire: a link may break between request and answer, too. */
const headBytes = ({ headers }: Request | Response): number =>
  Object.entries(headers).reduce((sum, [name, value]) => sum + name.length + value.length + 4, 100)
