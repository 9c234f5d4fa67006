/** The tracker's behaviour: knows who is there, keeps what is owed, runs the relay. */
import { type Client, type ClientParts, startClient } from '../client/client.ts'
import { exchange } from '../exchange/exchange.ts'
import type { Spool } from '../exchange/spool.ts'
import { answering, compose, notUnderstood } from '../post/compose.ts'
import type { Mail } from '../post/post.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { State } from '../state/state.ts'
import type { Serve } from '../transfer/transfer.ts'
import { openAlarms } from './alarms.ts'
import { type Debt, ledger } from './ledger.ts'
import type { RepairOptions } from './repair.ts'
import { type Upkeep, upkeep } from './upkeep.ts'

export interface TrackerParts
  extends Omit<ClientParts, 'serve' | 'instance' | 'onAlarm' | 'onPresence' | 'service'> {
  readonly version: string
  readonly state: State
  readonly spool: Spool
  /** The owner has sent a newer archive document: to be kept where it is looked for at the next start. */
  keepDocument?(sealed: Uint8Array): void
  readonly repair?: RepairOptions
}

export interface Tracker {
  /** The exchange, to be put behind HTTPS by the composition root. */
  readonly serve: Serve
  isConnected(): boolean
  presence(pillar: string): 'online' | 'offline' | 'unknown'
  owed(): Promise<Debt[]>
  /** There is a newer archive document: everybody is told. */
  announce(): void
  stop(): Promise<void>
}

const expireEveryMs = 10 * 60_000
const repairDefaults: RepairOptions = { everyMs: 24 * 3_600_000, settleMs: 60_000 }

export async function startTracker(parts: TrackerParts): Promise<Tracker> {
  const { world, name, topics, state, spool, directory } = parts
  const stop = new AbortController()
  const debts = ledger(state)
  const alarms = await openAlarms(world, name, state)
  const session = Math.max(world.clock.now(), Number((await state.get('session')) ?? 0) + 1)
  await state.change([['session', `${session}`]])
  const presence = (online: boolean) => presenceOf(parts, session, online)

  async function mail({ message, from }: Mail): Promise<void> {
    // We ask ourselves, too: the command on the tracker's own machine.
    if (from.role !== 'client' && from.name !== name) return
    if (message.type === 'GetAlarmsRequest')
      await client.line.post().send(message.replyTo, await alarms.answer(message))
    if (message.type === 'DeliverOwedCopiesRequest') await take(message)
    if (message.type === 'GetRepairsRequest')
      await client.line.post().send(message.replyTo, await keeping.answer(message))
  }
  async function take(message: MessageOf<'DeliverOwedCopiesRequest'>): Promise<void> {
    await debts.owe(debtsOf(message))
    const type = 'DeliverOwedCopiesFinalResponse' as const
    const answer = compose<typeof type>(world, name, {
      type,
      ...answering(message, name, 'OPERATION_COMPLETED'),
    })
    await client.line.post().send(message.replyTo, answer)
    for (const pillar of message.owed)
      if (client.line.presence(pillar) === 'online') keeping.remind(pillar)
  }
  const client: Client = await startClient({
    ...parts,
    instance: 'service',
    onAlarm: alarms.hear,
    onPresence(one) {
      if (one.state === 'online' && one.from !== name) keeping.arrived(one.from)
    },
    service: {
      subscriptions: [topics.trackerRequests()],
      will: { topic: topics.trackerState(), message: presence(false) },
      mail,
      notUnderstood(head, why) {
        world.log.warn('tracker.notUnderstood', { from: head.from, type: head.type, why })
        const answer = notUnderstood(world, name, head, why)
        if (answer && head.replyTo !== undefined) void client.line.post().send(head.replyTo, answer)
      },
      connected: (post) => void post.send(topics.trackerState(), presence(true), true),
    },
  })
  const { repair: options = repairDefaults } = parts
  const keeping: Upkeep = upkeep({
    ...{ client, ledger: debts, state, options },
    ...{ signal: stop.signal, hear: alarms.hear },
  })
  const expiring = expire(parts, stop.signal)
  const say = (online: boolean): Promise<unknown> =>
    client.line.post().send(topics.trackerState(), presence(online), true)
  const announce = (): void => {
    void say(true)
    keeping.decided()
  }
  const newDocument = (): void => {
    parts.keepDocument?.(directory.sealed())
    announce()
  }
  return {
    serve: exchange({ ...parts, identity: name, shelf: spool, relay: true, newDocument }),
    isConnected: () => client.line.isConnected(),
    presence: (pillar) => client.line.presence(pillar),
    owed: () => debts.all(),
    announce,
    async stop() {
      stop.abort()
      await say(false)
      await client.close()
      await keeping.idle()
      await expiring
    },
  }
}

const presenceOf = (
  { world, name, version, directory }: TrackerParts,
  session: number,
  online: boolean,
): MessageOf<'Presence'> =>
  compose<'Presence'>(world, name, {
    type: 'Presence',
    conversation: `00000000-0000-7000-8000-${session.toString(16).padStart(12, '0').slice(-12)}`,
    state: online ? 'online' : 'offline',
    session,
    version,
    document: directory.document().version,
  })
const debtsOf = (message: MessageOf<'DeliverOwedCopiesRequest'>): Debt[] =>
  message.owed.flatMap((pillar) =>
    message.files.map((file) => ({
      collection: message.collection,
      pillar,
      file,
      holders: message.holders,
    })),
  )

async function expire({ world, spool }: TrackerParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await world.clock.sleep(expireEveryMs, signal)
    if (signal.aborted) return
    const count = await spool.expire()
    if (count > 0) world.log.info('spool.expired', { objects: count })
  }
}
