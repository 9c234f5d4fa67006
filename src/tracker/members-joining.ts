/** All attempts to join, many at once; each goes its own way. */
import { compareEpochs, type Epoch, type Membership } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { Holding } from '../view/view.ts'
import { verdictOn } from './members-conflicts.ts'
import { heardNewer } from './members-epoch.ts'
import { type Join, type JoinEvent, type JoinWord, joinDueAt, joinStep } from './members-join.ts'
import type { MembersParts } from './members-parts.ts'
import type { Registry } from './members-registry.ts'
import type { Reigning } from './members-reign.ts'
import type { Surveys } from './members-surveys.ts'
import type { Teller } from './members-telling.ts'

export type Joins = ReturnType<typeof joining>

const algorithm = 'sha256'
const attemptsMax = 10_000
const attemptsPerPillarMax = 4

interface Attempt {
  readonly pillar: string
  readonly conversation: string
  readonly join: Join
  readonly request?: MessageOf<'ClientJoinRequested'> | undefined
}

export function joining(
  parts: MembersParts,
  registry: Registry,
  reign: Reigning,
  tell: Teller,
  compared: Surveys,
) {
  const { clock, log } = parts.world
  const attempts = new Map<string, Attempt>()
  /** Who has registered, in which epoch. */
  const joined = new Map<string, number>()
  const keyOf = (pillar: string, conversation: string): string => `${pillar} ${conversation}`

  const sayJoin = sayer(registry, tell)

  async function step(attempt: Attempt, event: JoinEvent): Promise<void> {
    const { pillar, conversation, request } = attempt
    const { join, say, register } = joinStep(attempt.join, event, clock.monotonic())
    const changed = register && request ? await registry.register(request) : []
    if (register) joined.set(pillar, reign.epoch().counter)
    const key = keyOf(pillar, conversation)
    attempts.delete(key)
    if (join.at !== 'over') attempts.set(key, { ...attempt, join })
    if (join.at !== attempt.join.at) log.info('members.join', { pillar, at: join.at, conversation })
    const memberships = await sayJoin(attempt, join, say)
    if (register && request) {
      compared.begin(pillar, holdingsOf(request, registry.collectionsOf(pillar)))
      await tell.changed(changed, memberships)
    }
  }
  /** Those of one pillar, and all of them, are few: the oldest make room. */
  function room(pillar: string): void {
    const own = [...attempts.entries()].filter(([, one]) => one.pillar === pillar)
    const oldest = own.length >= attemptsPerPillarMax ? own[0] : undefined
    const first = attempts.size >= attemptsMax ? attempts.keys().next().value : undefined
    const key = oldest?.[0] ?? first
    if (key !== undefined) attempts.delete(key)
  }
  async function requested(request: MessageOf<'ClientJoinRequested'>): Promise<void> {
    const { from: pillar, conversation } = request
    const verdict = verdictOn(request, {
      epoch: reign.epoch(),
      algorithm,
      collections: registry.collectionsOf(pillar),
      member: registry.member(pillar),
      session: registry.session(pillar),
    })
    if (verdict.is === 'denied')
      log.warn('members.denied', { pillar, code: verdict.reasonCode, why: verdict.reason })
    const known = attempts.get(keyOf(pillar, conversation))
    if (!known) room(pillar)
    await step(
      { pillar, conversation, join: known?.join ?? { at: 'new' }, request },
      { is: 'requested', verdict },
    )
  }
  return {
    async hear(
      message: MessageOf<'ClientJoinRequested' | 'ClientJoinSucceeded' | 'ClientJoinFailed'>,
    ): Promise<void> {
      const ours = await isOurs(reign, message.epoch)
      // Beyond what can be counted.
      if (compareEpochs(message.epoch, reign.epoch()) > 0) return
      if (message.type === 'ClientJoinRequested') return requested(message)
      if (!ours) return
      const { from: pillar, conversation } = message
      const known = attempts.get(keyOf(pillar, conversation))
      if (!known) room(pillar)
      await step(known ?? { pillar, conversation, join: { at: 'new' } }, {
        is: message.type === 'ClientJoinSucceeded' ? 'succeeded' : 'failed',
      })
    },
    hasJoined: (pillar: string): boolean => joined.get(pillar) === reign.epoch().counter,
    /** Monotonic milliseconds. */
    dueAt: (): number =>
      [...attempts.values()].reduce(
        (first, { join }) => Math.min(first, joinDueAt(join)),
        Infinity,
      ),
    async time(): Promise<void> {
      const now = clock.monotonic()
      for (const attempt of [...attempts.values()])
        if (joinDueAt(attempt.join) <= now) await step(attempt, { is: 'time' })
    },
  }
}

/** What it says that it holds; of the collections that it does not name: nothing. */
function holdingsOf(
  { holdings }: MessageOf<'ClientJoinRequested'>,
  collections: readonly string[],
): Map<string, Holding> {
  const none: Holding = { files: 0, bytes: 0, digest: '0'.repeat(32) }
  return new Map(
    collections.map((name) => [name, holdings.find((one) => one.collection === name) ?? none]),
  )
}

/** Says the next word of an attempt; gives the memberships that are about the pillar. */
const sayer =
  (registry: Registry, tell: Teller) =>
  async (
    { pillar, conversation }: Attempt,
    join: Join,
    say: JoinWord | undefined,
  ): Promise<Membership[]> => {
    const memberships = registry
      .collectionsOf(pillar)
      .flatMap((collection) => registry.membership(collection) ?? [])
    if (say === 'accepted') await tell.accepted(pillar, memberships, conversation)
    if (say === 'denied' && join.at === 'denied') {
      const { reasonCode, reason } = join
      await tell.denied(pillar, conversation, { reasonCode, reason })
    }
    if (say === 'registered') await tell.registered(pillar, memberships, conversation)
    return memberships
  }

/** False when it is of another epoch than ours, which is then said, or taken. */
async function isOurs(reign: Reigning, epoch: Epoch): Promise<boolean> {
  if (compareEpochs(epoch, reign.epoch()) === 0) return true
  // Also of a tracker that the document does not name any more: pillars remember what it said.
  await reign.step((now) => heardNewer(now, epoch))
  await reign.remind()
  return false
}
