/** Results of a listing that are too many for a message: a line of JSON for each, delivered by a result token. */
import * as v from 'valibot'
import { Transmission } from './parts.ts'
import { Bytes, Checksum, Count } from './scalars.ts'

/** Of a request: where the results may be delivered, when they are more than a message holds. */
export const wantsResults = { transmission: v.optional(Transmission) }
/** Of a final answer without items: what was delivered instead of them. */
export const delivered = {
  result: v.optional(v.object({ items: Count, size: Bytes, checksum: Checksum })),
}

/** The items of these lines; undefined when one of them is none. */
export function itemsOf<T extends v.GenericSchema>(
  schema: T,
  text: string,
): v.InferOutput<T>[] | undefined {
  try {
    const lines = text.split('\n').filter((line) => line !== '')
    const parsed = v.safeParse(
      v.array(schema),
      lines.map((line) => JSON.parse(line)),
    )
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
