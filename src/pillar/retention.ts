/** How long what was deleted or replaced is kept aside: as this board says, or longer where the archive document does. */
import type { Purged } from '../store/store.ts'
import type { Desk } from './pillar.ts'

type Parts = Pick<Desk, 'retainMs' | 'directory'>

const dayMs = 24 * 3_600_000

/** Milliseconds. The document can not shorten it. */
export const retainedMs = ({ retainMs, directory }: Parts, collection: string): number =>
  Math.max(retainMs, (directory.collection(collection)?.retainDays ?? 0) * dayMs)

/** What may go for good: those that were put aside before each of these times (milliseconds since 1970). */
export function purges(
  parts: Parts,
  now: number,
): readonly { readonly before: number; readonly of: Purged }[] {
  const longer = parts.directory
    .document()
    .collections.map(({ name }) => name)
    .filter((name) => retainedMs(parts, name) > parts.retainMs)
  return [
    { before: now - parts.retainMs, of: { except: longer } },
    ...longer.map((collection) => ({
      before: now - retainedMs(parts, collection),
      of: { collection },
    })),
  ]
}
