import type { DatabaseSync } from 'node:sqlite'
import { textDigest } from '../world/hashing.ts'
import { inTransaction } from './database.ts'
import {
  type AuditEntry,
  auditSubstance,
  type Change,
  type CollectionSummary,
  damagedFact,
  foldPath,
  noAuditHash,
  type StoredFile,
  staleBag,
} from './index.ts'
import { waysMadeAnew } from './inspection.ts'
import { removalChanges } from './removals.ts'
import {
  auditColumns,
  fileColumns,
  fileMark,
  fileStatement,
  markText,
  rowDigest,
  type Sieve,
} from './rows.ts'

/** Counts of one collection, with its digest as a number. */
interface Sum {
  readonly files: number
  readonly bytes: number
  readonly mark: bigint
}

/** What the next change builds on; kept in memory and, with each commit, in the database. */
interface Tail {
  readonly timestamp: number
  readonly sequence: number
  readonly auditSequence: number
  readonly auditHash: string
  readonly sums: ReadonlyMap<string, Sum>
}

/** A tail that one transaction is moving on. */
type Draft = { -readonly [Key in keyof Tail]: Tail[Key] } & {
  readonly sums: Map<string, Sum>
  /** Collections whose sum must be written. */
  readonly touched: Set<string>
  /** Collections in which an altered row was replaced: what it had added is not known any more. */
  readonly recount: Set<string>
}

type Only<Do extends Change['do']> = Extract<Change, { readonly do: Do }>

export interface Writer {
  /** All or none, in one transaction. */
  commit(changes: readonly Change[]): void
  summary(): CollectionSummary[]
}

export function indexWriter(database: DatabaseSync, rows: Sieve): Writer {
  const statements = prepared(database)
  const removals = removalChanges(database)
  const changes = fileChanges(statements, rows, removals)
  const files = { ...changes, ...mendingChanges(statements, rows, removals, changes.store) }
  const apply = applier(statements, removals, files)
  let tail = loaded(database)

  return {
    commit(changes) {
      if (changes.length === 0) return
      const draft = draftOf(tail)
      inTransaction(database, () => {
        if (changes.some((change) => change.do === 'mend')) waysMadeAnew(database)
        for (const change of changes) apply(draft, change)
        settle(statements, draft, tail)
      })
      tail = draft
      for (const change of changes) {
        if (change.do === 'store') rows.mended(change.file.collection, change.file.id)
        if (change.do === 'mend') rows.mended(change.row.collection, change.row.id)
      }
    },
    summary: () =>
      [...tail.sums]
        .map(([collection, { files, bytes, mark }]) => {
          return { collection, files, bytes, digest: markText(mark) }
        })
        .sort((a, b) => (a.collection < b.collection ? -1 : 1)),
  }
}

type Statements = ReturnType<typeof prepared>

/** One step of a transaction. */
function applier(
  statements: Statements,
  removals: ReturnType<typeof removalChanges>,
  files: ReturnType<typeof fileChanges> & ReturnType<typeof mendingChanges>,
) {
  const accept = ({ request }: Only<'accept'>) =>
    statements.accept.run(request.key, request.substance, request.request, request.signer ?? null)
  return (draft: Draft, change: Change): void => {
    switch (change.do) {
      case 'receive':
        files.receive(change)
        break
      case 'safe':
        statements.safe.run(change.safe, change.collection, change.id)
        break
      case 'store':
        files.store(draft, change)
        break
      case 'mend':
        files.mend(draft, change)
        break
      case 'bury':
        files.bury(draft, change)
        break
      case 'ahead':
        draft.sequence = Math.max(draft.sequence, change.sequence)
        break
      case 'drop':
        statements.drop.run(change.collection, change.id)
        break
      case 'proven':
        files.proven(change)
        break
      case 'damaged':
        if (files.isNewDamage(change)) audit(statements, draft, change.entry)
        break
      case 'remove':
        files.remove(draft, change)
        break
      case 'lose':
        files.lose(draft, change)
        break
      case 'confirm':
        removals.confirm(change.collection, change.id, ++draft.sequence)
        break
      case 'retain':
        removals.retain(change)
        break
      case 'release':
        removals.release(change)
        break
      case 'accept':
        accept(change)
        break
      case 'answer':
        answer(statements, change)
        break
      case 'forget':
        statements.forget.run(change.now)
        break
      case 'audit':
        audit(statements, draft, change.entry)
        break
      case 'fact':
        statements.fact.run(change.key, change.value)
    }
  }
}

