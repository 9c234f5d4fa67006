/**
 * What was told of very many files, in few bytes: one row an id, in typed arrays. Ids and checksums are there only as
 * 64 bits of a digest; who makes the digests salts them, so that nobody can choose two files that look the same.
 */

/** 64 bits. */
export type Mark = readonly [high: number, low: number]

export interface Rows {
  readonly count: number
  /** The row of this id; undefined when there is none. */
  find(id: Mark): number | undefined
  /** A new row, held by nobody yet. */
  add(id: Mark, substance: Mark): number
  /** Whether the row is about these very bytes. */
  isAbout(row: number, substance: Mark): boolean
  hold(row: number, pillar: number, timestamp: number): void
  holds(row: number, pillar: number): boolean
  /** The newest time at which a holder stored or confirmed it, milliseconds since 1970. */
  newest(row: number): number
}

/** Index of the place in the table → row + 1; never fuller than two thirds. */
const spare = 1.5
const firstRows = 1_024

export function openRows(pillars: number, expected = firstRows): Rows {
  const words = Math.ceil(pillars / 32)
  let columns = columnsFor(Math.max(firstRows, expected), words)
  let table = tableFor(columns.size)
  let count = 0

  const placeOf = ([high, low]: Mark): number => {
    const { ids } = columns
    for (
      let place = (low ^ high) & (table.length - 1);
      ;
      place = (place + 1) & (table.length - 1)
    ) {
      const row = (table[place] ?? 0) - 1
      if (row < 0 || (ids[2 * row] === high && ids[2 * row + 1] === low)) return place
    }
  }
  function grow(): void {
    columns = larger(columns, words)
    table = tableFor(columns.size)
    for (let row = 0; row < count; row++)
      table[placeOf([columns.ids[2 * row] ?? 0, columns.ids[2 * row + 1] ?? 0])] = row + 1
  }
  return {
    get count() {
      return count
    },
    find(id) {
      const row = (table[placeOf(id)] ?? 0) - 1
      return row < 0 ? undefined : row
    },
    add(id, substance) {
      if (count === columns.size) grow()
      const row = count++
      columns.ids.set(id, 2 * row)
      columns.substances.set(substance, 2 * row)
      table[placeOf(id)] = row + 1
      return row
    },
    isAbout: (row, [high, low]) =>
      columns.substances[2 * row] === high && columns.substances[2 * row + 1] === low,
    hold(row, pillar, timestamp) {
      const word = row * words + (pillar >>> 5)
      columns.holders[word] = (columns.holders[word] ?? 0) | (1 << (pillar & 31))
      if (timestamp > (columns.newest[row] ?? 0)) columns.newest[row] = timestamp
    },
    holds: (row, pillar) =>
      (((columns.holders[row * words + (pillar >>> 5)] ?? 0) >>> (pillar & 31)) & 1) === 1,
    newest: (row) => columns.newest[row] ?? 0,
  }
}

const columnsFor = (size: number, words: number) => ({
  size,
  ids: new Uint32Array(2 * size),
  substances: new Uint32Array(2 * size),
  newest: new Float64Array(size),
  /** A bit a pillar. */
  holders: new Uint32Array(words * size),
})

/** A power of two. */
const tableFor = (rows: number): Uint32Array =>
  new Uint32Array(2 ** Math.ceil(Math.log2(rows * spare)))

function larger(old: ReturnType<typeof columnsFor>, words: number): ReturnType<typeof columnsFor> {
  const fresh = columnsFor(Math.ceil(old.size * spare), words)
  fresh.ids.set(old.ids)
  fresh.substances.set(old.substances)
  fresh.newest.set(old.newest)
  fresh.holders.set(old.holders)
  return fresh
}
