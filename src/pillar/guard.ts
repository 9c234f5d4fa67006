/** What comes before a request is handled: may whoever asks ask this, and do we know that well enough to destroy anything? */
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { Mail } from '../post/post.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { MessageOf, RequestMessage } from '../protocol/messages.ts'
import { forbidden } from '../protocol/permissions.ts'
import { unapproved } from './approval.ts'
import type { Desk } from './pillar.ts'

/** Requests that take something away, once they are performed. */
const isDestroying = (
  message: RequestMessage,
): message is MessageOf<'DeleteFileRequest' | 'ReplaceFileRequest'> =>
  message.type === 'DeleteFileRequest' || message.type === 'ReplaceFileRequest'

export interface Guarded extends Pick<Mail, 'from' | 'key'> {
  readonly message: RequestMessage
}

/** Calls `perform` for what may be done, perhaps a while later; everything else is answered with one sentence. */
export function guard(desk: Desk) {
  let waiting = 0
  const { currency, directory } = desk

  const fault = ({ message }: Guarded): string | undefined =>
    forbidden(directory.document(), message.from, message.collection, message.type)

  /** Judged again after a wait: whoever asked may have been turned out meanwhile. */
  async function destroy(asked: Guarded, perform: () => Promise<void>): Promise<void> {
    const { message, key } = asked
    if (directory.keyOwner(key)?.name !== message.from) return
    const unfit = currency.isConfirmed()
      ? (fault(asked) ?? currency.clockFault() ?? (await second(message)))
      : unconfirmed
    if (unfit !== undefined) return refuse(desk, message, 'FAILURE', unfit)
    await perform()
  }
  const second = async (message: RequestMessage): Promise<string | undefined> =>
    isDestroying(message) ? unapproved(desk, message) : undefined
  return async (asked: Guarded, perform: () => Promise<void>): Promise<void> => {
    const { type } = asked.message
    if (!isDestroying(asked.message)) {
      const why = fault(asked)
      if (why === undefined) return perform()
      const code = type.startsWith('Identify') ? 'IDENTIFICATION_NEGATIVE' : 'FAILURE'
      return refuse(desk, asked.message, code, why)
    }
    if (currency.isConfirmed() || waiting >= limits.inboxMessagesMax) return destroy(asked, perform)
    // Not in the way of those who only read.
    waiting++
    void currency
      .confirmed()
      .then(() => destroy(asked, perform))
      .catch((error) => desk.world.log.error('guard.failed', { why: String(error) }))
      .finally(() => waiting--)
  }
}

const unconfirmed = 'the tracker has not confirmed since I am connected who may do this; try again'

/** The last word about a request of any kind; nothing was begun. */
export function refuse(
  desk: Desk,
  request: RequestMessage,
  code: ResponseCode,
  text: string,
): Promise<void> {
  const isIdentify = request.type.startsWith('Identify')
  const type = request.type.replace(
    /Request$/,
    isIdentify ? 'Response' : 'FinalResponse',
  ) as 'GetFileFinalResponse'
  const files = 'files' in request ? request.files : []
  // Listings have no files, and files no items: whoever reads it passes over what is not his.
  const nothing = { items: [], partialResult: false }
  const spec =
    'checksumSpec' in request && request.checksumSpec ? { checksumSpec: request.checksumSpec } : {}
  const message = compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(request, desk.name, code, text),
    ...nothing,
    ...spec,
    files: files.map(({ id }) => ({ id, code, text })),
  })
  return desk.answer(request, message)
}
