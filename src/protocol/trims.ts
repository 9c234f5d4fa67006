/**
 * Beyond theirs: taking a surplus copy of a fragment away from a pillar. The pillar gives a nonce; others, having read and
 * hashed their copies, sign that they have them, for this pillar and this nonce; only then it is ordered to trim.
 */
import * as v from 'valibot'
import { Epoch, Fragment } from './fragments.ts'
import { answer, fileAnswer, files, request } from './parts.ts'
import { Bytes, FileId, Name } from './scalars.ts'

const byTracker = { ...request, epoch: Epoch }
const fragments = files(v.object({ hash: Fragment.entries.hash, kind: Fragment.entries.kind }))
export const Nonce = v.pipe(v.string(), v.maxLength(64))

/** Of whom copies may be taken. */
export const PrepareTrimRequest = v.object({
  ...byTracker,
  type: v.literal('PrepareTrimRequest'),
  fragments,
})
export const PrepareTrimFinalResponse = v.object({
  ...answer,
  type: v.literal('PrepareTrimFinalResponse'),
  /** Good for these fragments, for some minutes, until this pillar says of one that it is here, or starts anew. */
  nonce: v.optional(Nonce),
  /** Ids of those that it does not keep for good. */
  absent: v.array(FileId),
})
/** Of whoever keeps it. What it confirms it does not trim itself for as long as its word may be used. */
export const ConfirmFragmentsRequest = v.object({
  ...byTracker,
  type: v.literal('ConfirmFragmentsRequest'),
  /** Who is to trim them, and its nonce. */
  holder: Name,
  nonce: Nonce,
  fragments,
})
export const ConfirmFragmentsProgressResponse = v.object({
  ...answer,
  type: v.literal('ConfirmFragmentsProgressResponse'),
  bytesDone: Bytes,
})
export const ConfirmFragmentsFinalResponse = v.object({
  ...answer,
  type: v.literal('ConfirmFragmentsFinalResponse'),
  /** A sealed `Confirmation` (confirmation.ts); absent when there is nothing to confirm. */
  confirmation: v.optional(v.string()),
  /** Ids of those that it does not keep for good, or whose bytes are damaged. */
  absent: v.array(FileId),
})
export const TrimFragmentsRequest = v.object({
  ...byTracker,
  type: v.literal('TrimFragmentsRequest'),
  nonce: Nonce,
  fragments,
  /** As the others have sealed them. */
  confirmations: v.pipe(v.array(v.string()), v.maxLength(64)),
  /** Nobody needs them any more, and has not for long: without confirmations. */
  unwanted: v.optional(v.boolean(), false),
})
export const TrimFragmentsFinalResponse = v.object({
  ...answer,
  type: v.literal('TrimFragmentsFinalResponse'),
  files: files(v.object(fileAnswer)),
})
export const trimMessages = [
  PrepareTrimRequest,
  PrepareTrimFinalResponse,
  ConfirmFragmentsRequest,
  ConfirmFragmentsProgressResponse,
  ConfirmFragmentsFinalResponse,
  TrimFragmentsRequest,
  TrimFragmentsFinalResponse,
] as const
