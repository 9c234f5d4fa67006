/** The first primitive of all that only reads: every pillar of the collection can, and at once. */
import { answering, compose } from '../post/compose.ts'
import { specFault } from '../protocol/checksums.ts'
import type { RequestMessage } from '../protocol/messages.ts'
import type { Desk } from './pillar.ts'

export async function identifyRead(desk: Desk, request: RequestMessage): Promise<void> {
  const type = request.type.replace(
    /Request$/,
    'Response',
  ) as 'IdentifyPillarsForGetFileIDsResponse'
  const fault =
    'checksumSpec' in request && request.checksumSpec ? specFault(request.checksumSpec) : undefined
  const { code, text } = fault ?? { code: 'IDENTIFICATION_POSITIVE' as const, text: undefined }
  await desk.answer(
    request,
    compose<typeof type>(desk.world, desk.name, {
      type,
      ...answering(request, desk.name, code, text),
      timeToDeliver: 0,
    }),
  )
}
