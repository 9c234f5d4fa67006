/** Who is registered and who of them is there: kept in the view, decided by the pure parts beside it. */

import { purposeLeftMs } from '../client/absent.ts'
import type { Membership } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'
import type { ViewMember } from '../view/view.ts'
import { type Away, awayAtStart, goneAt } from './members-away.ts'
import { openRoster, type RosterParts } from './members-roster.ts'

export interface RegistryParts extends RosterParts {
  readonly graceMs: number
}

export interface Registry {
  member(pillar: string): ViewMember | undefined
  /** The session of its presence, while it is there. */
  session(pillar: string): number | undefined
  /** Who keeps collections in fragments by the archive document, registered or not. */
  named(): string[]
  /** Collections in fragments that this pillar keeps by the archive document. */
  collectionsOf(pillar: string): string[]
  membership(collection: string): Membership | undefined
  memberships(): Membership[]
  fair(collection: string): Membership | undefined
  unusable(collection: string): ReadonlyMap<string, number>
  counting(collection: string): string[]
  present(collection: string): string[]
  /** The bus is there again, and tells anew who is there. */
  connected(): void
  notice(presence: MessageOf<'Presence'>): Promise<void>
  /** It goes, on purpose. */
  leaves(goodbye: MessageOf<'ClientGoodbye'>): Promise<void>
  /** Durable when it resolves, and so are the memberships that changed with it; others follow a while later. */
  register(request: MessageOf<'ClientJoinRequested'>): Promise<Membership[]>
  /** Room that it may still promise, as it says by the way. */
  noteOpen(pillar: string, bytesOpen: number): Promise<Membership[]>
  /** When somebody will have been away for too long, or who has come is to be weighed, monotonic milliseconds. */
  dueAt(): number
  /** Who was away for too long is gone now, who has come is weighed, and the document may have changed. */
  review(): Promise<Membership[]>
  /** It is gone, without any time of grace; it counts again once it joins. */
  lose(pillar: string): Promise<Membership[]>
  /** Notes that those who are there were heard of now. */
  hearten(): Promise<void>
}

interface Seen {
  readonly session: number
  readonly online: boolean
  /** By the pillar's clock. */
  readonly sentAt: number
  /** Of an earlier connection: the broker may have forgotten how far the number was, and the board begin anew. */
  readonly isEarlier?: boolean
}

export async function openRegistry(parts: RegistryParts): Promise<Registry> {
  const { world, directory, graceMs } = parts
  const { clock, log } = world
  const roster = await openRoster(parts)
  const { members, change, counting, collectionsOf } = roster
  const presences = presenceOf(parts, [...members.values()])
  const isThere = (pillar: string): boolean => presences.session(pillar) !== undefined

  async function goes(pillar: string): Promise<void> {
    const member = members.get(pillar)
    if (!member || !presences.left(pillar)) return
    log.info('members.suspect', { pillar })
    await change([{ ...member, heardAt: clock.now() }])
  }
  return {
    member: (pillar) => members.get(pillar),
    session: presences.session,
    named: roster.named,
    collectionsOf,
    membership: roster.membership,
    memberships: roster.memberships,
    fair: roster.fair,
    unusable: roster.unusable,
    counting,
    present: (collection) => counting(collection).filter(isThere),
    connected: presences.connected,
    async notice(presence) {
      if (presences.notice(presence)) await goes(presence.from)
    },
    async leaves(goodbye) {
      if (presences.leaves(goodbye)) await goes(goodbye.from)
    },
    async register(request) {
      const { from: pillar, session, volumes } = request
      const known = members.get(pillar)
      if (known && known.session !== session)
        log.info('members.replaced', { pillar, was: known.volumes, is: volumes })
      const site = request.site ?? directory.identity(pillar)?.site
      const changed = await change([memberOf(request, site, clock.now())])
      presences.joined(pillar, session)
      return changed
    },
    async noteOpen(pillar, bytesOpen) {
      const member = members.get(pillar)
      if (member?.state !== 'registered') return []
      if (Math.abs(bytesOpen - member.bytesOpen) < member.bytesTotal / 100) return []
      return change([{ ...member, bytesOpen }])
    },
    dueAt: () =>
      [...members.values()].reduce(
        (first, { pillar, state }) =>
          state === 'registered' ? Math.min(first, presences.goneAt(pillar, graceMs)) : first,
        roster.dueAt(),
      ),
    review() {
      const gone = [...members.values()].filter(
        ({ pillar, state }) =>
          state === 'registered' && clock.monotonic() >= presences.goneAt(pillar, graceMs),
      )
      for (const { pillar } of gone) log.warn('members.gone', { pillar })
      const leaving = [...members.keys()].filter((pillar) => collectionsOf(pillar).length === 0)
      return change(
        gone.map((member) => ({ ...member, state: 'gone' })),
        leaving,
      )
    },
    async lose(pillar) {
      const member = members.get(pillar)
      return member ? change([{ ...member, state: 'gone' }]) : []
    },
    async hearten() {
      const there = [...members.values()].filter(({ pillar }) => isThere(pillar))
      await change(there.map((one) => ({ ...one, heardAt: clock.now() })))
    },
  }
}

