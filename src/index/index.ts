/**
 * PORT: the index of one volume: which files it holds and in which state, the requests it has accepted, the
 * answers it has given, and the audit chain. Everything that one change needs commits together.
 * Asynchronous because the real one lives in the volume's own worker: a disk that hangs stalls only itself.
 */
export interface Index {
  /** One transaction: all changes or none; resolves only once they would survive a power cut. */
  commit(changes: readonly Change[]): Promise<void>
  /** The stored rows of these ids, in their order. */
  stored(collection: string, ids: readonly string[]): Promise<(StoredFile | undefined)[]>
  /** The rows being received of these ids, in their order. */
  receiving(collection: string, ids: readonly string[]): Promise<(ReceivingFile | undefined)[]>
  allReceiving(): Promise<ReceivingFile[]>
  /** An id, stored or being received, of which `id` would be a folder, or that has `id` as a folder. */
  conflict(collection: string, id: string): Promise<string | undefined>
  /** A stored file with these bytes, under whatever id. */
  withBytes(collection: string, checksum: string, size: number): Promise<StoredFile | undefined>
  /** The stored or receiving id that occupies this path, folded as the file system folds names. */
  atPath(collection: string, folded: string): Promise<string | undefined>
  /** Oldest first by (timestamp, id); windows are inclusive; `after` is exclusive. */
  list(query: ListQuery): Promise<Page>
  /** The newest version of stored files, in their order: the sequence of the last store or confirmation. */
  versions(collection: string, ids: readonly string[]): Promise<(number | undefined)[]>
  /** What was deleted: oldest first by (timestamp, id), windows as in `list`. */
  tombstones(query: ListQuery): Promise<TombstonePage>
  /** Bytes kept aside, the oldest first. */
  retained(query: RetainedQuery): Promise<RetainedFile[]>
  /** How many bytes are kept aside on this volume. */
  retainedBytes(): Promise<number>
  /** When the file was proven whose proof is the oldest, milliseconds since 1970; 0 when it never was. */
  oldestProof(collection: string): Promise<number | undefined>
  /** The stored files whose proofs are the oldest, the oldest first. */
  leastProven(collection: string, limit: number): Promise<StoredFile[]>
  /** How many files were proven before each of these times (milliseconds since 1970), in their order. */
  proofAges(collection: string, before: readonly number[]): Promise<number[]>
  /** Counts per collection, kept up to date with each change: no walk. */
  summary(): Promise<CollectionSummary[]>
  /** The answer that was given to a request, by the key of the request. */
  answer(key: string): Promise<StoredAnswer | undefined>
  /** Requests accepted and not yet answered for good. */
  accepted(): Promise<AcceptedRequest[]>
  /** Small facts about the volume itself, e.g. how far the manifest is written. */
  fact(key: string): Promise<string | undefined>
  /** The audit entries after this sequence number, oldest first, at most `limit`. */
  audit(after: number, limit: number): Promise<AuditEntry[]>
  /** The audit entries that match, in the order of the chain; windows are inclusive, `after` is exclusive. */
  trail(query: TrailQuery): Promise<TrailPage>
  /**
   * Stored files whose row was found altered when it was read, since the index was opened: no answer contains
   * them until they are stored anew. Their manifest lines decide.
   */
  damaged(): Promise<DamagedRow[]>
  /** Tells at once of each row that is found altered, and of a database that is damaged itself. */
  watch(tell: (found: IndexDamage) => void): Promise<void>
  /** Of these paths of a collection, those at which no file stands or is to stand. */
  strangers(collection: string, paths: readonly string[]): Promise<string[]>
  /**
   * Looks at the structure of the database. Resolves with what was wrong with the ways to find rows, which were made anew;
   * rejects with the code `corrupt` when more than that is wrong.
   */
  inspect(): Promise<string | undefined>
  close(): Promise<void>
}

export interface DamagedRow {
  readonly collection: string
  readonly id: string
  /** As it stands: some of it is not true. */
  readonly says: StoredFile
}

export type IndexDamage =
  | { readonly is: 'row'; readonly row: DamagedRow }
  | { readonly is: 'database'; readonly why: string }

/** A file in the state *stored*: its bytes are on the disk under its final name, synced. */
export interface StoredFile {
  readonly collection: string
  readonly id: string
  readonly size: number
  /** Lower-case hexadecimal digest by the collection's algorithm. */
  readonly checksum: string
  /** Modification time at the source, milliseconds since 1970. */
  readonly mtime: number
  /** Where below the collection's `data/`, already in the form of names on disk. */
  readonly path: string
  /** Index time of the last store or confirmation: max(now, last + 1), so it never goes back and never repeats. */
  readonly timestamp: number
  /** Place in the order of all changes of this volume; the version a destructive request must have seen. */
  readonly sequence: number
  /** When the bytes were last hashed and found right, milliseconds since 1970. */
  readonly provenAt: number
}

