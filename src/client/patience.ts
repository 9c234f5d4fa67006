/**
 * How long a pillar is waited for. One that is silent is given up soon; one that says that it is at it, and gets no
 * further, some time: later than it gives up by itself, and than a slow disk needs to read what it was asked about.
 */
import { limits } from '../limits.ts'
import type { Client } from './client.ts'

/**
 * Silence: longer from a pillar that has said that it will take long, as one does that has to find a disc first. But not
 * for ever.
 */
export const idleMsFor = (idleMs: number, inMs: number): number =>
  Math.max(idleMs, Math.min(2 * inMs, patienceMsMax))
const patienceMsMax = 3_600_000

/** How long nothing may arrive of files that are fetched. */
export const getStallMs = (
  items: readonly { readonly size?: number; readonly offset?: number }[],
  inMs: number,
): number => {
  const bytes = items.reduce((sum, { size = 0, offset = 0 }) => sum + offset + size, 0)
  return idleMsFor(stallMsMin, inMs) + bytes / slowBytesPerMs
}

/** The same of files that are put. Undefined: the tracker, which brings fragments to others, is waited for. */
export function putStallMs(
  { directory }: Pick<Client, 'directory'>,
  collection: string,
  items: readonly { readonly size: number }[],
): number | undefined {
  if (directory.collection(collection)?.fragments) return undefined
  const bytes = items.reduce((sum, { size }) => sum + size, 0)
  // Twins are hashed and copied, and what came before is hashed again.
  return stallMsMin + (3 * bytes) / slowBytesPerMs
}

const stallMsMin = 1.5 * limits.transferStallMs
const slowBytesPerMs = 5_000
