// A tracker with nothing but the wire: says what it likes to real pillars, and offers bytes as an exchange.

import { bench as newBench } from '../../../src/exchange/bench.ts'
import { exchange } from '../../../src/exchange/exchange.ts'
import { compose, type Draft, uuid7 } from '../../../src/post/compose.ts'
import { parse, seal, unseal } from '../../../src/protocol/envelope.ts'
import type { Epoch, Fragment, Membership } from '../../../src/protocol/fragments.ts'
import type { Message, MessageOf, MessageType } from '../../../src/protocol/messages.ts'
import { timeText } from '../../../src/protocol/scalars.ts'
import { type EventType, pillarEvents, topicsUnder } from '../../../src/protocol/topics.ts'
import { type Fleet, startFleet } from '../../../src/sim/fleet.ts'
import { simKeys, simSigner } from '../../../src/sim/keys.ts'
import { simWorld } from '../../../src/sim/world.ts'
import { openState } from '../../../src/state/sqlite.ts'
import { objectName } from '../../../src/transfer/objects.ts'
import { issueToken } from '../../../src/transfer/token.ts'
import { openDirectory } from '../../../src/trust/directory.ts'
import type { Signer } from '../../../src/trust/trust.ts'

const url = 'https://203.0.113.1:443'
export const topics = topicsUnder('colonnade')
export const collection = 'pieces'
export const first: Epoch = { counter: 1, tracker: 'tracker' }

type EventDraft<T extends EventType> = Omit<
  Draft<T>,
  'conversation' | 'epoch' | 'collection' | 'type'
> & {
  readonly conversation?: string
  readonly epoch?: Epoch
}

export interface Rig {
  readonly fleet: Fleet
  /** What pillars said, of this type. */
  heard<T extends MessageType>(type: T, from?: string): MessageOf<T>[]
  forget(): void
  say<T extends EventType>(type: T, draft: EventDraft<T>, by?: Signer): Promise<void>
  /** A request to one pillar; its answers are heard. */
  ask<T extends MessageType>(
    pillar: string,
    type: T,
    draft: Record<string, unknown>,
    by?: Signer,
  ): Promise<void>
  /** Bytes that can be had, as a fragment. */
  fragment(bytes: Uint8Array, kind?: Fragment['kind']): Fragment
  deliver(
    parts: readonly { readonly fragment: Fragment; readonly recipients: readonly string[] }[],
    conversation: string,
    more?: { readonly page?: number; readonly epoch?: Epoch; readonly offer?: boolean | 'slow' },
  ): Promise<void>
  /** Registers all pillars, each with the same weight, or as is said. */
  join(epoch?: Epoch, membership?: Membership): Promise<void>
  /** What the exchange tells of the collection's membership, and how often it was asked. */
  readonly told: { membership?: Membership; asked: number }
  pass(ms: number): Promise<void>
}

export const membershipOf = (fleet: Fleet, copies: number): Membership => ({
  collection,
  version: 1,
  copies,
  members: fleet.boards.map(({ name }) => ({ id: name, weight: 1_000 })),
})

