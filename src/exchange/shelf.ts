/** PORT: where an exchange keeps, or finds, the objects it offers and takes. */
import type { ObjectKey } from '../transfer/objects.ts'

export interface Shelf {
  /**
   * What is known of an object; undefined when nothing is. A sender may be kept waiting a moment for a receiver, who
   * may need only the rest of it: then `offset` says where to begin, although nothing has come yet. A sender that asks
   * goes on with the upload: one of his that is still under way, perhaps on a dead connection, ends where it is.
   */
  status(
    key: ObjectKey,
    role: 'receiver' | 'sender',
    signal: AbortSignal,
  ): Promise<Status | 'elsewhere' | undefined>
  /** A slice for a receiver. Waits a while for bytes that are still to come. */
  read(key: ObjectKey, ask: Ask, signal: AbortSignal): Promise<Slice>
  /**
   * Bytes from a sender, appended at `offset`. Resolves once they are safe here. When the body breaks off, what came of
   * it is kept all the same, so that every connection brings the upload further; then it rejects as the body did.
   */
  write(key: ObjectKey, put: Put, signal: AbortSignal): Promise<Written>
  /** A receiver has all it wanted safely on its own disk, or the issuer is done with it. */
  release(key: ObjectKey, by: { readonly peer: string; readonly issuer: boolean }): Promise<void>
}

export interface Status {
  /** Bytes that came so far. */
  readonly offset: number
  /** Whole size, when it is known. */
  readonly size: number | undefined
  readonly complete: boolean
}

export interface Ask {
  readonly peer: string
  readonly offset: number
  /** At most so many bytes; fewer may come. */
  readonly length: number
  /** Everything before it is safe on the receiver's disk. */
  readonly safe: number
}

export type Slice =
  | {
      readonly is: 'bytes'
      readonly size: number
      readonly length: number
      readonly bytes: AsyncIterable<Uint8Array>
    }
  /** Nothing there, and nothing came while we waited. */
  | { readonly is: 'absent' }
  /** Not offered any more, and never again. */
  | { readonly is: 'gone' }
  /** The window has moved on; it begins at `from`. */
  | { readonly is: 'passed'; readonly from: number }
  | { readonly is: 'beyond'; readonly size: number }

export interface Put {
  readonly peer: string
  readonly offset: number
  /** Whole size of the object as the sender says, to be equal to the token's where that knows it. */
  readonly size: number
  /** Bytes of this part. */
  readonly length: number
  /** Never more than `length`. */
  readonly body: AsyncIterable<Uint8Array>
  readonly receivers: readonly string[]
  /** End of the token, milliseconds since 1970. */
  readonly expiresAt: number
}

export type Written =
  | { readonly is: 'written'; readonly offset: number; readonly complete: boolean }
  /** The upload is at another offset; nothing of the body was taken. */
  | { readonly is: 'moved'; readonly offset: number; readonly complete: boolean }
  /** No room now: come again. */
  | { readonly is: 'full' }
  /** These bytes come another way from now on. */
  | { readonly is: 'elsewhere' }
  | { readonly is: 'refused'; readonly why: string }
