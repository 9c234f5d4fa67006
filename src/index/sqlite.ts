import type { DatabaseSync } from 'node:sqlite'
import { DiskError } from '../disk/disk.ts'
import type { Synchronous } from '../world/synchronous.ts'
import { indexWriter } from './changes.ts'
import { openDatabase, translated } from './database.ts'
import { foldPath, type Index, type StoredFile } from './index.ts'
import { inspected } from './inspection.ts'
import { indexLister } from './queries.ts'
import { removalQueries } from './removals.ts'
import {
  auditColumns,
  auditOf,
  fileColumns,
  fileStatement,
  receivingColumns,
  receivingOf,
  sieve,
} from './rows.ts'
import { indexUpgrades } from './schema.ts'
import { trailQueries } from './trail.ts'

/** The index as the volume's own thread sees it. */
export type SyncIndex = Synchronous<Index>

/**
 * Opens the index of a volume (a file, or ':memory:') and keeps everybody else out until it is closed. Throws a
 * DiskError with the code `busy` when another process has it, `tooNew` when a later release wrote it, `corrupt`
 * when it is none.
 */
export function openIndex(path: string): SyncIndex {
  const database = openDatabase({ path, upgrades: indexUpgrades, cacheKiB: 8192 })
  const rows = sieve()
  const writer = indexWriter(database, rows)
  const list = indexLister(database, rows)
  const files = fileQueries(database)
  const requests = requestQueries(database)
  let broken: unknown

  return checked(rows.broken, {
    commit(changes) {
      if (broken !== undefined) throw broken
      try {
        writer.commit(changes)
      } catch (error) {
        // After a failed sync nobody knows what the disk holds: this index takes no more until it is opened anew.
        if (error instanceof DiskError && error.code === 'EIO') broken = error
        throw error
      }
    },
    stored: (collection, ids) =>
      ids.map((id) => {
        const row = files.stored.get(collection, id)
        return row && rows.sound(row)
      }),
    receiving: (collection, ids) =>
      ids.map((id) => {
        const row = files.receiving.get(collection, id)
        return row && receivingOf(row)
      }),
    allReceiving: () => files.allReceiving.all().map(receivingOf),
    conflict(collection, id) {
      const ancestors = JSON.stringify(ancestorsOf(id))
      // '0' is the character after '/'.
      return text(files.conflict.get(collection, ancestors, `${id}/`, `${id}0`)?.id)
    },
    withBytes(collection, checksum, size) {
      for (const row of files.withBytes.iterate(collection, checksum, size)) {
        const file = rows.sound(row)
        if (file) return file
      }
      return undefined
    },
    atPath: (collection, folded) => text(files.atPath.get(collection, folded)?.id),
    list,
    oldestProof(collection) {
      const row = files.oldestProof.get(collection)
      return row && Number(row.provenAt)
    },
    leastProven(collection, limit) {
      const found: StoredFile[] = []
      for (const row of files.leastProven.iterate(collection)) {
        const file = rows.sound(row)
        if (file) found.push(file)
        if (found.length >= limit) break
      }
      return found
    },
    proofAges: (collection, before) =>
      before.map((time) => Number(files.provenBefore.get(collection, time)?.files)),
    summary: () => writer.summary(),
    ...requests,
    ...removalQueries(database),
    trail: trailQueries(database),
    damaged: () => rows.damaged(),
    watch: (tell) => rows.watch(tell),
    strangers(collection, paths) {
      const pairs = paths.map((path) => [foldPath(path), path])
      return files.strangers.all(collection, JSON.stringify(pairs)).map((row) => String(row.path))
    },
    inspect: () => inspected(database),
    close() {
      if (database.isOpen) database.close()
    },
  })
}

/** For use in the thread itself: simulations and tests. */
export function asyncIndex(index: SyncIndex): Index {
  return {
    commit: async (changes) => index.commit(changes),
    stored: async (collection, ids) => index.stored(collection, ids),
    receiving: async (collection, ids) => index.receiving(collection, ids),
    allReceiving: async () => index.allReceiving(),
    conflict: async (collection, id) => index.conflict(collection, id),
    withBytes: async (collection, checksum, size) => index.withBytes(collection, checksum, size),
    atPath: async (collection, folded) => index.atPath(collection, folded),
    list: async (query) => index.list(query),
    oldestProof: async (collection) => index.oldestProof(collection),
    leastProven: async (collection, limit) => index.leastProven(collection, limit),
    proofAges: async (collection, before) => index.proofAges(collection, before),
    summary: async () => index.summary(),
    answer: async (key) => index.answer(key),
    accepted: async () => index.accepted(),
    fact: async (key) => index.fact(key),
    audit: async (after, limit) => index.audit(after, limit),
    versions: async (collection, ids) => index.versions(collection, ids),
    tombstones: async (query) => index.tombstones(query),
    retained: async (query) => index.retained(query),
    retainedBytes: async () => index.retainedBytes(),
    trail: async (query) => index.trail(query),
    damaged: async () => index.damaged(),
    watch: async (tell) => index.watch(tell),
    strangers: async (collection, paths) => index.strangers(collection, paths),
    inspect: async () => index.inspect(),
    close: async () => index.close(),
  }
}

