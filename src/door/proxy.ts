/** The way out of networks that let only their proxy out: CONNECT (RFC 9110 §9.3.6), as `HTTPS_PROXY` and `NO_PROXY` say. */
import { request as askHttp } from 'node:http'
import { Agent, type AgentOptions, request as askHttps } from 'node:https'
import type { Socket } from 'node:net'
import { type Duplex, duplexPair } from 'node:stream'
import { limits } from '../limits.ts'
import { isPrivate } from '../transfer/route.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** The proxy by which this host is reached; undefined when it is dialled itself, as those of the same network always are. */
export function proxyFor(
  host: string,
  port: number,
  environment: Environment = process.env,
): URL | undefined {
  const proxy = environment.HTTPS_PROXY || environment.https_proxy
  if (!proxy || isNear(host)) return undefined
  const exempt = (environment.NO_PROXY || environment.no_proxy || '').split(/[\s,]+/)
  if (exempt.some((one) => isExempt(one.toLowerCase(), host.toLowerCase(), port))) return undefined
  const url = URL.parse(proxy.includes('://') ? proxy : `http://${proxy}`)
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url
  // Not what it says: there may be a password in it.
  throw new Error('HTTPS_PROXY does not name a proxy by http://HOST:PORT')
}

const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host)

const isNear = (host: string): boolean =>
  host === 'localhost' || isPrivate(`https://${bracketed(host)}:1`)

function isExempt(rule: string, host: string, port: number): boolean {
  if (rule === '*') return true
  const [, name = '', only] = /^\*?\.?([^:]+)(?::(\d+))?$/.exec(rule) ?? []
  if (name === '' || (only !== undefined && Number(only) !== port)) return false
  return host === name || host.endsWith(`.${name}`)
}

/** A line to the host through the proxy; rejects when the proxy does not give it. */
function tunnel(proxy: URL, host: string, port: number): Promise<Socket> {
  const to = `${bracketed(host)}:${port}`
  const { username, password, protocol, hostname } = proxy
  const who = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  const ask = protocol === 'https:' ? askHttps : askHttp
  return new Promise((resolve, reject) => {
    const asking = ask({
      host: hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port || (protocol === 'https:' ? 443 : 80),
      method: 'CONNECT',
      path: to,
      headers: {
        host: to,
        ...(username === ''
          ? {}
          : { 'proxy-authorization': `Basic ${Buffer.from(who).toString('base64')}` }),
      },
      agent: false,
      timeout: limits.connectMs,
    })
    asking.once('connect', ({ statusCode }, socket: Socket, head) => {
      if (statusCode !== 200) {
        socket.destroy()
        return reject(new Error(`the proxy answered ${statusCode} when asked for ${to}`))
      }
      socket.setTimeout(0)
      socket.setNoDelay(true)
      if (head.length > 0) socket.unshift(head)
      resolve(socket)
    })
    asking.once('timeout', () => asking.destroy(new Error('no answer in time')))
    asking.once('error', ({ message }) => reject(new Error(`the proxy: ${message}`)))
    asking.end()
  })
}

/** The same as a stream that is there at once; it ends with an error when there is no way through. */
export function tunnelled(proxy: URL, host: string, port: number): Duplex {
  const [near, far] = duplexPair()
  const fail = (error?: Error): void => void near.destroy(error)
  far.on('error', () => undefined)
  tunnel(proxy, host, port).then((socket) => {
    socket.on('error', fail)
    socket.once('close', () => fail())
    near.once('close', () => socket.destroy())
    if (near.destroyed) socket.destroy()
    else far.pipe(socket).pipe(far)
  }, fail)
  return near
}

/** Connections of HTTPS, through the proxy where there is one. */
class ProxiedAgent extends Agent {
  override createConnection(
    ...[options, callback]: Parameters<Agent['createConnection']>
  ): ReturnType<Agent['createConnection']> {
    const { host = '', port = 443 } = options as { host?: string; port?: number }
    const proxy = proxyFor(host, Number(port))
    if (proxy === undefined) return super.createConnection(options, callback)
    const connected = (socket: Socket): void =>
      callback?.(null, super.createConnection({ ...options, socket } as typeof options) as Duplex)
    tunnel(proxy, host, Number(port)).then(connected, (error) => callback?.(error, near()))
    return undefined
  }
}

/** Nobody looks at it beside an error. */
const near = (): Duplex => duplexPair()[0]

export const proxiedAgent = (options: AgentOptions): Agent => new ProxiedAgent(options)
