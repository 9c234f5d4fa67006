import type { Link } from '../bus/bus.ts'
import type { Clock, Random } from '../world/world.ts'

/** What may go wrong; everything is 0 when absent, and looked up anew each time, so a test may change it. */
export interface BusFaults {
  /** Probability that a publish is acknowledged and then forgotten. */
  lost?: number
  /** Probability that a publish is delivered twice. */
  duplicated?: number
  /** Probability that a message, or an acknowledgement, stops for up to `delayMsMax` and all behind it wait too. */
  delayed?: number
  /** Probability that a message falls behind by up to `delayMsMax` while others overtake it. */
  reordered?: number
  /** 1 000 when absent. */
  delayMsMax?: number
  /** Probability, at each message carried, that its link is cut, for up to `cutMsMax` (10 000 when absent). */
  cut?: number
  cutMsMax?: number
  /** How long the broker may take to notice a cut, and to publish the Last Will. */
  noticeMsMax?: number
}

const noCounts = {
  /** Publishes that reached the broker. */
  published: 0,
  /** Calls of `receive`. */
  delivered: 0,
  lost: 0,
  duplicated: 0,
  delayed: 0,
  reordered: 0,
  cuts: 0,
  /** Dropped because a queue was full. */
  overflowed: 0,
  /** Handlers that threw, which they must not. */
  threw: 0,
}
export type BusCounters = typeof noCounts

/** One way over a line, at the least. */
export const latencyMs = 1
const queueMessagesMax = 1_000
const queueBytesMax = 4 * 1024 * 1024

export interface Message {
  readonly topic: string
  readonly payload: Uint8Array
}

interface Session {
  readonly clientId: string
  readonly persistent: boolean
  /** Filters in their levels. As in MQTT they only ever get more: subscribing again takes none away. */
  readonly filters: Map<string, readonly string[]>
  /** Not acknowledged yet, oldest first. */
  readonly queue: Message[]
  bytes: number
  connection: Connection | undefined
}

export interface Connection {
  readonly link: Link
  readonly session: Session
  /** Towards the broker, and back. */
  readonly up: Carry
  readonly down: Carry
  readonly ended: (reason: string) => void
  open: boolean
  /** Its owner is leaving or dead: no handler is called, and what is not received waits in the session. */
  deaf: boolean
}

/** One message on its way to the broker; or, with `to`, from there to this client id. */
export interface Hop extends Message {
  readonly to?: string
}

/** Runs the action at the other end of the line, after a while. */
export type Carry = (action: () => void) => void

/** All that a broker knows, and what happens to it. */
export interface BrokerState {
  readonly clock: Clock
  readonly faults: BusFaults
  readonly chance: ReturnType<typeof chances>
  readonly counters: BusCounters
  readonly sessions: Map<string, Session>
  readonly retained: Map<string, Message>
  /** Sees each hop; what it says true of is lost there. */
  loses: (hop: Hop) => boolean
  /** Cut, and not yet noticed by the broker: a Last Will is due. */
  readonly unnoticed: Map<string, Connection>
}

export function brokerState(options: {
  readonly clock: Clock
  readonly random: Random
  readonly faults?: BusFaults
}): BrokerState {
  const { clock, random, faults = {} } = options
  const counters = { ...noCounts }
  return {
    clock,
    faults,
    chance: chances(random, faults, counters),
    counters,
    sessions: new Map(),
    retained: new Map(),
    loses: () => false,
    unnoticed: new Map(),
  }
}

/** CONNECT and SUBSCRIBE: first what waited in the session, then `connected`, then what is retained. */
export function accept(
  broker: BrokerState,
  link: Link,
  lines: Pick<Connection, 'up' | 'down'>,
  ended: (reason: string) => void,
): Connection {
  const { clientId } = link
  const old = broker.sessions.get(clientId)
  if (old?.connection) cutOff(broker, old.connection, 'another came with the same client id')
  notice(broker, clientId)
  const session = link.persistent && old?.persistent ? old : newSession(link)
  broker.sessions.set(clientId, session)
  for (const filter of link.subscriptions) session.filters.set(filter, filter.split('/'))
  const connection = { ...lines, link, session, ended, open: true, deaf: false }
  session.connection = connection
  for (const message of session.queue) deliver(broker, connection, message, false)
  connection.down(() => guarded(broker, connection, () => link.connected()))
  for (const message of broker.retained.values())
    if (wants(session, message.topic)) deliver(broker, connection, message, true)
  return connection
}

/** Passes a publish that has reached the broker on to every session that wants it. */
export function route(broker: BrokerState, message: Message, retain: boolean): void {
  const { chance, counters, retained } = broker
  counters.published++
  if (chance.happens('lost') || loses(broker, message)) return
  if (retain && message.payload.length > 0) retained.set(message.topic, message)
  else if (retain) retained.delete(message.topic)
  const times = chance.happens('duplicated') ? 2 : 1
  for (const session of broker.sessions.values()) {
    if (!wants(session, message.topic)) continue
    for (let time = 0; time < times; time++) enqueue(broker, session, { ...message })
  }
}

