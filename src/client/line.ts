/** The client's line to the bus: sends requests, hands answers to the conversation they belong to, knows who is there. */
import type { ConnectBus } from '../bus/bus.ts'
import { type Mail, type Post, startPost } from '../post/post.ts'
import {
  type AnswerMessage,
  type Head,
  isAnswer,
  type MessageOf,
  type RequestMessage,
} from '../protocol/messages.ts'
import type { PillarKind } from '../protocol/scalars.ts'
import type { Topics } from '../protocol/topics.ts'
import type { Directory } from '../trust/directory.ts'
import type { Keys, Signer } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { purposeLeftMs, withPurpose } from './absent.ts'
import {
  begin,
  begunAnew,
  type Conversation,
  due,
  hear,
  type Party,
  type Patience,
} from './conversation.ts'

export interface LineParts {
  readonly world: World
  readonly name: string
  /** Tells two runs under one name apart: topics and MQTT client ids end so. */
  readonly instance: string
  readonly directory: Directory
  readonly keys: Keys
  readonly signer: Signer
  readonly topics: Topics
  readonly connect: ConnectBus
  refresh(): Promise<number | undefined>
  /** Of interest to others in this program. */
  onAlarm?(alarm: MessageOf<'Alarm'>): void | Promise<void>
  onPresence?(presence: MessageOf<'Presence'>): void
  /** For a service that is also spoken to: a session that lasts, topics of its own, a Will. */
  readonly service?: {
    readonly subscriptions: readonly string[]
    readonly will: { readonly topic: string; readonly message: MessageOf<'Presence'> }
    mail(mail: Mail): Promise<void>
    connected(post: Post): void
    /** A request that can not be read: of an unknown type, too new, or with wrong fields. */
    notUnderstood(head: Head, why: string): void
  }
}

/** What may be asked: about a collection, or about the whole archive. */
type Question =
  | RequestMessage
  | MessageOf<'GetAlarmsRequest' | 'GetRepairsRequest' | 'SayOfPillarRequest'>

export interface Asking extends Patience {
  readonly request: Question
  readonly parties: readonly string[]
  /** All parties at once by this topic; each alone by its own. */
  readonly topic: string
  topicOf(party: string): string
  /** Stops waiting when it says so, e.g. at the first good answer. */
  enough?(state: Conversation): boolean
  progress?(answer: AnswerMessage): void
  /** May give a newer form of the request, e.g. with another token. */
  renewed?(): Question
  readonly signal: AbortSignal
}

export interface Line {
  readonly replyTo: string
  ask(asking: Asking): Promise<ReadonlyMap<string, Party>>
  presence(pillar: string): 'online' | 'offline' | 'unknown'
  /** It is there and saves its power: nothing is to be brought to it, nor fetched for others. */
  isSaving(pillar: string): boolean
  /** Until when one that has gone for lack of power is to be waited for, by our own wall clock; undefined of others. */
  downUntil(pillar: string): number | undefined
  /** False of a pillar that keeps checksums only: by the archive document, or by its own word. */
  keepsFiles(pillar: string): boolean
  /** It is to go, or is lost: what it has is no copy any more. */
  leaves(pillar: string): boolean
  /** It did not answer and never said that it is there: not waited for until it does. */
  hush(pillar: string): void
  connected(): Promise<void>
  isConnected(): boolean
  post(): Post
  close(): Promise<void>
}

/** Aborted, and the reason is that the user or the program stopped. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}

export function openLine(parts: LineParts): Line {
  const { topics, name, service } = parts
  const replyTo = topics.replies(name, parts.instance)
  const open: Open = new Set()
  const there = whoIsThere(parts)
  let online = (): void => undefined
  const firstConnect = new Promise<void>((resolve) => {
    online = resolve
  })

  async function mail(mail: Mail): Promise<void> {
    const { message, topic, from } = mail
    if (message.type === 'Presence') {
      if (from.role === 'tracker' && topic === topics.trackerState())
        return there.noticeLeaving(message)
      const anew = there.notice(message, topic)
      for (const one of open) one.notice(message.from, anew)
      return
    }
    if (message.type === 'Alarm') return parts.onAlarm?.(message)
    there.heard(from.name)
    if (isAnswer(message)) there.noticeKind(from.name, message.kind)
    if (!isAnswer(message)) return service?.mail(mail)
    if (from.role !== 'client') for (const one of open) one.hear(message)
  }
  const subscriptions = [
    replyTo,
    topics.allPillarStates(),
    topics.trackerState(),
    ...(parts.onAlarm ? [topics.alarms()] : []),
    ...(service?.subscriptions ?? []),
  ]
  const session = service
    ? { clientId: name, persistent: true, will: service.will }
    : { clientId: `${name}.${parts.instance}`, persistent: false }
  const post: Post = startPost(
    { ...parts, identity: name, subscriptions, ...session },
    {
      mail,
      notUnderstood: (head, _from, why) => service?.notUnderstood(head, why),
      connected() {
        online()
        there.reconnected()
        // Reconcile: what was said while the link was down went nowhere.
        for (const one of open) one.say()
        service?.connected(post)
      },
    },
  )
  return {
    replyTo,
    ask: (asking) => ask(parts.world, post, open, asking, there.isOffline),
    presence: there.presence,
    isSaving: there.isSaving,
    downUntil: there.downUntil,
    keepsFiles: (pillar) =>
      parts.directory.identity(pillar)?.kind !== 'checksum' && !there.keepsChecksums(pillar),
    leaves: there.leaves,
    hush: there.hush,
    connected: () => firstConnect,
    isConnected: () => post.isConnected(),
    post: () => post,
    close: () => post.close(),
  }
}

/** What waits for answers; pages of one conversation wait each by itself. */
type Open = Set<Waiting>

