/**
 * PORT: the distribution view of the tracker: who is a member, of which fragments files consist, and who holds them.
 * Durable; what it says of pillars can be had again from their inventories.
 */
import type { Fragment } from '../protocol/fragments.ts'

export interface View {
  /** All changes or none; resolves only once they would survive a power cut. */
  change(changes: readonly ViewChange[]): Promise<void>
  members(): Promise<ViewMember[]>
  /** The fragments of one file in their order; undefined when such a file was never taken apart. */
  slices(file: ViewFile): Promise<Fragment[] | undefined>
  /** The text that tells of the newest version of a file id, as a fragment; undefined when there is none. */
  entry(collection: string, id: string): Promise<Entry | undefined>
  /** Entries in the order of their ids, after one id. */
  entries(collection: string, after: string, limit: number): Promise<Entry[]>
  /** Who holds each of these fragments, in their order. */
  holders(collection: string, hashes: readonly string[]): Promise<Holder[][]>
  fragment(collection: string, hash: string): Promise<KnownFragment | undefined>
  /** Fragments in the order of their hashes, after one hash. */
  fragments(query: FragmentQuery): Promise<KnownFragment[]>
  /** Hashes of what this pillar holds, also for the time being, that begin with these digits; in no order. */
  held(collection: string, pillar: string, part: string): Promise<string[]>
  /** Of one pillar and collection: equal to what the pillar says of itself when the view is right. */
  holding(collection: string, pillar: string): Promise<Holding>
  /**
   * How many fragments have how many persisted holders among `pillars`; of the wanted ones only, and of those that one
   * pillar holds when it is named.
   */
  histogram(
    collection: string,
    pillars: readonly string[],
    heldBy?: string,
  ): Promise<Map<number, number>>
  fact(key: string): Promise<string | undefined>
  close(): Promise<void>
}

export interface ViewMember {
  readonly pillar: string
  /** Of its presence; of two boards with one name, the later. */
  readonly session: number
  readonly volumes: readonly string[]
  readonly bytesTotal: number
  /** Room that may still be promised, as it said last. */
  readonly bytesOpen: number
  readonly site?: string
  /** `gone`: not heard of for longer than the grace time; what it holds does not count until it comes back. */
  readonly state: 'registered' | 'gone'
  /** Milliseconds since 1970. */
  readonly heardAt: number
}

/** File info of the seed: a file by its bytes, whatever its ids are. */
export interface ViewFile {
  readonly collection: string
  readonly checksum: string
  readonly size: number
}

/** What the catalogue says of one id, as the pillars keep it: text, named by its hash. */
export interface Entry {
  readonly collection: string
  readonly id: string
  readonly version: number
  readonly text: string
  readonly fragment: Fragment
}

export type Stage = 'temporary' | 'persisted'
export interface Holder {
  readonly pillar: string
  readonly stage: Stage
}

/** Of one hash there is one fragment in a collection: of two kinds the one that was said first. */
export interface KnownFragment extends Fragment {
  /** How many files and entries need it; it may be trimmed when none has for a while. */
  readonly wanted: number
  /** Since when nobody needs it, milliseconds since 1970. */
  readonly unwantedSince?: number
  readonly holders: readonly Holder[]
}

export interface FragmentQuery {
  readonly collection: string
  readonly after?: string
  readonly limit: number
  /** Only wanted ones with fewer persisted holders among these than `below`. */
  readonly scarce?: { readonly pillars: readonly string[]; readonly below: number }
  /** Only those that nobody has needed since before. */
  readonly unwantedBefore?: number
}

export interface Holding {
  readonly files: number
  readonly bytes: number
  readonly digest: string
}

export type ViewChange =
  | { readonly do: 'member'; readonly member: ViewMember }
  /** Not a member any more; what it held is known until it is lost piece by piece, and does not count. */
  | { readonly do: 'leave'; readonly pillar: string }
  /** The file consists of these; each is wanted once more. Said twice, it counts once, and the first stands. */
  | { readonly do: 'file'; readonly file: ViewFile; readonly slices: readonly Fragment[] }
  /** No id has these bytes any more: its fragments are wanted once less. */
  | { readonly do: 'unfile'; readonly file: ViewFile; readonly at: number }
  /** Takes the place of the entry of this id, whose text is not wanted any more. */
  | { readonly do: 'entry'; readonly entry: Entry; readonly at: number }
  /** Once persisted it stays so until it is lost, whatever comes late. */
  | {
      readonly do: 'hold'
      readonly collection: string
      readonly fragment: Fragment
      readonly pillar: string
      readonly stage: Stage
      /** Of a fragment that was not known: nobody has needed it since. Never trimmed by its age when absent. */
      readonly at?: number
    }
  | {
      readonly do: 'lose'
      readonly collection: string
      readonly hash: string
      readonly pillar: string
    }
  /** Nobody holds or needs it any more; nothing happens to others. */
  | { readonly do: 'forget'; readonly collection: string; readonly hash: string }
  | { readonly do: 'fact'; readonly key: string; readonly value: string }
