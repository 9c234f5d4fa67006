/** The tracker's behaviour: knows who is there, keeps what is owed, runs the relay. */
import { type Client, type ClientParts, startClient } from '../client/client.ts'
import { benchBeside } from '../exchange/beside.ts'
import { exchange } from '../exchange/exchange.ts'
import type { Spool } from '../exchange/spool.ts'
import { answering, compose, notUnderstood } from '../post/compose.ts'
import type { Mail } from '../post/post.ts'
import { conversationOf, nextSession } from '../post/session.ts'
import type { Head, MessageOf } from '../protocol/messages.ts'
import { forbidden } from '../protocol/permissions.ts'
import { type EventType, pillarEvents } from '../protocol/topics.ts'
import type { State } from '../state/state.ts'
import type { Serve } from '../transfer/transfer.ts'
import { type Alarms, openAlarms } from './alarms.ts'
import { type Caring, caring } from './caring.ts'
import { careForFragments, type FragmentCare, type FragmentParts } from './fragments.ts'
import { type Debt, type Ledger, ledger } from './ledger.ts'
import { epochFloor, type Recovery, type RecoveryParts } from './recovery.ts'
import { type Remembering, remembering } from './remembering.ts'
import type { RepairOptions } from './repair.ts'
import { telling } from './telling.ts'
import { type Upkeep, upkeep } from './upkeep.ts'
import { openWords, type Words } from './words.ts'

export interface TrackerParts
  extends Omit<ClientParts, 'serve' | 'instance' | 'onAlarm' | 'onPresence' | 'service'> {
  readonly version: string
  readonly state: State
  readonly spool: Spool
  /** Opens what the tracker's disk holds for collections in fragments; called with the first of them. */
  fragments?(): Promise<FragmentParts>
  /** The owner has sent a newer archive document: to be kept where it is looked for at the next start. */
  keepDocument?(sealed: Uint8Array): void
  readonly repair?: RepairOptions
  /** What pillars are to keep for the day on which this machine is lost. */
  readonly recovery?: RecoveryParts
  /** What the operator is to know beside, in sentences. */
  notes?(): string[]
}

export interface Tracker {
  /** The exchange, to be put behind HTTPS by the composition root. */
  readonly serve: Serve
  /** Of collections in fragments. */
  care(): FragmentCare | undefined
  isConnected(): boolean
  presence(pillar: string): 'online' | 'offline' | 'unknown'
  owed(): Promise<Debt[]>
  /** Undefined where nothing is kept for it. */
  readonly recovery: Recovery | undefined
  /** There is a newer archive document: everybody is told. */
  announce(): void
  stop(): Promise<void>
}

/** What pillars say, and other trackers. */
const heardEvents: readonly EventType[] = [...pillarEvents, 'TrackerHello']
const expireEveryMs = 10 * 60_000
const repairDefaults: RepairOptions = { everyMs: 24 * 3_600_000, settleMs: 60_000 }

export async function startTracker(parts: TrackerParts): Promise<Tracker> {
  const { world, name, topics, state, spool, directory } = parts
  const stop = new AbortController()
  const debts = ledger(state)
  const alarms = await openAlarms(world, name, state)
  const words = await openWords(state)
  const recovery = remembering(parts)
  const presence = presenceOf(parts, words, await nextSession(world, state), recovery)
  const care: Caring = caring(
    world.log,
    directory,
    carer(parts, words, () => ({ client, serve })),
  )

  async function mail(mail: Mail): Promise<void> {
    const { message, from } = mail
    // What we said of ourselves before we lost our memory is of interest, too.
    if (from.role !== 'client') await care.hear(mail)
    // We ask ourselves, too: the command on the tracker's own machine.
    if (from.role === 'client' || from.name === name)
      await answerTo(message, { client, alarms, debts, keeping, told, recovery })
  }
  const client: Client = await startClient({
    ...parts,
    instance: 'service',
    onAlarm: alarms.hear,
    onPresence: (one) => void (one.from !== name && arrivals(one, [told, keeping], care)),
    // The exchange is opened by whoever runs us; what we offer and take for ourselves stands beside the spool.
    serve: async () => ({ urls: urlsOf(directory, name), close: async () => undefined }),
    service: {
      subscriptions: subscriptionsOf(parts),
      will: { topic: topics.trackerState(), message: presence(false) },
      mail,
      notUnderstood: (head, why) => sayNotUnderstood(client, head, why),
      connected(post) {
        void post.send(topics.trackerState(), presence(true), true)
        care.connected()
      },
    },
  })
  const keeping: Upkeep = upkeep({
    ...{ client, ledger: debts, state, options: parts.repair ?? repairDefaults },
    ...{ signal: stop.signal, hear: alarms.hear, leaves: words.leaves },
  })
  const expiring = expire(parts, stop.signal, recovery)
  const say = (online: boolean): Promise<unknown> =>
    client.line.post().send(topics.trackerState(), presence(online), true)
  const announce = (): void => {
    void say(true)
    keeping.decided()
    void care.look().catch(() => undefined)
    void recovery.look()
  }
  const told = telling({ client, words, care: care.now, changed: announce })
  const newDocument = (): void => {
    parts.keepDocument?.(directory.sealed())
    announce()
  }
  const membership = (collection: string): string | undefined => care.now()?.membership(collection)
  const ours = { ...parts, identity: name, membership, relay: true, newDocument }
  const serve = recovery.over(exchange({ ...ours, shelf: benchBeside(name, client.bench, spool) }))
  await care.look()
  await recovery.begin({ words, care: care.now, changed: announce })
  return {
    serve,
    recovery: recovery.now(),
    care: care.now,
    isConnected: () => client.line.isConnected(),
    presence: (pillar) => client.line.presence(pillar),
    owed: () => debts.all(),
    announce,
    async stop() {
      stop.abort()
      await care.stop()
      await say(false)
      await client.close()
      await keeping.idle()
      await expiring
    },
  }
}

