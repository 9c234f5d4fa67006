import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { blobOf, fragmentRow, fragmentStatement, hexOf, knownOf, slicesOf } from './rows.ts'
import { type HolderSet, persisted, type Sets } from './sets.ts'
import type { Entry, FragmentQuery, KnownFragment, View, ViewMember } from './view.ts'

type Numbers = (collection: string) => number | undefined

export function memberQueries(database: DatabaseSync) {
  const members = database.prepare('SELECT about FROM members ORDER BY pillar')
  const fact = database.prepare('SELECT value FROM facts WHERE key = ?')
  return {
    members: () => members.all().map((row) => JSON.parse(String(row.about)) as ViewMember),
    fact(key: string): string | undefined {
      const row = fact.get(key)
      return row && String(row.value)
    },
  }
}

export function fileQueries(database: DatabaseSync, numberOf: Numbers) {
  const slices = database.prepare(
    'SELECT slices FROM files WHERE collection = ? AND checksum = ? AND size = ?',
  )
  const columns = 'id, version, text, hash, size'
  const entry = database.prepare(`SELECT ${columns} FROM entries WHERE collection = ? AND id = ?`)
  const entries = database.prepare(
    `SELECT ${columns} FROM entries WHERE collection = ? AND id > ? ORDER BY id LIMIT ?`,
  )
  type Row = Record<string, unknown>
  const entryOf = (collection: string, row: Row): Entry => ({
    collection,
    id: String(row.id),
    version: Number(row.version),
    text: String(row.text),
    fragment: { hash: hexOf(row.hash), size: Number(row.size), kind: 'info' },
  })
  const none = -1
  return {
    slices({ collection, checksum, size }: Parameters<View['slices']>[0]) {
      const row = slices.get(numberOf(collection) ?? none, blobOf(checksum), size)
      return row && slicesOf(row.slices)
    },
    entry(collection: string, id: string) {
      const row = entry.get(numberOf(collection) ?? none, id)
      return row && entryOf(collection, row)
    },
    entries: (collection: string, after: string, limit: number) =>
      entries
        .all(numberOf(collection) ?? none, after, limit)
        .map((row) => entryOf(collection, row)),
  }
}

export function fragmentQueries(database: DatabaseSync, sets: Sets, numberOf: Numbers) {
  const one = fragmentStatement(database, 'WHERE collection = ? AND hash = ?')
  const walk = fragmentStatement(
    database,
    'WHERE collection = ? AND hash > ? ORDER BY hash LIMIT ?',
  )
  const unwanted = fragmentStatement(
    database,
    `INDEXED BY fragments_unwanted WHERE collection = ? AND unwanted_since IS NOT NULL
      AND hash > ? AND unwanted_since < ? ORDER BY hash LIMIT ?`,
  )
  const scarce = scarceQuery(database, sets)
  const ofSet = database.prepare(
    `SELECT hash FROM fragments INDEXED BY fragments_held
      WHERE holders = ? AND hash >= ? AND hash < ? ORDER BY hash`,
  )
  ofSet.setReturnArrays(true)
  const fragment = (collection: string, hash: string): KnownFragment | undefined => {
    const number = numberOf(collection)
    const row = number === undefined ? undefined : one.get(number, blobOf(hash))
    return row && knownOf(fragmentRow(row, sets))
  }
  return {
    fragment,
    holders: (collection: string, hashes: readonly string[]) =>
      hashes.map((hash) => [...(fragment(collection, hash)?.holders ?? [])]),
    fragments(query: FragmentQuery): KnownFragment[] {
      const number = numberOf(query.collection)
      if (number === undefined) return []
      if (query.scarce) return scarce(number, query, query.scarce)
      const after = blobOf(query.after ?? '')
      const found =
        query.unwantedBefore === undefined
          ? walk.all(number, after, query.limit)
          : unwanted.all(number, after, query.unwantedBefore, query.limit)
      return found.map((row) => knownOf(fragmentRow(row, sets)))
    },
    held(collection: string, pillar: string, part: string): string[] {
      const number = numberOf(collection)
      const [from, to] = [blobOf(part.padEnd(64, '0')), blobOf(`${part.padEnd(64, 'f')}ff`)]
      return (number === undefined ? [] : sets.all(number))
        .filter(({ holders }) => holders.some((one) => one.pillar === pillar))
        .flatMap((set) => ofSet.all(set.number, from, to))
        .map((row) => hexOf(Object.values(row)[0]))
    },
    histogram(
      collection: string,
      pillars: readonly string[],
      heldBy?: string,
    ): Map<number, number> {
      const counting = new Set(pillars)
      const counts = new Map<number, number>()
      const number = numberOf(collection)
      if (number === undefined) return counts
      for (const { holders, wanted } of sets.all(number)) {
        if (wanted === 0) continue
        if (heldBy !== undefined && persisted(holders, new Set([heldBy])) === 0) continue
        const copies = persisted(holders, counting)
        counts.set(copies, (counts.get(copies) ?? 0) + wanted)
      }
      return counts
    },
  }
}

