/** Whether a fragment may be trimmed here. Pure. */
import type { Confirmation } from '../../protocol/confirmation.ts'

export interface TrimOrder {
  /** Of the pillar that is to trim. */
  readonly me: string
  readonly collection: string
  readonly nonce: string
  readonly unwanted: boolean
  /** Signed by who they say they are from, and by pillars that keep files of the collection. */
  readonly confirmations: readonly Confirmation[]
}

export interface Doubted {
  readonly id: string
  /** Kept for good; `absent` is what is not here. */
  readonly is: 'persisted' | 'temporary' | 'absent'
  /** We have confirmed it to another. */
  readonly isVowed: boolean
  /** The nonce was given for it, and not long ago. */
  readonly isFresh: boolean
  /** Others that must have confirmed it. */
  readonly needed: number
}

export type TrimVerdict =
  | { readonly is: 'trim' }
  /** It is gone already. */
  | { readonly is: 'absent' }
  | { readonly is: 'refused'; readonly why: string }

export function judge(order: TrimOrder, fragment: Doubted): TrimVerdict {
  const { needed, id } = fragment
  const refused = (why: string): TrimVerdict => ({ is: 'refused', why })
  if (fragment.is === 'absent') return { is: 'absent' }
  if (fragment.is === 'temporary') return refused('it is here for the time being only')
  if (!fragment.isFresh) return refused('the nonce is not mine, or not for it, or too old')
  if (fragment.isVowed) return refused('I have confirmed it to another')
  if (order.unwanted) return { is: 'trim' }
  const others = confirmers(order, id).size
  if (others < needed)
    return refused(`${others} of ${needed} others have confirmed that they have it`)
  return { is: 'trim' }
}

/** Each counts once, and nobody for himself. */
const confirmers = (
  { me, collection, nonce, confirmations }: TrimOrder,
  id: string,
): ReadonlySet<string> =>
  new Set(
    confirmations.flatMap((one) =>
      one.from !== me &&
      one.holder === me &&
      one.nonce === nonce &&
      one.collection === collection &&
      one.files.includes(id)
        ? [one.from]
        : [],
    ),
  )
