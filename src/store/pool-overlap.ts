/**
 * No id of a pillar stands on two volumes. While a volume was away its files may have come again to another; a disk may have
 * been moved over. So a volume is looked through before anything is asked of it: what stands elsewhere with the same bytes
 * is put aside; of other bytes those are served that were proven last, and people are told.
 */
import type { CollectionSummary, StoredFile } from '../index/index.ts'
import { digestOf, type World } from '../world/world.ts'
import type { Member } from './pool-members.ts'

/** Files that are stored and not served, because others stand under their ids. */
export interface Shadows {
  has(volume: string, collection: string, id: string): boolean
  /** The counts without them. */
  without(volume: string, summary: CollectionSummary): CollectionSummary
  cast(volume: string, file: StoredFile): void
  /** It is known anew what stands in whose shadow. */
  lift(collection: string, id: string): void
  /** The volume that keeps such a file. */
  holder(collection: string, id: string): string | undefined
  count(): number
}

export function shadows(world: Pick<World, 'hashing'>): Shadows {
  const all = new Map<string, { readonly volume: string; readonly file: StoredFile }>()
  const keyOf = (collection: string, id: string): string => `${collection}\0${id}`
  return {
    has: (volume, collection, id) => all.get(keyOf(collection, id))?.volume === volume,
    without(volume, summary) {
      let { files, bytes } = summary
      let mark = BigInt(`0x${summary.digest}`)
      for (const one of all.values()) {
        if (one.volume !== volume || one.file.collection !== summary.collection) continue
        const { id, checksum, size } = one.file
        files--
        bytes -= size
        mark ^= BigInt(`0x${digestOf(world, `${id}\0${checksum}`).slice(0, 32)}`)
      }
      return { ...summary, files, bytes, digest: mark.toString(16).padStart(32, '0') }
    },
    cast: (volume, file) => void all.set(keyOf(file.collection, file.id), { volume, file }),
    lift: (collection, id) => void all.delete(keyOf(collection, id)),
    holder: (collection, id) => all.get(keyOf(collection, id))?.volume,
    count: () => all.size,
  }
}

const pageFiles = 500
const self = { actor: 'pool', conversation: '' }

/** Looks through all of a volume that has come. `differ` is told of ids with different bytes. */
export async function lookThrough(
  shadows: Shadows,
  come: Member,
  others: readonly Member[],
  differ: (file: StoredFile, served: Member, shadowed: Member) => void,
): Promise<void> {
  for (const { collection } of await come.store.summary()) {
    let after: StoredFile | undefined
    do {
      const query = { collection, limit: pageFiles, ...(after ? { after } : {}) }
      const page = await come.store.list(query)
      const ids = page.files.map(({ id }) => id)
      for (const other of others)
        for (const [n, row] of (await other.store.stored(collection, ids)).entries()) {
          const mine = page.files[n]
          if (row && mine) await settle(shadows, [come, mine], [other, row], differ)
        }
      after = page.partial ? page.files.at(-1) : undefined
    } while (after)
  }
}

async function settle(
  shadows: Shadows,
  [come, mine]: [Member, StoredFile],
  [other, row]: [Member, StoredFile],
  differ: (file: StoredFile, served: Member, shadowed: Member) => void,
): Promise<void> {
  if (mine.checksum === row.checksum && mine.size === row.size) {
    const how = `the same bytes stand on volume ${other.id}`
    const done = await come.store.quarantine(mine, how, self).catch(() => false)
    // A disk that takes no writes keeps it.
    if (!done) shadows.cast(come.id, mine)
    return
  }
  if (mine.provenAt > row.provenAt) {
    shadows.cast(other.id, row)
    differ(mine, come, other)
  } else {
    shadows.cast(come.id, mine)
    differ(row, other, come)
  }
}
