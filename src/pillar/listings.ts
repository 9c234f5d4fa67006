/** GetFileIDs, GetChecksums, GetFileInfos: one listing, of which each shows what it is asked for. */
import type { ListQuery, StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { bytesOf, timeText, timeValue } from '../protocol/scalars.ts'
import type { Spreading } from '../store/store.ts'
import type { Desk } from './pillar.ts'

export type ListRequest = MessageOf<
  'GetFileIDsRequest' | 'GetChecksumsRequest' | 'GetFileInfosRequest'
>

/** What a request asks of the index; at most so many rows. */
export function queryOf(
  request: ListRequest | MessageOf<'GetTombstonesRequest'>,
  rowsMax: number,
): ListQuery {
  const { collection, prefix, minTimestamp, maxTimestamp, after } = request
  return {
    collection,
    limit: Math.max(1, Math.min(request.maxResults ?? rowsMax, rowsMax)),
    ...(request.fileIds ? { ids: request.fileIds } : {}),
    ...(prefix === undefined ? {} : { prefix }),
    ...(minTimestamp === undefined ? {} : { minTimestamp: timeValue(minTimestamp) }),
    ...(maxTimestamp === undefined ? {} : { maxTimestamp: timeValue(maxTimestamp) }),
    ...(after ? { after: { timestamp: timeValue(after.timestamp), id: after.id } } : {}),
  }
}

/** What the ids of a request take of the answer, which may name them all again as missing. */
export const idBytes = ({ fileIds = [] }: ListRequest): number =>
  fileIds.reduce((sum, id) => sum + bytesOf(JSON.stringify(id)) + 1, 0)

/** As many as one message holds, beside so many bytes of something else. */
export function fitting<Row, Item extends object>(
  rows: readonly Row[],
  itemOf: (row: Row) => Item,
  bytesBeside = 0,
): Item[] {
  const items: Item[] = []
  let bytes = bytesBeside
  for (const row of rows) {
    const item = itemOf(row)
    bytes += bytesOf(JSON.stringify(item)) + 1
    if (bytes > limits.pageBytesMax && items.length > 0) break
    items.push(item)
  }
  return items
}

export async function list(desk: Desk, request: ListRequest): Promise<void> {
  const page = await desk.store.list(queryOf(request, limits.pageResultsMax))
  const most = asksForCopies(request) ? unknownCopies : undefined
  const draft = fitting(page.files, (file) => itemOf(request, file, most), idBytes(request))
  const items = await itemsOf(desk, request, page.files.slice(0, draft.length))
  const last = page.files[items.length - 1]
  const partialResult = page.partial || items.length < page.files.length
  const { code, missing } = await missingOf(desk, request)
  const text = desk.store.away?.()
  const final = listingFinal(desk, request, code, {
    ...(text === undefined ? {} : { text }),
    items: items as Final['items'],
    partialResult,
    ...(last && partialResult
      ? { after: { timestamp: timeText(last.timestamp), id: last.id } }
      : {}),
    ...(missing ? { missing } : {}),
  })
  await desk.answer(request, final)
}

/** Of all three; they differ in their items, which are made by `itemOf`. */
type Final = MessageOf<'GetFileIDsFinalResponse'>

export function listingFinal(
  desk: Desk,
  request: ListRequest,
  code: ResponseCode,
  found: Partial<Final> & { readonly text?: string },
): Final {
  const { text, ...rest } = found
  const type = request.type.replace(/Request$/, 'FinalResponse') as 'GetFileIDsFinalResponse'
  return compose<typeof type>(desk.world, desk.name, {
    type,
    ...answering(request, desk.name, code, text),
    ...('checksumSpec' in request ? { checksumSpec: request.checksumSpec } : {}),
    items: [],
    partialResult: false,
    ...rest,
  })
}

type Copies = Awaited<ReturnType<Spreading['copies']>>[number]
/** As long as any that may be told. */
const unknownCopies: Copies = { least: 10_000, wanted: 10_000 }

const asksForCopies = (request: ListRequest): boolean =>
  request.type === 'GetFileInfosRequest' && request.copies === true

/** What is told of these files. */
export async function itemsOf(
  { store }: Desk,
  request: ListRequest,
  files: readonly StoredFile[],
): Promise<object[]> {
  const copies = asksForCopies(request) ? await store.copies?.(files) : undefined
  return files.map((file, n) => itemOf(request, file, copies?.[n]))
}

function itemOf({ type }: ListRequest, file: StoredFile, copies: Copies): object {
  const id = { id: file.id, timestamp: timeText(file.timestamp) }
  if (type === 'GetFileIDsRequest') return id
  const checked = { ...id, checksum: file.checksum, provenAt: timeText(file.provenAt) }
  return type === 'GetChecksumsRequest'
    ? checked
    : {
        ...{ ...checked, size: file.size, mtime: timeText(file.mtime) },
        ...(copies === undefined ? {} : { copies }),
      }
}

/** Which of the ids are not here, told on the first page only; and the code of an answer that says so. */
export async function missingOf(
  desk: Desk,
  { collection, fileIds, after }: ListRequest,
): Promise<{ code: ResponseCode; missing?: string[] }> {
  if (!fileIds || after) return { code: 'OPERATION_COMPLETED' }
  const rows = await desk.store.stored(collection, fileIds)
  const away = desk.store.away?.() !== undefined
  // Of a volume that is away nobody knows what is missing.
  const missing = away ? [] : fileIds.filter((_, n) => rows[n] === undefined)
  const none = missing.length > 0 && missing.length === fileIds.length
  return { code: none ? 'FILE_NOT_FOUND_FAILURE' : 'OPERATION_COMPLETED', missing }
}
