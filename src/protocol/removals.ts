/** DeleteFile, and bringing back what was deleted. */
import * as v from 'valibot'
import { answer, fileAnswer, files, ordered, request } from './parts.ts'
import { Checksum, Count, FileId } from './scalars.ts'

/** A file to be deleted, by the checksum that it is thought to have. */
const doomed = { id: FileId, checksum: Checksum }
export const IdentifyPillarsForDeleteFileRequest = v.object({
  ...request,
  type: v.literal('IdentifyPillarsForDeleteFileRequest'),
  files: files(v.object(doomed)),
})
export const IdentifyPillarsForDeleteFileResponse = v.object({
  ...answer,
  type: v.literal('IdentifyPillarsForDeleteFileResponse'),
  timeToDeliver: v.optional(Count),
  /** Per file; `version` when the pillar has these very bytes, to be named in the request itself. */
  files: files(v.object({ ...fileAnswer, version: v.optional(Count) })),
})
/** Names its pillars in `to`. */
export const DeleteFileRequest = v.object({
  ...request,
  type: v.literal('DeleteFileRequest'),
  /** `version`: the one that the pillar told; what was stored or confirmed since is not deleted. */
  files: files(v.object({ ...doomed, version: Count })),
  ...ordered,
})
export const DeleteFileProgressResponse = v.object({
  ...answer,
  type: v.literal('DeleteFileProgressResponse'),
  filesDone: Count,
})
export const DeleteFileFinalResponse = v.object({
  ...answer,
  type: v.literal('DeleteFileFinalResponse'),
  files: files(v.object(fileAnswer)),
})
/** Beyond theirs: brings back what was deleted and is still kept aside. */
export const RestoreRetainedRequest = v.object({
  ...request,
  type: v.literal('RestoreRetainedRequest'),
  files: files(v.object(doomed)),
})
export const RestoreRetainedProgressResponse = v.object({
  ...answer,
  type: v.literal('RestoreRetainedProgressResponse'),
  filesDone: Count,
})
export const RestoreRetainedFinalResponse = v.object({
  ...answer,
  type: v.literal('RestoreRetainedFinalResponse'),
  files: files(v.object(fileAnswer)),
})

export const removalMessages = [
  IdentifyPillarsForDeleteFileRequest,
  IdentifyPillarsForDeleteFileResponse,
  DeleteFileRequest,
  DeleteFileProgressResponse,
  DeleteFileFinalResponse,
  RestoreRetainedRequest,
  RestoreRetainedProgressResponse,
  RestoreRetainedFinalResponse,
] as const