function fileQueries(database: DatabaseSync) {
  const stored = `SELECT ${fileColumns} FROM files`
  const receiving = `SELECT ${receivingColumns} FROM receiving`
  const ids = (table: string, where: string): string =>
    `SELECT id FROM ${table} WHERE collection = ?1 AND ${where}`
  const ancestor = 'id IN (SELECT value FROM json_each(?2))'
  const below = 'id > ?3 AND id < ?4'
  return {
    stored: fileStatement(database, `${stored} WHERE collection = ? AND id = ?`),
    withBytes: fileStatement(
      database,
      `${stored} WHERE collection = ? AND checksum = ? AND size = ?`,
    ),
    receiving: database.prepare(`${receiving} WHERE collection = ? AND id = ?`),
    allReceiving: database.prepare(`${receiving} ORDER BY since, collection, id`),
    atPath: database.prepare(
      `${ids('files', 'folded = ?2')} UNION ALL ${ids('receiving', 'folded = ?2')} LIMIT 1`,
    ),
    oldestProof: database.prepare(
      `SELECT proven_at AS provenAt FROM files INDEXED BY files_proven
        WHERE collection = ? ORDER BY proven_at LIMIT 1`,
    ),
    leastProven: fileStatement(
      database,
      `${stored} INDEXED BY files_proven WHERE collection = ? ORDER BY proven_at`,
    ),
    provenBefore: database.prepare(
      `SELECT count(*) AS files FROM files INDEXED BY files_proven
        WHERE collection = ? AND proven_at < ?`,
    ),
    // Each as [folded, path]: only the folded ones have an index.
    strangers: database.prepare(
      `SELECT value ->> 1 AS path FROM json_each(?2) AS one
        WHERE NOT EXISTS (SELECT 1 FROM files
          WHERE collection = ?1 AND folded = one.value ->> 0 AND path = one.value ->> 1)
        AND NOT EXISTS (SELECT 1 FROM receiving
          WHERE collection = ?1 AND folded = one.value ->> 0 AND path = one.value ->> 1)`,
    ),
    conflict: database.prepare(
      `${ids('files', ancestor)} UNION ALL ${ids('receiving', ancestor)}
        UNION ALL ${ids('files', below)} UNION ALL ${ids('receiving', below)} LIMIT 1`,
    ),
  }
}

function requestQueries(database: DatabaseSync) {
  const answers = database.prepare(
    'SELECT substance, answer, keep_until FROM answers WHERE key = ?',
  )
  const accepted = database.prepare(
    'SELECT key, substance, request, signer FROM accepted ORDER BY place',
  )
  const facts = database.prepare('SELECT value FROM facts WHERE key = ?')
  const audit = database.prepare(
    `SELECT ${auditColumns} FROM audit WHERE sequence > ? ORDER BY sequence LIMIT ?`,
  )
  const queries: Pick<SyncIndex, 'answer' | 'accepted' | 'fact' | 'audit'> = {
    answer(key) {
      const row = answers.get(key)
      return (
        row && {
          substance: String(row.substance),
          answer: String(row.answer),
          keepUntil: Number(row.keep_until),
        }
      )
    },
    accepted: () =>
      accepted.all().map((row) => ({
        key: String(row.key),
        substance: String(row.substance),
        request: String(row.request),
        ...(row.signer === null ? {} : { signer: String(row.signer) }),
      })),
    fact: (key) => text(facts.get(key)?.value),
    audit: (after, limit) => audit.all(after, limit).map(auditOf),
  }
  return queries
}

/** `a/b/c` has the ancestors `a` and `a/b`. */
function ancestorsOf(id: string): string[] {
  const names = id.split('/')
  return names.slice(1).map((_, depth) => names.slice(0, depth + 1).join('/'))
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

/** Says what SQLite says about the disk as a DiskError, whatever the method. */
function checked(broken: (why: string) => void, index: SyncIndex): SyncIndex {
  const check =
    <Args extends unknown[], Result>(method: (...args: Args) => Result) =>
    (...args: Args): Result => {
      try {
        return method(...args)
      } catch (error) {
        const known = translated(error)
        if (known instanceof DiskError && known.code === 'corrupt') broken(known.message)
        throw known
      }
    }
  return {
    commit: check(index.commit),
    stored: check(index.stored),
    receiving: check(index.receiving),
    allReceiving: check(index.allReceiving),
    conflict: check(index.conflict),
    withBytes: check(index.withBytes),
    atPath: check(index.atPath),
    list: check(index.list),
    oldestProof: check(index.oldestProof),
    leastProven: check(index.leastProven),
    proofAges: check(index.proofAges),
    summary: check(index.summary),
    answer: check(index.answer),
    accepted: check(index.accepted),
    fact: check(index.fact),
    audit: check(index.audit),
    versions: check(index.versions),
    tombstones: check(index.tombstones),
    retained: check(index.retained),
    retainedBytes: check(index.retainedBytes),
    trail: check(index.trail),
    damaged: check(index.damaged),
    watch: check(index.watch),
    strangers: check(index.strangers),
    inspect: check(index.inspect),
    close: check(index.close),
  }
}
