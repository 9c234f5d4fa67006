import { DiskError } from '../disk/disk.ts'
import { inTransaction, openDatabase, told } from '../index/database.ts'
import { viewWriter } from './changes.ts'
import { fileQueries, fragmentQueries, memberQueries } from './queries.ts'
import { viewUpgrades } from './schema.ts'
import { holderSets } from './sets.ts'
import type { View } from './view.ts'

/**
 * Opens a view (a file, or ':memory:') and keeps everybody else out until it is closed. Throws a DiskError with the
 * code `busy` when another process has it, `tooNew` when a later release wrote it, `corrupt` when it is none.
 */
export function openView(path: string): View {
  const database = openDatabase({ path, upgrades: viewUpgrades, cacheKiB: 16_384 })
  const load = () => {
    const sets = holderSets(database)
    const writer = viewWriter(database, sets)
    return { writer, fragments: fragmentQueries(database, sets, writer.numberOf) }
  }
  /** The counts in memory are those of the last commit. */
  let counted = load()
  const files = fileQueries(database, (collection) => counted.writer.numberOf(collection))
  const members = memberQueries(database)
  let broken: unknown

  function commit(changes: Parameters<View['change']>[0]): void {
    if (broken !== undefined) throw broken
    try {
      inTransaction(database, () => {
        for (const change of changes) counted.writer.apply(change)
        counted.writer.settle()
      })
    } catch (error) {
      // After a failed sync nobody knows what the disk holds: no more is taken until it is opened anew.
      if (error instanceof DiskError && error.code === 'EIO') broken = error
      else counted = load()
      throw error
    }
  }
  return {
    change: async (changes) => (changes.length === 0 ? undefined : commit(changes)),
    members: async () => told(() => members.members()),
    slices: async (file) => told(() => files.slices(file)),
    entry: async (collection, id) => told(() => files.entry(collection, id)),
    entries: async (collection, after, limit) =>
      told(() => files.entries(collection, after, limit)),
    holders: async (collection, hashes) =>
      told(() => counted.fragments.holders(collection, hashes)),
    fragment: async (collection, hash) => told(() => counted.fragments.fragment(collection, hash)),
    fragments: async (query) => told(() => counted.fragments.fragments(query)),
    held: async (collection, pillar, part) =>
      told(() => counted.fragments.held(collection, pillar, part)),
    holding: async (collection, pillar) => counted.writer.holding(collection, pillar),
    histogram: async (collection, pillars, heldBy) =>
      counted.fragments.histogram(collection, pillars, heldBy),
    fact: async (key) => told(() => members.fact(key)),
    async close() {
      if (database.isOpen) database.close()
    },
  }
}
