/** The rule against changing very many files at once, by mistake or by malice; and the owner's leave to do it. */
import * as v from 'valibot'
import { limits } from '../limits.ts'
import { Count, Name, Time, timeValue } from './scalars.ts'

/** Until then, this identity may change so many files of the collection in a day. */
export const MassChange = v.object({
  identity: Name,
  collection: Name,
  files: Count,
  until: Time,
})
export type MassChange = v.InferOutput<typeof MassChange>

/** Files of a collection with so many that one identity may change in a day without being asked. */
export const massLimit = (files: number): number =>
  Math.max(limits.massFilesMin, Math.floor((files * limits.massPercent) / 100))

/** What the owner allows beyond that; 0 when he does not, or not any more (`now`: milliseconds since 1970). */
export const massAllowed = (
  { massChanges = [] }: { readonly massChanges?: readonly MassChange[] | undefined },
  identity: string,
  collection: string,
  now: number,
): number =>
  massChanges.reduce(
    (most, one) =>
      one.identity === identity && one.collection === collection && timeValue(one.until) > now
        ? Math.max(most, one.files)
        : most,
    0,
  )
