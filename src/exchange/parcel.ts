/** What is known of one object in a spool, and how its window moves. Pure. */

export interface Parcel {
  readonly size: number
  /** Where the upload began, a multiple of a segment: what is before it nobody needs. */
  readonly begin: number
  /** Where the window begins; a multiple of a segment. */
  readonly from: number
  /** Bytes that came and are synced. */
  readonly have: number
  readonly complete: boolean
  /**
   * Each receiver, and how far it has the bytes safely; `expected` for one that was named and has not come yet.
   */
  readonly safe: ReadonlyMap<string, number>
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly since: number
}

/** Before any byte: this receiver has not come yet. */
export const expected = -1

export interface Bounds {
  readonly segmentBytes: number
  /** The most that one object fills at a time. */
  readonly windowBytes: number
}

/**
 * Fewer segments would stand still: who fetches has up to a page fetched but not yet safe, the window moves by whole
 * segments, and the next page must find room beside both.
 */
export const windowSegmentsMin = 3
const windowSegmentsMax = 8

/** How an object's window is cut from the spool; undefined when the spool is too small for any. */
export function boundsOf(quotaBytes: number, segmentBytes: number): Bounds | undefined {
  const segments = Math.min(windowSegmentsMax, Math.floor(quotaBytes / segmentBytes))
  return segments < windowSegmentsMin
    ? undefined
    : { segmentBytes, windowBytes: segments * segmentBytes }
}

export const segmentStart = (offset: number, { segmentBytes }: Bounds): number =>
  Math.floor(offset / segmentBytes) * segmentBytes

/** What an object fills or may still come to fill: all of it, or its window. */
export function shareOf({ size, from, have, complete }: Parcel, { windowBytes }: Bounds): number {
  if (complete) return have - from
  // More than a window only when the spool has been made smaller since.
  return Math.min(size - from, Math.max(windowBytes, have - from))
}

export const hasRoomFor = (parcel: Parcel, length: number, { windowBytes }: Bounds): boolean =>
  parcel.have + length - parcel.from <= windowBytes || parcel.size - parcel.from <= windowBytes

/** It was seen that this receiver has everything before `safe`; never more than what is here. */
export function heard(parcel: Parcel, peer: string, safe: number, bounds: Bounds): Parcel {
  const known = parcel.safe.get(peer) ?? expected
  const now = Math.min(Math.max(0, safe), parcel.have)
  if (known >= now) return parcel
  return slid({ ...parcel, safe: new Map(parcel.safe).set(peer, now) }, bounds)
}

/** This receiver wants nothing more of it, or can not be served in this pass. */
export const satisfied = (parcel: Parcel, peer: string, bounds: Bounds): Parcel =>
  slid({ ...parcel, safe: new Map(parcel.safe).set(peer, parcel.size) }, bounds)

/** Those who will come, as the sender knows. Whoever is named when the window has moved is served in a later pass. */
export function named(parcel: Parcel, names: readonly string[]): Parcel {
  const fresh = names.filter((name) => !parcel.safe.has(name))
  if (fresh.length === 0 || parcel.from > parcel.begin) return parcel
  const safe = new Map(parcel.safe)
  for (const name of fresh) safe.set(name, expected)
  return { ...parcel, safe }
}

/**
 * Without those who hold the window where it is, or those of them who were only named, when there is another who could
 * go on; the same when there is none.
 */
export function withoutLaggards(parcel: Parcel, who: 'all' | 'named', bounds: Bounds): Parcel {
  const holds = ([, at]: readonly [string, number]): boolean =>
    at === expected || (who === 'all' && segmentStart(at, bounds) <= parcel.from)
  const isAhead = ([, at]: readonly [string, number]): boolean =>
    at < parcel.size && segmentStart(at, bounds) > parcel.from
  const all = [...parcel.safe]
  if (!all.some(isAhead) || !all.some(holds)) return parcel
  return slid({ ...parcel, safe: new Map(all.filter((one) => !holds(one))) }, bounds)
}

/** Somebody came for it and has not got all. */
export const isAwaited = (parcel: Parcel): boolean =>
  [...parcel.safe.values()].some((at) => at !== expected && at < parcel.size)

/** Somebody was there, and nobody is left whom this pass could still serve. */
export const isDone = (parcel: Parcel): boolean => {
  const all = [...parcel.safe.values()]
  const late = parcel.from > parcel.begin
  return (
    all.some((at) => at >= parcel.size) &&
    all.every((at) => at >= parcel.size || (at === expected && late))
  )
}

/** Moves the window to what every receiver has; only of what does not fit as a whole, as others may still come. */
function slid(parcel: Parcel, bounds: Bounds): Parcel {
  if (parcel.size - parcel.begin <= bounds.windowBytes || parcel.safe.size === 0) return parcel
  const least = Math.min(...parcel.safe.values(), parcel.have)
  const from = Math.max(parcel.from, segmentStart(least, bounds))
  return from === parcel.from ? parcel : { ...parcel, from }
}

export const parcelText = (parcel: Parcel, { segmentBytes }: Bounds): string =>
  JSON.stringify({ ...parcel, safe: [...parcel.safe], segmentBytes })

/** Undefined for what another release wrote in another way: its sender brings it again. */
export function parseParcel(text: string, { segmentBytes }: Bounds): Parcel | undefined {
  try {
    const stored = JSON.parse(text)
    if (stored.segmentBytes !== segmentBytes || !Array.isArray(stored.safe)) return undefined
    const { size, begin, from, have, complete, expiresAt, since } = stored
    const numbers = [size, begin, from, have, expiresAt, since]
    if (!numbers.every(Number.isSafeInteger) || typeof complete !== 'boolean') return undefined
    const safe = new Map<string, number>(stored.safe)
    return { size, begin, from, have, complete, safe, expiresAt, since }
  } catch {
    return undefined
  }
}
