/** Questions to the audit chain. */
import type { DatabaseSync } from 'node:sqlite'
import { noAuditHash, type TrailPage, type TrailQuery } from './index.ts'
import { auditColumns, auditOf } from './rows.ts'

const furthest = Number.MAX_SAFE_INTEGER

export function trailQueries(database: DatabaseSync): (query: TrailQuery) => TrailPage {
  const select = (how: string, more: string) =>
    database.prepare(
      `SELECT ${auditColumns},
        (SELECT hash FROM audit AS before WHERE before.sequence = audit.sequence - 1) AS previous
      FROM audit ${how} WHERE collection = ? AND sequence BETWEEN ? AND ? AND at BETWEEN ? AND ?
        ${more} ORDER BY sequence LIMIT ?`,
    )
  // The chain is walked in its own order, but for one file among many there is an index.
  const all = select('NOT INDEXED', '')
  const ofFile = select('INDEXED BY audit_file', 'AND id = ?')
  return ({ collection, id, limit, ...within }) => {
    const first = Math.max(within.minSequence ?? 1, (within.after ?? 0) + 1)
    const bounds = [collection, first, within.maxSequence ?? furthest]
    const window = [within.minAt ?? -furthest, within.maxAt ?? furthest]
    const rows =
      id === undefined
        ? all.all(...bounds, ...window, limit + 1)
        : ofFile.all(...bounds, ...window, id, limit + 1)
    const entries = rows.slice(0, limit).map((row) => ({
      ...auditOf(row),
      // Of the first entry; or of one whose predecessor was taken away, which then does not verify.
      previous: String(row.previous ?? noAuditHash),
    }))
    return { entries, partial: rows.length > limit }
  }
}