/**
 * The sets say how many fragments are scarce without looking at one. Few are then found set by set; many are met soon
 * by walking: hashes are spread evenly.
 */
function scarceQuery(database: DatabaseSync, sets: Sets) {
  const walk = fragmentStatement(database, 'WHERE collection = ? AND hash > ? ORDER BY hash')
  const ofSet = database.prepare(
    `SELECT hash FROM fragments INDEXED BY fragments_held
      WHERE holders = ? AND wanted > 0 AND hash > ? AND hash < ? ORDER BY hash LIMIT ?`,
  )
  ofSet.setReturnArrays(true)
  const byHash = fragmentStatement(
    database,
    'WHERE collection = ? AND hash IN (SELECT unhex(value) FROM json_each(?)) ORDER BY hash',
  )
  const walked = (number: number, after: Uint8Array, limit: number, few: Set<number>) => {
    const found: KnownFragment[] = []
    for (const row of walk.iterate(number, after)) {
      if (found.length === limit) break
      const fragment = fragmentRow(row, sets)
      if (fragment.wanted > 0 && few.has(fragment.set.number)) found.push(knownOf(fragment))
    }
    return found
  }
  const sought = (number: number, after: Uint8Array, limit: number, few: readonly HolderSet[]) => {
    let hashes: string[] = []
    // Beyond the last of a full page nothing is of interest.
    let end: SQLInputValue = Buffer.alloc(33, 0xff)
    for (const set of few) {
      const more = ofSet.all(set.number, after, end, limit)
      if (more.length === 0) continue
      hashes = [...hashes, ...more.map((row) => hexOf(Object.values(row)[0]))]
      hashes = hashes.sort().slice(0, limit)
      if (hashes.length === limit) end = blobOf(hashes.at(-1) ?? '')
    }
    const found = byHash.all(number, JSON.stringify(hashes))
    return found.map((row) => knownOf(fragmentRow(row, sets)))
  }
  return (
    number: number,
    { after: from = '', limit }: FragmentQuery,
    { pillars, below }: NonNullable<FragmentQuery['scarce']>,
  ): KnownFragment[] => {
    const counting = new Set(pillars)
    const all = sets.all(number)
    const few = all.filter((set) => set.wanted > 0 && persisted(set.holders, counting) < below)
    const total = all.reduce((sum, set) => sum + set.fragments, 0)
    const wanted = few.reduce((sum, set) => sum + set.wanted, 0)
    if (wanted === 0) return []
    const after = blobOf(from)
    const rowsWalked = (limit * total) / wanted
    const rowsSought = few.reduce((sum, set) => sum + 1 + Math.min(limit, set.wanted), 0)
    return rowsWalked < rowsSought
      ? walked(number, after, limit, new Set(few.map((set) => set.number)))
      : sought(number, after, limit, few)
  }
}
