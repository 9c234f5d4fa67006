/** GetReceipts: what a pillar signs of files that it keeps. */
import * as v from 'valibot'
import { answer, request } from './parts.ts'
import { Count, FileId } from './scalars.ts'

/** Two lines, as a message, but not one: see custody.ts. */
export const SealedReceipt = v.pipe(v.string(), v.maxLength(60 * 1024))

export const GetReceiptsRequest = v.object({
  ...request,
  type: v.literal('GetReceiptsRequest'),
  fileIds: v.array(FileId),
})
export const GetReceiptsFinalResponse = v.object({
  ...answer,
  type: v.literal('GetReceiptsFinalResponse'),
  /** Absent when none of the files is there. */
  receipt: v.optional(SealedReceipt),
  /** So many of the ids, from the first on, are answered: no message holds more. */
  answered: Count,
})
