/** Says what the tracker says, in its epoch. */
import { limits } from '../limits.ts'
import { compose, type Draft, uuid7 } from '../post/compose.ts'
import type { FragmentEvent, Membership } from '../protocol/fragments.ts'
import { bytesOf } from '../protocol/scalars.ts'
import type { MembersParts } from './members-parts.ts'
import type { Registry } from './members-registry.ts'
import type { Reigning } from './members-reign.ts'

export type Teller = ReturnType<typeof teller>

/** A membership is said again after so long: somebody may have missed it. */
const retellMs = [60_000, 600_000]

export function teller({ world, name, say }: MembersParts, registry: Registry, reign: Reigning) {
  const { clock } = world
  let retells: number[] = []
  type Said = 'TrackerGoodbye' | 'ClientJoinAccepted' | 'ClientJoinDenied' | 'ClientRegistered'
  async function sayIt<T extends Said>(
    event: Omit<Draft<T>, 'conversation' | 'epoch'> & { conversation?: string },
  ): Promise<void> {
    const draft = { conversation: uuid7(world), epoch: reign.epoch(), ...event }
    await say(compose(world, name, draft as unknown as Draft<Said>) as FragmentEvent)
  }
  async function registered(
    pillar: string,
    memberships: readonly Membership[],
    conversation?: string,
  ): Promise<void> {
    for (const some of inMessages(memberships))
      await sayIt<'ClientRegistered'>({
        type: 'ClientRegistered',
        pillar,
        memberships: some,
        ...(conversation === undefined ? {} : { conversation }),
      })
  }
  async function all(memberships: readonly Membership[]): Promise<void> {
    for (const membership of memberships) {
      // Of whoever is there: a pillar that is gone must not take it for its own registration.
      const [first] = membership.members
      if (first) await registered(first.id, [membership])
    }
  }
  return {
    say: sayIt,
    registered,
    /** These memberships are new: everybody is told, now and again later. */
    async changed(memberships: readonly Membership[]): Promise<void> {
      if (memberships.length === 0) return
      retells = retellMs.map((ms) => clock.monotonic() + ms)
      if (reign.isActing()) await all(memberships)
    },
    async time(): Promise<void> {
      const now = clock.monotonic()
      if (!retells.some((at) => at <= now)) return
      retells = retells.filter((at) => at > now)
      if (reign.isActing()) await all(registry.memberships())
    },
  }
}

/** As many memberships a message as fit into it; one message at least. */
export function inMessages(memberships: readonly Membership[]): Membership[][] {
  const found: Membership[][] = [[]]
  let bytes = 0
  for (const one of memberships) {
    const more = bytesOf(JSON.stringify(one)) + 1
    if (bytes > 0 && bytes + more > limits.pageBytesMax) {
      found.push([])
      bytes = 0
    }
    found.at(-1)?.push(one)
    bytes += more
  }
  return found
}
