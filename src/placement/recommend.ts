/** Which of the pillars that applied for a fragment are to hold it. */
import { order } from './order.ts'
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

/** By rank, each from the site that has the fewest copies of the fragment so far. */
export function recommend(
  applicants: readonly Applicant[],
  key: Key,
  membership: Membership,
  { size, holders = [] }: Wanted,
): Recommendation {
  const siteOf = new Map(membership.members.map(({ id, site = '' }) => [id, site]))
  const facts = new Map(applicants.map((applicant) => [applicant.id, applicant]))
  const fit = order(key, membership).filter((id) => {
    const applicant = facts.get(id)
    return applicant && !applicant.failing && applicant.free >= size && !holders.includes(id)
  })
  const isSuspect = (id: string): boolean => facts.get(id)?.suspect ?? false
  const taken = new Map<string, number>()
  const take = (id: string): void => {
    const site = siteOf.get(id)
    if (site !== undefined) taken.set(site, (taken.get(site) ?? 0) + 1)
  }
  for (const id of holders) take(id)
  const spread = (ids: readonly string[]): string[] => {
    const waiting = [...ids]
    return ids.map(() => {
      const copies = waiting.map((id) => taken.get(siteOf.get(id) ?? '') ?? 0)
      const at = copies.indexOf(Math.min(...copies))
      const [id = ''] = waiting.splice(at, 1)
      take(id)
      return id
    })
  }
  const sound = spread(fit.filter((id) => !isSuspect(id)))
  const missing = Math.max(0, membership.copies - holders.length)
  return {
    chosen: sound.slice(0, missing),
    next: [...sound.slice(missing), ...spread(fit.filter(isSuspect))],
  }
}
