/** What a pillar that keeps checksums only does not do: give bytes back, or compute anything of them. */
import { answering, compose } from '../post/compose.ts'
import { isIndexed, specFault } from '../protocol/checksums.ts'
import type { MessageOf, RequestMessage } from '../protocol/messages.ts'
import type { Desk } from './pillar.ts'

const code = 'REQUEST_NOT_SUPPORTED' as const
const text = 'this pillar keeps checksums only'

/** The answer to what this pillar does not do; undefined for all that it does. */
export function unsupported(desk: Desk, request: RequestMessage): Promise<void> | undefined {
  if (desk.store.kind === 'file') return undefined
  switch (request.type) {
    case 'IdentifyPillarsForGetFileRequest':
    case 'GetFileRequest':
    case 'RestoreRetainedRequest':
      return refuseFiles(desk, request)
    case 'IdentifyPillarsForGetChecksumsRequest':
    case 'GetChecksumsRequest':
      return computes(request) ? refuseSums(desk, request) : undefined
    default:
      return undefined
  }
}

type AboutFiles = MessageOf<
  'IdentifyPillarsForGetFileRequest' | 'GetFileRequest' | 'RestoreRetainedRequest'
>
type AboutSums = MessageOf<'IdentifyPillarsForGetChecksumsRequest' | 'GetChecksumsRequest'>

/** What can not be understood is answered so, here as elsewhere. */
const computes = ({ checksumSpec: spec }: AboutSums): boolean =>
  !isIndexed(spec) && (spec === undefined || specFault(spec) === undefined)

const answerTypes = {
  IdentifyPillarsForGetFileRequest: 'IdentifyPillarsForGetFileResponse',
  GetFileRequest: 'GetFileFinalResponse',
  RestoreRetainedRequest: 'RestoreRetainedFinalResponse',
} as const

function refuseFiles(desk: Desk, request: AboutFiles): Promise<void> {
  const type = answerTypes[request.type] as 'GetFileFinalResponse'
  const message = compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(request, desk.name, code, text),
    files: request.files.map(({ id }) => ({ id, code, text })),
  })
  return desk.answer(request, message)
}

function refuseSums(desk: Desk, request: AboutSums): Promise<void> {
  const about = answering(request, desk.name, code, text)
  if (request.type === 'IdentifyPillarsForGetChecksumsRequest') {
    const type = 'IdentifyPillarsForGetChecksumsResponse' as const
    return desk.answer(request, compose<typeof type>(desk.world, desk.name, { type, ...about }))
  }
  const type = 'GetChecksumsFinalResponse' as const
  const message = compose<typeof type>(desk.world, desk.name, {
    type,
    ...about,
    ...(request.checksumSpec ? { checksumSpec: request.checksumSpec } : {}),
    items: [],
    partialResult: false,
  })
  return desk.answer(request, message)
}
