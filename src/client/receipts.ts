/** Fetches what the keepers of a collection sign of files. */
import { limits } from '../limits.ts'
import { compose } from '../post/compose.ts'
import { bytesOf } from '../protocol/scalars.ts'
import { heardOf } from './ask.ts'
import type { Client } from './client.ts'
import { common } from './pages.ts'

export interface Received {
  readonly pillar: string
  /** As they were signed. */
  readonly receipts: readonly string[]
  /** Why there are no more of them. */
  readonly why?: string
}

/** Of one pillar, or the tracker for a collection in fragments. */
export async function receiptsOf(
  client: Client,
  collection: string,
  pillar: string,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<Received> {
  const receipts: string[] = []
  const stopped = (why: string): Received => ({ pillar, receipts, why })
  for (let at = 0; at < ids.length; ) {
    const type = 'GetReceiptsRequest' as const
    const request = compose<typeof type>(client.world, client.name, {
      ...{ type, ...common(client, collection), to: [pillar], fileIds: pageOf(ids, at) },
    })
    const answer = await heardOf(client, pillar, request, signal)
    if (!answer) return stopped('it did not answer')
    if (answer.type !== 'GetReceiptsFinalResponse')
      return stopped(answer.responseInfo.text ?? answer.responseInfo.code)
    if (answer.receipt !== undefined) receipts.push(answer.receipt)
    if (answer.answered === 0) return stopped(answer.responseInfo.text ?? 'it says nothing')
    at += answer.answered
  }
  return { pillar, receipts }
}

function pageOf(ids: readonly string[], from: number): string[] {
  const page: string[] = []
  let bytes = 0
  for (const id of ids.slice(from, from + limits.batchFilesMax)) {
    bytes += bytesOf(JSON.stringify(id)) + 1
    if (page.length > 0 && bytes > limits.pageBytesMax) break
    page.push(id)
  }
  return page
}
