/**
 * Where the copies of one fragment should be, and the next step there. Pure. First it is brought to whom it lacks, and only
 * then taken from whom it is surplus at: in between there is a copy more, never one less.
 */
export interface Placed {
  /** Those that it should have, as many as there are to be, the first in order first. */
  readonly ideal: readonly string[]
  readonly copies: number
  /** Who keeps it for good, and counts. */
  readonly holders: readonly string[]
  /** These holders in the order in which they are to keep it, beside the ideal ones. */
  rest(holders: readonly string[], kept: readonly string[]): readonly string[]
  /** It can be asked, and what is known of it is right. */
  isThere(pillar: string): boolean
  /** It would not take any when it was asked last. */
  isFull(pillar: string): boolean
}

export type Step =
  | { readonly do: 'bring'; readonly to: readonly string[] }
  /** Taken from one pillar at a time; these are to confirm that they have it. */
  | { readonly do: 'trim'; readonly from: string; readonly confirm: readonly string[] }
  /** It is where it should be; or it can not be had there now, with `waits`. */
  | { readonly do: 'nothing'; readonly waits: boolean }

export function nextStep(placed: Placed): Step {
  const { ideal, copies, holders, isThere, isFull } = placed
  // To bring what is missing is the business of repair.
  if (holders.length < copies) return { do: 'nothing', waits: true }
  const lacking = ideal.filter((pillar) => !holders.includes(pillar))
  const to = lacking.filter((pillar) => isThere(pillar) && !isFull(pillar))
  if (to.length > 0) return { do: 'bring', to }
  const first = holders.filter((pillar) => ideal.includes(pillar))
  const others = holders.filter((pillar) => !ideal.includes(pillar))
  const keep = [...first, ...placed.rest(others, first)].slice(0, copies)
  const surplus = holders.filter((pillar) => !keep.includes(pillar))
  const from = surplus.find(isThere)
  const waits = lacking.length > 0 || surplus.length > 0
  if (from === undefined) return { do: 'nothing', waits }
  const able = [...keep, ...surplus].filter((pillar) => pillar !== from && isThere(pillar))
  if (able.length < copies) return { do: 'nothing', waits }
  return { do: 'trim', from, confirm: able.slice(0, copies) }
}
