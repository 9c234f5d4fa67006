import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { ListQuery, Page, StoredFile } from './index.ts'
import { fileStatement, leanColumns, prepareOnce, type Sieve } from './rows.ts'

/** Up to so many files with a prefix are fetched and sorted; more are cheaper met while walking by time. */
const sortedMax = 20_000

export type Lister = (query: ListQuery) => Page

export function indexLister(database: DatabaseSync, rows: Sieve): Lister {
  const counting = prepareOnce((sql) => database.prepare(sql))
  const listing = prepareOnce((sql) => fileStatement(database, sql))
  const few = (query: ListQuery): boolean => {
    if (query.ids !== undefined) return true
    if (!query.prefix) return false
    const { where, values } = conditions({ ...query, ids: undefined })
    const bounded = `SELECT 1 FROM files INDEXED BY files_id WHERE ${where} LIMIT ${sortedMax + 1}`
    const sql = `SELECT count(*) AS files FROM (${bounded})`
    const row = counting(sql).get(...values)
    return Number(row?.files) <= sortedMax
  }
  return (query) => {
    const bySequence = query.afterSequence !== undefined
    // Index times never repeat within a volume, so this is the order by (timestamp, id), and no sorting is needed.
    const order = bySequence ? 'sequence' : 'timestamp, sequence'
    const walked = bySequence ? 'NOT INDEXED' : 'INDEXED BY files_time'
    const how = few(query) ? 'INDEXED BY files_id' : walked
    const { where, values } = conditions(query)
    const sql = `SELECT ${leanColumns} FROM files ${how} WHERE ${where} ORDER BY ${order}`
    const { collection, limit } = query
    // All at once costs half of one after the other.
    const found = listing(`${sql} LIMIT ?`).all(...values, Math.min(limit, rowsMax) + 1)
    const whole = found.length <= limit
    const files = soundOf(found, rows, collection)
    if (whole || files.length > limit) return { files: files.slice(0, limit), partial: !whole }
    return pageOf(listing(sql).iterate(...values), rows, query)
  }
}

/** More is not asked for by anybody, and no memory holds it. */
const rowsMax = 2 ** 31

function soundOf(found: readonly unknown[], rows: Sieve, collection: string): StoredFile[] {
  const files: StoredFile[] = []
  for (const row of found) {
    const file = rows.sound(row, collection)
    if (file) files.push(file)
  }
  return files
}

/** Altered rows are passed over without making the page shorter. */
function pageOf(
  found: Iterable<unknown>,
  rows: Sieve,
  { collection, limit }: Pick<ListQuery, 'collection' | 'limit'>,
): Page {
  const files: StoredFile[] = []
  for (const row of found) {
    const file = rows.sound(row, collection)
    if (file === undefined) continue
    if (files.length === limit) return { files, partial: true }
    files.push(file)
  }
  return { files, partial: false }
}

interface Conditions {
  readonly where: string
  readonly values: SQLInputValue[]
}

type Filter = Omit<ListQuery, 'ids'> & { readonly ids?: readonly string[] | undefined }

/** Of every listing, whatever its table: all have these columns. */
export function conditions(query: Filter): Conditions {
  const { collection, ids, prefix, minTimestamp, maxTimestamp, after, afterSequence } = query
  const terms: [sql: string, ...values: SQLInputValue[]][] = [['collection = ?', collection]]
  if (ids) terms.push(['id IN (SELECT value FROM json_each(?))', JSON.stringify(ids)])
  if (prefix) {
    terms.push(['id >= ?', prefix])
    const end = prefixEnd(prefix)
    if (end !== undefined) terms.push(['id < ?', end])
  }
  if (minTimestamp !== undefined) terms.push(['timestamp >= ?', minTimestamp])
  if (maxTimestamp !== undefined) terms.push(['timestamp <= ?', maxTimestamp])
  if (after) terms.push(['(timestamp, id) > (?, ?)', after.timestamp, after.id])
  if (afterSequence !== undefined) terms.push(['sequence > ?', afterSequence])
  return {
    where: terms.map(([sql]) => sql).join(' AND '),
    values: terms.flatMap(([, ...values]) => values),
  }
}

/** The first text, by code points, after all that begin with this prefix; undefined when there is none. */
export function prefixEnd(prefix: string): string | undefined {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) return undefined
  // The surrogates between are no characters.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}
