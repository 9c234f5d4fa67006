import { connect as connectTcp } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createSecureContext } from 'node:tls'
import { type IClientOptions, MqttClient } from 'mqtt'
import { proxyFor, tunnelled } from '../door/proxy.ts'
import { webSocketTo } from '../door/websocket.ts'
import { limits } from '../limits.ts'
import { jittered, type World } from '../world/world.ts'
import type { Bus, ConnectBus, Link } from './bus.ts'

/** How long a broker with MQTT 5 keeps the session of somebody who is away; MQTT 3.1.1 brokers have their own rule. */
const sessionExpirySeconds = 30 * 24 * 3600

/** TCP, TLS and CONNACK together; each of them may take its time on a bad line. */
const handshakeMs = 3 * limits.connectMs

/** Answers to CONNECT that mean "not this version of MQTT", as 3.1.1 and as 5 say it. */
const versionRefusals = [1, 132]

export interface MqttOptions {
  /**
   * `mqtts://host:port`, `wss://host:port/mqtt` (in a WebSocket), or `mqtt://host:port` without TLS. Of several ways to the same
   * broker, the next when one does not let us in.
   */
  readonly url: string | (() => readonly string[])
  /** Whom the broker's certificate must prove, whatever host is dialled. */
  readonly identity: string
  /** PEM. Needed for `mqtts:`. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string }
  /** The version tried first. 5, the default, falls back to 4 (which is MQTT 3.1.1) where a broker refuses it. */
  readonly protocolVersion?: 4 | 5
  readonly world: Pick<World, 'clock' | 'random' | 'log'>
}

/** The bus on an MQTT broker, by TLS 1.3 with both sides proved. Throws when URL, certificates or key are unusable. */
export const mqttBus = (options: MqttOptions): ConnectBus =>
  mqttOver({ ...options, dial: dialler(options) })

/** The same on any stream of bytes; `dial` opens a new one to the broker at each call. */
export const mqttOver =
  (options: {
    /** `failed`: what was dialled last did not let us in. */
    readonly dial: (failed: boolean) => Duplex
    readonly protocolVersion?: 4 | 5
    readonly world: MqttOptions['world']
  }): ConnectBus =>
  (link) =>
    keepConnected(options.dial, link, options.world, options.protocolVersion ?? 5)

/**
 * Opens one MQTT session after the other until left. Each gets a client of its own, so that nothing which
 * MQTT.js had stored is ever sent again: the outbox above is the only one who repeats.
 */
function keepConnected(
  dial: (failed: boolean) => Duplex,
  link: Link,
  world: MqttOptions['world'],
  firstVersion: 4 | 5,
): Bus {
  const leaving = new AbortController()
  let version = firstVersion
  let session: Session | undefined

  async function run(): Promise<void> {
    let delayMs = 0
    let failed = false
    while (!leaving.signal.aborted) {
      const before = failed
      session = openSession(() => dial(before), link, version, world, leaving.signal)
      const { reason, versionRefused, lastedMs } = await session.ended
      failed = lastedMs === 0 && !versionRefused
      session = undefined
      if (leaving.signal.aborted) return
      if (versionRefused && version === 5) {
        version = 4
        continue
      }
      guarded(world, 'closed', () => link.closed(reason))
      delayMs = nextDelayMs(delayMs, lastedMs)
      await world.clock.sleep(jittered(world, delayMs), leaving.signal)
    }
  }
  const ended = run()

  return {
    publish: (topic, payload, retain = false) =>
      session === undefined || leaving.signal.aborted
        ? Promise.reject(linkDown('not connected'))
        : session.publish(topic, payload, retain),
    async close() {
      leaving.abort()
      await session?.leave()
      await ended
    },
  }
}

/**
 * Doubled while connections do not last. What counts as lasting grows with the delay, so that two programs under one
 * client id, which throw each other out, come to rest instead of doing so twice a second.
 */
const nextDelayMs = (delayMs: number, lastedMs: number): number =>
  lastedMs > 4 * delayMs
    ? limits.reconnectMsMin
    : Math.min(Math.max(2 * delayMs, limits.reconnectMsMin), limits.reconnectMsMax)

interface Ended {
  readonly reason: string
  readonly versionRefused: boolean
  /** Milliseconds from CONNACK to the end; 0 when it did not come so far. */
  readonly lastedMs: number
}

interface Session {
  /** Never rejects. */
  readonly ended: Promise<Ended>
  publish(topic: string, payload: Uint8Array, retain: boolean): Promise<void>
  leave(): Promise<void>
}

function openSession(
  dial: () => Duplex,
  link: Link,
  version: 4 | 5,
  world: MqttOptions['world'],
  leaving: AbortSignal,
): Session {
  const { clock } = world
  const client = new MqttClient(dial, clientOptions(link, version))
  const waiting = new Set<(error: Error) => void>()
  let trouble: (Error & { code?: unknown }) | undefined
  let upSince: number | undefined

  client.on('error', (error) => {
    trouble ??= error
    client.stream.destroy() // MQTT.js goes on reading after some errors, and then understands nothing
  })
  client.on('connect', () => {
    upSince = clock.monotonic()
    subscribe(client, link, world, leaving)
  })
  client.handleMessage = (packet, acknowledge) => {
    // Left unacknowledged, a message of a persistent session comes again when its owner is back.
    if (leaving.aborted) return acknowledge(new Error('leaving'))
    const { topic, payload, retain } = packet
    const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload
    guarded(world, 'receive', () => link.receive(topic, bytes, retain === true))
    acknowledge()
  }
  const ended = new Promise<Ended>((resolve) => {
    client.once('close', () => {
      const reason = trouble?.message || 'the broker closed the connection'
      const versionRefused = versionRefusals.includes(trouble?.code as number)
      const lastedMs = upSince === undefined ? 0 : clock.monotonic() - upSince
      for (const reject of waiting) reject(linkDown(reason))
      client.end(true)
      resolve({ reason, versionRefused, lastedMs })
    })
  })

  return {
    ended,
    publish: (topic, payload, retain) => publish(client, waiting, topic, payload, retain),
    leave: () => leave(client, ended, clock),
  }
}

