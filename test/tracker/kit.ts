// A tracker that distributes, and small pillars that do as they are told, around a simulated broker.

import { createHash } from 'node:crypto'
import { bench as newBench, type Offer } from '../../src/exchange/bench.ts'
import { fit } from '../../src/placement/fit.ts'
import { compose, type Draft } from '../../src/post/compose.ts'
import { type Mail, startPost } from '../../src/post/post.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import type { Epoch, Fragment } from '../../src/protocol/fragments.ts'
import type { Message } from '../../src/protocol/messages.ts'
import {
  type EventType,
  pillarEvents,
  topicsUnder,
  trackerEvents,
} from '../../src/protocol/topics.ts'
import { type BusFaults, simBroker } from '../../src/sim/bus.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { distribution } from '../../src/tracker/distribution.ts'
import { claimsOf } from '../../src/transfer/token.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { Stage } from '../../src/view/view.ts'

export const collection = 'home'
const topics = topicsUnder('colonnade')
const owner = simSigner('owner')
const keys = simKeys()
const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** A fragment of these bytes, and the bytes. */
export function made(text: string, kind: Fragment['kind'] = 'slice') {
  const bytes = new TextEncoder().encode(text.repeat(100))
  return { fragment: { hash: hashOf(bytes), size: bytes.length, kind }, bytes }
}
export type Made = ReturnType<typeof made>

/** How a pillar behaves; all of it may be changed while it runs. */
export interface Manner {
  /** No application. */
  full?: boolean
  /** Says nothing at all. */
  deaf?: boolean
  /** What it says to a delivery. */
  fails?: string
  /** Deliveries do not reach it. */
  missesOrders?: boolean
  /** Time that one fragment takes, milliseconds. */
  slowMs?: number
}

export type Arena = Awaited<ReturnType<typeof arena>>

export async function arena(options: {
  pillars: number
  copies?: number
  faults?: BusFaults
  seed?: string
}) {
  const names = Array.from({ length: options.pillars }, (_, n) => `pillar-${n + 1}`)
  const time = simClock()
  const random = simRandom(options.seed ?? 'arena')
  const faults: BusFaults = options.faults ?? {}
  const broker = simBroker({ clock: time.clock, random: random.fork('bus'), faults })
  const sealed = documentOf(names, options.copies ?? 2)
  const directoryOf = () =>
    openDirectory(
      { keys, owner: owner.publicKey, archive: 'test', state: openState(':memory:') },
      sealed,
    )
  const ground = { time, random, broker, directory: await directoryOf(), bench: newBench(), names }
  const inner = openView(':memory:')
  /** How long each change of the view takes from now on, one after the other. */
  const commitMs: number[] = []
  const view = {
    ...inner,
    async change(changes: Parameters<typeof inner.change>[0]): Promise<void> {
      await time.clock.sleep(commitMs.shift() ?? 0)
      await inner.change(changes)
    },
  }
  const weighed = fit(
    1,
    options.copies ?? 2,
    names.map((id) => ({ id, capacity: 1 << 30 })),
  ).membership
  const membership = { collection, ...weighed, members: [...weighed.members] }
  const gone = new Set<string>()
  const absent = new Set<string>()
  const pillars = new Map(names.map((name) => [name, smallPillar(ground, name)]))
  const scarce: string[] = []
  let counter = 0
  function tracker() {
    const world = simWorld(time.clock, random.fork(`tracker/${counter}`), 'tracker')
    const epoch: Epoch = { counter: ++counter, tracker: 'tracker' }
    const signer = simSigner('tracker')
    const post = startPost(
      {
        world,
        identity: 'tracker',
        signer,
        keys,
        directory: ground.directory,
        topics,
        connect: broker.connectAs('tracker'),
        clientId: 'tracker',
        persistent: true,
        subscriptions: pillarEvents.map((type) => topics.event(type)),
        refresh: async () => undefined,
      },
      { mail: (mail) => own.hear(mail), connected: () => own.connected() },
    )
    const members = {
      isActing: () => true,
      astray: () => undefined,
      epoch: () => epoch,
      membership: () => membership,
      counting: () => names.filter((name) => !gone.has(name)),
      present: () => names.filter((name) => !gone.has(name) && !absent.has(name)),
    }
    const own = distribution({
      world,
      name: 'tracker',
      signer,
      directory: ground.directory,
      topics,
      view,
      bench: ground.bench,
      members,
      send: (topic, message) => post.send(topic, message),
      scarce: (name) => void scarce.push(name),
    })
    return {
      ...own,
      world,
      members,
      directory: ground.directory,
      async stop() {
        await own.stop()
        await post.close()
      },
    }
  }
  const persisted = async (hash: string): Promise<string[]> =>
    ((await view.holders(collection, [hash]))[0] ?? [])
      .filter(({ stage }) => stage === 'persisted')
      .map(({ pillar }) => pillar)
      .sort()
  return {
    time,
    random,
    broker,
    faults,
    view,
    gone,
    absent,
    pillars,
    names,
    tracker,
    persisted,
    scarce,
    commitMs,
    bench: ground.bench,
  }
}

