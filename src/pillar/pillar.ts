/**
 * A storage actor: listens on its topics, decides which messages concern it, and answers. State lives in its store:
 * an accepted request is gone on with after any restart, and an answer once given is given again.
 */

import type { ConnectBus } from '../bus/bus.ts'
import type { AcceptedRequest, StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { compose, notUnderstood } from '../post/compose.ts'
import type { Mail, Post } from '../post/post.ts'
import { type Present, startPresent } from '../post/presence.ts'
import { conversationOf, nextSession } from '../post/session.ts'
import { type Leave, noSupply, type Supply } from '../power/power.ts'
import type { AlarmCode } from '../protocol/alarms.ts'
import type { Head, Message, MessageOf, RequestMessage } from '../protocol/messages.ts'
import { type Topics, trackerEvents } from '../protocol/topics.ts'
import type { State } from '../state/state.ts'
import type { Store } from '../store/store.ts'
import type { Dial } from '../transfer/transfer.ts'
import type { Windows } from '../transfer/windows.ts'
import type { Directory } from '../trust/directory.ts'
import type { Keys, Signer } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { sparing } from './alarms.ts'
import { forgetOrders } from './approval.ts'
import { type Currency, currency } from './currency.ts'
import { dispatch } from './dispatch.ts'
import { type Estimate, estimate } from './estimate.ts'
import { type FloorOptions, type Floors, floors, usualFloors } from './floors.ts'
import { fragments } from './fragments/fragments.ts'
import { deliveries } from './get.ts'
import { type InHand, inHand, mindPower, presenceOfPower } from './power.ts'
import { proofs } from './proofs.ts'
import { receptions } from './put.ts'
import { removals } from './removal.ts'
import { results } from './results.ts'
import { purges } from './retention.ts'
import { type Safekeeping, safekeeping } from './safekeeping.ts'
import { noScrub, scrub } from './scrub.ts'
import { trails } from './trail.ts'

export interface PillarParts {
  readonly world: World
  readonly name: string
  /** Of its session on the bus, where another of the same name is there already; its name when absent. */
  readonly clientId?: string
  readonly version: string
  readonly site?: string | undefined
  /** How long bytes of deleted files are kept aside, milliseconds. */
  readonly retainMs: number
  /** How much may be destroyed here in a day; the usual when absent. */
  readonly floors?: FloorOptions
  /** All stored bytes are read and compared once in this time, milliseconds; never when absent. */
  readonly scrubMs?: number
  readonly store: Store
  readonly state: State
  readonly directory: Directory
  readonly keys: Keys
  readonly signer: Signer
  readonly topics: Topics
  readonly connect: ConnectBus
  readonly dial: Dial
  /** The power that there is; without it, all that is needed. */
  readonly supply?: Supply
  /** The cipher that the processor is best at: only for telling. */
  readonly cipher?: 'AES' | 'ChaCha20'
  /** When what can wait may use the link; at all times when absent. */
  readonly windows?: Windows
  /** How long it means to be away when its power ends, milliseconds. */
  readonly awayMs?: number
  /**
   * Asks the tracker for a newer archive document; rejects when it can not be asked. What its clock said, in milliseconds since
   * 1970; undefined when we are the tracker.
   */
  refresh(): Promise<number | undefined>
  /** Whether the system says that its clock is set by others who know the time. */
  synchronised?(): boolean
  /** How warm the warmest disk is, where that is known. */
  celsius?(): number | undefined
  /** Bytes that were written outside the volumes, as far as the system tells, in the milliseconds since the start. */
  wear?(): Promise<{ readonly bytes: number; readonly ms: number }>
}

/** What the handlers work with. */
export interface Desk extends Omit<PillarParts, 'floors'> {
  readonly floors: Floors
  readonly supply: Supply
  /** Transfers that go on. */
  readonly inHand: InHand
  answer(request: RequestMessage, message: Message): Promise<void>
  alarm(code: AlarmCode, text: string, about?: { collection?: string; fileId?: string }): void
  readonly stopping: AbortSignal
  readonly estimate: Estimate
  readonly currency: Currency
  readonly keepsake: Safekeeping
  /** The bytes of this file were found wrong: they are looked at again, and put aside if they are. */
  suspect(file: StoredFile): void
  /** They were, and are put aside: the file is not stored here any more. */
  gone(file: StoredFile): void
  /** Somebody asked for it, and it is not stored here. */
  missing(file: Pick<StoredFile, 'collection' | 'id'>): void
}

export interface Pillar {
  /** Ends transfers where they are, says goodbye and leaves the store closed and its bags up to date. */
  stop(leave?: Leave): Promise<void>
  isConnected(): boolean
}

export async function startPillar(parts: PillarParts): Promise<Pillar> {
  const { name, store, topics } = parts
  const stop = new AbortController()
  const session = await nextSession(parts.world, parts.state)
  const desk = deskFor(parts, stop.signal, {
    post: () => post,
    suspect: (file) => scrubbing.suspect(file),
    gone: (file) => pieces.gone(file),
    missing: (file) => pieces.missing(file),
  })
  const listings = results(desk)
  const work = {
    puts: receptions(desk),
    gets: deliveries(desk),
    removals: removals(desk),
    trails: trails(desk),
    sums: proofs(desk, listings.accept),
    results: listings,
  }
  const scrubbing = parts.scrubMs === undefined ? noScrub : scrub(desk, parts.scrubMs)
  const handle = dispatch(desk, work)
  const pieces = fragments({
    desk,
    session: () => post.session(),
    say: async (event) => void (await post.send(topics.event(event.type), event)),
  })
  let leaving: Leave | undefined
  const post: Present = startPresent(
    {
      ...parts,
      session,
      identity: name,
      clientId: parts.clientId ?? name,
      persistent: true,
      subscriptions: subscriptionsOf(parts),
      presence: (state, now) => presenceOf(parts, now, state, leaving),
    },
    {
      mail: async (mail) =>
        void (notice(desk, mail) || (await pieces.hear(mail)) || (await handle(mail))),
      notUnderstood: (head, _from, why) => void sayNotUnderstood(desk, post, head, why),
      // What was asked meanwhile comes from the session or is said again by its senders.
      connected() {
        desk.currency.connected()
        pieces.connected()
      },
      rival: () => store.halt(`another board is there as ${name}: switch one of them off`),
    },
  )
  store.watch(({ code, text, ...about }) => desk.alarm(code, text, about))
  mindPower(desk, post.announce)
  const resume = async (accepted: readonly AcceptedRequest[]): Promise<void> => {
    await work.puts.resume(accepted)
    await pieces.resume(accepted)
  }
  store.onReturn?.((accepted) => void resume(accepted))
  await resume(await store.accepted())
  const housekeeping = keepHouse(desk)
  return {
    isConnected: () => post.isConnected(),
    async stop(leave) {
      stop.abort()
      await pieces.goodbye()
      leaving = leave
      await post.leave()
      await work.puts.idle()
      await work.gets.idle()
      await work.removals.idle()
      await work.trails.idle()
      await work.sums.idle()
      await pieces.idle()
      await scrubbing.idle()
      await work.results.idle()
      await desk.keepsake.idle()
      await housekeeping
      await store.close()
    },
  }
}

const subscriptionsOf = ({ name, topics }: PillarParts): string[] => [
  topics.pillarRequests(name),
  topics.allCollectionRequests(),
  topics.trackerState(),
  ...trackerEvents.map(topics.event),
]

/** Said with everything, so that nobody takes what it confirms for a copy. */
const kindOf = ({ kind }: Store): { kind?: Store['kind'] } => (kind === 'file' ? {} : { kind })

const presenceOf = (
  parts: PillarParts,
  session: number,
  state: 'online' | 'offline',
  leave: Leave | undefined,
): MessageOf<'Presence'> => {
  const { world, name, version, site, store } = parts
  return compose<'Presence'>(world, name, {
    type: 'Presence',
    conversation: conversationOf(session),
    ...{ state, session, version },
    ...(site === undefined ? {} : { site }),
    ...kindOf(store),
    ...presenceOfPower(parts, state, leave),
  })
}

function deskFor(
  parts: PillarParts,
  stopping: AbortSignal,
  {
    post,
    suspect,
    gone,
    missing,
  }: { post(): Pick<Present, 'send' | 'session' | 'isConnected'> } & Pick<
    Desk,
    'suspect' | 'gone' | 'missing'
  >,
): Desk {
  const { world, name, topics, store, supply = noSupply } = parts
  const estimated = estimate(world.clock, store.sleeping)
  const alarm = sparing(world, stopping, (alarmCode, alarmText, about = {}) => {
    const alarm = compose<'Alarm'>(world, name, {
      type: 'Alarm',
      conversation: conversationOf(post().session()),
      alarmCode,
      alarmText,
      ...about,
    })
    void untilHeard(parts, stopping, () => post().send(topics.alarms(), alarm))
  })
  return {
    ...{ ...parts, stopping, suspect, gone, missing, supply, alarm },
    floors: floorsOf(parts, alarm),
    estimate: estimated,
    inHand: inHand(supply, estimated, stopping),
    currency: currency(parts, stopping, () => post().isConnected()),
    keepsake: safekeeping(parts, stopping),
    answer: async (request, message) =>
      void (await post().send(request.replyTo, { ...message, ...kindOf(store) })),
  }
}

function floorsOf(
  { world, name, state, store, directory, floors: options = usualFloors }: PillarParts,
  alarm: Desk['alarm'],
): Floors {
  const stored = async (collection: string): Promise<number> =>
    (await store.summary()).find((one) => one.collection === collection)?.files ?? 0
  return floors({ world, name, state, options, stored, alarm, document: directory.document })
}

/** While the broker is away, too: the trouble may have come with it. */
async function untilHeard(
  { world }: PillarParts,
  stopping: AbortSignal,
  say: () => Promise<boolean>,
): Promise<void> {
  let pauseMs: number = limits.reconnectMsMin
  while (!(await say().catch(() => true)) && !stopping.aborted) {
    await world.clock.sleep(pauseMs, stopping)
    pauseMs = Math.min(pauseMs * 2, limits.resendMsMax)
  }
}

/** The tracker hands out a newer archive document: we fetch it, and believe the owner's signature only. */
function notice({ directory, currency, keepsake }: Desk, mail: Mail): boolean {
  const { message, from } = mail
  if (message.type !== 'Presence') return false
  if (from.role !== 'tracker' || message.state !== 'online') return true
  const { document = 0, recovery } = message
  if (document > directory.document().version) currency.told(document)
  if (recovery !== undefined) keepsake.told(recovery, document)
  return true
}

async function sayNotUnderstood(
  desk: Desk,
  post: Pick<Post, 'send'>,
  head: Head,
  why: string,
): Promise<void> {
  desk.alarm(
    head.min > 1 ? 'INVALID_MESSAGE_VERSION' : 'INVALID_MESSAGE',
    `${head.type} by ${head.from}: ${why}`,
  )
  const answer = notUnderstood(desk.world, desk.name, head, why)
  if (answer && head.replyTo !== undefined) await post.send(head.replyTo, answer)
}

/** Forgets answers nobody can ask for any more, and partials nobody came back for. */
async function keepHouse({ world, store, stopping, currency, ...desk }: Desk): Promise<void> {
  const { clock } = world
  const begun = { wall: clock.now(), run: clock.monotonic() }
  /** A clock that jumped since we began, or that nobody has confirmed, is not one to throw things away by. */
  const steady = (): boolean => {
    const ran = clock.monotonic() - begun.run
    return (
      currency.clockFault() === undefined &&
      ran > steadyMs &&
      Math.abs(clock.now() - begun.wall - ran) < jumpMs
    )
  }
  let swept = clock.monotonic()
  /** A disk is not woken for it before its time, but it is done when it is awake. */
  const disturbs = (): boolean =>
    store.sleeping?.asleep() === true && clock.monotonic() - swept < store.sleeping.workEveryMs()
  while (!stopping.aborted) {
    await clock.sleep(houseMs, stopping)
    if (stopping.aborted || store.trouble() !== undefined) continue
    const now = clock.now()
    try {
      await store.conclude([{ do: 'forget', now }])
      await desk.floors.note()
      if (!steady() || disturbs()) continue
      swept = clock.monotonic()
      await forgetOrders(desk.state, now)
      await store.evict(now - limits.partialMsMax)
      for (const { before, of } of purges(desk, now))
        while ((await store.purge(before, of)) > 0 && !stopping.aborted);
    } catch (error) {
      world.log.error('housekeeping.failed', { why: String(error) })
    }
  }
}

const houseMs = 3_600_000
const steadyMs = 24 * 3_600_000
const jumpMs = 3_600_000