function prepared(database: DatabaseSync) {
  return {
    file: fileStatement(
      database,
      `SELECT ${fileColumns} FROM files WHERE collection = ? AND id = ?`,
    ),
    store: database.prepare(
      `INSERT INTO files (${fileColumns}, folded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    remove: database.prepare('DELETE FROM files WHERE collection = ? AND id = ?'),
    at: fileStatement(database, `SELECT ${fileColumns} FROM files WHERE sequence = ?`),
    removeAt: database.prepare('DELETE FROM files WHERE sequence = ?'),
    proven: database.prepare(
      'UPDATE files SET proven_at = ?, digest = ? WHERE collection = ? AND id = ?',
    ),
    receive: database.prepare(
      `INSERT OR REPLACE INTO receiving
        (collection, id, size, checksum, mtime, path, folded, safe, since)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    safe: database.prepare('UPDATE receiving SET safe = ? WHERE collection = ? AND id = ?'),
    drop: database.prepare('DELETE FROM receiving WHERE collection = ? AND id = ?'),
    marks: database.prepare('SELECT id, size, checksum FROM files WHERE collection = ?'),
    sum: database.prepare('INSERT OR REPLACE INTO collections VALUES (?, ?, ?, ?)'),
    counters: database.prepare('UPDATE counters SET timestamp = ?, sequence = ?'),
    accept: database.prepare(
      `INSERT INTO accepted (key, substance, request, signer) VALUES (?, ?, ?, ?)
        ON CONFLICT (key) DO UPDATE SET substance = excluded.substance,
          request = excluded.request, signer = excluded.signer`,
    ),
    done: database.prepare('DELETE FROM accepted WHERE key = ?'),
    answer: database.prepare('INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?)'),
    forget: database.prepare('DELETE FROM answers WHERE keep_until < ?'),
    audit: database.prepare(
      `INSERT INTO audit (${auditColumns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    isFact: database.prepare('SELECT 1 FROM facts WHERE key = ? AND value = ?'),
    forgetFact: database.prepare('DELETE FROM facts WHERE key = ?'),
    fact: database.prepare('INSERT OR REPLACE INTO facts VALUES (?, ?)'),
  }
}

function loaded(database: DatabaseSync): Tail {
  const counters = database.prepare('SELECT timestamp, sequence FROM counters').get()
  const last = database
    .prepare('SELECT sequence, hash FROM audit ORDER BY sequence DESC LIMIT 1')
    .get()
  const sums = database.prepare('SELECT collection, files, bytes, digest FROM collections').all()
  return {
    timestamp: Number(counters?.timestamp),
    sequence: Number(counters?.sequence),
    auditSequence: Number(last?.sequence ?? 0),
    auditHash: String(last?.hash ?? noAuditHash),
    sums: new Map(
      sums.map((row) => [
        String(row.collection),
        { files: Number(row.files), bytes: Number(row.bytes), mark: BigInt(`0x${row.digest}`) },
      ]),
    ),
  }
}

const draftOf = (tail: Tail): Draft => ({
  ...tail,
  sums: new Map(tail.sums),
  touched: new Set(),
  recount: new Set(),
})

function fileChanges(
  statements: Statements,
  rows: Sieve,
  removals: ReturnType<typeof removalChanges>,
) {
  const write = (file: StoredFile): void => {
    const { collection, id, size, checksum, mtime, path, timestamp, sequence, provenAt } = file
    statements.store.run(
      ...[collection, id, size, checksum, mtime, path, timestamp, sequence, provenAt],
      ...[rowDigest(file), foldPath(path)],
    )
  }
  const version = (collection: string, id: string, sequence: number): StoredFile | undefined => {
    const row = statements.file.get(collection, id)
    const file = row && rows.sound(row)
    return file?.sequence === sequence ? file : undefined
  }
  /** Takes the row out of the files; undefined when there is none, or it was altered. */
  const take = (
    draft: Draft,
    collection: string,
    id: string,
    now: number,
  ): StoredFile | undefined => {
    const row = statements.file.get(collection, id)
    const file = row && rows.sound(row)
    if (!file) return undefined
    draft.timestamp = Math.max(Math.floor(now), draft.timestamp + 1)
    draft.sequence++
    statements.remove.run(collection, id)
    statements.forgetFact.run(damagedFact(collection, id))
    count(draft, file, -1)
    statements.fact.run(staleBag(collection), 'yes')
    return file
  }
  return {
    receive({ file }: Only<'receive'>): void {
      const { collection, id, size, checksum, mtime, path, safe, since } = file
      const folded = foldPath(path)
      statements.receive.run(collection, id, size, checksum, mtime, path, folded, safe, since)
    },
    store(draft: Draft, { file, now }: Only<'store'>): void {
      const { collection, id } = file
      const row = statements.file.get(collection, id)
      const old = row && rows.sound(row)
      if (row && !old) draft.recount.add(collection)
      draft.timestamp = Math.max(Math.floor(now), draft.timestamp + 1)
      draft.sequence++
      if (row) statements.remove.run(collection, id)
      write({ ...file, timestamp: draft.timestamp, sequence: draft.sequence })
      statements.drop.run(collection, id)
      if (old) count(draft, old, -1)
      count(draft, file, 1)
      const gone = row !== undefined && (old?.checksum !== file.checksum || old.path !== file.path)
      if (removals.stored(file) || gone) statements.fact.run(staleBag(collection), 'yes')
    },
    lose: (draft: Draft, { collection, id, now }: Only<'lose'>): void =>
      void take(draft, collection, id, now),
    remove(draft: Draft, { collection, id, now }: Only<'remove'>): void {
      const file = take(draft, collection, id, now)
      if (!file) return
      const { size, checksum, mtime, sequence: version } = file
      const { timestamp, sequence } = draft
      const about = { collection, id, size, checksum, mtime }
      removals.removed({ ...about, version, removedAt: Math.floor(now), timestamp, sequence })
    },
    /** A row that was altered must not be blessed by a new digest; it stays as it was found. */
    proven({ collection, id, sequence, at }: Only<'proven'>): void {
      const file = version(collection, id, sequence)
      if (!file) return
      statements.forgetFact.run(damagedFact(collection, id))
      if (file.provenAt < at)
        statements.proven.run(at, rowDigest({ ...file, provenAt: at }), collection, id)
    },
    /** Notes it; false when it was known, or the file is another by now. */
    isNewDamage({ collection, id, sequence }: Only<'damaged'>): boolean {
      const [key, value] = [damagedFact(collection, id), String(sequence)]
      if (!version(collection, id, sequence) || statements.isFact.get(key, value)) return false
      statements.fact.run(key, value)
      return true
    },
  }
}

/** What was altered, and what is known from a list. */
function mendingChanges(
  statements: Statements,
  rows: Sieve,
  removals: ReturnType<typeof removalChanges>,
  store: (draft: Draft, change: Only<'store'>) => void,
) {
  return {
    mend(draft: Draft, { row, file, now }: Only<'mend'>): void {
      const cells = statements.at.get(row.says.sequence)
      if (cells && !rows.sound(cells)) {
        statements.removeAt.run(row.says.sequence)
        draft.recount.add(row.collection).add(file?.collection ?? row.collection)
      }
      statements.fact.run(staleBag(row.collection), 'yes')
      if (file) store(draft, { do: 'store', file, now })
    },
    bury(draft: Draft, { stone, now }: Only<'bury'>): void {
      if (statements.file.get(stone.collection, stone.id)) return
      draft.timestamp = Math.max(Math.floor(now), draft.timestamp + 1)
      const { timestamp, sequence } = { ...draft, sequence: ++draft.sequence }
      removals.removed({ ...stone, size: 0, mtime: 0, version: 0, timestamp, sequence })
    },
  }
}

/** Adds a file to the sum of its collection, or takes it out. */
function count(
  draft: Draft,
  { collection, id, size, checksum }: Omit<StoredFile, 'timestamp' | 'sequence'>,
  sign: 1 | -1,
): void {
  const { files, bytes, mark } = draft.sums.get(collection) ?? { files: 0, bytes: 0, mark: 0n }
  draft.sums.set(collection, {
    files: files + sign,
    bytes: bytes + sign * size,
    mark: mark ^ fileMark(id, checksum),
  })
  draft.touched.add(collection)
}

function answer(statements: Statements, { key, answer }: Only<'answer'>): void {
  statements.answer.run(key, answer.substance, answer.answer, answer.keepUntil)
  statements.done.run(key)
}

function audit(
  statements: Statements,
  draft: Draft,
  about: Omit<AuditEntry, 'sequence' | 'hash'>,
): void {
  const { at, event, collection, id, actor, conversation, outcome } = about
  const sequence = draft.auditSequence + 1
  const hash = textDigest(auditSubstance(draft.auditHash, { ...about, sequence }))
  statements.audit.run(
    ...[sequence, at, event, collection, id, actor, conversation, outcome],
    ...[about.key ?? null, about.information ?? null, hash],
  )
  draft.auditSequence = sequence
  draft.auditHash = hash
}

/** Writes what the next transaction builds on. */
function settle(statements: Statements, draft: Draft, before: Tail): void {
  for (const collection of draft.recount)
    draft.sums.set(collection, recounted(statements, collection))
  for (const collection of draft.touched) {
    const sum = draft.sums.get(collection)
    if (sum) statements.sum.run(collection, sum.files, sum.bytes, markText(sum.mark))
  }
  if (draft.sequence !== before.sequence) {
    statements.counters.run(draft.timestamp, draft.sequence)
  }
}

function recounted({ marks }: Statements, collection: string): Sum {
  let [files, bytes, mark] = [0, 0, 0n]
  for (const row of marks.iterate(collection)) {
    files++
    bytes += Number(row.size)
    mark ^= fileMark(String(row.id), String(row.checksum))
  }
  return { files, bytes, mark }
}
