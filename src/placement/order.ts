/** In which order the members come to a fragment: who should hold it, and who is next. */
import type { Key, Membership, Weighed } from './placement.ts'
import { type Digest, digestOf, digestOfKey, draw, wait } from './score.ts'

/** A membership, arranged for deciding often. Members of weight 0 are left out; all arrays go by the same index. */
interface Prepared {
  readonly ids: readonly string[]
  readonly indexOf: ReadonlyMap<string, number>
  /** Of all members, also of those of weight 0. */
  readonly siteOf: ReadonlyMap<string, string>
  readonly weights: Float64Array
  readonly seeds0: Int32Array
  readonly seeds1: Int32Array
  readonly site: Int32Array
  /** Members of each site. */
  readonly siteSizes: Int32Array
  /** Of the key that was asked for last: overwritten by the next. */
  readonly scores: Float64Array
}

const siteOfMember = ({ site = '' }: Weighed): string => site

/** Members are compared by id when all else is equal: then their order here is their order by id. */
function prepare({ members }: Membership): Prepared {
  const chosen = members.filter(({ weight }) => weight > 0).sort((a, b) => (a.id < b.id ? -1 : 1))
  const sites = [...new Set(chosen.map(siteOfMember))]
  const utf8 = new TextEncoder()
  const seeds = chosen.map(({ id }) => digestOf(utf8.encode(id)))
  const site = Int32Array.from(chosen, (member) => sites.indexOf(siteOfMember(member)))
  const siteSizes = new Int32Array(sites.length)
  for (const s of site) siteSizes[s] = (siteSizes[s] ?? 0) + 1
  return {
    ids: chosen.map(({ id }) => id),
    indexOf: new Map(chosen.map(({ id }, i) => [id, i])),
    siteOf: new Map(members.map((member) => [member.id, siteOfMember(member)])),
    weights: Float64Array.from(chosen, ({ weight }) => weight),
    seeds0: Int32Array.from(seeds, ([a]) => a),
    seeds1: Int32Array.from(seeds, ([, b]) => b),
    site,
    siteSizes,
    scores: new Float64Array(chosen.length),
  }
}

/** By the list of members, which the same membership for other copies shares. */
const known = new WeakMap<Membership['members'], Prepared>()

function prepared(membership: Membership): Prepared {
  const before = known.get(membership.members)
  if (before !== undefined) return before
  const now = prepare(membership)
  known.set(membership.members, now)
  return now
}

/** The smaller, the sooner. */
const scoreOf = (key: Digest, { weights, seeds0, seeds1 }: Prepared, i: number): number =>
  wait(draw(key, seeds0[i] ?? 0, seeds1[i] ?? 0)) / (weights[i] ?? 1)

function score(key: Key, all: Prepared): void {
  const digest = digestOfKey(key)
  for (let i = 0; i < all.scores.length; i++) all.scores[i] = scoreOf(digest, all, i)
}

function sooner({ scores }: Prepared, a: number, b: number): boolean {
  const scoreA = scores[a] ?? 0
  const scoreB = scores[b] ?? 0
  return scoreA < scoreB || (scoreA === scoreB && a < b)
}

/**
 * The first `count` members for a fragment. First comes the soonest of each site, in their order; then the second of each
 * site, and so on: copies stand on distinct sites as far as there are that many, and spread evenly over them beyond that.
 */
export function candidates(key: Key, membership: Membership, count: number): string[] {
  const all = prepared(membership)
  score(key, all)
  const depth = depthFor(all.siteSizes, count)
  const { firsts, filled } = firstsOfSites(all, depth)
  const chosen: number[] = []
  for (let level = 0; level < depth; level++) {
    const next: number[] = []
    for (let s = 0; s < filled.length; s++)
      if (level < (filled[s] ?? 0)) next.push(firsts[s * depth + level] ?? 0)
    next.sort((a, b) => (sooner(all, a, b) ? -1 : 1))
    chosen.push(...next.slice(0, count - chosen.length))
  }
  return chosen.map((i) => all.ids[i] ?? '')
}

