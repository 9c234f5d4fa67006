/** PORT: what a pillar's behaviour needs of its stored bytes. One volume behind it for now; more later. */
import type {
  AcceptedRequest,
  Change,
  CollectionSummary,
  ListQuery,
  Page,
  ReceivingFile,
  StoredAnswer,
  StoredFile,
  TombstonePage,
  TrailPage,
  TrailQuery,
} from '../index/index.ts'
import type { Fragment } from '../protocol/fragments.ts'
import type { PillarKind } from '../protocol/scalars.ts'

/** A file that is offered: what it will be once it is here. */
export type NewFile = Pick<StoredFile, 'collection' | 'id' | 'size' | 'checksum' | 'mtime'> & {
  /** Only in the place of these bytes. */
  readonly replaces?: Replaced | undefined
}

/** Bytes that others shall take the place of: which, and which version of them was seen. */
export type Replaced = Pick<Doomed, 'checksum' | 'version'>

/** What the store says to a file that is offered. */
export type Standing =
  /** May come: absent, or partly here and waiting for the rest; to which volume, where there may be several. */
  | { readonly is: 'welcome'; readonly volume?: string }
  /** These very bytes are stored. */
  | { readonly is: 'held'; readonly file: StoredFile }
  /** Other bytes are stored or being received under this id. */
  | { readonly is: 'other' }
  /** To be replaced: there is no such file; its bytes are others; it was stored or confirmed since. */
  | { readonly is: 'absent' | 'otherBytes' | 'newer' }
  /** The id would be a folder of another, or has another as its folder. */
  | { readonly is: 'conflict'; readonly with: string }
  | {
      readonly is: 'noSpace'
      readonly bytesFree: number
      /** A sentence, where room is more than what is free here. */
      readonly why?: string
    }

export interface Space {
  readonly bytesFree: number
  readonly bytesTotal: number
  /** Promised to transfers that were accepted, and not yet on the disk. */
  readonly bytesReserved: number
  /** Of deleted files, kept aside for a while; not counted as free. */
  readonly bytesRetained: number
  /** What may still be promised: free, less promised, less the reserve. */
  readonly bytesOpen: number
  /** How many files and folders may still be promised; absent where that has no bound. */
  readonly filesOpen?: number
}

/** What a walk over the whole audit chain has found. */
export interface Chain {
  /** Whose chain it is, where there are several. */
  readonly volume?: string
  /** How many entries hold, from the first on. */
  readonly entries: number
  /** Hash of the last of them. */
  readonly head: string
  /** The first sequence number at which the chain does not hold. */
  readonly brokenAt?: number
}

export interface Trail {
  /** Entries of the audit chain, in its order; of several volumes one chain after the other. */
  auditTrail(query: TrailQuery): Promise<TrailPage>
  /**
   * Computes every hash again, page by page, and tells of each volume's chain. Rejects with the reason of `signal` when that
   * is aborted.
   */
  verifyTrail(options?: {
    readonly signal?: AbortSignal
    walked?(entries: number): void
  }): Promise<Chain[]>
}

export interface Reading extends Trail {
  /** The stored files of these ids, in their order. */
  stored(collection: string, ids: readonly string[]): Promise<(StoredFile | undefined)[]>
  /** A stored file with these very bytes, under whatever id. */
  withBytes(collection: string, checksum: string, size: number): Promise<StoredFile | undefined>
  list(query: ListQuery): Promise<Page>
  summary(): Promise<CollectionSummary[]>
  /** The bytes of a slice, in order. Rejects when the disk does. */
  read(file: StoredFile, offset: number, length: number): AsyncIterable<Uint8Array>
}

export interface Receiving {
  /** What would be said to these files now; promises nothing. */
  standing(files: readonly NewFile[]): Promise<Standing[]>
  /**
   * Accepts a request for good: reserves space for each welcome file and remembers the request, in one
   * commit; resolves only once that would survive a power cut.
   */
  accept(request: AcceptedRequest, files: readonly NewFile[]): Promise<Standing[]>
  /** Opens a file that was accepted; what is safe of it already stays. All of it when it was stored meanwhile. */
  incoming(collection: string, id: string, replaces?: Replaced): Promise<Incoming>
  /**
   * Bytes that are kept safely under another id already, and not by this store itself: an accepted file is stored without
   * bringing them. False when they must come.
   */
  storeTwin?(file: NewFile, by: Actor): Promise<boolean>
  /** The request is over: what it did not finish stays as partial, but no longer keeps other bytes away. */
  release(files: readonly Pick<NewFile, 'collection' | 'id'>[]): void
  /** Gives up partials that nobody came back for since `before` (milliseconds since 1970). */
  evict(before: number): Promise<number>
}

