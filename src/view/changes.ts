import type { DatabaseSync } from 'node:sqlite'
import { fileMark, markText } from '../index/rows.ts'
import { type Fragment, fragmentFileId } from '../protocol/fragments.ts'
import {
  blobOf,
  type FragmentRow,
  fragmentRow,
  fragmentStatement,
  hexOf,
  kindNumber,
  packSlices,
  slicesOf,
} from './rows.ts'
import type { Sets } from './sets.ts'
import type { Holder, Holding, ViewChange } from './view.ts'

type Only<Do extends ViewChange['do']> = Extract<ViewChange, { readonly do: Do }>

/** What one pillar holds of one collection, with its digest as a number. */
interface Sum {
  files: number
  bytes: number
  mark: bigint
}

export interface Writer {
  /** Within a transaction, before `settle`. */
  apply(change: ViewChange): void
  settle(): void
  holding(collection: string, pillar: string): Holding
  /** The number of a collection that something is known of. */
  numberOf(collection: string): number | undefined
}

export function viewWriter(database: DatabaseSync, sets: Sets): Writer {
  const statements = prepared(database)
  const numbers = collectionNumbers(database)
  const sums = holdingSums(database)
  const rows = fragmentRows(database, sets)
  const files = fileChanges(statements, rows)
  const holders = holderChanges(rows, sums)
  return {
    apply(change) {
      switch (change.do) {
        case 'member':
          return void statements.member.run(change.member.pillar, JSON.stringify(change.member))
        case 'leave':
          return void statements.leave.run(change.pillar)
        case 'file':
          return files.file(numbers.make(change.file.collection), change)
        case 'unfile':
          return files.unfile(numbers.make(change.file.collection), change)
        case 'entry':
          return files.entry(numbers.make(change.entry.collection), change)
        case 'hold':
          return holders.hold(numbers.make(change.collection), change)
        case 'lose':
          return holders.lose(numbers.make(change.collection), change)
        case 'forget':
          return rows.forget(numbers.make(change.collection), change.hash)
        case 'fact':
          return void statements.fact.run(change.key, change.value)
      }
    },
    settle() {
      sets.settle()
      sums.settle()
    },
    holding(collection, pillar) {
      const number = numbers.of(collection)
      const none = { files: 0, bytes: 0, mark: 0n }
      const { files, bytes, mark } = number === undefined ? none : sums.of(number, pillar)
      return { files, bytes, digest: markText(mark) }
    },
    numberOf: numbers.of,
  }
}

function prepared(database: DatabaseSync) {
  return {
    member: database.prepare('INSERT OR REPLACE INTO members VALUES (?, ?)'),
    leave: database.prepare('DELETE FROM members WHERE pillar = ?'),
    fact: database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)'),
    slices: database.prepare(
      'SELECT slices FROM files WHERE collection = ? AND checksum = ? AND size = ?',
    ),
    file: database.prepare(
      'INSERT INTO files (collection, checksum, size, slices) VALUES (?, ?, ?, ?)',
    ),
    unfile: database.prepare(
      'DELETE FROM files WHERE collection = ? AND checksum = ? AND size = ?',
    ),
    entryHash: database.prepare('SELECT hash FROM entries WHERE collection = ? AND id = ?'),
    entry: database.prepare(
      `INSERT INTO entries (collection, id, version, text, hash, size) VALUES (?, ?, ?, ?, ?, ?)
        ON CONFLICT (collection, id) DO UPDATE SET version = excluded.version, text = excluded.text,
          hash = excluded.hash, size = excluded.size`,
    ),
  }
}

function collectionNumbers(database: DatabaseSync) {
  const insert = database.prepare('INSERT INTO collections (name) VALUES (?)')
  const rows = database.prepare('SELECT number, name FROM collections').all()
  const known = new Map(rows.map((row) => [String(row.name), Number(row.number)]))
  return {
    of: (name: string): number | undefined => known.get(name),
    make(name: string): number {
      const number = known.get(name) ?? Number(insert.run(name).lastInsertRowid)
      known.set(name, number)
      return number
    },
  }
}

type Rows = ReturnType<typeof fragmentRows>

/** One fragment at a time: made when it is not known yet, counted in the set of its holders. */
function fragmentRows(database: DatabaseSync, sets: Sets) {
  const get = fragmentStatement(database, 'WHERE collection = ? AND hash = ?')
  const insert = database.prepare('INSERT INTO fragments VALUES (?, ?, ?, ?, ?, ?, ?)')
  const want = database.prepare(
    'UPDATE fragments SET wanted = ?, unwanted_since = ? WHERE collection = ? AND hash = ?',
  )
  const move = database.prepare(
    'UPDATE fragments SET holders = ? WHERE collection = ? AND hash = ?',
  )
  const remove = database.prepare('DELETE FROM fragments WHERE collection = ? AND hash = ?')
  const find = (collection: number, hash: string): FragmentRow | undefined => {
    const row = get.get(collection, blobOf(hash))
    return row && fragmentRow(row, sets)
  }
  return {
    find,
    /** Of one hash there is one fragment: the first that was said. */
    make(collection: number, fragment: Fragment, unwantedSince?: number): FragmentRow {
      const known = find(collection, fragment.hash)
      if (known) return known
      const set = sets.of(collection, [])
      const { hash, size, kind } = fragment
      const since = unwantedSince ?? null
      insert.run(collection, blobOf(hash), size, kindNumber(kind), 0, since, set.number)
      sets.count(set, 1, false)
      return { hash, size, kind, wanted: 0, unwantedSince, set }
    },
    want(collection: number, { hash, wanted, set }: FragmentRow): void {
      want.run(wanted + 1, null, collection, blobOf(hash))
      if (wanted === 0) sets.want(set, 1)
    },
    unwant(collection: number, hash: string, at: number): void {
      const row = find(collection, hash)
      if (!row || row.wanted === 0) return
      want.run(row.wanted - 1, row.wanted === 1 ? at : null, collection, blobOf(hash))
      if (row.wanted === 1) sets.want(row.set, -1)
    },
    move(collection: number, { hash, wanted, set }: FragmentRow, holders: readonly Holder[]): void {
      const next = sets.of(collection, holders)
      sets.count(set, -1, wanted > 0)
      sets.count(next, 1, wanted > 0)
      move.run(next.number, collection, blobOf(hash))
    },
    forget(collection: number, hash: string): void {
      const row = find(collection, hash)
      if (!row || row.wanted > 0 || row.set.holders.length > 0) return
      remove.run(collection, blobOf(hash))
      sets.count(row.set, -1, false)
    },
  }
}

