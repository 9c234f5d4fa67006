/** Whether a pillar may join, and why not. Pure: by the request, the archive document, and who else is there. */
import { compareEpochs, type Epoch } from '../protocol/fragments.ts'
import type { MessageOf } from '../protocol/messages.ts'
import type { ViewMember } from '../view/view.ts'
import type { Verdict } from './members-join.ts'

export interface Standing {
  readonly epoch: Epoch
  readonly algorithm: string
  /** Collections in fragments that it keeps by the archive document. */
  readonly collections: readonly string[]
  /** How it is registered already. */
  readonly member?: ViewMember | undefined
  /** The session of its presence, if it is there now by that. */
  readonly session?: number | undefined
}

const fine: Verdict = { is: 'fine' }

export function verdictOn(
  request: Pick<MessageOf<'ClientJoinRequested'>, 'epoch' | 'algorithm' | 'session' | 'volumes'>,
  { epoch, algorithm, collections, member, session }: Standing,
): Verdict {
  if (compareEpochs(request.epoch, epoch) < 0)
    return {
      is: 'denied',
      reasonCode: 'OLD_EPOCH',
      reason: `epoch ${epoch.counter} of ${epoch.tracker} acts now`,
    }
  if (request.algorithm.toLowerCase() !== algorithm)
    return {
      is: 'denied',
      reasonCode: 'WRONG_HASH_ALGORITHM',
      reason: `fragments are named by ${algorithm} here`,
    }
  if (collections.length === 0)
    return {
      is: 'denied',
      reasonCode: 'NOT_A_MEMBER',
      reason: 'the archive document names it for no collection in fragments',
    }
  // Another run of the same board comes with the same volumes, or after the one before is gone.
  const other = member?.volumes.filter((id) => !request.volumes.some((one) => one.id === id)) ?? []
  const live = session !== undefined && session > request.session
  if (other.length > 0 && live)
    return {
      is: 'denied',
      reasonCode: 'IDENTITY_CONFLICT',
      reason: `a board under this name is here, with the volume ${other.join(', ')}`,
    }
  return fine
}
