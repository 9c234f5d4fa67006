import { inTransaction, openDatabase, told } from '../index/database.ts'
import type { Synchronous } from '../world/synchronous.ts'
import type { State, StatePage } from './state.ts'

export type SyncState = Synchronous<State>

/** SQL that brings the state from version n to n + 1. A released line is never changed, only followed by another. */
const upgrades: readonly string[] = [
  'CREATE TABLE entries (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID',
]

/**
 * Opens a state (a file, or ':memory:') and keeps everybody else out until it is closed. Throws a DiskError with the
 * code `busy` when another process has it, `tooNew` when a later release wrote it, `corrupt` when it is none.
 */
export function openSyncState(path: string): SyncState {
  const database = openDatabase({ path, upgrades, cacheKiB: 512 })
  const get = database.prepare('SELECT value FROM entries WHERE key = ?')
  // Only as far as needed: the caller stops at the first key beyond the prefix.
  const from = database.prepare('SELECT key, value FROM entries WHERE key >= ? ORDER BY key')
  const put = database.prepare('INSERT OR REPLACE INTO entries VALUES (?, ?)')
  const remove = database.prepare('DELETE FROM entries WHERE key = ?')

  const keysFrom = database.prepare('SELECT key FROM entries WHERE key >= ? ORDER BY key')

  const list = (prefix: string, page?: StatePage): [string, string][] => {
    const { after = prefix, limit = Number.POSITIVE_INFINITY } = page ?? {}
    const found: [string, string][] = []
    for (const row of from.iterate(after)) {
      const key = String(row.key)
      if (found.length >= limit || !key.startsWith(prefix)) break
      if (key !== page?.after) found.push([key, String(row.value)])
    }
    return found
  }
  const count = (prefix: string): number => {
    let found = 0
    for (const row of keysFrom.iterate(prefix)) {
      if (!String(row.key).startsWith(prefix)) break
      found++
    }
    return found
  }
  return {
    get(key) {
      const value = told(() => get.get(key))?.value
      return value === undefined ? undefined : String(value)
    },
    list: (prefix, page) => told(() => list(prefix, page)),
    count: (prefix) => told(() => count(prefix)),
    change(entries) {
      if (entries.length === 0) return
      inTransaction(database, () => {
        for (const [key, value] of entries) {
          if (value === undefined) remove.run(key)
          else put.run(key, value)
        }
      })
    },
    close() {
      if (database.isOpen) database.close()
    },
  }
}

/** The same in this thread. */
export function openState(path: string): State {
  const state = openSyncState(path)
  return {
    get: async (key) => state.get(key),
    list: async (prefix, page) => state.list(prefix, page),
    count: async (prefix) => state.count(prefix),
    change: async (entries) => state.change(entries),
    close: async () => state.close(),
  }
}
