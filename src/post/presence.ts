/**
 * The post of a pillar: it says that it is there at each connection, and dies by its Will. Births and deaths are ordered by
 * the number of their session; who has another board, and a clock in 1970, learns from what the broker retained how far
 * that number was.
 */
import type { MessageOf } from '../protocol/messages.ts'
import type { State } from '../state/state.ts'
import { type Mail, type Post, type PostHandlers, type PostParts, startPost } from './post.ts'
import { keepSession, sessionMax } from './session.ts'

export interface PresentParts extends Omit<PostParts, 'will'> {
  readonly state: State
  /** Of this run, at first. */
  readonly session: number
  presence(state: 'online' | 'offline', session: number): MessageOf<'Presence'>
}

export interface Present extends Omit<Post, 'close'> {
  session(): number
  /** What it says of itself has changed: said again, if there is a link. */
  announce(): void
  /** Says that it goes, and closes. */
  leave(): Promise<void>
}

export interface PresentHandlers extends PostHandlers {
  /** Another board speaks in our name, and goes on doing so; said once. */
  rival?(): void
}

/** A death that came late is heard once, or twice; somebody who lives, over each connection. */
const sightingsMax = 3
const sightingsWithinMs = 10 * 60_000

export function startPresent(parts: PresentParts, handlers: PresentHandlers): Present {
  const { world, state, identity } = parts
  const topic = parts.topics.pillarState(identity)
  let { session } = parts
  /** A birth of ours came back: in this run, and over this connection. What comes then was said later. */
  const known = { inRun: false, here: false }
  const others = sightings(parts, () => handlers.rival?.())
  let leaving = false
  let moving: Promise<void> | undefined
  let post = open()

  function open(): Post {
    const will = { topic, message: parts.presence('offline', session) }
    return startPost(
      { ...parts, subscriptions: [...parts.subscriptions, topic], will },
      {
        ...handlers,
        async mail(mail) {
          if (isOwn(mail)) hearOwn(mail.message)
          else await handlers.mail(mail)
        },
        connected() {
          known.here = false
          others.connected()
          announce()
          handlers.connected?.()
        },
      },
    )
  }
  const isOwn = (mail: Mail): mail is Mail & { message: MessageOf<'Presence'> } =>
    mail.topic === topic && mail.from.name === identity && mail.message.type === 'Presence'
  const announce = (): void => void post.send(topic, parts.presence('online', session), true)

  function hearOwn({ session: heard, state: is }: MessageOf<'Presence'>): void {
    if (leaving || moving) return
    if (known.inRun && heard !== session) others.seen()
    if (heard === session && is === 'online') known.inRun = known.here = true
    // Of an earlier board, or of a clock that was right: below its number nobody would believe us.
    else if (heard > session && !known.inRun && heard < sessionMax) moving = moveAbove(heard)
    // A death that came late stands where whoever connects next would read it.
    else if (heard <= session && known.here) announce()
  }
  /** The Will has the number, too: the link is opened anew with it. */
  async function moveAbove(heard: number): Promise<void> {
    try {
      await keepSession(state, heard + 1)
      world.log.info('presence.above', { heard, was: session })
      session = heard + 1
      await post.close()
      if (!leaving) post = open()
    } catch (error) {
      world.log.error('presence.notKept', { why: String(error) })
    } finally {
      moving = undefined
    }
  }
  return {
    session: () => session,
    announce,
    isConnected: () => post.isConnected(),
    send: (to, message, retain) => post.send(to, message, retain),
    async leave() {
      leaving = true
      await moving
      await post.send(topic, parts.presence('offline', session), true)
      await post.close()
    },
  }
}

/** Counts connections over which somebody else was heard in our name. */
function sightings({ world: { clock } }: PresentParts, tooMany: () => void) {
  let times: number[] = []
  let isNew = true
  return {
    connected(): void {
      isNew = true
    },
    seen(): void {
      if (!isNew) return
      isNew = false
      const now = clock.monotonic()
      times = [...times.filter((time) => now - time < sightingsWithinMs), now]
      if (times.length === sightingsMax) tooMany()
    },
  }
}
