/** What a distribution says, as messages: in pages that fit, with a token for what is delivered. */
import { limits } from '../limits.ts'
import { compose, type Draft, expiryText } from '../post/compose.ts'
import type { Epoch } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import { objectName } from '../transfer/objects.ts'
import { issueToken } from '../transfer/token.ts'
import type { Directory } from '../trust/directory.ts'
import type { Signer } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { inPages, type Word } from './distribution-batch.ts'

export interface Voice {
  readonly world: World
  readonly name: string
  readonly signer: Signer
  readonly directory: Directory
}

export interface Occasion {
  readonly conversation: string
  readonly collection: string
  readonly epoch: Epoch
  /** Version of the membership by which candidates rank themselves. */
  readonly membership: number
}

type Said = MessageOf<
  'FragmentDistributionStarted' | 'FragmentDistributionDelivered' | 'FragmentDistributionEnded'
>

/** Under which name the exchange offers a fragment, to whoever has a token for it. */
export const offeredAs = (
  world: Pick<World, 'hashing'>,
  collection: string,
  { hash, size }: { readonly hash: string; readonly size: number },
): string => objectName(world, 'fragment', collection, hash, size)

export function messagesOf(voice: Voice, occasion: Occasion, word: Word): Said[] {
  const { world, name } = voice
  const { conversation, collection, epoch, membership } = occasion
  const common = { conversation, collection, epoch }
  switch (word.say) {
    case 'started':
      return inPages(word.fragments).map((fragments, page) => {
        const { round, closesInMs } = word
        const closesAt = timeText(world.clock.now() + closesInMs)
        const type = 'FragmentDistributionStarted' as const
        const draft = { ...common, type, page, membership, round, closesAt }
        return compose<typeof type>(world, name, {
          ...draft,
          fragments: fragments.map((one) => ({ ...one, holders: [...one.holders] })),
        })
      })
    case 'delivered': {
      const type = 'FragmentDistributionDelivered' as const
      const delivered = compose<typeof type>(world, name, {
        ...common,
        type,
        page: word.page,
        expiresAt: expiryText(world, limits.deliveryExpiryMs),
        fragments: word.fragments.map((one) => ({ ...one, recipients: [...one.recipients] })),
        transmission: transmissionOf(voice, collection, word.fragments),
      })
      return [delivered]
    }
    case 'ended':
      return inPages(word.fragments).map((fragments, page) => {
        const type = 'FragmentDistributionEnded' as const
        const said = fragments.map((one) => ({ ...one, holders: [...one.holders] }))
        return compose<typeof type>(world, name, { ...common, type, page, fragments: said })
      })
  }
}

type Transmission = Draft<'FragmentDistributionDelivered'>['transmission']

/** One token for all of them, good at our own exchange for those who are named. */
function transmissionOf(
  { world, name, signer, directory }: Voice,
  collection: string,
  fragments: readonly {
    readonly hash: string
    readonly size: number
    readonly recipients: readonly string[]
  }[],
): Transmission {
  const exchanges = directory.document().exchanges.filter((one) => one.identity === name)
  const token = issueToken(signer, {
    iss: name,
    aud: [name],
    hld: [...new Set(fragments.flatMap(({ recipients }) => recipients))],
    dir: 'down',
    obj: fragments.map((one) => [offeredAs(world, collection, one), one.size]),
    exp: Math.ceil((world.clock.now() + limits.deliveryExpiryMs) / 1000),
  })
  return { exchanges, token }
}
