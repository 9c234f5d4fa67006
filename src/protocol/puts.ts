/** PutFile, and ReplaceFile, which is the same in the place of other bytes. */
import * as v from 'valibot'
import { answer, fileAnswer, files, OfferedFile, ordered, request, Transmission } from './parts.ts'
import { Bytes, Checksum, Count, Name, Time } from './scalars.ts'

function storing<
  K extends 'PutFile' | 'ReplaceFile',
  T extends v.ObjectEntries,
  U extends v.ObjectEntries,
>(kind: K, identifies: T, performs: U) {
  return {
    identify: v.object({
      ...request,
      type: v.literal(`IdentifyPillarsFor${kind}Request`),
      files: files(v.object({ ...OfferedFile.entries, ...identifies })),
    }),
    identified: v.object({
      ...answer,
      type: v.literal(`IdentifyPillarsFor${kind}Response`),
      /** Milliseconds until the pillar could have them, by its own estimate. */
      timeToDeliver: v.optional(Count),
      files: files(
        v.object({
          ...fileAnswer,
          /** When the pillar has these very bytes already. */
          provenAt: v.optional(Time),
          /** Of the bytes that are to be replaced, when these are what the pillar has; to be named in the request. */
          version: v.optional(Count),
        }),
      ),
    }),
    request: v.object({
      ...request,
      type: v.literal(`${kind}Request`),
      files: files(v.object({ ...OfferedFile.entries, ...performs })),
      transmission: Transmission,
    }),
    progress: v.object({
      ...answer,
      type: v.literal(`${kind}ProgressResponse`),
      filesDone: Count,
      bytesDone: Bytes,
      /** Of a collection in fragments: bytes of stored files that enough pillars keep for good. */
      bytesSafe: v.optional(Bytes),
      /** Identity of the exchange the pillar waits at for bytes that are not there yet. */
      waitingAt: v.optional(Name),
      /** The token is near its end: the client sends the request again with a new one. */
      tokenEnds: v.optional(v.boolean()),
    }),
    final: v.object({
      ...answer,
      type: v.literal(`${kind}FinalResponse`),
      files: files(v.object({ ...fileAnswer, provenAt: v.optional(Time) })),
    }),
  }
}

/** What is to be replaced: its checksum, and the version that the pillar has told of it. */
const replaced = { checksum: Checksum }

const putFile = storing('PutFile', {}, {})
const replaceFile = storing(
  'ReplaceFile',
  { replaces: v.object(replaced) },
  { replaces: v.object({ ...replaced, version: Count }) },
)
/** What is there already is hashed again before it is confirmed. */
const proving = { prove: v.optional(v.boolean()) }

export const puts = {
  PutFile: {
    ...putFile,
    identify: v.object({ ...putFile.identify.entries, ...proving }),
    request: v.object({ ...putFile.request.entries, ...proving }),
  },
  ReplaceFile: {
    ...replaceFile,
    request: v.object({
      ...replaceFile.request.entries,
      ...ordered,
    }),
  },
}
