// Trackers and pillars that only join, on a simulated bus on which chosen messages are lost.

import { type JoinEvent, type Joining, joinStep } from '../../src/pillar/fragments/joining.ts'
import { compose, uuid7 } from '../../src/post/compose.ts'
import { type Post, startPost } from '../../src/post/post.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { type Epoch, type FragmentEvent, fragmentEvents } from '../../src/protocol/fragments.ts'
import type { Message, MessageOf } from '../../src/protocol/messages.ts'
import { type EventType, topicsUnder, trackerEvents } from '../../src/protocol/topics.ts'
import { type BusFaults, simBroker } from '../../src/sim/bus.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { memberEvents, openMembers } from '../../src/tracker/members.ts'
import type { Inventory } from '../../src/tracker/members-inventory.ts'
import type { Members } from '../../src/tracker/roles.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { View } from '../../src/view/view.ts'
import type { Clock, World } from '../../src/world/world.ts'

export const topics = topicsUnder('colonnade')
export const collection = 'pieces'
const owner = simSigner('owner')
const keys = simKeys()
const isEvent = (type: string): type is EventType => type in fragmentEvents

/** Whether this message is lost before the broker (`from` itself), or on its way to `to`. */
export type Loss = (message: Message, to: string) => boolean

export interface Tracking {
  readonly members: Members
  readonly view: View
  readonly alarms: string[]
  readonly world: ReturnType<typeof simWorld>
  stop(): Promise<void>
}

export interface Joiner {
  readonly name: string
  state(): Joining
  /** Everything that it heard of the tracker. */
  readonly heard: FragmentEvent[]
  readonly post: Post
  say(event: FragmentEvent): Promise<void>
  stop(): Promise<void>
}

const noInventory: Inventory = async () => {
  throw new Error('nobody is asked here')
}

export interface JoinerOptions {
  readonly session?: number
  readonly volume?: string
  readonly more?: Partial<MessageOf<'ClientJoinRequested'>>
  /** It can not apply what was accepted. */
  readonly fails?: () => boolean
}

const trackers = ['tracker', 'tracker-b']