const clientOptions = (link: Link, version: 4 | 5): IClientOptions => ({
  clientId: link.clientId,
  clean: !link.persistent,
  protocolVersion: version,
  keepalive: limits.keepAliveSeconds,
  connectTimeout: handshakeMs,
  reconnectPeriod: 0,
  queueQoSZero: false,
  resubscribe: false,
  ...(link.will && {
    will: {
      topic: link.will.topic,
      payload: Buffer.from(link.will.payload),
      qos: 1 as const,
      retain: true,
    },
  }),
  ...(version === 5 &&
    link.persistent && { properties: { sessionExpiryInterval: sessionExpirySeconds } }),
})

/** All filters in one SUBSCRIBE. A broker may refuse some: that is logged, and the others count. */
function subscribe(
  client: MqttClient,
  link: Link,
  world: MqttOptions['world'],
  leaving: AbortSignal,
): void {
  const connected = () => {
    if (client.connected && !leaving.aborted) guarded(world, 'connected', () => link.connected())
  }
  if (link.subscriptions.length === 0) {
    connected()
    return
  }
  client.subscribe([...link.subscriptions], { qos: 1 }, (error) => {
    if (error && client.connected) {
      const { clientId, subscriptions } = link
      world.log.warn('bus.subscription.refused', { clientId, subscriptions, why: error.message })
    }
    connected()
  })
}

function publish(
  client: MqttClient,
  waiting: Set<(error: Error) => void>,
  topic: string,
  payload: Uint8Array,
  retain: boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    // Brokers answer these by cutting the link, and the sender would repeat them for ever.
    if (topic === '' || /[+#\0]/.test(topic)) return reject(new RangeError(`no topic: ${topic}`))
    if (payload.length > limits.messageBytesMax)
      return reject(new RangeError(`${payload.length} bytes are too many for one message`))
    if (!client.connected) return reject(linkDown('not connected'))
    waiting.add(reject)
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength)
    client.publish(topic, bytes, { qos: 1, retain }, (error) => {
      waiting.delete(reject)
      if (error) reject(error)
      else resolve()
    })
  })
}

/** Lets publishes on their way finish, then DISCONNECT; an unanswering broker is left without it. */
async function leave(
  client: MqttClient,
  ended: Promise<Ended>,
  clock: World['clock'],
): Promise<void> {
  if (!client.connected) {
    client.stream.destroy()
    return
  }
  const left = new AbortController()
  void clock.sleep(limits.connectMs, left.signal).then(() => client.stream.destroy())
  client.end()
  await ended
  left.abort()
}

const linkDown = (reason: string): Error => new Error(`the link to the broker is down: ${reason}`)

/** What is called here must not throw; if it does, the link goes on all the same. */
function guarded({ log }: Pick<World, 'log'>, handler: string, call: () => void): void {
  try {
    call()
  } catch (error) {
    log.error('bus.handler.threw', { handler, error: String(error) })
  }
}

function dialler({ url, ...how }: MqttOptions): (failed: boolean) => Duplex {
  const urls = typeof url === 'string' ? () => [url] : url
  const diallers = new Map<string, () => Duplex>()
  let known = ''
  let at = 0
  const current = (): (() => Duplex) => {
    const all = urls()
    // There is a newer address: it is tried first.
    if (known !== all.join(' ')) at = 0
    known = all.join(' ')
    const one = all[at % all.length] ?? ''
    const found = diallers.get(one) ?? diallerTo(one, how)
    diallers.set(one, found)
    return found
  }
  current()
  return (failed) => {
    if (failed) at++
    return current()()
  }
}

function diallerTo(url: string, { identity, tls }: Omit<MqttOptions, 'url'>): () => Duplex {
  const { protocol, hostname, port } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  // Nagle's algorithm and delayed acknowledgements together cost 40 ms a conversation.
  const tcp = (to: number) => connectTcp({ host, port: to, noDelay: true, keepAlive: true })
  if (protocol === 'mqtt:') return () => tcp(Number(port || 1883))
  if (protocol !== 'mqtts:' && protocol !== 'wss:')
    throw new Error(`${url}: a broker is named by mqtts://host:port or wss://host:port/path`)
  if (tls === undefined) throw new Error(`${url}: certificate and key are missing`)
  const made = { cert: tls.cert, context: createSecureContext({ ...tls, minVersion: 'TLSv1.3' }) }
  const contextNow = () => {
    // It may have been renewed.
    if (made.cert !== tls.cert)
      Object.assign(made, {
        cert: tls.cert,
        context: createSecureContext({ ...tls, minVersion: 'TLSv1.3' }),
      })
    return made.context
  }
  const to = Number(port || (protocol === 'wss:' ? 443 : 8883))
  const secure = (spoken: string) => {
    const proxy = proxyFor(host, to)
    return connectTls({
      socket: proxy ? tunnelled(proxy, host, to) : tcp(to),
      servername: identity,
      rejectUnauthorized: true,
      secureContext: contextNow(),
      minVersion: 'TLSv1.3',
      // RFC 7301: where HTTPS is spoken on the same port, too.
      ALPNProtocols: [spoken],
    })
  }
  return protocol === 'wss:'
    ? () => webSocketTo(url, () => secure('http/1.1'))
    : () => secure('mqtt')
}
