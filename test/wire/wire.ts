// A peer with nothing but the wire: says what it likes on the bus, and hears what comes back.

import { compose, type Draft, expiryText, uuid7 } from '../../src/post/compose.ts'
import { parse, seal, unseal } from '../../src/protocol/envelope.ts'
import type { Message, MessageOf, MessageType } from '../../src/protocol/messages.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import type { Fleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { simWorld } from '../../src/sim/world.ts'
import type { Signer } from '../../src/trust/trust.ts'
import type { World } from '../../src/world/world.ts'

export const topics = topicsUnder('colonnade')
export const replyTo = topics.replies('ann', 'wire')

export interface Wire {
  readonly world: World
  /** Everything that came to our reply topic. */
  readonly heard: Message[]
  /** Fills in the common fields of a request by ann. */
  make<T extends MessageType>(
    draft: Omit<Draft<T>, 'conversation' | 'replyTo' | 'expiresAt' | 'collection'> & {
      conversation?: string
      collection?: string
      expiresAt?: string
      replyTo?: string
    },
  ): MessageOf<T>
  say(topic: string, message: object, by?: Signer): Promise<void>
  raw(topic: string, payload: Uint8Array): Promise<void>
  /** Answers of this type that came so far. */
  answers<T extends MessageType>(type: T): MessageOf<T>[]
  /** Lets time pass until there are so many answers of this type. */
  wait<T extends MessageType>(type: T, count?: number): Promise<MessageOf<T>>
  close(): Promise<void>
}

export async function wire(fleet: Fleet): Promise<Wire> {
  const world = simWorld(fleet.time.clock, fleet.random.fork('wire'), 'wire')
  const heard: Message[] = []
  let up = (): void => undefined
  const connected = new Promise<void>((resolve) => {
    up = resolve
  })
  const bus = fleet.broker.connectAs('ann')({
    clientId: 'ann.wire',
    persistent: false,
    subscriptions: [replyTo, topics.alarms()],
    receive(_topic, payload) {
      const sealed = unseal(payload)
      const parsed = sealed && parse(sealed.line)
      if (parsed?.is === 'message') heard.push(parsed.message)
    },
    connected: () => up(),
    closed: () => undefined,
  })
  await fleet.time.finish(connected)
  const answers = <T extends MessageType>(type: T): MessageOf<T>[] =>
    heard.filter((message): message is MessageOf<T> => message.type === type)
  const raw = (topic: string, payload: Uint8Array): Promise<void> =>
    fleet.time.finish(bus.publish(topic, payload))
  return {
    world,
    heard,
    make: (draft) =>
      compose(world, 'ann', {
        conversation: uuid7(world),
        collection: fleet.collection,
        replyTo,
        expiresAt: expiryText(world, 3_600_000),
        ...draft,
      } as never),
    say: (topic, message, by = simSigner('ann')) => raw(topic, seal(JSON.stringify(message), by)),
    raw,
    answers,
    async wait(type, count = 1) {
      for (let n = 0; n < 600; n++) {
        const found = answers(type)[count - 1]
        if (found) return found
        await fleet.time.advance(1_000)
      }
      throw new Error(`no ${type}; heard ${heard.map((one) => one.type).join(', ')}`)
    },
    close: () => fleet.time.finish(bus.close()),
  }
}