/** All members that may be chosen, in the order of `candidates`. */
export const order = (key: Key, membership: Membership): string[] =>
  candidates(key, membership, membership.members.length)

/** How many members of each site can be among the first `count`. */
function depthFor(siteSizes: Int32Array, count: number): number {
  let depth = 0
  for (let covered = 0; covered < count; depth++) {
    const level = siteSizes.reduce((sum, size) => sum + (size > depth ? 1 : 0), 0)
    if (level === 0) break
    covered += level
  }
  return depth
}

/** The soonest `depth` members of each site, soonest first: those of site s from s · depth on. */
function firstsOfSites(all: Prepared, depth: number): { firsts: Int32Array; filled: Int32Array } {
  const filled = new Int32Array(all.siteSizes.length)
  const firsts = new Int32Array(filled.length * depth)
  for (let i = 0; i < all.site.length; i++) {
    const s = all.site[i] ?? 0
    const begin = s * depth
    let at = begin + (filled[s] ?? 0)
    if (at === begin + depth) {
      if (depth === 0 || !sooner(all, i, firsts[at - 1] ?? 0)) continue
      at--
    } else filled[s] = at - begin + 1
    for (; at > begin && sooner(all, i, firsts[at - 1] ?? 0); at--) firsts[at] = firsts[at - 1] ?? 0
    firsts[at] = i
  }
  return { firsts, filled }
}

/** The place of a member among all candidates, from 0 on; Infinity for who is no member, or never chosen. */
export function rank(key: Key, membership: Membership, id: string): number {
  const all = prepared(membership)
  const me = all.indexOf.get(id)
  if (me === undefined) return Infinity
  score(key, all)
  const before = new Int32Array(all.siteSizes.length)
  for (let i = 0; i < all.site.length; i++) {
    const s = all.site[i] ?? 0
    if (sooner(all, i, me)) before[s] = (before[s] ?? 0) + 1
  }
  const mine = all.site[me] ?? 0
  const level = before[mine] ?? 0
  return all.siteSizes.reduce(
    (place, size, s) =>
      place + Math.min(size, level) + (s !== mine && (before[s] ?? 0) > level ? 1 : 0),
    0,
  )
}

/** Those of the named that may be chosen, by their scores alone, whatever their sites. */
export function sorted(key: Key, membership: Membership, ids: Iterable<string>): string[] {
  const all = prepared(membership)
  const digest = digestOfKey(key)
  const chosen = [...new Set(ids)].flatMap((id) => all.indexOf.get(id) ?? [])
  for (const i of chosen) all.scores[i] = scoreOf(digest, all, i)
  return chosen.sort((a, b) => (sooner(all, a, b) ? -1 : 1)).map((i) => all.ids[i] ?? '')
}

/** The site of a member; '' is the one of all that have none, undefined says that it is no member. */
export const siteOf = (membership: Membership, id: string): string | undefined =>
  prepared(membership).siteOf.get(id)

/** How many more than `copies` apply: at first `spares`, and twice as many in each further round. */
export interface Call {
  readonly spares: number
  readonly round: number
}

/** Whether a fragment is a member's to hold, when it is asked for the `round`th time (from 0). */
export function shouldStore(
  key: Key,
  membership: Membership,
  { spares, round }: Call,
  me: string,
): boolean {
  let more = spares
  for (let n = 0; n < round && more > 0 && more < membership.members.length; n++) more *= 2
  return rank(key, membership, me) < membership.copies + more
}

/** While two versions of the membership are about, a fragment is held by whom either names. */
export function shouldStoreInEither(
  key: Key,
  memberships: readonly Membership[],
  call: Call,
  me: string,
): boolean {
  return memberships.some((membership) => shouldStore(key, membership, call, me))
}
