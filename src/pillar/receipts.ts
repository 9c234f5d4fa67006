/** GetReceipts: signs what is kept of files, for whoever wants to show it later. */
import type { StoredFile } from '../index/index.ts'
import { answering, compose } from '../post/compose.ts'
import { type Receipt, sealReceipt } from '../protocol/custody.ts'
import type { MessageOf } from '../protocol/messages.ts'
import { timeText } from '../protocol/scalars.ts'
import { fitting } from './listings.ts'
import type { Desk } from './pillar.ts'

/** It stands as a text within a text: quotes take two bytes each, and the signature some more. */
const bytesBeside = 16 * 1024
const filesMax = 100
const entriesMax = 250

export async function giveReceipt(
  desk: Desk,
  request: MessageOf<'GetReceiptsRequest'>,
): Promise<void> {
  const { store, world, name, directory, signer, site } = desk
  const { collection } = request
  const asked = request.fileIds.slice(0, filesMax)
  const rows = await store.stored(collection, asked)
  const all = await Promise.all(asked.map((_, n) => fileOf(desk, collection, rows[n])))
  const answered = fitting(all, (one) => one ?? {}, bytesBeside).length
  const files = all.slice(0, answered).flatMap((one) => one ?? [])
  const vault = directory.identity(name)?.role === 'tracker'
  const receipt: Receipt = {
    ...{ type: 'FilesKept', archive: directory.document().archive, from: name },
    ...(vault ? { vault } : {}),
    ...(store.kind === 'file' ? {} : { kind: store.kind }),
    ...(site === undefined ? {} : { site }),
    ...{ collection, at: timeText(world.clock.now()), files },
  }
  const type = 'GetReceiptsFinalResponse' as const
  await desk.answer(
    request,
    compose<typeof type>(world, name, {
      type,
      ...answering(request, name, 'OPERATION_COMPLETED', store.away?.()),
      ...(files.length > 0 ? { receipt: sealReceipt(receipt, signer) } : {}),
      answered,
    }),
  )
}

async function fileOf(
  { store }: Desk,
  collection: string,
  row: StoredFile | undefined,
): Promise<Receipt['files'][number] | undefined> {
  if (!row) return undefined
  const { id, size, checksum, mtime, timestamp, provenAt } = row
  const { entries } = await store.auditTrail({ collection, id, limit: entriesMax })
  const last = entries.at(-1)
  return {
    ...{ id, size, checksum, mtime: timeText(mtime) },
    ...{ storedAt: timeText(timestamp), provenAt: timeText(provenAt) },
    ...(last && {
      entry: {
        ...{ sequence: last.sequence, hash: last.hash, at: timeText(last.at) },
        ...(last.volume === undefined ? {} : { volume: last.volume }),
      },
    }),
  }
}