/** Undefined where there is no disk for collections in fragments. */
function carer(
  { fragments: open, state, version }: TrackerParts,
  { leaves }: Words,
  ground: () => { client: Client; serve: Serve },
): (() => Promise<FragmentCare>) | undefined {
  return (
    open &&
    (async () => {
      const own = { ...(await open()), leaves, epochFloor: await epochFloor(state) }
      const { client, serve } = ground()
      return careForFragments(client, version, own, serve)
    })
  )
}

function sayNotUnderstood({ world, name, line }: Client, head: Head, why: string): void {
  world.log.warn('tracker.notUnderstood', { from: head.from, type: head.type, why })
  const answer = notUnderstood(world, name, head, why)
  if (answer && head.replyTo !== undefined) void line.post().send(head.replyTo, answer)
}

const subscriptionsOf = ({ topics, fragments }: TrackerParts): string[] => [
  topics.trackerRequests(),
  ...(fragments ? heardEvents.map(topics.event) : []),
]

function arrivals(
  presence: MessageOf<'Presence'>,
  those: readonly { arrived(pillar: string): unknown }[],
  care: Pick<Caring, 'notice'>,
): void {
  if (presence.state === 'online') for (const one of those) void one.arrived(presence.from)
  care.notice(presence)
}

/** What clients ask of the tracker itself. */
async function answerTo(
  message: Mail['message'],
  ours: {
    client: Client
    alarms: Alarms
    debts: Ledger
    keeping: Upkeep
    told: ReturnType<typeof telling>
    recovery: Remembering
  },
): Promise<void> {
  const { client, alarms, debts, keeping, told } = ours
  const { world, name, line } = client
  switch (message.type) {
    case 'GetAlarmsRequest':
      return void (await line.post().send(message.replyTo, await alarms.answer(message)))
    case 'GetRepairsRequest': {
      const answer = await keeping.answer(message)
      const notes = ours.recovery.notes()
      const more = {
        ...{ leaving: await told.leaving(), unusable: told.unusable() },
        ...(notes.length > 0 ? { notes } : {}),
      }
      return void (await line.post().send(message.replyTo, { ...answer, ...more }))
    }
    case 'SayOfPillarRequest':
      // The operator, on the tracker's own machine.
      if (message.from !== name) return
      return void (await line.post().send(message.replyTo, await told.hear(message)))
    case 'DeliverOwedCopiesRequest': {
      const type = 'DeliverOwedCopiesFinalResponse' as const
      const { from, collection } = message
      const why = forbidden(client.directory.document(), from, collection, message.type)
      if (why !== undefined) {
        const about = answering(message, name, 'FAILURE', why)
        const refusal = compose<typeof type>(world, name, { type, ...about })
        return void (await line.post().send(message.replyTo, refusal))
      }
      await debts.owe(debtsOf(message))
      const answer = compose<typeof type>(world, name, {
        type,
        ...answering(message, name, 'OPERATION_COMPLETED'),
      })
      await line.post().send(message.replyTo, answer)
      for (const pillar of message.owed)
        if (line.presence(pillar) === 'online') keeping.remind(pillar)
    }
  }
}

const presenceOf =
  (
    { world, name, version, directory }: TrackerParts,
    words: Words,
    session: number,
    recovery: Remembering,
  ) =>
  (online: boolean): MessageOf<'Presence'> =>
    compose<'Presence'>(world, name, {
      type: 'Presence',
      conversation: conversationOf(session),
      state: online ? 'online' : 'offline',
      session,
      version,
      document: directory.document().version,
      ...(recovery.version() === undefined ? {} : { recovery: recovery.version() }),
      leaving: words.leaving(),
    })

const debtsOf = ({
  collection,
  owed,
  files,
  holders,
}: MessageOf<'DeliverOwedCopiesRequest'>): Debt[] =>
  owed.flatMap((pillar) => files.map((file) => ({ collection, pillar, file, holders })))

const urlsOf = (directory: TrackerParts['directory'], name: string): string[] =>
  directory
    .document()
    .exchanges.filter(({ identity }) => identity === name)
    .flatMap(({ urls }) => urls)

async function expire(
  { world, spool }: TrackerParts,
  signal: AbortSignal,
  recovery: Remembering,
): Promise<void> {
  while (!signal.aborted) {
    await world.clock.sleep(expireEveryMs, signal)
    if (signal.aborted) return
    await recovery.look()
    const count = await spool.expire()
    if (count > 0) world.log.info('spool.expired', { objects: count })
  }
}