export async function rig(
  seed: string,
  options: { pillars?: number; copies?: number; capacity?: number } = {},
): Promise<Rig> {
  const { pillars = 3, copies = 2 } = options
  const fleet = await startFleet({
    seed,
    pillars,
    copiesMin: copies,
    fragments: { bytes: 64 * 1024, copies },
    ...(options.capacity === undefined ? {} : { capacity: options.capacity }),
  })
  fleet.tracker.crash()
  const world = simWorld(fleet.time.clock, fleet.random.fork('rig'), 'rig')
  const keys = simKeys()
  const directory = await openDirectory(
    {
      keys,
      owner: simSigner('owner').publicKey,
      archive: 'test',
      state: openState(':memory:'),
    },
    fleet.sealed,
  )
  const shelf = newBench()
  const told: Rig['told'] = { asked: 0 }
  const membership = (): string | undefined => {
    told.asked++
    return told.membership && JSON.stringify(told.membership)
  }
  fleet.net.serveAs(
    'tracker',
    url,
    exchange({ world, identity: 'tracker', directory, keys, shelf, relay: true, membership }),
  )
  let all: Message[] = []
  let up = (): void => undefined
  const connected = new Promise<void>((resolve) => {
    up = resolve
  })
  const bus = fleet.broker.connectAs('tracker')({
    clientId: 'tracker',
    persistent: true,
    subscriptions: [...pillarEvents.map(topics.event), topics.replies('tracker', 'rig')],
    receive(_topic, payload) {
      const sealed = unseal(payload)
      const parsed = sealed && parse(sealed.line)
      if (parsed?.is === 'message') all.push(parsed.message)
    },
    connected: () => up(),
    closed: () => undefined,
  })
  await fleet.time.finish(connected)
  const offered = new Map<string, Uint8Array>()
  const say: Rig['say'] = async (type, draft, by = simSigner('tracker')) => {
    const event = compose(world, 'tracker', {
      type,
      conversation: uuid7(world),
      epoch: first,
      ...(/^(Fragment|File)/.test(type) ? { collection } : {}),
      ...draft,
    } as never)
    await fleet.time.finish(bus.publish(topics.event(type), seal(JSON.stringify(event), by)))
  }
  const self: Rig = {
    fleet,
    heard: (type, from) =>
      all.filter(
        (one): one is MessageOf<typeof type> =>
          one.type === type && (from === undefined || one.from === from),
      ),
    forget() {
      all = []
    },
    say,
    async ask(pillar, type, draft, by = simSigner('tracker')) {
      const request = compose(world, draft.from === undefined ? 'tracker' : String(draft.from), {
        ...{ type, conversation: uuid7(world), epoch: first, collection, to: [pillar] },
        replyTo: topics.replies('tracker', 'rig'),
        expiresAt: timeText(world.clock.now() + 86_400_000),
        ...draft,
      } as never)
      const sealed = seal(JSON.stringify(request), by)
      await fleet.time.finish(bus.publish(topics.pillarRequests(pillar), sealed))
    },
    fragment(bytes, kind = 'slice') {
      const hasher = fleet.hashing.start('sha256')
      hasher.update(bytes)
      const hash = hasher.hex()
      offered.set(hash, bytes)
      return { hash, size: bytes.length, kind }
    },
    async deliver(parts, conversation, { page = 0, epoch = first, offer = true } = {}) {
      const obj = parts.map(({ fragment: { hash, size } }): [string, number] => {
        const name = objectName(world, 'rig', hash)
        const bytes = offered.get(hash)
        if (offer && bytes)
          shelf.offer(name, {
            size,
            async *read(offset, length) {
              if (offer === 'slow') await world.clock.sleep(20_000)
              yield bytes.slice(offset, offset + length)
            },
          })
        return [name, size]
      })
      const hld = [...new Set(parts.flatMap(({ recipients }) => recipients))]
      const exp = Math.floor(world.clock.now() / 1000) + 86_400
      const token = issueToken(simSigner('tracker'), {
        iss: 'tracker',
        aud: ['tracker'],
        hld,
        dir: 'down',
        obj,
        exp,
      })
      await say('FragmentDistributionDelivered', {
        conversation,
        page,
        epoch,
        to: hld,
        expiresAt: timeText(world.clock.now() + 86_400_000),
        fragments: parts.map(({ fragment, recipients }) => ({
          ...fragment,
          recipients: [...recipients],
        })),
        transmission: { exchanges: [{ identity: 'tracker', urls: [url] }], token },
      })
    },
    told,
    async join(epoch = first, membership = membershipOf(fleet, copies)) {
      const memberships = [membership]
      await say('TrackerHello', { epoch })
      await fleet.time.advance(2_000)
      for (const { name } of fleet.boards) {
        const asked = self.heard('ClientJoinRequested', name).at(-1)
        if (!asked) throw new Error(`${name} did not ask to join`)
        const { conversation } = asked
        await say('ClientJoinAccepted', { epoch, conversation, to: [name], memberships })
        await fleet.time.advance(1_000)
        await say('ClientRegistered', { epoch, conversation, pillar: name, memberships })
      }
      await fleet.time.advance(1_000)
    },
    pass: (ms) => fleet.time.advance(ms),
  }
  return self
}
