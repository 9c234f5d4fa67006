/**
 * The pillar's side of fragment distribution: it joins the tracker that acts, applies for what it should and can keep,
 * fetches what is delivered to it, and keeps it for good once the distribution has ended.
 */
import type { AcceptedRequest, StoredFile } from '../../index/index.ts'
import { compose, uuid7 } from '../../post/compose.ts'
import type { Mail } from '../../post/post.ts'
import {
  type Epoch,
  type FragmentEvent,
  fragmentOfFileId,
  type Membership,
} from '../../protocol/fragments.ts'
import { type Bell, newBell } from '../../world/bell.ts'
import { lock } from '../../world/lock.ts'
import type { Desk } from '../pillar.ts'
import { volumesOf } from '../status.ts'
import { apply, obtained } from './applying.ts'
import { type Bureau, isOfActing, keeps } from './bureau.ts'
import { arrivals } from './delivery.ts'
import { end } from './ending.ts'
import { goneTelling } from './gone.ts'
import { type JoinEvent, type Joining, type JoinWord, joinStep } from './joining.ts'
import { membershipLists } from './lists.ts'
import { nonces } from './nonces.ts'
import { notes } from './notes.ts'
import { promisedRoom } from './promised.ts'
import { trimming } from './trimming.ts'
import { vows } from './vows.ts'

export interface Fragments {
  /** What the tracker says; true when it was for us. */
  hear(mail: Mail): Promise<boolean>
  connected(): void
  resume(accepted: readonly AcceptedRequest[]): Promise<void>
  /** The bytes of this file were damaged, and are put aside. */
  gone(file: StoredFile): void
  /** Somebody asked for it, and it is not here. */
  missing(file: Pick<StoredFile, 'collection' | 'id'>): void
  /** Says that the pillar goes. */
  goodbye(): Promise<void>
  idle(): Promise<void>
}

export interface FragmentsParts {
  readonly desk: Desk
  /** Of our presence. */
  session(): number
  say(event: FragmentEvent): Promise<void>
}

/** How often leftovers are offered again, and how often it is looked whether there are any. */
const offerMs = 10 * 60_000
const lookMs = 6 * 3_600_000
const offeredMax = 200

export function fragments(parts: FragmentsParts): Fragments {
  const { desk, say } = parts
  const bureau: Bureau = {
    desk,
    notes: notes(desk.state),
    promised: promisedRoom(desk.world),
    nonces: nonces(desk.world),
    vows: vows(desk.state, desk.world.clock),
    say,
  }
  const deliveries = arrivals(bureau)
  const trims = trimming(bureau)
  const gone = goneTelling(bureau)
  const bell = newBell()
  const lists = membershipLists(bureau)
  const membership = joining(parts, bureau, lists, bell.ring)
  // In the order in which it was said: what a distribution's end says is not overtaken by its start.
  const inOrder = lock()
  const ticking = tick(bureau, membership, bell)

  async function handle({ message, line, key }: Mail): Promise<void> {
    switch (message.type) {
      case 'FragmentDistributionStarted':
        if (!membership.isRegistered()) return
        // By what is known; what is not, its message was lost.
        await lists.heard(message.collection, message.membership)
        return apply(bureau, message)
      case 'FragmentDistributionDelivered':
        // What comes of it may be left over.
        bell.ring()
        return deliveries.take(message, line, key)
      case 'FragmentDistributionEnded':
        return end(bureau, message, key)
      case 'PrepareTrimRequest':
      case 'ConfirmFragmentsRequest':
      case 'TrimFragmentsRequest':
        return trims.hear(message, key)
      default:
        return membership.hear(message)
    }
  }
  return {
    async hear(mail) {
      const { message, from } = mail
      if (!('epoch' in message)) return false
      if (from.role !== 'tracker' || message.epoch.tracker !== from.name) return true
      await inOrder(async () => {
        if (await isOfActing(bureau, message.epoch)) await handle(mail)
        else if (message.type === 'TrackerHello') await membership.hearOlder(from.name)
      })
      return true
    },
    connected: () => void inOrder(() => membership.connected()),
    resume: (accepted) => deliveries.resume(accepted),
    gone: gone.tell,
    missing: gone.missing,
    async goodbye() {
      if (!membership.isRegistered()) return
      await say(
        compose<'ClientGoodbye'>(desk.world, desk.name, {
          type: 'ClientGoodbye',
          conversation: uuid7(desk.world),
        }),
      )
    },
    async idle() {
      await ticking
      await lists.idle()
      await deliveries.idle()
      await trims.idle()
      await gone.idle()
    },
  }
}

type Membering = ReturnType<typeof joining>

/** Wakes what waits for its time; offers what is here for the time being only, and was never ended. */
async function tick(bureau: Bureau, membership: Membering, bell: Bell): Promise<void> {
  const { world, stopping } = bureau.desk
  const { clock } = world
  let offeredAt = Number.NEGATIVE_INFINITY
  let offerAt = 0
  while (!stopping.aborted) {
    const due = Math.min(membership.dueAt(), membership.isRegistered() ? offerAt : Infinity)
    const ms = Math.min(lookMs, Math.max(0, due - clock.monotonic()))
    const rung = bell.next()
    await clock.sleep(ms, AbortSignal.any([rung, stopping]))
    if (stopping.aborted) return
    if (rung.aborted) offerAt = Math.min(offerAt, offeredAt + offerMs)
    await membership.time()
    if (!membership.isRegistered() || clock.monotonic() < offerAt) continue
    offeredAt = clock.monotonic()
    const isLeft = await offer(bureau)
    offerAt = offeredAt + (isLeft || rung.aborted ? offerMs : lookMs)
  }
}

