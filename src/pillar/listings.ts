/** GetFileIDs, GetChecksums, GetFileInfos: one listing, of which each shows what it is asked for. */
import type { ListQuery, StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { Message, MessageOf, RequestMessage } from '../protocol/messages.ts'
import { bytesOf, timeText, timeValue } from '../protocol/scalars.ts'
import type { Desk } from './pillar.ts'

type ListRequest = MessageOf<'GetFileIDsRequest' | 'GetChecksumsRequest' | 'GetFileInfosRequest'>

export async function identifyListing(desk: Desk, request: RequestMessage): Promise<void> {
  const type = request.type.replace(
    /Request$/,
    'Response',
  ) as 'IdentifyPillarsForGetFileIDsResponse'
  await desk.answer(
    request,
    compose<typeof type>(desk.world, desk.name, {
      type,
      ...answering(request, desk.name, 'IDENTIFICATION_POSITIVE'),
      timeToDeliver: 0,
    }),
  )
}

/** What a listing asks of the index. */
export function queryOf(request: ListRequest | MessageOf<'GetTombstonesRequest'>): ListQuery {
  const { collection, prefix, after } = request
  return {
    collection,
    limit: Math.max(
      1,
      Math.min(request.maxResults ?? limits.pageResultsMax, limits.pageResultsMax),
    ),
    ...(request.fileIds ? { ids: request.fileIds } : {}),
    ...(prefix === undefined ? {} : { prefix }),
    ...(request.minTimestamp === undefined
      ? {}
      : { minTimestamp: timeValue(request.minTimestamp) }),
    ...(request.maxTimestamp === undefined
      ? {}
      : { maxTimestamp: timeValue(request.maxTimestamp) }),
    ...(after ? { after: { timestamp: timeValue(after.timestamp), id: after.id } } : {}),
  }
}

/** As many as one message holds, beside the ids that it may have to name. */
export function fitting<Item extends object>(
  all: Iterable<Item>,
  fileIds: readonly string[] = [],
): Item[] {
  const items: Item[] = []
  let bytes = fileIds.reduce((sum, id) => sum + bytesOf(JSON.stringify(id)) + 1, 0)
  for (const item of all) {
    bytes += bytesOf(JSON.stringify(item)) + 1
    if (bytes > limits.pageBytesMax && items.length > 0) break
    items.push(item)
  }
  return items
}

export async function list(desk: Desk, request: ListRequest): Promise<void> {
  const page = await desk.store.list(queryOf(request))
  const items = fitting(
    page.files.map((file) => itemOf(request.type, file)),
    request.fileIds,
  )
  const last = page.files[items.length - 1]
  const partialResult = page.partial || items.length < page.files.length
  const missing = await missingOf(desk, request)
  const none =
    missing !== undefined && missing.length > 0 && missing.length === request.fileIds?.length
  const message = compose<MessageType>(desk.world, desk.name, {
    type: request.type.replace(/Request$/, 'FinalResponse') as MessageType,
    ...answering(request, desk.name, none ? 'FILE_NOT_FOUND_FAILURE' : 'OPERATION_COMPLETED'),
    items,
    partialResult,
    ...(last && partialResult
      ? { after: { timestamp: timeText(last.timestamp), id: last.id } }
      : {}),
    ...(missing ? { missing } : {}),
  } as never)
  await desk.answer(request, message as Message)
}

type MessageType =
  | 'GetFileIDsFinalResponse'
  | 'GetChecksumsFinalResponse'
  | 'GetFileInfosFinalResponse'

function itemOf(type: ListRequest['type'], file: StoredFile): object {
  const id = { id: file.id, timestamp: timeText(file.timestamp) }
  if (type === 'GetFileIDsRequest') return id
  const checked = { ...id, checksum: file.checksum, provenAt: timeText(file.provenAt) }
  return type === 'GetChecksumsRequest'
    ? checked
    : { ...checked, size: file.size, mtime: timeText(file.mtime) }
}

/** Told on the first page only. */
async function missingOf(
  desk: Desk,
  { collection, fileIds, after }: ListRequest,
): Promise<string[] | undefined> {
  if (!fileIds || after) return undefined
  const rows = await desk.store.stored(collection, fileIds)
  return fileIds.filter((_, n) => rows[n] === undefined)
}
