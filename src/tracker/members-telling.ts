/** Says what the tracker says, in its epoch. */
import { limits } from '../limits.ts'
import { compose, uuid7 } from '../post/compose.ts'
import type { Membership } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'
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
  const common = (conversation = uuid7(world)) => ({ conversation, epoch: reign.epoch() })
  async function registered(
    pillar: string,
    memberships: readonly Membership[],
    conversation?: string,
  ): Promise<void> {
    for (const some of inMessages(memberships))
      await say(
        compose<'ClientRegistered'>(world, name, {
          ...{ type: 'ClientRegistered', ...common(conversation), pillar, memberships: some },
        }),
      )
  }
  async function all(memberships: readonly Membership[]): Promise<void> {
    for (const membership of memberships) {
      // Of whoever is there: a pillar that is gone must not take it for its own registration.
      const [first] = membership.members
      if (first) await registered(first.id, [membership])
    }
  }
  return {
    async accepted(
      pillar: string,
      memberships: readonly Membership[],
      conversation: string,
    ): Promise<void> {
      const to = [pillar]
      for (const some of inMessages(memberships))
        await say(
          compose<'ClientJoinAccepted'>(world, name, {
            ...{ type: 'ClientJoinAccepted', ...common(conversation), to, memberships: some },
          }),
        )
    },
    denied: (
      pillar: string,
      conversation: string,
      why: Pick<MessageOf<'ClientJoinDenied'>, 'reasonCode' | 'reason'>,
    ): Promise<void> =>
      say(
        compose<'ClientJoinDenied'>(world, name, {
          ...{ type: 'ClientJoinDenied', ...common(conversation), to: [pillar], ...why },
        }),
      ),
    registered,
    goodbye: (): Promise<void> =>
      say(compose<'TrackerGoodbye'>(world, name, { type: 'TrackerGoodbye', ...common() })),
    /** These memberships are new: everybody is told, now unless they were `said`, and again later. */
    async changed(
      memberships: readonly Membership[],
      said: readonly Membership[] = [],
    ): Promise<void> {
      if (memberships.length === 0) return
      retells = retellMs.map((ms) => clock.monotonic() + ms)
      if (reign.isActing()) await all(memberships.filter((one) => !said.includes(one)))
    },
    /** Monotonic milliseconds. */
    dueAt: (): number => Math.min(...retells),
    async time(): Promise<void> {
      const now = clock.monotonic()
      if (!retells.some((at) => at <= now)) return
      retells = retells.filter((at) => at > now)
      if (reign.isActing()) await all(registry.memberships())
    },
  }
}

/** As many memberships a message as fit into it; one message at least. */
function inMessages(memberships: readonly Membership[]): Membership[][] {
  const found: Membership[][] = [[]]
  let bytes = 0
  for (const one of memberships.map(short)) {
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

/** Everybody hears every message: hundreds of members are fetched once by each pillar instead. */
function short(membership: Membership): Membership {
  const known = shortened.get(membership)
  if (known) return known
  const isShort = bytesOf(JSON.stringify(membership)) <= limits.membershipSaidBytesMax
  const { members } = membership
  const said = isShort ? membership : { ...membership, members: [], count: members.length }
  shortened.set(membership, said)
  return said
}

const shortened = new WeakMap<Membership, Membership>()
