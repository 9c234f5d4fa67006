/** Which message concerns us, from whom we take it, and who handles it. */

import type { Mail } from '../post/post.ts'
import { keepersOf } from '../protocol/document.ts'
import { isRequest, type RequestMessage } from '../protocol/messages.ts'
import { type deliveries, identifyGet } from './get.ts'
import { guard, refuse } from './guard.ts'
import { identifyRead } from './identify.ts'
import { unsupported } from './kind.ts'
import { tellFragments } from './pieces.ts'
import type { Desk } from './pillar.ts'
import { promises } from './promises.ts'
import type { proofs } from './proofs.ts'
import { identifyPut, identifyReplace, type receptions } from './put.ts'
import { giveReceipt } from './receipts.ts'
import { identifyDelete, type removals } from './removal.ts'
import type { results } from './results.ts'
import { status } from './status.ts'
import { tokenFault } from './token-fault.ts'
import { listTombstones } from './tombstones.ts'
import type { trails } from './trail.ts'

export interface Work {
  readonly puts: ReturnType<typeof receptions>
  readonly gets: ReturnType<typeof deliveries>
  readonly removals: ReturnType<typeof removals>
  readonly trails: ReturnType<typeof trails>
  readonly sums: ReturnType<typeof proofs>
  readonly results: ReturnType<typeof results>
}

export function dispatch(desk: Desk, work: Work): (mail: Mail) => Promise<void> {
  const promised = promises(desk.world)
  const guarded = guard(desk)
  return async ({ message, from, line, key }) => {
    if (!isRequest(message) || !concerns(desk, message)) return
    // Closed by default: pillars ask nothing of pillars.
    if (from.role === 'pillar') return
    const refused = unsupported(desk, message)
    if (refused) return refused
    return guarded({ message, from, key }, async () => {
      const fault = tokenFault(desk, message)
      if (fault !== undefined) return refuse(desk, message, 'FILE_TRANSFER_FAILURE', fault)
      return perform(message, from, line, key)
    })
  }
  // Expiry is judged where something would change: a board whose clock is wrong must still be able to answer.
  async function perform(
    message: RequestMessage,
    from: Mail['from'],
    line: string,
    key: string,
  ): Promise<void> {
    switch (message.type) {
      case 'IdentifyPillarsForPutFileRequest':
        return identifyPut(desk, promised, message, from.role)
      case 'IdentifyPillarsForReplaceFileRequest':
        return identifyReplace(desk, promised, message)
      case 'PutFileRequest':
      case 'ReplaceFileRequest':
        return work.puts.accept(message, line, key)
      case 'IdentifyPillarsForGetFileRequest':
        return identifyGet(desk, message)
      case 'GetFileRequest':
        return work.gets.accept(message)
      case 'IdentifyPillarsForDeleteFileRequest':
        return identifyDelete(desk, message)
      case 'DeleteFileRequest':
      case 'RestoreRetainedRequest':
        return work.removals.accept(message, key)
      case 'IdentifyPillarsForGetFileIDsRequest':
      case 'IdentifyPillarsForGetChecksumsRequest':
      case 'IdentifyPillarsForGetFileInfosRequest':
      case 'IdentifyPillarsForGetTombstonesRequest':
      case 'IdentifyContributorsForGetStatusRequest':
      case 'IdentifyContributorsForGetAuditTrailsRequest':
        return identifyRead(desk, message)
      case 'GetChecksumsRequest':
        return work.sums.accept(message)
      case 'GetFileIDsRequest':
      case 'GetFileInfosRequest':
        return work.results.accept(message)
      case 'GetTombstonesRequest':
        return listTombstones(desk, message)
      case 'GetFragmentsRequest':
        return tellFragments(desk, message)
      case 'GetReceiptsRequest':
        return giveReceipt(desk, message)
      case 'GetStatusRequest':
        return status(desk, message)
      case 'GetAuditTrailsRequest':
        return work.trails.ask(message)
      // Of the tracker only, which was heard before.
      case 'PrepareTrimRequest':
      case 'ConfirmFragmentsRequest':
      case 'TrimFragmentsRequest':
      case 'DeliverOwedCopiesRequest':
        return
    }
  }
}

/** A request for a collection that is not served here, or for others, is not answered. */
function concerns({ directory, name }: Desk, message: RequestMessage): boolean {
  if (message.to !== undefined && !message.to.includes(name)) return false
  const collection = directory.collection(message.collection)
  if (!collection) return false
  if (keepersOf(directory.document(), collection).includes(name)) return true
  // Of a collection in fragments a pillar has no files: it says what it keeps to those who mean just that.
  return message.to !== undefined && collection.pillars.includes(name) && !takesAway(message)
}

/** [TRIM-6] Fragments go by trimming only, when others have confirmed that they have them. */
const takesAway = ({ type }: RequestMessage): boolean => /(Delete|Replace)FileRequest$/.test(type)
