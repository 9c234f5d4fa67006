/** Who there is to hold fragments. What of it is published with each version of the membership is `Membership`. */

export interface Member {
  readonly id: string
  /** Bytes that it may hold; 0: nothing new, because it is full, or about to leave. */
  readonly capacity: number
  /** Where it stands. All that have no site share one. */
  readonly site?: string | undefined
}

export interface Weighed {
  readonly id: string
  /** 0: never chosen. Otherwise from 1 to `weightMax`. */
  readonly weight: number
  readonly site?: string | undefined
}

/**
 * What everybody needs for the same decision. The weights are fitted for a number of copies, hence there is one of it for
 * each number that collections ask for.
 */
export interface Membership {
  readonly version: number
  readonly copies: number
  readonly members: readonly Weighed[]
}

export const weightMax = (1 << 26) - 1

/** A fragment's hash: bytes, or small hexadecimal digits. */
export type Key = Uint8Array | string
