import type { Bus, ConnectBus, Link } from '../bus/bus.ts'
import { limits } from '../limits.ts'
import { type Clock, jittered, type Random } from '../world/world.ts'
import {
  accept,
  type BrokerState,
  type BusCounters,
  type BusFaults,
  brokerState,
  type Carry,
  type Connection,
  cutOff,
  type Hop,
  hangUp,
  latencyMs,
  type Message,
  route,
  told,
} from './broker.ts'

export type { BusFaults, Hop } from './broker.ts'

export interface SimBroker {
  /** Client ids must be the identity or begin with `identity.`, or the broker is never reached. */
  connectAs(identity: string): ConnectBus
  /** Ends the links of this identity abnormally; they cannot come back before `ms` have passed. */
  cut(identity: string, ms?: number): void
  /** As if the programs of this identity had lost power: none of their handlers is called any more. */
  kill(identity: string): void
  /** The broker loses sessions, queues and retained messages, sends no Wills, and is away for `downMs`. */
  wipe(downMs?: number): void
  /** The same, but it remembers. */
  restart(downMs?: number): void
  /** From now on this sees each hop of each message, and decides which are lost. */
  losing(loses: (hop: Hop) => boolean): void
  readonly counters: Readonly<BusCounters>
}

/**
 * A broker and the lines to it, in virtual time and under a seed. Without faults it is a good one: what it has
 * acknowledged arrives once and in order, at the absent too, up to 1 000 messages or 4 MiB each.
 */
export function simBroker(options: {
  readonly clock: Clock
  readonly random: Random
  readonly faults?: BusFaults
}): SimBroker {
  const { clock } = options
  const broker = brokerState(options)
  const participants = new Set<Participant>()
  const unreachableUntil = new Map<string, number>()
  let downUntil = 0

  const cut = (identity: string, ms = 0): void => {
    const until = Math.max(unreachableUntil.get(identity) ?? 0, clock.monotonic() + ms)
    unreachableUntil.set(identity, until)
    for (const own of participants)
      if (own.identity === identity && own.connection) cutOff(broker, own.connection, 'cut')
  }
  const restart = (downMs = 0): void => {
    downUntil = Math.max(downUntil, clock.monotonic() + downMs)
    broker.unnoticed.clear()
    for (const { connection } of participants)
      if (connection) hangUp(broker, connection, 'the broker has gone')
  }

  return {
    connectAs: (identity) => (link) => {
      const isOwn = link.clientId === identity || link.clientId.startsWith(`${identity}.`)
      const line = carrier(broker, (ms) => cut(identity, ms))
      const reachable = () =>
        isOwn && clock.monotonic() >= Math.max(unreachableUntil.get(identity) ?? 0, downUntil)
      const participant = participate(options, link, broker, (ended) =>
        reachable() ? accept(broker, link, { up: line(), down: line() }, ended) : undefined,
      )
      const own = Object.assign(participant, { identity })
      participants.add(own)
      return {
        publish: own.publish,
        async close() {
          await own.close()
          participants.delete(own)
        },
      }
    },
    cut,
    kill(identity) {
      for (const own of participants) {
        if (own.identity !== identity) continue
        participants.delete(own)
        own.kill()
      }
    },
    wipe(downMs = 0) {
      restart(downMs)
      broker.sessions.clear()
      broker.retained.clear()
    },
    restart,
    losing(loses) {
      broker.loses = loses
    },
    counters: broker.counters,
  }
}

/** A program at its end of the line: tries to be connected until it leaves or is killed. */
interface Participant extends Bus {
  readonly identity: string
  readonly connection: Connection | undefined
  kill(): void
}

function participate(
  world: { readonly clock: Clock; readonly random: Random },
  link: Link,
  broker: BrokerState,
  connect: (ended: (reason: string) => void) => Connection | undefined,
) {
  const gone = new AbortController()
  const waiting = new Map<Promise<void>, (error: Error) => void>()
  let connection: Connection | undefined
  const ended = run()

  async function run(): Promise<void> {
    let delayMs: number = limits.reconnectMsMin
    while (!gone.signal.aborted) {
      await world.clock.sleep(2 * latencyMs, gone.signal)
      if (gone.signal.aborted) return
      const reason = await new Promise<string>((resolve) => {
        connection = connect(resolve)
        if (connection) delayMs = limits.reconnectMsMin
        else resolve('the broker is not to be reached')
      })
      connection = undefined
      for (const reject of waiting.values()) reject(linkDown())
      if (gone.signal.aborted) return
      told(broker.counters, () => link.closed(reason))
      await world.clock.sleep(jittered(world, delayMs), gone.signal)
      delayMs = Math.min(2 * delayMs, limits.reconnectMsMax)
    }
  }

  const leave = (): Connection | undefined => {
    gone.abort()
    if (connection) connection.deaf = true
    return connection
  }

  return {
    get connection() {
      return connection
    },
    async publish(topic: string, payload: Uint8Array, retain = false): Promise<void> {
      checkMessage(topic, payload)
      if (!connection?.open || gone.signal.aborted) throw linkDown()
      await send(broker, connection, waiting, { topic, payload: payload.slice() }, retain)
    },
    async close(): Promise<void> {
      const left = leave()
      await Promise.allSettled(waiting.keys())
      if (left) hangUp(broker, left, 'left')
      await ended
    },
    kill(): void {
      const left = leave()
      if (left) cutOff(broker, left, 'killed')
    },
  }
}

function send(
  broker: BrokerState,
  connection: Connection,
  waiting: Map<Promise<void>, (error: Error) => void>,
  message: Message,
  retain: boolean,
): Promise<void> {
  let giveUp: (error: Error) => void = () => {}
  const promise = new Promise<void>((resolve, reject) => {
    giveUp = reject
    connection.up(() => {
      if (!connection.open) return
      route(broker, message, retain)
      connection.down(() => {
        if (connection.open) resolve()
      })
    })
  })
  waiting.set(promise, giveUp)
  const settled = () => {
    waiting.delete(promise)
  }
  promise.then(settled, settled)
  return promise
}

/** As real brokers and the adapter to them refuse it. */
function checkMessage(topic: string, payload: Uint8Array): void {
  if (topic === '' || /[+#\0]/.test(topic)) throw new RangeError(`no topic: ${topic}`)
  if (payload.length > limits.messageBytesMax)
    throw new RangeError(`${payload.length} bytes are too many for one message`)
}

const linkDown = (): Error => new Error('the link to the broker is down')

/** Makes lines: in order, except for what falls behind; now and then one is cut. */
const carrier =
  ({ clock, chance, faults }: BrokerState, cut: (ms: number) => void) =>
  (): Carry => {
    const actions: (() => void)[] = []
    let due = 0
    return (action) => {
      if (chance.happens('cut'))
        void clock.sleep(0).then(() => cut(chance.upTo(faults.cutMsMax ?? 10_000)))
      const { ms, alone } = chance.fate()
      if (alone) {
        void clock.sleep(ms).then(action)
        return
      }
      const now = clock.monotonic()
      due = Math.max(due, now + ms)
      actions.push(action)
      void clock.sleep(due - now).then(() => actions.shift()?.())
    }
  }