/** False when there was nothing to offer. */
async function offer(bureau: Bureau): Promise<boolean> {
  const { desk, notes } = bureau
  const epoch = await notes.epoch()
  const left = new Map<string, string[]>()
  for (const { collection, id } of await notes.allTemporary())
    left.set(collection, [...(left.get(collection) ?? []), id])
  for (const [collection, ids] of left)
    for (let at = 0; at < ids.length && epoch; at += offeredMax) {
      const some = ids.slice(at, at + offeredMax)
      const rows = await desk.store.stored(collection, some)
      // What is noted may still be on its way.
      const here = some.filter((_, n) => rows[n] !== undefined)
      await obtained(
        bureau,
        { collection, conversation: uuid7(desk.world), from: epoch.tracker },
        'temporary',
        here.flatMap((id) => fragmentOfFileId(id)?.hash ?? []),
      )
    }
  return left.size > 0
}

/** Drives the pure machine of joining. */
function joining(
  parts: FragmentsParts,
  { desk, notes, nonces }: Bureau,
  lists: Pick<ReturnType<typeof membershipLists>, 'heard'>,
  changed: () => void,
) {
  let state: Joining = { at: 'waiting' }

  async function step(event: JoinEvent): Promise<void> {
    const attempt = uuid7(desk.world)
    const next = joinStep(state, event, desk.world.clock.monotonic(), attempt)
    if (next.state.at !== state.at)
      desk.world.log.info('fragments.joining', { at: next.state.at, was: state.at })
    if (next.state !== state) changed()
    state = next.state
    if (next.say) await sayIt(next.say)
  }
  async function sayIt(word: JoinWord): Promise<void> {
    if (state.at === 'waiting') return
    const { epoch } = state
    const conversation = 'attempt' in state ? state.attempt : uuid7(desk.world)
    const common = { conversation, to: [epoch.tracker], epoch }
    if (word === 'requested') {
      // It tells of all that is here.
      nonces.void()
      return parts.say(await asking(parts, common))
    }
    const type = word === 'succeeded' ? 'ClientJoinSucceeded' : 'ClientJoinFailed'
    await parts.say(compose<typeof type>(desk.world, desk.name, { type, ...common }))
  }
  async function applied(memberships: readonly Membership[]): Promise<boolean> {
    try {
      const named = memberships.filter(({ count }) => count === undefined)
      await notes.noteMemberships(named.filter((one) => keeps(desk, one.collection)))
      for (const { collection, version, count } of memberships)
        if (count !== undefined) await lists.heard(collection, version)
      return true
    } catch (error) {
      desk.world.log.error('fragments.notJoined', { why: String(error) })
      return false
    }
  }
  return {
    isRegistered: () => state.at === 'registered',
    /** When it wants to be told of the time, monotonic milliseconds. */
    dueAt: () => ('nextAt' in state ? state.nextAt : Infinity),
    connected: () => step({ is: 'connected' }),
    time: () => step({ is: 'time' }),
    /** A tracker has said hello that is not the one which acts, by what we know. */
    async hearOlder(by: string): Promise<void> {
      const epoch = await notes.epoch()
      if (epoch && keepsAny(desk)) await step({ is: 'olderHello', epoch, by })
    },
    async hear(message: Mail['message']): Promise<void> {
      const mine = message.to?.includes(desk.name) ?? false
      const attempt = message.conversation
      switch (message.type) {
        case 'TrackerHello':
          return keepsAny(desk) ? step({ is: 'hello', epoch: message.epoch }) : undefined
        case 'ClientJoinAccepted':
          if (!mine) return
          return step({
            is: (await applied(message.memberships)) ? 'applied' : 'notApplied',
            attempt,
          })
        case 'ClientJoinDenied':
          if (!mine) return
          desk.world.log.warn('fragments.denied', {
            code: message.reasonCode,
            why: message.reason ?? '',
          })
          return step({ is: 'denied', attempt })
        case 'ClientRegistered':
          if (!(await applied(message.memberships)) || message.pillar !== desk.name) return
          return step({ is: 'registered', epoch: message.epoch })
        default:
          return
      }
    },
  }
}

const keepsAny = (desk: Desk): boolean =>
  desk.directory.document().collections.some(({ name }) => keeps(desk, name))

async function asking(
  { desk, session }: FragmentsParts,
  common: { conversation: string; to: string[]; epoch: Epoch },
): Promise<FragmentEvent> {
  const volumes = await volumesOf(desk.store)
  const summaries = await desk.store.summary()
  return compose<'ClientJoinRequested'>(desk.world, desk.name, {
    type: 'ClientJoinRequested',
    ...common,
    algorithm: 'sha256',
    session: session(),
    // Those that are away as well: the board is the same.
    volumes: volumes.map(({ id, space }) => ({
      id,
      bytesTotal: space?.bytesTotal ?? 0,
      bytesOpen: space?.bytesOpen ?? 0,
    })),
    holdings: summaries.filter(({ collection }) => keeps(desk, collection)),
    ...(desk.site === undefined ? {} : { site: desk.site }),
  })
}