/** A file on its way in: space is reserved, the partial is in `.incoming`. */
export interface ReceivingFile {
  readonly collection: string
  readonly id: string
  readonly size: number
  readonly checksum: string
  readonly mtime: number
  readonly path: string
  /** Bytes of the partial that are known to be synced. */
  readonly safe: number
  /** When it was accepted, milliseconds since 1970. */
  readonly since: number
}

/** A file was deleted; stands until bytes are stored under its id again. Older copies elsewhere are not to come back. */
export interface Tombstone {
  readonly collection: string
  readonly id: string
  readonly size: number
  readonly checksum: string
  readonly mtime: number
  /** The version that was deleted: names the bytes that may be kept aside. */
  readonly version: number
  /** By the clock of then, milliseconds since 1970. */
  readonly removedAt: number
  /** Index time and place in the order of changes, as those of a stored file. */
  readonly timestamp: number
  readonly sequence: number
}

export interface TombstonePage {
  readonly tombstones: Tombstone[]
  /** More match than the page holds. */
  readonly partial: boolean
}

/** Bytes kept aside after their file was deleted. */
export interface RetainedFile {
  readonly collection: string
  readonly id: string
  readonly version: number
  readonly size: number
  readonly checksum: string
  readonly mtime: number
  /** Where below the collection's `data/` they stood. */
  readonly path: string
  /** On their way out or back until the commit after the move: a start that finds them so undoes it. */
  readonly state: 'leaving' | 'kept' | 'returning'
  /** When they were put aside, milliseconds since 1970. */
  readonly since: number
}

export interface RetainedQuery {
  readonly collection?: string
  readonly ids?: readonly string[]
  /** Only those that are kept, and were put aside before (milliseconds since 1970). */
  readonly keptBefore?: number
  /** Not those of these collections. */
  readonly except?: readonly string[]
  /** Only those that are on their way. */
  readonly moving?: boolean
  readonly limit: number
}

export interface AcceptedRequest {
  readonly key: string
  /** Digest of the substance of the request; the same key with another substance is refused. */
  readonly substance: string
  /** The message as it came (JSON line). */
  readonly request: string
  /** Id of the key that had signed it; unknown of requests that an older release accepted. */
  readonly signer?: string
}

export interface StoredAnswer {
  readonly substance: string
  /** The final response as it was published (JSON line, to be signed again when it is said again). */
  readonly answer: string
  /** Milliseconds since 1970; until then a repeat gets this answer. */
  readonly keepUntil: number
}

export interface AuditEntry {
  readonly sequence: number
  readonly at: number
  readonly event: string
  readonly collection: string
  readonly id: string
  readonly actor: string
  readonly conversation: string
  readonly outcome: string
  /** Id of the key by which the actor asked for it; absent of what nobody asked for. */
  readonly key?: string | undefined
  /** What the actor said about it. */
  readonly information?: string | undefined
  /** Digest over the entry before and this entry's fields: the chain. */
  readonly hash: string
}

export interface TrailQuery {
  readonly collection: string
  readonly id?: string
  /** A sequence number: exclusive. */
  readonly after?: number
  readonly minSequence?: number
  readonly maxSequence?: number
  /** Milliseconds since 1970. */
  readonly minAt?: number
  readonly maxAt?: number
  readonly limit: number
}

/** An entry, and the hash of the one before it on this volume, whatever that is about. */
export interface TrailEntry extends AuditEntry {
  readonly previous: string
  /** Where a pillar has several volumes: which, and what to ask on after; its sequence otherwise. */
  readonly volume?: string
  readonly cursor?: number
}

export interface TrailPage {
  readonly entries: TrailEntry[]
  /** More entries match than the page holds. */
  readonly partial: boolean
}

