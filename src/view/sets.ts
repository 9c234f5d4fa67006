import type { DatabaseSync } from 'node:sqlite'
import type { Holder } from './view.ts'

/**
 * Which pillars hold how many fragments together. A fragment names its set by number, so that a question about all
 * fragments is one about their sets, of which there are few: of n pillars and two copies about n² / 2.
 */
export interface HolderSet {
  readonly number: number
  readonly collection: number
  /** Sorted by pillar. */
  readonly holders: readonly Holder[]
  /** Fragments that have just these holders. */
  fragments: number
  /** Those of them that are wanted. */
  wanted: number
}

export interface Sets {
  get(number: number): HolderSet
  /** The set of these holders; made when there is none yet. */
  of(collection: number, holders: readonly Holder[]): HolderSet
  /** A fragment comes to a set, or leaves it (-1). */
  count(set: HolderSet, sign: 1 | -1, wanted: boolean): void
  /** A fragment of this set is wanted now, or is not any more (-1). */
  want(set: HolderSet, sign: 1 | -1): void
  /** Writes what was counted since; within the transaction. */
  settle(): void
  all(collection: number): HolderSet[]
}

/** Each holder is there once, with a number: of a thousand pillars there are half a million sets. */
function sharedHolders() {
  const known = new Map<string, { readonly holder: Holder; readonly number: number }>()
  const share = ({ pillar, stage }: Holder) => {
    const key = `${pillar} ${stage}`
    const found = known.get(key) ?? { holder: { pillar, stage }, number: known.size }
    known.set(key, found)
    return found
  }
  return {
    all: (holders: readonly Holder[]): Holder[] => holders.map((one) => share(one).holder),
    keyOf: (collection: number, holders: readonly Holder[]): string =>
      [collection, ...holders.map((one) => share(one).number)].join(' '),
  }
}

export function holderSets(database: DatabaseSync): Sets {
  const write = database.prepare('INSERT OR REPLACE INTO sets VALUES (?, ?, ?, ?, ?)')
  const remove = database.prepare('DELETE FROM sets WHERE number = ?')
  const shared = sharedHolders()
  const { keyOf } = shared
  const byNumber = new Map<number, HolderSet>()
  const byKey = new Map<string, HolderSet>()
  const touched = new Set<HolderSet>()
  let last = 0
  const know = (set: HolderSet): HolderSet => {
    byNumber.set(set.number, set)
    byKey.set(keyOf(set.collection, set.holders), set)
    last = Math.max(last, set.number)
    return set
  }
  for (const row of database.prepare('SELECT * FROM sets').iterate())
    know({
      number: Number(row.number),
      collection: Number(row.collection),
      holders: shared.all(JSON.parse(String(row.holders)) as Holder[]),
      fragments: Number(row.fragments),
      wanted: Number(row.wanted),
    })
  const forget = (set: HolderSet): void => {
    byNumber.delete(set.number)
    byKey.delete(keyOf(set.collection, set.holders))
    remove.run(set.number)
  }
  return {
    get(number) {
      const set = byNumber.get(number)
      if (!set) throw new Error(`no set of holders ${number}`)
      return set
    },
    of: (collection, holders) =>
      byKey.get(keyOf(collection, holders)) ??
      know({
        ...{ number: last + 1, collection, fragments: 0, wanted: 0 },
        holders: shared.all(holders),
      }),
    count(set, sign, wanted) {
      set.fragments += sign
      if (wanted) set.wanted += sign
      touched.add(set)
    },
    want(set, sign) {
      set.wanted += sign
      touched.add(set)
    },
    settle() {
      for (const set of touched)
        if (set.fragments === 0) forget(set)
        else {
          const { number, collection, holders, fragments, wanted } = set
          write.run(number, collection, JSON.stringify(holders), fragments, wanted)
        }
      touched.clear()
    },
    all: (collection) => [...byNumber.values()].filter((set) => set.collection === collection),
  }
}

/** How many of these pillars have persisted it. */
export const persisted = (holders: readonly Holder[], pillars: ReadonlySet<string>): number =>
  holders.filter(({ pillar, stage }) => stage === 'persisted' && pillars.has(pillar)).length
