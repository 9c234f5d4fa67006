import { once } from 'node:events'
import type { AddressInfo, Socket } from 'node:net'
import { type Duplex, duplexPair, Readable } from 'node:stream'
import { createServer, type TLSSocket } from 'node:tls'
import { Aedes, type AedesPublishPacket, type AuthenticateError, type Client } from 'aedes'
import { allowances } from '../door/allowance.ts'
import { boundHandshakes } from '../door/flood.ts'
import { limits } from '../limits.ts'
import { identityOf, keyIn } from '../trust/keys.ts'
import type { PublicKey } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { bounded, type Explained, filtersOf, isInOrder } from './bounds.ts'
import type { ConnectBus } from './bus.ts'
import { mqttOver } from './mqtt.ts'

/** What one absent participant may keep waiting; the oldest goes first, and its sender says it again. */
const queueMessagesMax = 1_000
const queueBytesMax = 4 * 1024 * 1024

/** A subscriber that lets so much pile up in its connection is cut off; more than a whole queue and all states. */
const unreadBytesMax = 16 * 1024 * 1024

const drainTimeoutMs = 3_000

/** Where forbidden messages go: nobody can subscribe to it. */
const nowhere = '$forbidden'

export interface EmbeddedBrokerOptions {
  readonly host: string
  /** 0 takes a free one; with `none` it does not listen itself, and has who is handed to it only. */
  readonly port: number | 'none'
  /** PEM; the certificate proves the broker's identity, the authority is that of the participants. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string }
  /** Asked for every publish, for every filter subscribed to, and again (`subscribe`) for each topic delivered. */
  allow(identity: string, action: 'publish' | 'subscribe', topic: string): boolean
  /** Whether a message on this topic may be kept for those who come later; else it is delivered only. All may, without it. */
  mayRetain?(topic: string): boolean
  /** Whether this identity may connect with this key; for revocation. Without it every valid certificate may. */
  admit?(identity: string, key: PublicKey): boolean
  /** A publish that was acknowledged and dropped. */
  onForbidden?(identity: string, topic: string): void
  readonly world: Pick<World, 'clock' | 'random' | 'log'>
}

export interface EmbeddedBroker {
  /** 0 when it does not listen. */
  readonly port: number
  /** Somebody who has come by another door, and has proved who he is there. */
  take(stream: Duplex, identity: string, key: PublicKey): void
  /** For the program that the broker runs in: not over the network, and `allow` is not asked. */
  readonly connectLocal: ConnectBus
  /** Cuts every connection of this identity; its Last Will is published. */
  drop(identity: string): void
  /** Asks `admit` again about everybody who is connected, and cuts those who are not admitted any more. */
  recheck(): void
  /** Our certificate is another from now on, of the same key. */
  certify(certificate: string): void
  close(): Promise<void>
}

/**
 * An MQTT 3.1.1 broker in this process. Everything is in memory: after a restart it knows no session and no
 * retained message, and participants announce themselves again. Rejects when it cannot listen.
 */