/** A file to be deleted: which bytes, and which version of them was seen. */
export interface Doomed {
  readonly collection: string
  readonly id: string
  readonly checksum: string
  readonly version: number
}

export type Removed =
  /** It is gone, now or since an earlier request; its bytes are kept aside for a while. */
  | 'removed'
  | 'absent'
  /** The stored bytes are others. */
  | 'otherBytes'
  /** The same bytes, but stored or confirmed since they were seen. */
  | 'newer'

export type Restored =
  /** It is stored under its id, now or before. */
  | 'stored'
  /** Such bytes are not kept aside. */
  | 'absent'
  /** Other bytes stand, or are coming, under this id or in its way. */
  | 'otherBytes'
  /** The bytes kept aside are not those that were deleted. */
  | 'damaged'

/** One collection, or all but some; all when absent. */
export type Purged = { readonly collection: string } | { readonly except: readonly string[] }

export interface Removing {
  /** The newest version of stored files, in their order; what a request to delete must have seen. */
  versions(collection: string, ids: readonly string[]): Promise<(number | undefined)[]>
  /** Resolves only once it would survive a power cut. */
  remove(file: Doomed, by: Actor): Promise<Removed>
  /** Takes deleted bytes back after hashing them; resolves only once that would survive a power cut. */
  restore(collection: string, id: string, checksum: string, by: Actor): Promise<Restored>
  tombstones(query: ListQuery): Promise<TombstonePage>
  /** Of these ids, the bytes that could be taken back: their checksums, and when they were put aside. */
  restorable(
    collection: string,
    ids: readonly string[],
  ): Promise<{ readonly id: string; readonly checksum: string; readonly since: number }[]>
  /** Gives up some of the bytes put aside before `before` (milliseconds since 1970), of the collections that are meant. */
  purge(before: number, of?: Purged): Promise<number>
}

/** What reading all bytes of a stored file has shown. */
export type Finding = { readonly file: StoredFile; readonly at: number } & (
  | { readonly is: 'right' }
  /** Damaged, or not to be read: how, in one sentence. */
  | { readonly is: 'wrong'; readonly how: string }
)

export interface Proving {
  /** One commit for all; nothing of files that are others by now, and of damage that is known already. */
  note(findings: readonly Finding[], by: Actor): Promise<void>
  /**
   * The bytes of a stored file as they are on the medium, in pieces of at most a chunk; rejects when they can not be read.
   */
  readMedium(file: StoredFile): AsyncIterable<Uint8Array>
  /** Stored files whose proofs are the oldest, the oldest first. */
  leastProven(collection: string, limit: number): Promise<StoredFile[]>
  /** How many files were proven before each of these times (milliseconds since 1970), in their order. */
  proofAges(collection: string, before: readonly number[]): Promise<number[]>
  /**
   * Damaged bytes: put aside, and not stored any more; false when the file is another by now. Resolves only once it would
   * survive a power cut.
   */
  quarantine(file: StoredFile, how: string, by: Actor): Promise<boolean>
  /** Whether the index, and not the bytes, was wrong about this file: it is right now, or the file is another by now. */
  contradicted(file: StoredFile, by: Actor): Promise<boolean>
  /** Compares index, lists and disk, and mends the books; resolves with files whose bytes should be read. */
  inspect(): Promise<StoredFile[]>
  /** When the stored file was proven whose proof is the oldest; 0 when it never was. */
  oldestProof(collection: string): Promise<number | undefined>
}

export interface Answering {
  accepted(): Promise<AcceptedRequest[]>
  answer(key: string): Promise<StoredAnswer | undefined>
  /** Commits a final answer; resolves only once it would survive a power cut. */
  conclude(changes: readonly Change[]): Promise<void>
}

/** Where bytes are spread over others: copies of the scarcest piece, how many there are to be, and over how many. */
export interface Spread {
  readonly least: number
  readonly wanted: number
  readonly pillars: number
}