/** One step of a transaction. */
export type Change =
  | { readonly do: 'receive'; readonly file: ReceivingFile }
  /** Notes how far a partial is synced. */
  | { readonly do: 'safe'; readonly collection: string; readonly id: string; readonly safe: number }
  /** Receiving becomes stored (or is stored outright). `now` feeds the index time. */
  | {
      readonly do: 'store'
      readonly file: Omit<StoredFile, 'timestamp' | 'sequence'>
      readonly now: number
    }
  /** Gives up receiving. */
  | { readonly do: 'drop'; readonly collection: string; readonly id: string }
  /** A stored file becomes a tombstone. Without such a file nothing happens. */
  | {
      readonly do: 'remove'
      readonly collection: string
      readonly id: string
      readonly now: number
    }
  /** A stored file is damaged, and not to be answered with any more; nothing says that it was deleted. */
  | { readonly do: 'lose'; readonly collection: string; readonly id: string; readonly now: number }
  /** Notes bytes kept aside, or what has become of them. */
  | { readonly do: 'retain'; readonly file: RetainedFile }
  /** Bytes are not kept aside any more. */
  | {
      readonly do: 'release'
      readonly collection: string
      readonly id: string
      readonly version: number
    }
  /** A stored file was offered again and confirmed: its version is a new one. */
  | { readonly do: 'confirm'; readonly collection: string; readonly id: string }
  /** The bytes of this version were hashed again and are right. */
  | {
      readonly do: 'proven'
      readonly collection: string
      readonly id: string
      readonly sequence: number
      readonly at: number
    }
  /** The bytes of this version are not right: an audit entry, unless that is known since they were last proven. */
  | {
      readonly do: 'damaged'
      readonly collection: string
      readonly id: string
      readonly sequence: number
      readonly entry: Omit<AuditEntry, 'sequence' | 'hash'>
    }
  /** An altered row goes, and what is true stands there as if it was stored now; nothing does when nobody knows it. */
  | {
      readonly do: 'mend'
      readonly row: DamagedRow
      readonly file?: Omit<StoredFile, 'timestamp' | 'sequence'>
      readonly now: number
    }
  /** Notes a deletion that is known from a list; not where a file is stored under the id. */
  | {
      readonly do: 'bury'
      readonly stone: Pick<Tombstone, 'collection' | 'id' | 'checksum' | 'removedAt'>
      readonly now: number
    }
  /** The place in the order of changes is at least this from now on. */
  | { readonly do: 'ahead'; readonly sequence: number }
  | { readonly do: 'accept'; readonly request: AcceptedRequest }
  /** The final answer; ends the accepted request of the same key. */
  | { readonly do: 'answer'; readonly key: string; readonly answer: StoredAnswer }
  /** Forgets answers whose `keepUntil` is before `now`. */
  | { readonly do: 'forget'; readonly now: number }
  | { readonly do: 'audit'; readonly entry: Omit<AuditEntry, 'sequence' | 'hash'> }
  | { readonly do: 'fact'; readonly key: string; readonly value: string }

export interface ListQuery {
  readonly collection: string
  /** Only these ids; all when absent. */
  readonly ids?: readonly string[]
  /** Only ids that begin so. */
  readonly prefix?: string
  readonly minTimestamp?: number
  readonly maxTimestamp?: number
  readonly after?: { readonly timestamp: number; readonly id: string }
  /** By sequence instead of the window; used for the manifest. Exclusive. */
  readonly afterSequence?: number
  readonly limit: number
}

export interface Page {
  readonly files: StoredFile[]
  /** More files match than the page holds. */
  readonly partial: boolean
}

export interface CollectionSummary {
  readonly collection: string
  readonly files: number
  readonly bytes: number
  /** XOR over the files of digest(id, checksum), 32 hex digits: equal sets have equal digests. */
  readonly digest: string
}

/** The fact that stands while lines of a collection's bag are about files that are not there any more. */
export const staleBag = (collection: string): string => `stale ${collection}`

/** The fact that stands while the bytes of a file are known to be wrong: its value is their version. */
export const damagedFact = (collection: string, id: string): string =>
  `damaged ${JSON.stringify([collection, id])}`

/** A path as file systems see it that tell no cases apart: two paths that fold alike may be one file there. */
export const foldPath = (path: string): string =>
  path.normalize('NFC').toLowerCase().normalize('NFC')

/** Questions that are work of the processor as well as of the disk: that they take long says nothing about the disk. */
export const lengthy: ReadonlySet<string> = new Set(['inspect'])

/** Stands before the first audit entry, in place of a hash. */
export const noAuditHash = '0'.repeat(64)

/**
 * What the SHA-256 of an audit entry is taken of: the hash of the entry before, then all fields but the hash. Fields
 * that came later stand at the end, and only when there are any: older entries keep their hashes.
 */
export function auditSubstance(previous: string, entry: Omit<AuditEntry, 'hash'>): string {
  const { sequence, at, event, collection, id, actor, conversation, outcome } = entry
  const { key, information } = entry
  const later = information === undefined ? [key] : [key ?? null, information]
  const fields = [sequence, at, event, collection, id, actor, conversation, outcome, ...later]
  return previous + JSON.stringify(fields.filter((field) => field !== undefined))
}