function fileChanges(statements: ReturnType<typeof prepared>, rows: Rows) {
  return {
    file(collection: number, { file, slices }: Only<'file'>): void {
      const checksum = blobOf(file.checksum)
      if (statements.slices.get(collection, checksum, file.size)) return
      const made = new Map<string, FragmentRow>()
      for (const slice of slices)
        if (!made.has(slice.hash)) made.set(slice.hash, rows.make(collection, slice))
      for (const row of made.values()) rows.want(collection, row)
      const known = slices.map((slice) => made.get(slice.hash) ?? slice)
      statements.file.run(collection, checksum, file.size, packSlices(known))
    },
    unfile(collection: number, { file, at }: Only<'unfile'>): void {
      const checksum = blobOf(file.checksum)
      const row = statements.slices.get(collection, checksum, file.size)
      if (!row) return
      for (const hash of new Set(slicesOf(row.slices).map((slice) => slice.hash)))
        rows.unwant(collection, hash, at)
      statements.unfile.run(collection, checksum, file.size)
    },
    entry(collection: number, { entry, at }: Only<'entry'>): void {
      const { id, version, text, fragment } = entry
      const before = statements.entryHash.get(collection, id)
      const old = before && hexOf(before.hash)
      if (old !== fragment.hash) {
        rows.want(collection, rows.make(collection, fragment))
        if (old !== undefined) rows.unwant(collection, old, at)
      }
      const hash = blobOf(fragment.hash)
      statements.entry.run(collection, id, version, text, hash, fragment.size)
    },
  }
}

function holderChanges(rows: Rows, sums: ReturnType<typeof holdingSums>) {
  return {
    hold(collection: number, { fragment, pillar, stage, at }: Only<'hold'>): void {
      const row = rows.make(collection, fragment, at)
      const known = row.set.holders.find((holder) => holder.pillar === pillar)
      // What came late takes nothing back.
      if (known?.stage === 'persisted' || known?.stage === stage) return
      const others = row.set.holders.filter((holder) => holder.pillar !== pillar)
      const holders = [...others, { pillar, stage }]
      rows.move(
        collection,
        row,
        holders.sort((a, b) => (a.pillar < b.pillar ? -1 : 1)),
      )
      if (!known) sums.count(collection, pillar, row, 1)
    },
    lose(collection: number, { hash, pillar }: Only<'lose'>): void {
      const row = rows.find(collection, hash)
      const holders = row?.set.holders.filter((holder) => holder.pillar !== pillar)
      if (!row || !holders || holders.length === row.set.holders.length) return
      rows.move(collection, row, holders)
      sums.count(collection, pillar, row, -1)
    },
  }
}

/** Counts and digest of what each pillar holds, as its own index has them. */
function holdingSums(database: DatabaseSync) {
  const write = database.prepare('INSERT OR REPLACE INTO holdings VALUES (?, ?, ?, ?, ?)')
  const sums = new Map<string, Sum>()
  const touched = new Map<string, [number, string]>()
  const keyOf = (collection: number, pillar: string): string => `${collection} ${pillar}`
  for (const row of database.prepare('SELECT * FROM holdings').iterate())
    sums.set(keyOf(Number(row.collection), String(row.pillar)), {
      files: Number(row.files),
      bytes: Number(row.bytes),
      mark: BigInt(`0x${row.digest}`),
    })
  const of = (collection: number, pillar: string): Sum =>
    sums.get(keyOf(collection, pillar)) ?? { files: 0, bytes: 0, mark: 0n }
  return {
    of,
    count(collection: number, pillar: string, fragment: Fragment, sign: 1 | -1): void {
      const { files, bytes, mark } = of(collection, pillar)
      const key = keyOf(collection, pillar)
      sums.set(key, {
        files: files + sign,
        bytes: bytes + sign * fragment.size,
        mark: mark ^ fileMark(fragmentFileId(fragment), fragment.hash),
      })
      touched.set(key, [collection, pillar])
    },
    settle(): void {
      for (const [collection, pillar] of touched.values()) {
        const { files, bytes, mark } = of(collection, pillar)
        write.run(collection, pillar, files, bytes, markText(mark))
      }
      touched.clear()
    },
  }
}