function memberOf(
  { from, session, volumes }: MessageOf<'ClientJoinRequested'>,
  site: string | undefined,
  heardAt: number,
): ViewMember {
  const total = (of: 'bytesTotal' | 'bytesOpen'): number =>
    volumes.reduce((sum, one) => sum + one[of], 0)
  return {
    pillar: from,
    session,
    volumes: volumes.map(({ id }) => id),
    bytesTotal: total('bytesTotal'),
    bytesOpen: total('bytesOpen'),
    ...(site === undefined ? {} : { site }),
    state: 'registered',
    heardAt,
  }
}

/** Who is there now, and since when the others are not. */
function presenceOf({ world: { clock }, graceMs }: RegistryParts, members: readonly ViewMember[]) {
  const seen = new Map<string, Seen>()
  const away = new Map<string, Away>()
  /** Who has gone on purpose: until when, monotonic milliseconds, it is waited for. */
  const backBy = new Map<string, number>()
  for (const { pillar, heardAt } of members) {
    const now = { now: clock.now(), monotonic: clock.monotonic() }
    away.set(pillar, awayAtStart(heardAt, now, graceMs))
  }
  const session = (pillar: string): number | undefined => {
    const known = seen.get(pillar)
    return known?.online ? known.session : undefined
  }
  return {
    session,
    connected(): void {
      for (const [pillar, one] of seen) seen.set(pillar, { ...one, isEarlier: true })
    },
    /** True when it has gone. */
    notice(presence: MessageOf<'Presence'>): boolean {
      const { from, session, state, sentAt } = presence
      const known = seen.get(from)
      if (known && !known.isEarlier && known.session > session) return false
      const online = state === 'online'
      seen.set(from, { session, online, sentAt: timeValue(sentAt) })
      if (online) away.delete(from)
      const ms = purposeLeftMs(presence, clock.now())
      if (ms > 0) backBy.set(from, clock.monotonic() + ms)
      else backBy.delete(from)
      return !online
    },
    /** True unless it has come back since: what comes late was said before. */
    leaves({ from, sentAt }: MessageOf<'ClientGoodbye'>): boolean {
      const known = seen.get(from)
      if (!known || timeValue(sentAt) < known.sentAt) return false
      seen.set(from, { ...known, online: false })
      return true
    },
    /** False when that was known. */
    left(pillar: string): boolean {
      if (away.has(pillar)) return false
      away.set(pillar, { since: clock.monotonic() })
      return true
    },
    joined(pillar: string, session: number): void {
      const last = seen.get(pillar)
      // Its presence was lost. Of a presence that was heard the Will is believed.
      if (!last || last.isEarlier || last.session < session)
        seen.set(pillar, { session, online: true, sentAt: Number.NEGATIVE_INFINITY })
      if (seen.get(pillar)?.online) away.delete(pillar)
      else away.set(pillar, { since: clock.monotonic() })
    },
    goneAt(pillar: string, graceMs: number): number {
      const known = away.get(pillar)
      return known ? goneAt({ ...known, until: backBy.get(pillar) }, graceMs) : Infinity
    },
  }
}
