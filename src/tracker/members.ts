/**
 * Members: who is registered with this tracker, and whether this tracker is the one that acts. What is decided is in the
 * pure parts beside it; here it is heard, made durable, and said.
 */
import type { Mail } from '../post/post.ts'
import type { EventType } from '../protocol/topics.ts'
import { type Bell, newBell } from '../world/bell.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { heardHello } from './members-epoch.ts'
import { type Joins, joining } from './members-joining.ts'
import type { MembersParts } from './members-parts.ts'
import { openRegistry, type Registry } from './members-registry.ts'
import { openReign, type Reigning } from './members-reign.ts'
import { surveys } from './members-surveys.ts'
import { type Teller, teller } from './members-telling.ts'
import type { Members } from './roles.ts'

/** What the tracker has to listen to, for `hear`. */
export const memberEvents: readonly EventType[] = [
  'TrackerHello',
  'ClientJoinRequested',
  'ClientJoinSucceeded',
  'ClientJoinFailed',
  'ClientGoodbye',
]

/** Between two looks at what is due. */
const restMs = 1_000
/** After something was heard, what members can hold is weighed within so long. */
const reviewMs = 60_000
/** Between two hellos to whoever does not join. */
const helloMsMin = 30_000
const helloMsMax = 600_000
const heartenMs = 3_600_000
const graceMsUsual = 24 * 3_600_000

export async function openMembers(parts: MembersParts): Promise<Members> {
  const { world, view, graceMs = graceMsUsual } = parts
  const stop = new AbortController()
  const one = lock()
  const bell = newBell()
  const registry = await openRegistry({ ...parts, graceMs })
  const reign = await openReign(parts)
  let heardAt = Number.NEGATIVE_INFINITY
  /** One after the other; whatever was heard, something may be due. */
  const inOrder = <T>(work: () => Promise<T>): Promise<T> =>
    one(work).finally(() => {
      heardAt = world.clock.monotonic()
      bell.ring()
    })
  const later = (work: () => Promise<void>): void =>
    void inOrder(work).catch((error) => world.log.error('members.failed', { why: String(error) }))
  const tell = teller(parts, registry, reign)
  const review = (): void => later(async () => tell.changed(await registry.review()))
  // What they hold counts as their room.
  const compared = surveys(world, view, parts.inventory, stop.signal, review, parts)
  const joins = joining(parts, registry, reign, tell, compared)
  const ticking = tick(
    { world, registry, reign, tell, joins, inOrder: one, bell, heardAt: () => heardAt },
    stop.signal,
  )

  async function handle({ message, from }: Mail): Promise<void> {
    if (message.type === 'TrackerHello') {
      if (from.role === 'tracker' && message.epoch.tracker === from.name)
        await reign.step((now) => heardHello(now, message.epoch))
      return
    }
    if (from.role !== 'pillar' || !reign.isActing()) return
    switch (message.type) {
      case 'ClientJoinRequested':
      case 'ClientJoinSucceeded':
      case 'ClientJoinFailed':
        return joins.hear(message)
      case 'ClientGoodbye':
        return registry.leaves(message)
      case 'FragmentDistributionRequested':
        return tell.changed(await registry.noteOpen(message.from, message.bytesOpen))
      default:
        return
    }
  }
  return {
    hear: (mail) => inOrder(() => handle(mail)),
    notice: (presence) => later(() => registry.notice(presence)),
    connected: () =>
      later(async () => {
        registry.connected()
        await reign.connected()
      }),
    decided: review,
    lost: (pillar) => inOrder(async () => tell.changed(await registry.lose(pillar))),
    astray: compared.again,
    epoch: reign.epoch,
    isActing: reign.isActing,
    membership: registry.membership,
    fair: registry.fair,
    unusable: registry.unusable,
    counting: registry.counting,
    present: registry.present,
    surveyed: (collection) =>
      registry.counting(collection).filter((pillar) => compared.isRight(collection, pillar)),
    async stop() {
      stop.abort()
      await ticking
      await compared.idle()
      if (reign.isActing()) await tell.goodbye()
    },
  }
}

interface Ticking {
  readonly world: World
  readonly registry: Registry
  readonly reign: Reigning
  readonly tell: Teller
  readonly joins: Joins
  readonly inOrder: ReturnType<typeof lock>
  readonly bell: Bell
  /** When something was heard last, monotonic milliseconds. */
  heardAt(): number
}

/** Whoever does not join may not have heard us, or is not there: the pauses grow. */
function helloAgain({ monotonic }: World['clock'], isMissing: () => boolean) {
  let pauseMs = helloMsMin
  let at = Infinity
  return {
    /** Monotonic milliseconds. */
    dueAt: (): number => at,
    /** True when it is time. */
    time(): boolean {
      if (!isMissing()) {
        pauseMs = helloMsMin
        at = Infinity
        return false
      }
      if (at === Infinity) at = monotonic() + pauseMs
      if (monotonic() < at) return false
      pauseMs = Math.min(pauseMs * 2, helloMsMax)
      at = monotonic() + pauseMs
      return true
    },
  }
}

/** Does what is due by its time, and sleeps until the next is; whatever was heard may be due earlier. */
async function tick(
  { world, registry, reign, tell, joins, inOrder, bell, heardAt }: Ticking,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = world
  const again = helloAgain(clock, () => registry.named().some((pillar) => !joins.hasJoined(pillar)))
  let heartenAt = clock.monotonic() + heartenMs
  let triedAt = Number.NEGATIVE_INFINITY
  let reviewedAt = Number.NEGATIVE_INFINITY
  const reviewAt = (): number =>
    Math.min(registry.dueAt(), heardAt() >= reviewedAt ? reviewedAt + reviewMs : Infinity)
  const due = async (): Promise<void> => {
    await reign.time()
    if (!reign.isActing()) return
    await joins.time()
    await tell.time()
    if (again.time()) await reign.remind()
    if (clock.monotonic() >= reviewAt()) {
      reviewedAt = clock.monotonic()
      await tell.changed(await registry.review())
    }
    if (clock.monotonic() >= heartenAt) {
      heartenAt = clock.monotonic() + heartenMs
      await registry.hearten()
    }
  }
  const dueAt = (): number =>
    reign.isActing()
      ? Math.min(joins.dueAt(), tell.dueAt(), again.dueAt(), reviewAt(), heartenAt)
      : reign.dueAt()
  while (!signal.aborted) {
    // What failed, and is due still, is not tried again at once.
    const ms = Math.max(dueAt(), triedAt + restMs) - clock.monotonic()
    await clock.sleep(Math.min(heartenMs, Math.max(0, ms)), AbortSignal.any([bell.next(), signal]))
    if (signal.aborted) return
    triedAt = clock.monotonic()
    await inOrder(due).catch((error) => log.error('members.failed', { why: String(error) }))
  }
}