interface Waiting {
  hear(answer: AnswerMessage): void
  /** It came, went, or has started `anew`. */
  notice(party: string, anew: boolean): void
  say(): void
}

function whoIsThere(parts: LineParts) {
  const presences = new Map<string, MessageOf<'Presence'>>()
  /** Known from an earlier connection; the broker tells again what it still knows. */
  const earlier = new Set<string>()
  const hushed = new Set<string>()
  const checksumPillars = new Set<string>()
  /** As each tracker has said last. */
  const leaving = new Map<string, ReadonlySet<string>>()
  const noticeKind = (name: string, kind: PillarKind | undefined): void => {
    if (kind === 'checksum') checksumPillars.add(name)
    else checksumPillars.delete(name)
  }
  return {
    /** True when one that we knew has started anew. */
    notice(presence: MessageOf<'Presence'>, topic: string): boolean {
      if (topic !== parts.topics.pillarState(presence.from)) return false
      const known = presences.get(presence.from)
      // A death that comes late belongs to an older session; a birth of the same session may come again.
      if (known && !earlier.delete(presence.from) && known.session > presence.session) return false
      const full = withPurpose(known, presence)
      presences.set(presence.from, full)
      noticeKind(presence.from, presence.kind)
      parts.onPresence?.(full)
      return presence.state === 'online' && known !== undefined && known.session < presence.session
    },
    /** The broker may have forgotten how far a number was, and with it a board that begins anew. */
    reconnected(): void {
      for (const name of presences.keys()) earlier.add(name)
    },
    noticeKind,
    /** Its Will knows what was so when it started. */
    noticeLeaving({ from, state, leaving: names }: MessageOf<'Presence'>): void {
      if (state === 'online' || !leaving.has(from)) leaving.set(from, new Set(names))
    },
    leaves: (name: string): boolean => [...leaving.values()].some((names) => names.has(name)),
    keepsChecksums: (name: string): boolean => checksumPillars.has(name),
    heard: (name: string) => void hushed.delete(name),
    hush: (name: string) => void hushed.add(name),
    presence: (name: string): 'online' | 'offline' | 'unknown' =>
      presences.get(name)?.state ?? (hushed.has(name) ? 'offline' : 'unknown'),
    isOffline: (name: string): boolean => presences.get(name)?.state === 'offline',
    isSaving(name: string): boolean {
      const known = presences.get(name)
      return known?.state === 'online' && known.saving !== undefined
    },
    downUntil(name: string): number | undefined {
      const known = presences.get(name)
      if (known?.state !== 'offline') return undefined
      const now = parts.world.clock.now()
      const ms = purposeLeftMs(known, now)
      return ms > 0 ? now + ms : undefined
    },
  }
}

/** Says the request, again while somebody is silent, until all have answered or were given up. */
async function ask(
  { clock }: Pick<World, 'clock'>,
  post: Post,
  open: Open,
  asking: Asking,
  isOffline: (name: string) => boolean,
): Promise<ReadonlyMap<string, Party>> {
  let state = begin(asking.parties, clock.monotonic())
  let wakeUp = new AbortController()
  const { conversation, page } = asking.request
  const waiting: Waiting = {
    hear(answer) {
      if (answer.conversation !== conversation || answer.page !== page) return
      if (!answers(asking.request, answer)) return
      state = hear(state, answer, clock.monotonic())
      asking.progress?.(answer)
      wakeUp.abort()
    },
    notice(party, anew) {
      if (anew) state = begunAnew(state, party, clock.monotonic())
      wakeUp.abort()
    },
    say: () => void post.send(asking.topic, asking.request),
  }
  open.add(waiting)
  try {
    void post.send(asking.topic, asking.request)
    for (;;) {
      if (asking.signal.aborted) throw new Stopped('stopped')
      if (asking.enough?.(state)) break
      const now = due(state, clock.monotonic(), asking, isOffline)
      state = now.state
      if (now.over) break
      for (const party of now.again)
        void post.send(asking.topicOf(party), asking.renewed?.() ?? asking.request)
      wakeUp = new AbortController()
      const either = AbortSignal.any([wakeUp.signal, asking.signal])
      await clock.sleep(Math.max(1, now.wake - clock.monotonic()), either)
    }
  } finally {
    open.delete(waiting)
  }
  return new Map([...state.parties].map(([party, { party: at }]) => [party, at]))
}

/** `XRequest` is answered by `XResponse`, `XProgressResponse` and `XFinalResponse`. */
function answers(request: Question, answer: AnswerMessage): boolean {
  const stem = request.type.replace(/Request$/, '')
  return answer.type === 'NotUnderstoodResponse'
    ? answer.about === request.type
    : answer.type.replace(/(Progress|Final)?Response$/, '') === stem
}
