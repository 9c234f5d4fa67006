/** Of which part of all fragments each member can hold a copy, when the sites are filled as evenly as they allow. */
import type { Member } from './placement.ts'

export interface Site {
  /** Indices of its members, as the list has them. */
  readonly members: readonly number[]
}

export interface Spread {
  readonly sites: readonly Site[]
  /** Copies of each fragment that every site has, unless it has fewer members. */
  readonly each: number
  /** Sites that have one more, each fragment its own choice of them. */
  readonly more: number
}

export function spreadOf(members: readonly Pick<Member, 'site'>[], copies: number): Spread {
  const bySite = new Map<string, number[]>()
  for (const [i, { site = '' }] of members.entries())
    bySite.set(site, [...(bySite.get(site) ?? []), i])
  const sites = [...bySite.values()].map((indices) => ({ members: indices }))
  let more = copies
  for (let each = 0; ; each++) {
    const deeper = sites.filter((site) => site.members.length > each).length
    if (more < deeper || deeper === 0) return { sites, each, more: Math.min(more, deeper) }
    more -= deeper
  }
}

/** The part of all fragments, 0 to 1, that each member should hold: as its capacity is to the others', as far as possible. */
export function sharesOf(capacities: readonly number[], { sites, each, more }: Spread): number[] {
  const bySite = sites.map(({ members }) => members.map((i) => capacities[i] ?? 0))
  const bounds = bySite.map((site) => [
    Math.min(site.length, each),
    Math.min(site.length, each + 1),
  ])
  const held = (s: number, level: number): number =>
    Math.min(bounds[s]?.[1] ?? 0, Math.max(bounds[s]?.[0] ?? 0, filled(bySite[s] ?? [], level)))
  const copies = bounds.reduce((sum, [least = 0]) => sum + least, more)
  const level = levelFor(capacities, copies, (l) =>
    bySite.reduce((sum, _, s) => sum + held(s, l), 0),
  )
  const shares = capacities.map(() => 0)
  for (const [s, { members }] of sites.entries()) {
    const site = bySite[s] ?? []
    const own = levelFor(site, held(s, level), (l) => filled(site, l))
    for (const i of members) shares[i] = Math.min(1, own * (capacities[i] ?? 0))
  }
  return shares
}

const filled = (capacities: readonly number[], level: number): number =>
  capacities.reduce((sum, capacity) => sum + Math.min(1, level * capacity), 0)

/** Where a growing function reaches `wanted`, by halving until the two sides are neighbours. */
function levelFor(
  capacities: readonly number[],
  wanted: number,
  reached: (level: number) => number,
): number {
  let low = 0
  let high = 1 / Math.min(...capacities)
  for (let middle = high / 2; low < middle && middle < high; middle = low + (high - low) / 2)
    if (reached(middle) < wanted) low = middle
    else high = middle
  return high
}