export async function embeddedBroker(options: EmbeddedBrokerOptions): Promise<EmbeddedBroker> {
  const { allow, world } = options
  const peers: Peers = new WeakMap()
  const open = new Set<Duplex>()
  const explained: Explained = new WeakSet()
  const paces = allowances(limits.publishesBurst, limits.publishesPerSecond)
  const permitted = (client: Client | null, action: 'publish' | 'subscribe', topic: string) => {
    if (client === null) return false
    const peer = peers.get(client.conn)
    return peer === ourselves || (peer !== undefined && allow(peer, action, topic))
  }

  const broker = await Aedes.createBroker({
    drainTimeout: drainTimeoutMs,
    connectTimeout: limits.connectMs,
    preConnect(_client, packet, done) {
      if (isInOrder(packet)) done(null, true)
      else done(new Error('a CONNECT that is not in order'), false)
    },
    authenticate(client, _user, _password, done) {
      if (mayBe(peers, client)) return done(null, true)
      world.log.warn('broker.clientId.refused', {
        clientId: client.id,
        identity: nameOf(peers, client),
      })
      explained.add(client.conn)
      done(refusal('Identifier rejected'), false)
    },
    authorizePublish(client, packet, done) {
      const fits = packet.payload.length <= limits.messageBytesMax
      if (!fits || !permitted(client, 'publish', packet.topic)) {
        const identity = client ? nameOf(peers, client) : ''
        world.log.warn('broker.publish.dropped', { identity, topic: packet.topic, fits })
        if (fits) options.onForbidden?.(identity, packet.topic)
        // An error here would end the connection, and the sender would repeat this message for ever.
        Object.assign(packet, { topic: nowhere, payload: Buffer.alloc(0), retain: false })
      }
      const keeps = client === null || peers.get(client.conn) === ourselves
      if (packet.retain && !keeps && options.mayRetain?.(packet.topic) === false)
        Object.assign(packet, { retain: false })
      later(client ? paces.take(nameOf(peers, client)) : 0, done)
    },
    authorizeSubscribe(client, subscription, done) {
      const fits = client === null || filtersOf(client) < limits.filtersPerLinkMax
      done(null, fits && permitted(client, 'subscribe', subscription.topic) ? subscription : null)
    },
    // Asked again, because a right may have been taken away since the subscription.
    authorizeForward: (client, packet) =>
      permitted(client, 'subscribe', packet.topic) ? packet : null,
  })
  boundSessions(broker, world, (client, topic) => permitted(client, 'subscribe', topic))
  logTrouble(broker, peers, explained, world)

  const keys = new Map<Duplex, PublicKey>()
  const attach = (stream: Duplex, peer: Peer, key?: PublicKey) => {
    peers.set(stream, peer)
    if (key !== undefined) keys.set(stream, key)
    open.add(stream)
    stream.once('close', () => open.delete(stream) && keys.delete(stream))
    if (typeof peer === 'string' && !bounded(stream, peer, paces, explained, world)) return
    neverStall(stream)
    if (broker.closed) stream.destroy()
    else broker.handle(stream)
  }
  const server = await listen(options, attach)

  return {
    ...server,
    take: attach,
    connectLocal: mqttOver({ dial: () => localStream(attach), protocolVersion: 4, world }),
    drop(identity) {
      for (const stream of open) if (peers.get(stream) === identity) stream.destroy()
    },
    recheck() {
      for (const [stream, key] of keys)
        if (!(options.admit?.(String(peers.get(stream)), key) ?? true)) stream.destroy()
    },
    async close() {
      await new Promise<void>((resolve) => broker.close(resolve))
      await server.close()
    },
  }
}

function later(ms: number, done: (error: null) => void): void {
  if (ms === 0) done(null)
  else setTimeout(done, ms, null)
}

const ourselves = Symbol('ourselves')
type Peer = string | typeof ourselves
/** Who is at the other end of a connection; known as long as aedes has to do with it, which is beyond its end. */
type Peers = WeakMap<Duplex, Peer>

const nameOf = (peers: Peers, client: Client): string => {
  const peer = peers.get(client.conn)
  return typeof peer === 'string' ? peer : ''
}

type Listening = Pick<EmbeddedBroker, 'port' | 'certify' | 'close'>

