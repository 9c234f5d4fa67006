/** GetTombstones: what was deleted, and until when it can be brought back. */
import type { Tombstone } from '../index/index.ts'
import { answering, compose } from '../post/compose.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import { fitting, queryOf } from './listings.ts'
import type { Desk } from './pillar.ts'
import { retainedMs } from './retention.ts'

/** No message holds more. */
const rowsMax = 250

type Item = MessageOf<'GetTombstonesFinalResponse'>['items'][number]

export async function listTombstones(
  desk: Desk,
  request: MessageOf<'GetTombstonesRequest'>,
): Promise<void> {
  const { tombstones, partial } = await desk.store.tombstones(queryOf(request, rowsMax))
  const items = fitting(tombstones, await itemOf(desk, request.collection, tombstones))
  const partialResult = partial || items.length < tombstones.length
  const last = items.at(-1)
  const message = compose<'GetTombstonesFinalResponse'>(desk.world, desk.name, {
    type: 'GetTombstonesFinalResponse',
    ...answering(request, desk.name, 'OPERATION_COMPLETED', desk.store.away?.()),
    items,
    partialResult,
    ...(last && partialResult ? { after: { timestamp: last.timestamp, id: last.id } } : {}),
  })
  await desk.answer(request, message)
}

/** How each of them is told. */
async function itemOf(
  desk: Desk,
  collection: string,
  stones: readonly Tombstone[],
): Promise<(stone: Tombstone) => Item> {
  const ids = stones.map(({ id }) => id)
  const since = new Map<string, number>()
  const retainMs = retainedMs(desk, collection)
  for (const { id, checksum, since: at } of await desk.store.restorable(collection, ids))
    since.set(`${id}\0${checksum}`, at)
  return ({ id, checksum, size, mtime, timestamp, removedAt }) => {
    const kept = since.get(`${id}\0${checksum}`)
    return {
      id,
      timestamp: timeText(timestamp),
      checksum,
      size,
      mtime: timeText(mtime),
      removedAt: timeText(removedAt),
      ...(kept === undefined ? {} : { keptUntil: timeText(kept + retainMs) }),
    }
  }
}