function loses(broker: BrokerState, hop: Hop): boolean {
  const isLost = broker.loses(hop)
  if (isLost) broker.counters.lost++
  return isLost
}

function enqueue(broker: BrokerState, session: Session, message: Message): void {
  if (loses(broker, { ...message, to: session.clientId })) return
  session.queue.push(message)
  session.bytes += message.payload.length
  if (session.connection) deliver(broker, session.connection, message, false)
  while (session.queue.length > queueMessagesMax || session.bytes > queueBytesMax) {
    unqueue(session, session.queue[0])
    broker.counters.overflowed++
  }
}

function deliver(
  broker: BrokerState,
  connection: Connection,
  message: Message,
  retained: boolean,
): void {
  connection.down(() => {
    if (!connection.open || connection.deaf) return
    unqueue(connection.session, message)
    broker.counters.delivered++
    const { topic, payload } = message
    guarded(broker, connection, () => connection.link.receive(topic, payload.slice(), retained))
  })
}

/** Ends a connection. Whether a Last Will is due is up to the caller. */
export function hangUp(broker: BrokerState, connection: Connection, reason: string): void {
  if (!connection.open) return
  connection.open = false
  connection.session.connection = undefined
  if (!connection.session.persistent) broker.sessions.delete(connection.link.clientId)
  connection.ended(reason)
}

/** An abnormal end; the broker publishes the Last Will as soon as it notices. */
export function cutOff(broker: BrokerState, connection: Connection, reason: string): void {
  if (!connection.open) return
  const { clock, chance, counters, faults, unnoticed } = broker
  const { clientId } = connection.link
  counters.cuts++
  hangUp(broker, connection, reason)
  unnoticed.set(clientId, connection)
  void clock.sleep(chance.upTo(faults.noticeMsMax ?? 0)).then(() => {
    if (unnoticed.get(clientId) === connection) notice(broker, clientId)
  })
}

function notice(broker: BrokerState, clientId: string): void {
  const will = broker.unnoticed.get(clientId)?.link.will
  broker.unnoticed.delete(clientId)
  if (will) route(broker, { topic: will.topic, payload: will.payload.slice() }, true)
}

function guarded({ counters }: BrokerState, { open, deaf }: Connection, call: () => void): void {
  if (open && !deaf) told(counters, call)
}

/** Calls a handler, which must not throw; one that does is counted. */
export function told(counters: BusCounters, call: () => void): void {
  try {
    call()
  } catch {
    counters.threw++
  }
}

function chances(random: Random, faults: BusFaults, counters: BusCounters) {
  const upTo = (ms: number): number => (ms > 0 ? Math.floor(random.next() * (ms + 1)) : 0)
  const happens = (fault: 'lost' | 'duplicated' | 'delayed' | 'reordered' | 'cut'): boolean => {
    const probability = faults[fault] ?? 0
    const yes = probability > 0 && random.next() < probability
    if (yes && fault !== 'cut') counters[fault]++
    return yes
  }
  return {
    upTo,
    happens,
    /** What becomes of one message on a line: how long it takes, and whether others overtake it. */
    fate(): { ms: number; alone: boolean } {
      const alone = happens('reordered')
      const late = alone || happens('delayed')
      return { ms: latencyMs + (late ? upTo(faults.delayMsMax ?? 1_000) : 0), alone }
    },
  }
}

const newSession = ({ clientId, persistent }: Link): Session => ({
  clientId,
  persistent,
  filters: new Map(),
  queue: [],
  bytes: 0,
  connection: undefined,
})

/** Takes a message out of a queue, if it is in there. */
function unqueue(session: Session, message: Message | undefined): void {
  const at = message === undefined ? -1 : session.queue.indexOf(message)
  if (message === undefined || at < 0) return
  session.queue.splice(at, 1)
  session.bytes -= message.payload.length
}

const wants = (session: Session, topic: string): boolean => {
  const levels = topic.split('/')
  for (const filter of session.filters.values()) if (matches(filter, levels)) return true
  return false
}

/** MQTT 3.1.1 §4.7: `+` is one level, `#` all from here on, also none; neither begins with the `$` of a broker. */
function matches(filter: readonly string[], topic: readonly string[]): boolean {
  if (topic[0]?.startsWith('$') && (filter[0] === '+' || filter[0] === '#')) return false
  for (const [at, level] of filter.entries()) {
    if (level === '#') return true
    if (at >= topic.length || (level !== '+' && level !== topic[at])) return false
  }
  return filter.length === topic.length
}
