/** What the parts of the tracker that care for fragments are to each other. */
import type { Offer } from '../exchange/bench.ts'
import type { Mail } from '../post/post.ts'
import type { Epoch, Fragment, Membership } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'

/** Who is registered: joins, goodbyes, the epoch, and the weights. */
export interface Members {
  /** Events by pillars about joining and going; others are not for it. */
  hear(mail: Mail): Promise<void>
  /** A presence that was heard. */
  notice(presence: MessageOf<'Presence'>): void
  /** We have the bus, again: says hello. */
  connected(): void
  /** The owner has decided something new, or the operator: others may count. */
  decided(): void
  /** A pillar has something of which the view does not know: both are compared once more. */
  astray(collection: string, pillar: string): void
  /** The operator says that it is gone, with all that it had. */
  lost(pillar: string): Promise<void>
  epoch(): Epoch
  /** False once a newer epoch was heard: this tracker does nothing more. */
  isActing(): boolean
  /** The membership by which candidates are ranked now; undefined when nobody was ever registered. */
  membership(collection: string): Membership | undefined
  /** The same by what each could hold were it empty: where copies should be in the end. */
  fair(collection: string): Membership | undefined
  /** Bytes of each member that no fragment can use, as [PLC-3] says; of those only that have some. */
  unusable(collection: string): ReadonlyMap<string, number>
  /** Registered pillars of the collection whose copies count: there, or away for less than the grace time. */
  counting(collection: string): string[]
  /** Those of them that are there now. */
  present(collection: string): string[]
  /** Those of the counting of whom the view is known to be right: by an equal digest, or by their inventory. */
  surveyed(collection: string): string[]
  stop(): Promise<void>
}

/** Brings fragments to their copies. */
export interface Distribution {
  /** Events by pillars about distributions; others are not for it. */
  hear(mail: Mail): Promise<void>
  /** We have the bus, again, and it may have forgotten everything: what is not answered is said again. */
  connected(): void
  /**
   * Resolves as soon as each fragment is persisted by `enough` pillars, and goes on to the collection's copies by itself.
   * Rejects when nothing has moved for long, with who was silent or full; whoever asks again goes on where it was. The
   * source is read afterwards too, as long as it can be; without it the keeper goes on.
   */
  spread(
    collection: string,
    fragments: readonly Fragment[],
    source: (fragment: Fragment) => Offer,
    options: {
      readonly enough: number
      readonly signal: AbortSignal
      /** Nothing may move for so long; 10 minutes unless said. */
      readonly stallMs?: number
    },
  ): Promise<void>
  /**
   * Brings these to the named pillars, beside those that hold them already. Resolves when it is over; who has them then,
   * the view says.
   */
  bring(
    collection: string,
    wanted: readonly { readonly fragment: Fragment; readonly to: readonly string[] }[],
    source: (fragment: Fragment) => Offer,
    options: { readonly signal: AbortSignal; readonly stallMs?: number },
  ): Promise<void>
  /** Whether anything is on its way to anybody now. */
  isBusy(): boolean
  /** Whether it is on its way to somebody now. */
  carries(collection: string, hash: string): boolean
  stop(): Promise<void>
}

/** Fetches a fragment from whoever holds it, compared with its hash; rejects when nobody has it right. */
export type Fetch = (
  collection: string,
  fragment: Fragment,
  signal: AbortSignal,
) => Promise<Offer & { discard(): Promise<void> }>
