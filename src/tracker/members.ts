/**
 * Members: who is registered with this tracker, and whether this tracker is the one that acts. What is decided is in the
 * pure parts beside it; here it is heard, made durable, and said.
 */
import type { Mail } from '../post/post.ts'
import type { EventType } from '../protocol/topics.ts'
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

const tickMs = 1_000
const reviewMs = 60_000
/** Between two hellos to whoever does not join. */
const helloMsMin = 30_000
const helloMsMax = 600_000
const heartenMs = 3_600_000
const graceMsUsual = 24 * 3_600_000

export async function openMembers(parts: MembersParts): Promise<Members> {
  const { world, view, graceMs = graceMsUsual } = parts
  const stop = new AbortController()
  const inOrder = lock()
  const registry = await openRegistry({ ...parts, graceMs })
  const reign = await openReign(parts)
  const tell = teller(parts, registry, reign)
  const compared = surveys(
    world,
    view,
    parts.inventory,
    stop.signal,
    () =>
      // What it holds counts as its room.
      void inOrder(async () => tell.changed(await registry.review())),
    (collection, pillar) => parts.behind?.(collection, pillar),
  )
  const joins = joining(parts, registry, reign, tell, compared)
  const ticking = tick({ world, registry, reign, tell, joins, inOrder }, stop.signal)

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
    notice: (presence) =>
      void inOrder(() => registry.notice(presence)).catch((error) =>
        world.log.error('members.failed', { why: String(error) }),
      ),
    connected: () => void inOrder(() => reign.connected()),
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
}

/** Whoever does not join may not have heard us, or is not there: the pauses grow. */
function helloAgain({ monotonic }: World['clock']): (isMissing: boolean) => boolean {
  let pauseMs = helloMsMin
  let at: number | undefined
  return (isMissing) => {
    if (!isMissing) {
      pauseMs = helloMsMin
      at = undefined
      return false
    }
    at ??= monotonic() + pauseMs
    if (monotonic() < at) return false
    pauseMs = Math.min(pauseMs * 2, helloMsMax)
    at = monotonic() + pauseMs
    return true
  }
}

/** What is due by its time. */
async function tick(
  { world, registry, reign, tell, joins, inOrder }: Ticking,
  signal: AbortSignal,
): Promise<void> {
  const { clock, log } = world
  let reviewAt = 0
  const again = helloAgain(world.clock)
  let heartenAt = clock.monotonic() + heartenMs
  const due = async (): Promise<void> => {
    await reign.time()
    if (!reign.isActing()) return
    await joins.time()
    await tell.time()
    if (again(registry.named().some((pillar) => !joins.hasJoined(pillar)))) await reign.remind()
    if (clock.monotonic() >= reviewAt) {
      reviewAt = clock.monotonic() + reviewMs
      await tell.changed(await registry.review())
    }
    if (clock.monotonic() >= heartenAt) {
      heartenAt = clock.monotonic() + heartenMs
      await registry.hearten()
    }
  }
  while (!signal.aborted) {
    await clock.sleep(tickMs, signal)
    if (signal.aborted) return
    await inOrder(due).catch((error) => log.error('members.failed', { why: String(error) }))
  }
}
