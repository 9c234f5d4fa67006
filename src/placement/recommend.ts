/** Which of the pillars that applied for a fragment are to hold it. */
import { siteOf, sorted } from './order.ts'
import type { Key, Membership } from './placement.ts'

export interface Applicant {
  readonly id: string
  /** Bytes that it has left for fragments. */
  readonly free: number
  /** Silent since a while, or its Last Will was heard. */
  readonly suspect?: boolean
  /** Its disk is about to give up. */
  readonly failing?: boolean
}

export interface Wanted {
  /** Bytes of the fragment. */
  readonly size: number
  /** Who holds the fragment already: they are not asked, and their sites come last. */
  readonly holders?: readonly string[]
}

export interface Recommendation {
  /** As many as copies are missing, or as there are. */
  readonly chosen: readonly string[]
  /** To be asked, in this order, when one that was chosen fails. Who is suspect comes after all others. */
  readonly next: readonly string[]
}

/** By score, each from the site that has the fewest copies of the fragment so far. */
export function recommend(
  applicants: readonly Applicant[],
  key: Key,
  membership: Membership,
  { size, holders = [] }: Wanted,
): Recommendation {
  const able = applicants.filter(
    ({ id, free, failing }) => !failing && free >= size && !holders.includes(id),
  )
  const inOrder = (list: readonly Applicant[]): string[] =>
    sorted(
      key,
      membership,
      list.map(({ id }) => id),
    )
  const spread = spreader(membership)
  spread(holders)
  const sound = spread(inOrder(able.filter(({ suspect }) => !suspect)))
  const missing = Math.max(0, membership.copies - holders.length)
  return {
    chosen: sound.slice(0, missing),
    next: [...sound.slice(missing), ...spread(inOrder(able.filter(({ suspect }) => suspect)))],
  }
}

/** Deals members out over the sites, with regard to all that it has dealt out before. */
function spreader(membership: Membership): (ids: readonly string[]) => string[] {
  const copies = new Map<string | undefined, number>()
  const at = (id: string): number => copies.get(siteOf(membership, id)) ?? 0
  return (ids) => {
    const waiting = [...ids]
    return ids.map(() => {
      const fewest = waiting.reduce((least, id) => Math.min(least, at(id)), Infinity)
      const next = waiting.findIndex((id) => at(id) === fewest)
      const [id = ''] = waiting.splice(next, 1)
      copies.set(siteOf(membership, id), at(id) + 1)
      return id
    })
  }
}
