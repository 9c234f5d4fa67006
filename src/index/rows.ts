import { strict as assert } from 'node:assert'
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import { textDigest } from '../world/hashing.ts'
import type { AuditEntry, DamagedRow, IndexDamage, ReceivingFile, StoredFile } from './index.ts'

export type Row = Record<string, SQLOutputValue>

/** In the order of the digest, which comes last. */
export const fileColumns =
  'collection, id, size, checksum, mtime, path, timestamp, sequence, proven_at, digest'
/** The same for pages of one collection, without what `sound` knows already: texts cost most of reading a row. */
export const leanColumns =
  'NULL, id, size, checksum, mtime, nullif(path, id), timestamp, sequence, proven_at, digest'
export const receivingColumns = 'collection, id, size, checksum, mtime, path, safe, since'
export const auditColumns =
  'sequence, at, event, collection, id, actor, conversation, outcome, key, information, hash'

/** SQLite has no checksums of its own; 64 bits are plenty against a disk that forgets, and short. */
export function rowDigest(file: StoredFile): string {
  const { collection, id, size, checksum, mtime, path, timestamp, sequence, provenAt } = file
  return digestOf([collection, id, size, checksum, mtime, path, timestamp, sequence, provenAt])
}

const digestOf = (fields: readonly SQLOutputValue[]): string =>
  textDigest(JSON.stringify(fields)).slice(0, 16)

/** Statements by their text, each prepared when it is needed first: there are as many as combinations of conditions. */
export function prepareOnce(prepare: (sql: string) => StatementSync) {
  const statements = new Map<string, StatementSync>()
  return (sql: string): StatementSync => {
    const statement = statements.get(sql) ?? prepare(sql)
    statements.set(sql, statement)
    return statement
  }
}

/** A statement over `fileColumns`; its rows are arrays, which cost half of what objects do. */
export function fileStatement(database: DatabaseSync, sql: string): StatementSync {
  const statement = database.prepare(sql)
  statement.setReturnArrays(true)
  return statement
}

/** The file of one row as it stands, whether or not its digest is right. STRICT tables keep the types. */
function fileOf(cells: readonly SQLOutputValue[]): StoredFile {
  const [collection, id, size, checksum, mtime, path, timestamp, sequence, provenAt] = cells
  return {
    collection: collection as string,
    id: id as string,
    size: size as number,
    checksum: checksum as string,
    mtime: mtime as number,
    path: path as string,
    timestamp: timestamp as number,
    sequence: sequence as number,
    provenAt: provenAt as number,
  }
}

export function receivingOf(row: Row): ReceivingFile {
  return {
    collection: row.collection as string,
    id: row.id as string,
    size: row.size as number,
    checksum: row.checksum as string,
    mtime: row.mtime as number,
    path: row.path as string,
    safe: row.safe as number,
    since: row.since as number,
  }
}

export function auditOf(row: Row): AuditEntry {
  return {
    sequence: row.sequence as number,
    at: row.at as number,
    event: row.event as string,
    collection: row.collection as string,
    id: row.id as string,
    actor: row.actor as string,
    conversation: row.conversation as string,
    outcome: row.outcome as string,
    ...(row.key === null ? {} : { key: row.key as string }),
    ...(row.information === null ? {} : { information: row.information as string }),
    hash: row.hash as string,
  }
}

/** Remembers which rows were found altered, and lets only the sound ones through. */
export interface Sieve {
  /**
   * The file of a row of a `fileStatement`, or undefined when its digest is wrong. Takes the row over; the collection is
   * needed for `leanColumns`.
   */
  sound(row: unknown, collection?: string): StoredFile | undefined
  /** The file was stored anew. */
  mended(collection: string, id: string): void
  damaged(): DamagedRow[]
  watch(tell: (found: IndexDamage) => void): void
  /** The database itself is damaged. */
  broken(why: string): void
}

export function sieve(): Sieve {
  const found = new Map<string, DamagedRow>()
  let tell: ((found: IndexDamage) => void) | undefined
  const keyOf = (collection: string, id: string): string => JSON.stringify([collection, id])
  return {
    sound(row, of) {
      assert(Array.isArray(row), 'rows of files are arrays')
      const cells: SQLOutputValue[] = row
      const digest = cells.pop()
      if (of !== undefined) {
        cells[0] = of
        cells[5] ??= cells[1] as SQLOutputValue
      }
      const file = fileOf(cells)
      if (digestOf(cells) === digest) return file
      const { collection, id } = file
      const known = found.get(keyOf(collection, id))
      if (known?.says.sequence === file.sequence) return undefined
      const damage = { collection, id, says: file }
      found.set(keyOf(collection, id), damage)
      tell?.({ is: 'row', row: damage })
      return undefined
    },
    mended: (collection, id) => {
      found.delete(keyOf(collection, id))
    },
    damaged: () => [...found.values()],
    watch(listener) {
      tell = listener
      for (const row of found.values()) tell({ is: 'row', row })
    },
    broken: (why) => tell?.({ is: 'database', why }),
  }
}

/** What one file adds to the digest of its collection: 128 bits of SHA-256 over id and checksum. */
export const fileMark = (id: string, checksum: string): bigint =>
  BigInt(`0x${textDigest(`${id}\0${checksum}`).slice(0, 32)}`)

export const markText = (mark: bigint): string => mark.toString(16).padStart(32, '0')