/** TLS 1.3 with a certificate from both sides, or no connection. */
async function listen(
  options: EmbeddedBrokerOptions,
  attach: (stream: Duplex, identity: string, key: PublicKey) => void,
): Promise<Listening> {
  if (options.port === 'none')
    return { port: 0, certify: () => undefined, close: async () => undefined }
  const { log } = options.world
  const server = createServer({
    ...options.tls,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
    handshakeTimeout: 3 * limits.connectMs,
    noDelay: true,
    keepAlive: true,
  })
  boundHandshakes(server, options.world)
  server.on('tlsClientError', (error) => log.info('broker.tls.refused', { why: error.message }))
  server.on('secureConnection', (socket) => {
    const { identity, key } = provenBy(socket)
    if (identity !== undefined && (options.admit?.(identity, key) ?? true))
      attach(socket, identity, key)
    else {
      log.warn('broker.identity.refused', { identity })
      socket.on('error', () => {})
      socket.destroy()
    }
  })
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(options.port, options.host)
  await once(server, 'listening')
  return {
    port: (server.address() as AddressInfo).port,
    certify: (cert) => server.setSecureContext({ ...options.tls, cert, minVersion: 'TLSv1.3' }),
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    },
  }
}

/** Identity and key that the certificate at the other end of a connection proves. */
function provenBy(socket: TLSSocket): { identity: string | undefined; key: PublicKey } {
  const certificate = socket.getPeerX509Certificate()
  if (certificate === undefined) return { identity: undefined, key: '' }
  return { identity: identityOf(certificate), key: keyIn(certificate) }
}

/**
 * A client id is bound to the certificate, or anybody could take over anybody's session. Only the identity itself
 * may have a session that lasts, so there are no more of these than identities.
 */
function mayBe(peers: Peers, client: Client): boolean {
  const peer = peers.get(client.conn)
  if (typeof peer !== 'string') return peer === ourselves
  return client.id === peer || (client.clean && client.id.startsWith(`${peer}.`))
}

const refusal = (why: string): AuthenticateError => Object.assign(new Error(why), { returnCode: 2 })

/**
 * aedes delivers a message to the next hundred only when each subscriber before has taken it from its socket, so
 * that one frozen reader holds up all. Here a connection takes whatever comes, and is cut when it has too much:
 * what it had not acknowledged still waits in its session.
 */
function neverStall(stream: Duplex): void {
  const write = stream.write.bind(stream) as (...args: unknown[]) => boolean
  const eager = (...args: unknown[]): true => {
    write(...args)
    if (stream.writableLength > unreadBytesMax) stream.destroy(new Error('reads too slowly'))
    return true
  }
  Object.assign(stream, { write: eager })
}

function localStream(attach: (stream: Duplex, peer: typeof ourselves) => void): Duplex {
  const [ours, theirs] = duplexPair()
  ours.once('close', () => theirs.destroy())
  theirs.once('close', () => ours.destroy())
  attach(theirs, ourselves)
  return ours
}

function logTrouble(
  broker: Aedes,
  peers: Peers,
  explained: Explained,
  { log }: Pick<World, 'log'>,
): void {
  const about = (client: Client, error: Error) => ({
    clientId: client.id,
    identity: nameOf(peers, client),
    why: error.message,
  })
  const tell = (event: string) => (client: Client, error: Error) => {
    if (explained.has(client.conn)) return
    explained.add(client.conn)
    log.info(event, about(client, error))
  }
  broker.on('clientError', tell('broker.link.failed'))
  broker.on('connectionError', tell('broker.connect.failed'))
  ;(broker as NodeJS.EventEmitter).on('error', (error: Error) =>
    log.error('broker.failed', { why: error.message }),
  )
}

interface Queue {
  packets: AedesPublishPacket[]
  bytes: number
}

/** The part of aedes' persistence that is replaced here; its other parts stay as they come. */
interface Persistence {
  addSubscriptions(client: Client, subscriptions: { topic: string }[]): Promise<void>
  cleanSubscriptions(client: Client): Promise<void>
}

/**
 * Puts bounded queues in the place of aedes' own ones, which grow without limit and are never thrown away, and
 * keeps it from queueing for filters that it has refused.
 */
