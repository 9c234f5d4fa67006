import { DatabaseSync } from 'node:sqlite'
import { DiskError } from '../disk/disk.ts'

export interface DatabaseOptions {
  /** A file, or ':memory:'. */
  readonly path: string
  /** SQL that makes version n + 1 of the schema out of version n; the first makes the tables. Never change one. */
  readonly upgrades: readonly string[]
  /** What SQLite may keep in memory, in KiB. */
  readonly cacheKiB: number
}

/**
 * Opens a database of ours, brought up to the newest schema. A commit survives a power cut, and the file is ours
 * alone until it is closed: another opener gets a DiskError with the code `busy` at once.
 */
export function openDatabase({ path, upgrades, cacheKiB }: DatabaseOptions): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 0 })
    // EXCLUSIVE before WAL: then no shared memory file is made, which exFAT and others could not map.
    database.exec(`PRAGMA locking_mode = EXCLUSIVE;
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = FULL;
      PRAGMA temp_store = MEMORY;
      PRAGMA journal_size_limit = 8388608;
      PRAGMA cache_size = -${cacheKiB}`)
    database.exec('BEGIN EXCLUSIVE')
    upgrade(database, upgrades)
    database.exec('COMMIT')
    return database
  } catch (error) {
    database?.close()
    throw translated(error)
  }
}

function upgrade(database: DatabaseSync, upgrades: readonly string[]): void {
  const version = Number(database.prepare('PRAGMA user_version').get()?.user_version)
  if (version > upgrades.length) {
    throw new DiskError(
      'tooNew',
      `the database has schema ${version}, this program knows up to ${upgrades.length}`,
    )
  }
  if (version === upgrades.length) return
  for (const sql of upgrades.slice(version)) database.exec(sql)
  database.exec(`PRAGMA user_version = ${upgrades.length}`)
}

/** Runs `work` in one transaction: all of it survives a power cut when this returns, or nothing of it happened. */
export function inTransaction(database: DatabaseSync, work: () => void): void {
  try {
    database.exec('BEGIN IMMEDIATE')
    work()
    database.exec('COMMIT')
  } catch (error) {
    // SQLite has rolled back by itself after some errors.
    if (database.isTransaction) database.exec('ROLLBACK')
    throw translated(error)
  }
}

/** By SQLite's primary result code. */
const codes = new Map([
  [5, 'busy'],
  [6, 'busy'],
  [8, 'EROFS'],
  [10, 'EIO'],
  [11, 'corrupt'],
  [13, 'ENOSPC'],
  [14, 'EIO'],
  [26, 'corrupt'],
])

/** What SQLite says about the disk, as a DiskError. */
export function told<Result>(query: () => Result): Result {
  try {
    return query()
  } catch (error) {
    throw translated(error)
  }
}

/** The DiskError for what SQLite says about the disk; anything else is a mistake of ours and stays as it is. */
export function translated(error: unknown): unknown {
  if (!(error instanceof Error) || !('errcode' in error)) return error
  const code = codes.get(Number(error.errcode) & 0xff)
  if (code === undefined) return error
  const what = code === 'busy' ? 'another agent is using this volume' : `database: ${error.message}`
  return new DiskError(code, what)
}