export async function joinBench(
  faults: BusFaults = {},
  boards: readonly string[] = ['attic', 'cellar', 'friend'],
) {
  const time = simClock()
  const random = simRandom('join')
  const broker = simBroker({ clock: time.clock, random: random.fork('bus'), faults })
  let lost: Loss = () => false
  const document = (version: number, pillars: readonly string[]): Uint8Array => {
    const one: ArchiveDocument = {
      archive: 'test',
      version,
      issuedAt: '2026-01-01T00:00:00.000Z',
      identities: [
        ...[...boards, 'stranger'].map((name) => ({ name, role: 'pillar' as const })),
        ...trackers.map((name) => ({ name, role: 'tracker' as const })),
      ].map((one) => ({ ...one, publicKey: simSigner(one.name).publicKey })),
      collections: [
        {
          name: collection,
          pillars: [...pillars],
          copiesMin: 1,
          algorithm: 'sha256',
          fragments: { bytes: 1 << 20, copies: 2 },
        },
      ],
      exchanges: [],
    }
    return sealDocument(one, owner)
  }
  const directory = await openDirectory(
    { keys, owner: owner.publicKey, archive: 'test', state: openState(':memory:') },
    document(1, boards),
  )
  const post = (
    world: World,
    name: string,
    subscriptions: readonly string[],
    hear: (message: Message, mail: Parameters<Members['hear']>[0]) => void,
    connected: () => void,
    will?: MessageOf<'Presence'>,
  ): Post =>
    startPost(
      {
        ...{ world, identity: name, signer: simSigner(name), keys, directory, topics },
        connect: broker.connectAs(name),
        clientId: name,
        persistent: true,
        subscriptions,
        ...(will ? { will: { topic: topics.pillarState(name), message: will } } : {}),
        refresh: async () => undefined,
      },
      {
        mail: async (mail) => {
          if (!lost(mail.message, name)) hear(mail.message, mail)
        },
        connected,
      },
    )
  const sayer = (line: () => Post) => async (event: FragmentEvent, retain?: boolean) => {
    if (!lost(event, event.from)) await line().send(topics.event(event.type), event, retain)
  }

  async function tracker(
    name = 'tracker',
    view = openView(':memory:'),
    inventory = noInventory,
    graceMs?: number,
    clock: Clock = time.clock,
  ): Promise<Tracking> {
    const world = simWorld(clock, random.fork(name), name)
    const alarms: string[] = []
    const members = await openMembers({
      ...{ world, name, directory, view, inventory, graceMs },
      say: sayer(() => line),
      alarm: (_code, text) => void alarms.push(text),
    })
    const events = memberEvents.map((type) => topics.event(type))
    const line: Post = post(
      world,
      name,
      [...events, topics.allPillarStates()],
      (message, mail) => {
        if (message.type === 'Presence') members.notice(message)
        else void members.hear(mail)
      },
      () => members.connected(),
    )
    const stop = (): Promise<void> => time.finish(members.stop().then(() => line.close()))
    return { members, view, alarms, world, stop }
  }

  function pillar(name: string, options: JoinerOptions = {}): Joiner {
    const { session = 100, volume = `volume-of-${name}`, more = {}, fails } = options
    const world = simWorld(time.clock, random.fork(name), name)
    let state: Joining = { at: 'waiting' }
    const heard: FragmentEvent[] = []
    const stopping = new AbortController()
    const presence = (is: 'online' | 'offline') =>
      compose<'Presence'>(world, name, {
        ...{ type: 'Presence', conversation: uuid7(world), state: is, session, version: '0' },
      })
    const step = async (event: JoinEvent): Promise<void> => {
      const next = joinStep(state, event, time.clock.monotonic(), uuid7(world))
      state = next.state
      if (!next.say || state.at === 'waiting') return
      const { epoch } = state
      const conversation = 'attempt' in state ? state.attempt : uuid7(world)
      const common = { conversation, to: [epoch.tracker], epoch }
      if (next.say !== 'requested') {
        const type = next.say === 'succeeded' ? 'ClientJoinSucceeded' : 'ClientJoinFailed'
        return say(compose<typeof type>(world, name, { type, ...common }))
      }
      const request = compose<'ClientJoinRequested'>(world, name, {
        ...{ type: 'ClientJoinRequested', ...common, algorithm: 'sha256', session, holdings: [] },
        volumes: [{ id: volume, bytesTotal: 1e12, bytesOpen: 5e11 }],
      })
      await say({ ...request, ...more })
    }
    async function hear(message: Message): Promise<void> {
      if (isEvent(message.type)) heard.push(message as FragmentEvent)
      const attempt = message.conversation
      const mine = message.to?.includes(name)
      if (message.type === 'TrackerHello') await step({ is: 'hello', epoch: message.epoch })
      if (message.type === 'ClientJoinAccepted' && mine)
        await step({ is: fails?.() ? 'notApplied' : 'applied', attempt })
      if (message.type === 'ClientJoinDenied' && mine) await step({ is: 'denied', attempt })
      if (message.type === 'ClientRegistered' && message.pillar === name)
        await step({ is: 'registered', epoch: message.epoch })
    }
    const line: Post = post(
      world,
      name,
      trackerEvents.map((type) => topics.event(type)),
      (message) => void hear(message),
      () => {
        void line.send(topics.pillarState(name), presence('online'), true)
        void step({ is: 'connected' })
      },
      presence('offline'),
    )
    const say = sayer(() => line)
    const ticking = async (): Promise<void> => {
      while (!stopping.signal.aborted) {
        await time.clock.sleep(1_000, stopping.signal)
        await step({ is: 'time' })
      }
    }
    void ticking()
    const stop = async (): Promise<void> => {
      stopping.abort()
      await line.send(topics.pillarState(name), presence('offline'), true)
      await line.close()
    }
    return { name, state: () => state, heard, post: line, say, stop }
  }
  return {
    time,
    broker,
    directory,
    tracker,
    pillar,
    /** From now on. */
    lose: (which: Loss) => {
      lost = which
    },
    document,
  }
}

export const isRegistered = (joiner: Joiner, epoch?: Epoch): boolean => {
  const state = joiner.state()
  if (state.at !== 'registered') return false
  return epoch === undefined || state.epoch.counter === epoch.counter
}