/** One volume, as people are told of it. */
export interface VolumeState {
  readonly id: string
  /** `ready`, or why it is not: `failed` (takes no writes), `silent`, `joining`, `missing`, `ejected`. */
  readonly state: 'ready' | 'failed' | 'silent' | 'joining' | 'missing' | 'ejected'
  readonly space?: Space
  /** What is to be known of it beside that. */
  readonly text?: string
}

/** What is to be known of disks that sleep while nothing is asked of them. */
export interface Sleeping {
  /** Whether one of them sleeps. */
  asleep(): boolean
  /** Until all these could be read, milliseconds. */
  msToRead(files: readonly (StoredFile | undefined)[]): number
  /** Until all that is welcome could be written, milliseconds. */
  msToWrite(standings: readonly Standing[]): number
  /** All the time in which one or more were being woken, milliseconds. */
  msWaking(): number
  /** What nobody waits for is done together, once in so long, milliseconds; 0 when none of them sleeps. */
  workEveryMs(): number
  /** So that one disk after the other is woken, and each once. */
  byDisk(files: readonly StoredFile[]): StoredFile[]
}

/** Something that people are to hear of: the volume has failed, or found and mended damage of its own books. */
export interface News {
  readonly code: 'COMPONENT_FAILURE' | 'INTEGRITY_ISSUE' | 'CHECKSUM_ALARM'
  readonly text: string
  readonly collection?: string
  readonly fileId?: string
}

/** A piece of a stored file, and who holds it for good. */
export interface Piece extends Fragment {
  /** Where it begins in the file. */
  readonly at: number
  readonly holders: readonly string[]
}

/** Only of a store that keeps a collection on others. */
export interface Spreading {
  spread(collection: string): Promise<Spread | undefined>
  /** The pieces that a range of a file needs, in their order; undefined while they are not known, or not safe. */
  pieces(file: StoredFile, offset: number, length: number): Promise<Piece[] | undefined>
  /** How many copies the scarcest piece of each file has on those who are there, in their order. */
  copies(files: readonly StoredFile[]): Promise<({ least: number; wanted: number } | undefined)[]>
  /** Bytes of these files, all together, that enough of the others keep for good. */
  bytesSafe(files: readonly Pick<StoredFile, 'collection' | 'id' | 'checksum'>[]): Promise<number>
}

export interface Store
  extends Reading,
    Receiving,
    Removing,
    Proving,
    Answering,
    Partial<Spreading> {
  readonly volume: string
  /** A checksum pillar's has no bytes: `read` rejects, and nothing is kept aside. */
  readonly kind: PillarKind
  space(): Promise<Space>
  receivingCount(): Promise<number>
  /** Of each volume that is known, where there may be several. */
  volumes?(): Promise<VolumeState[]>
  /** Where disks may sleep. */
  readonly sleeping?: Sleeping
  /** Undefined while all volumes answer, else which do not: what is on them is not found, and may still be there. */
  away?(): string | undefined
  /** Tells of requests that a volume remembers which has come back. */
  onReturn?(resume: (requests: readonly AcceptedRequest[]) => void): void
  /** Tells news from now on, and what happened before anybody listened. */
  watch(tell: (news: News) => void): void
  /** Undefined while all is well, else why the volume takes no more writes. */
  trouble(): string | undefined
  /** No more writes from now on, until the next start. */
  halt(why: string): void
  /** Brings manifest and tag files up to date. */
  flush(): Promise<void>
  close(): Promise<void>
}

/** One file on its way in. Calls must not overlap; after one that rejects, only opening it anew helps. */
export interface Incoming {
  readonly file: ReceivingFile
  /** How many bytes came so far, counting what was safe before; writing goes on here. */
  at(): number
  /** Takes bytes in order, by a copy; resolves when more may come. */
  write(bytes: Uint8Array): Promise<void>
  /** Resolves only once all that was written would survive a power cut, and is known to be so after it. */
  secure(): Promise<void>
  /**
   * Compares and stores; resolves only once the file would survive a power cut under its name. Wrong
   * bytes are removed; rejects, and keeps what is there, while bytes are missing.
   */
  finish(by: Actor): Promise<'stored' | 'wrongChecksum'>
  /** Nothing more comes now; what is safe stays. Never rejects. */
  leave(): Promise<void>
}

/** Who did it, for the audit trail. */
export interface Actor {
  readonly actor: string
  readonly conversation: string
  /** Id of the key that signed the request. */
  readonly key?: string
  /** What the actor said about it. */
  readonly information?: string
}
