/**
 * GetFragments: of which fragments files consist, and who holds each. Beyond theirs; answered by whoever keeps a
 * collection in fragments.
 */
import * as v from 'valibot'
import { Fragment } from './fragments.ts'
import { answer, files, request } from './parts.ts'
import { Bytes, Checksum, Count, FileId, Name } from './scalars.ts'

export const GetFragmentsRequest = v.object({
  ...request,
  type: v.literal('GetFragmentsRequest'),
  /** These very bytes; only the fragments that the range needs, when there is one. */
  files: files(
    v.object({
      id: FileId,
      checksum: Checksum,
      offset: v.optional(Bytes),
      length: v.optional(Bytes),
    }),
  ),
  /** So many fragments, of all files together and in their order, were told already. */
  skip: v.optional(Count, 0),
})
export const GetFragmentsFinalResponse = v.object({
  ...answer,
  type: v.literal('GetFragmentsFinalResponse'),
  /** Pillars; fragments name their holders by the place here. */
  holders: v.array(Name),
  fragments: v.array(
    v.object({
      /** Place in the request. */
      file: Count,
      /** Where it begins in the file. */
      at: Bytes,
      ...Fragment.entries,
      holders: v.array(Count),
    }),
  ),
  /** Places in the request of files of which nothing can be told. */
  unknown: v.optional(v.array(Count)),
  /** Exactly whether there are more fragments. */
  partialResult: v.boolean(),
})
