import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import { textDigest } from '../world/hashing.ts'
import type { Change, RetainedFile, StoredFile, Tombstone } from './index.ts'
import { conditions } from './queries.ts'
import { prepareOnce, type Row } from './rows.ts'
import type { SyncIndex } from './sqlite.ts'

/** Rows about what was deleted: tombstones, the bytes that are kept aside, confirmations of what was not. */

const tombstoneColumns =
  'collection, id, size, checksum, mtime, version, removed_at, timestamp, sequence, digest'
const retainedColumns = 'collection, id, version, size, checksum, mtime, path, state, since'

function tombstoneDigest(stone: Tombstone): string {
  const { collection, id, size, checksum, mtime, version, removedAt, timestamp, sequence } = stone
  const fields = [collection, id, size, checksum, mtime, version, removedAt, timestamp, sequence]
  return textDigest(JSON.stringify(fields)).slice(0, 16)
}

/** Undefined when the row was altered: then nobody knows what was deleted. */
function tombstoneOf(row: Row): Tombstone | undefined {
  const stone: Tombstone = {
    collection: row.collection as string,
    id: row.id as string,
    size: row.size as number,
    checksum: row.checksum as string,
    mtime: row.mtime as number,
    version: row.version as number,
    removedAt: row.removed_at as number,
    timestamp: row.timestamp as number,
    sequence: row.sequence as number,
  }
  return tombstoneDigest(stone) === row.digest ? stone : undefined
}

const retainedOf = (row: Row): RetainedFile => ({
  collection: row.collection as string,
  id: row.id as string,
  version: row.version as number,
  size: row.size as number,
  checksum: row.checksum as string,
  mtime: row.mtime as number,
  path: row.path as string,
  state: row.state as RetainedFile['state'],
  since: row.since as number,
})

type Queries = Pick<SyncIndex, 'versions' | 'tombstones' | 'retained' | 'retainedBytes'>

export function removalQueries(database: DatabaseSync): Queries {
  const version = database.prepare(
    `SELECT max(sequence, coalesce((SELECT version FROM confirmed AS c
        WHERE c.collection = f.collection AND c.id = f.id), 0)) AS version
      FROM files AS f WHERE collection = ? AND id = ?`,
  )
  const once = prepareOnce((sql) => database.prepare(sql))
  const bytes = database.prepare('SELECT coalesce(sum(size), 0) AS bytes FROM retained')
  return {
    versions: (collection, ids) =>
      ids.map((id) => {
        const row = version.get(collection, id)
        return row && Number(row.version)
      }),
    tombstones(query) {
      const { where, values } = conditions(query)
      const sql = `SELECT ${tombstoneColumns} FROM tombstones WHERE ${where} ORDER BY timestamp, id`
      const tombstones: Tombstone[] = []
      for (const row of once(sql).iterate(...values)) {
        const stone = tombstoneOf(row)
        if (!stone) continue
        if (tombstones.length === query.limit) return { tombstones, partial: true }
        tombstones.push(stone)
      }
      return { tombstones, partial: false }
    },
    retained({ collection, except, ids, keptBefore, moving, limit }) {
      const terms: [sql: string, ...values: SQLInputValue[]][] = [['true']]
      if (collection !== undefined) terms.push(['collection = ?', collection])
      if (except && except.length > 0)
        terms.push(['collection NOT IN (SELECT value FROM json_each(?))', JSON.stringify(except)])
      if (ids) terms.push(['id IN (SELECT value FROM json_each(?))', JSON.stringify(ids)])
      if (keptBefore !== undefined) terms.push([`state = 'kept' AND since < ?`, keptBefore])
      if (moving) terms.push([`state <> 'kept'`])
      const where = terms.map(([sql]) => sql).join(' AND ')
      const order = 'ORDER BY since, collection, id, version LIMIT ?'
      return once(`SELECT ${retainedColumns} FROM retained WHERE ${where} ${order}`)
        .all(...terms.flatMap(([, ...values]) => values), limit)
        .map(retainedOf)
    },
    retainedBytes: () => Number(bytes.get()?.bytes),
  }
}

type Only<Do extends Change['do']> = Extract<Change, { readonly do: Do }>

/** The writing half; counts and sequences are kept by who calls. */
export function removalChanges(database: DatabaseSync) {
  const bury = database.prepare(
    `INSERT OR REPLACE INTO tombstones (${tombstoneColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const raise = database.prepare('DELETE FROM tombstones WHERE collection = ? AND id = ?')
  const doubt = database.prepare('DELETE FROM confirmed WHERE collection = ? AND id = ?')
  const confirm = database.prepare('INSERT OR REPLACE INTO confirmed VALUES (?, ?, ?)')
  const retain = database.prepare(
    `INSERT OR REPLACE INTO retained (${retainedColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const release = database.prepare(
    'DELETE FROM retained WHERE collection = ? AND id = ? AND version = ?',
  )
  return {
    /** True when there was a tombstone: bytes stand under its id again. */
    stored({ collection, id }: Pick<StoredFile, 'collection' | 'id'>): boolean {
      doubt.run(collection, id)
      return Number(raise.run(collection, id).changes) > 0
    },
    removed(stone: Tombstone): void {
      const { collection, id, size, checksum, mtime, version, removedAt, timestamp } = stone
      doubt.run(collection, id)
      bury.run(
        ...[collection, id, size, checksum, mtime, version, removedAt, timestamp, stone.sequence],
        tombstoneDigest(stone),
      )
    },
    confirm: (collection: string, id: string, version: number) =>
      void confirm.run(collection, id, version),
    retain({ file }: Only<'retain'>): void {
      const { collection, id, version, size, checksum, mtime, path, state, since } = file
      retain.run(collection, id, version, size, checksum, mtime, path, state, since)
    },
    release: ({ collection, id, version }: Only<'release'>) =>
      void release.run(collection, id, version),
  }
}