function boundSessions(
  broker: Aedes,
  world: Pick<World, 'clock' | 'log'>,
  permitted: (client: Client, topic: string) => boolean,
): void {
  const { persistence } = broker as Aedes & { persistence: Persistence }
  const addSubscriptions = persistence.addSubscriptions.bind(persistence)
  const cleanSubscriptions = persistence.cleanSubscriptions.bind(persistence)
  const queues = new Map<string, Queue>()
  Object.assign(persistence, {
    addSubscriptions: (client: Client, subscriptions: { topic: string }[]) =>
      addSubscriptions(
        client,
        subscriptions.filter(({ topic }) => permitted(client, topic)),
      ),
    cleanSubscriptions(client: Client) {
      queues.delete(client.id)
      return cleanSubscriptions(client)
    },
    ...outgoing(queues, world),
  })
}

/** Messages on their way to lasting sessions, until they are acknowledged; as aedes' persistence interface has it. */
function outgoing(queues: Map<string, Queue>, { clock, log }: Pick<World, 'clock' | 'log'>) {
  const enqueue = (clientId: string, packet: AedesPublishPacket) => {
    const queue = queues.get(clientId) ?? { packets: [], bytes: 0 }
    queues.set(clientId, queue)
    // Only an answer to SUBSCRIBE is flagged as retained, not what was published since.
    queue.packets.push({ ...packet, retain: false })
    queue.bytes += packet.payload.length
    while (queue.packets.length > queueMessagesMax || queue.bytes > queueBytesMax) {
      remove(queue, 0)
      log.debug('broker.queue.overflow', { clientId })
    }
  }
  return {
    async outgoingEnqueue({ clientId }: { clientId: string }, packet: AedesPublishPacket) {
      enqueue(clientId, packet)
    },
    async outgoingEnqueueCombi(to: { clientId: string }[], packet: AedesPublishPacket) {
      for (const { clientId } of to) enqueue(clientId, packet)
    },
    /** Notes the message id under which a message was sent; one that fell out of the queue meanwhile is no error. */
    async outgoingUpdate({ id }: Client, packet: AedesPublishPacket) {
      const packets = queues.get(id)?.packets ?? []
      const at = packets.findIndex((other) =>
        other.brokerId === packet.brokerId
          ? other.brokerCounter === packet.brokerCounter
          : other.messageId === packet.messageId,
      )
      const found = packets[at]
      if (found?.brokerId === packet.brokerId) Object.assign(found, { messageId: packet.messageId })
      else if (found) packets[at] = packet
    },
    async outgoingClearMessageId({ id }: Client, packet: AedesPublishPacket) {
      const queue = queues.get(id)
      // Asked without one when a message was not sent at all; others not sent yet have none either.
      if (queue === undefined || packet.messageId === undefined) return undefined
      const at = queue.packets.findIndex((other) => other.messageId === packet.messageId)
      return at < 0 ? undefined : remove(queue, at)
    },
    /** What is sent first when its owner is back. */
    outgoingStream({ id }: Client) {
      const queue = queues.get(id)
      if (!queue) return Readable.from([])
      for (let at = queue.packets.length - 1; at >= 0; at--)
        if (expired(queue.packets[at], clock.now())) remove(queue, at)
      // Message ids are those of a connection: an old one may meet a new one of the same number.
      for (const packet of queue.packets)
        if (packet.cmd === 'publish') Object.assign(packet, { messageId: undefined })
      return Readable.from([...queue.packets])
    },
  }
}

function remove(queue: Queue, at: number): AedesPublishPacket | undefined {
  const [packet] = queue.packets.splice(at, 1)
  queue.bytes -= packet?.payload?.length ?? 0
  return packet
}

/** Whether the first line of a message says `expiresAt`, an ISO time, and it has passed. */
function expired(packet: AedesPublishPacket | undefined, now: number): boolean {
  const bytes = Buffer.from(packet?.payload ?? '')
  const end = bytes.indexOf('\n')
  const line = end < 0 ? bytes : bytes.subarray(0, end)
  if (!line.includes('"expiresAt"')) return false
  try {
    return Date.parse(JSON.parse(line.toString()).expiresAt) <= now
  } catch {
    return false
  }
}
