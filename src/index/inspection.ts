/** Looking at the structure of the database, and making anew what can be made of its rows. */
import type { DatabaseSync } from 'node:sqlite'
import { DiskError } from '../disk/disk.ts'

/** What was wrong and is mended; undefined when nothing was. Throws `corrupt` when rows themselves are not to be had. */
export function inspected(database: DatabaseSync): string | undefined {
  const wrong = faults(database)
  if (wrong === undefined) return undefined
  waysMadeAnew(database)
  const left = faults(database)
  if (left !== undefined) throw new DiskError('corrupt', `database: ${left}`)
  return wrong
}

/**
 * The ways to find rows are made again of the rows: where one says something else than its row, SQLite refuses to touch
 * the row.
 */
export const waysMadeAnew = (database: DatabaseSync): void => database.exec('REINDEX')

function faults(database: DatabaseSync): string | undefined {
  const found = database.prepare('PRAGMA integrity_check(1)').get()
  const text = String(found?.integrity_check)
  return text === 'ok' ? undefined : text
}
