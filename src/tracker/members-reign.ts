/** Our epoch: kept before it is said. */
import { compose, uuid7 } from '../post/compose.ts'
import type { Epoch } from '../protocol/fragments.ts'
import { acting, type Reign, type ReignStep, starting } from './members-epoch.ts'
import type { MembersParts } from './members-parts.ts'

export type Reigning = Awaited<ReturnType<typeof openReign>>

/** How long a starting tracker listens for the hello of another. */
const listenMs = 2_000

export async function openReign(parts: MembersParts) {
  const { world, name, view, say, alarm, superseded, epochFloor = 0 } = parts
  const { clock, log } = world
  let reign: Reign = starting(name, Math.max(Number((await view.fact('epoch')) ?? 0), epochFloor))
  let kept = 0
  let connectedAt: number | undefined
  let helloAt = Number.NEGATIVE_INFINITY

  async function step(next: (now: Reign) => ReignStep): Promise<void> {
    const was = reign
    const { reign: now, hello } = next(reign)
    const counter = now.is === 'superseded' ? now.by.counter : now.epoch.counter
    if (now.is !== 'starting' && counter !== kept) {
      await view.change([{ do: 'fact', key: 'epoch', value: `${counter}` }])
      kept = counter
    }
    reign = now
    if (now.is === 'superseded' && was.is !== 'superseded') {
      const text = `tracker ${now.by.tracker} acts now (epoch ${now.by.counter}); this one does nothing more until it is started anew`
      log.error('tracker.superseded', { by: now.by, own: now.epoch })
      alarm('COMPONENT_FAILURE', text)
      superseded?.()
    } else if (now !== was) log.info('tracker.epoch', { is: now.is, epoch: now.epoch })
    if (hello) await sayHello()
  }
  async function sayHello(): Promise<void> {
    helloAt = clock.monotonic()
    const { epoch } = reign
    const hello = { type: 'TrackerHello' as const, conversation: uuid7(world), epoch }
    await say(compose<'TrackerHello'>(world, name, hello), true)
  }
  return {
    epoch: (): Epoch => reign.epoch,
    isActing: () => reign.is === 'acting',
    step,
    async connected(): Promise<void> {
      connectedAt ??= clock.monotonic()
      if (reign.is === 'acting') await sayHello()
    },
    /** Somebody does not know that we are here; one hello is enough for many of them. */
    async remind(): Promise<void> {
      if (reign.is === 'acting' && clock.monotonic() - helloAt > listenMs) await sayHello()
    },
    /** Monotonic milliseconds. */
    dueAt: (): number =>
      reign.is === 'starting' && connectedAt !== undefined ? connectedAt + listenMs : Infinity,
    async time(): Promise<void> {
      const listened = connectedAt !== undefined && clock.monotonic() - connectedAt >= listenMs
      if (reign.is === 'starting' && listened) await step(acting)
    },
  }
}
