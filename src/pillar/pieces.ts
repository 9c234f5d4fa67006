/** GetFragments: whoever keeps a collection on others says where its bytes are, so that clients need not take them from him. */
import { limits } from '../limits.ts'
import { answering, compose } from '../post/compose.ts'
import type { ResponseCode } from '../protocol/codes.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { bytesOf } from '../protocol/scalars.ts'
import type { Piece, Spreading, Store } from '../store/store.ts'
import type { Desk } from './pillar.ts'

type Request = MessageOf<'GetFragmentsRequest'>
type Final = MessageOf<'GetFragmentsFinalResponse'>

/** No message holds more; what is asked for is not looked up in vain. */
const fragmentsPerPage = 500

export async function tellFragments(desk: Desk, request: Request): Promise<void> {
  const { store } = desk
  const say = (code: ResponseCode, told: Partial<Final>, text?: string): Promise<void> => {
    const message = compose<'GetFragmentsFinalResponse'>(desk.world, desk.name, {
      type: 'GetFragmentsFinalResponse',
      ...answering(request, desk.name, code, text),
      ...{ holders: [], fragments: [], partialResult: false },
      ...told,
    })
    return desk.answer(request, message)
  }
  if (!store.pieces) return say('REQUEST_NOT_SUPPORTED', {}, 'whole files are kept here')
  try {
    return await say('OPERATION_COMPLETED', await pageOf(store, store.pieces, request))
  } catch (error) {
    return say('FAILURE', {}, error instanceof Error ? error.message : String(error))
  }
}

async function pageOf(
  store: Pick<Store, 'stored'>,
  pieces: Spreading['pieces'],
  { collection, files, skip }: Request,
): Promise<Partial<Final>> {
  const ids = files.map(({ id }) => id)
  const rows = await store.stored(collection, ids)
  const page = newPage()
  const unknown: number[] = []
  let left = skip
  for (const [file, { checksum, offset = 0, length }] of files.entries()) {
    const row = rows[file]
    const wanted = length ?? Math.max(0, (row?.size ?? 0) - offset)
    const found = row?.checksum === checksum ? await pieces(row, offset, wanted) : undefined
    if (!found) {
      unknown.push(file)
      continue
    }
    const rest = found.slice(left)
    left = Math.max(0, left - found.length)
    for (const piece of rest) if (!page.add(file, piece)) break
    if (page.isFull()) break
  }
  return {
    ...page.told(),
    ...(unknown.length > 0 ? { unknown } : {}),
    partialResult: page.isFull(),
  }
}

/** As many fragments as a message holds. */
function newPage() {
  const holders: string[] = []
  const fragments: Final['fragments'] = []
  let bytes = 0
  let full = false
  const placeOf = (pillar: string): number => {
    const known = holders.indexOf(pillar)
    if (known >= 0) return known
    bytes += bytesOf(pillar) + 3
    return holders.push(pillar) - 1
  }
  return {
    add(file: number, { holders: by, ...piece }: Piece): boolean {
      const told = { file, ...piece, holders: by.map(placeOf) }
      bytes += bytesOf(JSON.stringify(told)) + 1
      full =
        fragments.length > 0 &&
        (bytes > limits.pageBytesMax || fragments.length === fragmentsPerPage)
      if (!full) fragments.push(told)
      return !full
    },
    isFull: (): boolean => full,
    told: () => ({ holders, fragments }),
  }
}