function documentOf(names: readonly string[], copies: number): Uint8Array {
  const identity = (name: string, role: 'pillar' | 'tracker') => ({
    name,
    role,
    publicKey: simSigner(name).publicKey,
  })
  const document: ArchiveDocument = {
    archive: 'test',
    version: 1,
    issuedAt: '2026-01-01T00:00:00.000Z',
    identities: [...names.map((name) => identity(name, 'pillar')), identity('tracker', 'tracker')],
    collections: [
      {
        name: collection,
        pillars: [...names],
        copiesMin: 1,
        algorithm: 'sha256',
        fragments: { bytes: 1 << 16, copies },
      },
    ],
    exchanges: [{ identity: 'tracker', urls: ['https://203.0.113.1:443'] }],
  }
  return sealDocument(document, owner)
}

interface Ground {
  readonly time: ReturnType<typeof simClock>
  readonly random: ReturnType<typeof simRandom>
  readonly broker: ReturnType<typeof simBroker>
  readonly directory: Awaited<ReturnType<typeof openDirectory>>
  readonly bench: ReturnType<typeof newBench>
}

function smallPillar({ time, random, broker, directory, bench }: Ground, name: string) {
  const world = simWorld(time.clock, random.fork(name), name)
  const manner: Manner = {}
  const held = new Map<string, Stage>()
  const orders = new Map<string, Message[] | undefined>()
  const heard: Message[] = []
  const post = startPost(
    {
      world,
      identity: name,
      signer: simSigner(name),
      keys,
      directory,
      topics,
      connect: broker.connectAs(name),
      clientId: name,
      persistent: true,
      subscriptions: trackerEvents.map((type) => topics.event(type)),
      refresh: async () => undefined,
    },
    { mail: handle },
  )
  async function say<T extends EventType>(draft: Draft<T>): Promise<void> {
    const message: Message = compose<T>(world, name, draft)
    await post.send(topics.event(message.type as EventType), message)
  }
  const obtained = (
    of: { conversation: string },
    stage: Stage,
    hashes: string[],
  ): Promise<void> | undefined =>
    hashes.length === 0
      ? undefined
      : say<'FragmentDistributionObtained'>({
          type: 'FragmentDistributionObtained',
          conversation: of.conversation,
          collection,
          stage,
          fragments: hashes,
        })
  async function handle({ message }: Mail): Promise<void> {
    heard.push(message)
    if (manner.deaf) return
    if (message.type === 'FragmentDistributionStarted') {
      for (const stage of ['temporary', 'persisted'] as const)
        await obtained(
          message,
          stage,
          message.fragments.flatMap(({ hash }) => (held.get(hash) === stage ? [hash] : [])),
        )
      const absent = message.fragments.filter(({ hash }) => !held.has(hash))
      if (manner.full || absent.length === 0) return
      await say<'FragmentDistributionRequested'>({
        type: 'FragmentDistributionRequested',
        conversation: message.conversation,
        epoch: message.epoch,
        collection,
        fragments: absent.map(({ hash }) => hash),
        bytesOpen: 1 << 20,
      })
    }
    if (message.type === 'FragmentDistributionDelivered' && !manner.missesOrders)
      void deliver(message)
    if (message.type === 'FragmentDistributionEnded') {
      for (const { hash, outcome } of message.fragments)
        if (outcome === 'aborted' && held.get(hash) === 'temporary') held.delete(hash)
      const mine = message.fragments.filter(({ holders }) => holders.includes(name))
      const here = mine.filter(({ hash }) => held.has(hash))
      for (const { hash } of here) held.set(hash, 'persisted')
      await obtained(
        message,
        'persisted',
        here.map(({ hash }) => hash),
      )
    }
  }
  async function deliver(
    message: Extract<Message, { type: 'FragmentDistributionDelivered' }>,
  ): Promise<void> {
    const key = `${message.conversation} ${message.page}`
    if (orders.has(key)) {
      for (const answer of orders.get(key) ?? [])
        await post.send(topics.event(answer.type as EventType), answer)
      return
    }
    const claims = claimsOf(message.transmission.token)
    const done: string[] = []
    const broken: { hash: string; reason: string }[] = []
    if (message.fragments.some(({ recipients }) => recipients.includes(name)))
      orders.set(key, undefined)
    for (const [n, { hash, recipients }] of message.fragments.entries()) {
      if (!recipients.includes(name)) continue
      await time.clock.sleep(manner.slowMs ?? 1)
      const [object = '', size = 0] = claims?.obj[n] ?? []
      const bytes =
        manner.fails === undefined && claims?.hld.includes(name)
          ? await fetched(object, size)
          : undefined
      if (bytes && hashOf(bytes) === hash) {
        if (!held.has(hash)) held.set(hash, 'temporary')
        done.push(hash)
      } else broken.push({ hash, reason: manner.fails ?? 'other bytes, or none' })
    }
    const common = { conversation: message.conversation, collection }
    const answers: Message[] = []
    if (done.length > 0)
      answers.push(
        compose<'FragmentDistributionObtained'>(world, name, {
          type: 'FragmentDistributionObtained',
          ...common,
          stage: 'temporary',
          fragments: done,
        }),
      )
    if (broken.length > 0)
      answers.push(
        compose<'FragmentDistributionFailed'>(world, name, {
          type: 'FragmentDistributionFailed',
          ...common,
          fragments: broken,
        }),
      )
    if (answers.length > 0) orders.set(key, answers)
    if (manner.deaf) return
    for (const answer of answers) await post.send(topics.event(answer.type as EventType), answer)
  }
  async function fetched(object: string, size: number): Promise<Uint8Array | undefined> {
    const ask = { peer: name, offset: 0, length: size, safe: 0 }
    const slice = await bench.read(
      { issuer: 'tracker', name: object },
      ask,
      new AbortController().signal,
    )
    if (slice.is !== 'bytes') return undefined
    const parts: Uint8Array[] = []
    try {
      for await (const part of slice.bytes) parts.push(part)
    } catch {
      return undefined
    }
    return Buffer.concat(parts)
  }
  return { name, manner, held, heard, obtained, say }
}

/** Offers the bytes of these. */
export const sourceOf =
  (all: readonly Made[]) =>
  (wanted: Fragment): Offer => {
    const { bytes } = all.find(({ fragment }) => fragment.hash === wanted.hash) ?? {
      bytes: new Uint8Array(),
    }
    return {
      size: bytes.length,
      async *read(offset, length) {
        yield bytes.subarray(offset, offset + length)
      },
    }
  }
