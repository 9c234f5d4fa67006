/**
 * One comparison of one collection: what do its pillars that are there have, and what do some of them lack? Equal digests
 * end it before anything is listed.
 */
import { Unable } from '../client/client.ts'
import { statuses } from '../client/list.ts'
import { type Final, pages } from '../client/pages.ts'
import type { Status } from '../protocol/messages.ts'
import { timeValue } from '../protocol/scalars.ts'
import { type CompareOptions, type Comparing, comparing, type Found, type Plan } from './plan.ts'
import type { RepairParts } from './repair.ts'

/** Digests by pillar. */
export type Seen = ReadonlyMap<string, Status>

export interface Compared {
  /** Those that were asked, in the order of their numbers in the plan. */
  readonly pillars: readonly string[]
  /** Those that were heard to the end. */
  readonly heard: readonly string[]
  readonly plan: Plan
}

/** A difference that does not stand still is looked at so often, then it is compared all the same. */
const looksMax = 10
/** Between two pages of a listing: others ask these pillars too. */
const pagePauseMs = 100

/** What the pillars say, once it stands still; whether all answered that are there. */
export async function settled(
  parts: RepairParts,
  collection: string,
): Promise<{ seen: Seen; all: boolean }> {
  const { client, signal, settleMs } = parts
  let before: string | undefined
  for (let look = 1; ; look++) {
    const seen = new Map<string, Status>()
    for (const [pillar, status] of await statuses(client, collection, signal))
      if (status && client.line.presence(pillar) === 'online') seen.set(pillar, status)
    // One that is there and silent may not have heard yet that it keeps this collection.
    const all = client
      .policy(collection)
      .pillars.every((one) => seen.has(one) || client.line.presence(one) !== 'online')
    const now = JSON.stringify(digestsOf(seen))
    if (look === looksMax || (all && (seen.size < 2 || isEqual(seen)))) return { seen, all }
    if (all && now === before && !(await owesAny(parts, seen))) return { seen, all }
    before = now
    await client.world.clock.sleep(settleMs, signal)
    signal.throwIfAborted()
  }
}

/** What is on its way already. */
async function owesAny({ ledger }: RepairParts, seen: Seen): Promise<boolean> {
  for (const pillar of seen.keys()) if ((await ledger.count(pillar)) > 0) return true
  return false
}

/** A collection without files has no digest, or the empty one. */
export const digestsOf = (seen: Seen): Record<string, string> =>
  Object.fromEntries(
    [...seen].map(([pillar, { files, digest }]) => [pillar, files === 0 ? '' : digest]),
  )

export const isEqual = (seen: Seen): boolean => new Set(Object.values(digestsOf(seen))).size <= 1

/** Lists them all, one after the other. Rejects with `Unable` when too few can be heard. */
export async function compare(
  parts: RepairParts,
  collection: string,
  seen: Seen,
  doubted: ReadonlySet<string>,
): Promise<Compared> {
  const pillars = [...seen.keys()]
  const expected = Math.max(...[...seen.values()].map(({ files }) => files))
  const about = comparing(parts.client.world, optionsOf(pillars, doubted, expected))
  const heard = await tell(parts, collection, pillars, about, undefined)
  if (heard.length < 2) throw new Unable('too few pillars could be listed')
  return { pillars, heard, plan: about.plan() }
}

/** Looks again at what was found, and at nothing else: what has healed meanwhile is none of it. */
export async function confirmed(
  parts: RepairParts,
  collection: string,
  { pillars, heard, plan }: Compared,
): Promise<{ differing: Found; buried: Found }> {
  const ids = [...new Set([...plan.differing.ids, ...plan.buried.ids])]
  if (ids.length === 0) return plan
  await parts.client.world.clock.sleep(parts.settleMs, parts.signal)
  const about = comparing(parts.client.world, optionsOf(pillars, new Set()))
  await tell(parts, collection, heard, about, ids, (pillar) => pillars.indexOf(pillar))
  const again = about.plan()
  const rest = (before: Found, now: Found): Found => ({
    count: before.count - before.ids.length + now.count,
    ids: now.ids,
  })
  return {
    differing: rest(plan.differing, again.differing),
    buried: rest(plan.buried, again.buried),
  }
}

function optionsOf(
  pillars: readonly string[],
  doubted: ReadonlySet<string>,
  expected?: number,
): CompareOptions {
  const numbers = pillars.flatMap((pillar, n) => (doubted.has(pillar) ? [n] : []))
  return {
    pillars: pillars.length,
    doubted: new Set(numbers),
    ...(expected === undefined ? {} : { expected }),
  }
}

/** Tells all that these pillars list; which of them were heard to the end. */
async function tell(
  parts: RepairParts,
  collection: string,
  pillars: readonly string[],
  about: Comparing,
  ids: readonly string[] | undefined,
  numberOf = (pillar: string): number => pillars.indexOf(pillar),
): Promise<string[]> {
  const heard: string[] = []
  for (const pillar of pillars)
    try {
      for await (const items of listed(parts, 'GetFileInfos', collection, pillar, ids))
        for (const { id, checksum, timestamp } of items)
          about.holds(numberOf(pillar), { id, checksum, timestamp: timeValue(timestamp) })
      heard.push(pillar)
    } catch (error) {
      if (!(error instanceof Unable)) throw error
      parts.client.world.log.warn('repair.notHeard', { collection, pillar, why: error.message })
    }
  for (const pillar of heard) {
    about.heard(numberOf(pillar))
    for await (const items of listed(parts, 'GetTombstones', collection, pillar, ids))
      for (const { id, checksum, removedAt } of items)
        about.buried(numberOf(pillar), { id, checksum, removedAt: timeValue(removedAt) })
  }
  return heard
}

/** A listing page by page, without haste. */
export async function* listed<K extends 'GetFileInfos' | 'GetTombstones'>(
  { client, signal }: RepairParts,
  kind: K,
  collection: string,
  pillar: string,
  ids?: readonly string[],
): AsyncGenerator<Final<K>['items']> {
  const query = ids === undefined ? {} : { ids }
  for await (const page of pages(client, kind, { collection, pillar, query, signal })) {
    yield page.items
    if (page.partialResult) await client.world.clock.sleep(pagePauseMs, signal)
  }
}
