/** GetAuditTrails: who did what to which file, and whether that was tampered with. */
import * as v from 'valibot'
import { answer, request } from './parts.ts'
import { Count, FileId, Text, Time } from './scalars.ts'

/** One entry, with what it takes to recompute its hash: the collection is that of the answer. */
export const TrailItem = v.object({
  sequence: Count,
  at: Time,
  /** Named after an event type of PREMIS 3. */
  event: Text,
  fileId: v.string(),
  actor: v.string(),
  conversation: v.string(),
  outcome: Text,
  /** Id of the key that signed the request. */
  key: v.optional(v.string()),
  information: v.optional(Text),
  /**
   * Hash of the entry before it on its volume, which may be about another file or collection. Any text: what was
   * tampered with must still reach its reader.
   */
  previous: v.string(),
  hash: v.string(),
  /** Whose chain it is of, where a pillar has several volumes: sequences and hashes are of that chain. */
  volume: v.optional(v.string()),
})
export type TrailItem = v.InferOutput<typeof TrailItem>

/** What a walk over a whole chain has found. */
export const Chain = v.object({
  entries: Count,
  /** Hash of the last entry: whoever remembers it can tell later that nothing before was taken away. */
  head: v.string(),
  /** The first sequence number at which the chain does not hold. */
  brokenAt: v.optional(Count),
  volume: v.optional(v.string()),
})
export type Chain = v.InferOutput<typeof Chain>

const identify = 'IdentifyContributorsForGetAuditTrails'
export const audits = {
  identify: v.object({ ...request, type: v.literal(`${identify}Request`) }),
  identified: v.object({
    ...answer,
    type: v.literal(`${identify}Response`),
    timeToDeliver: v.optional(Count),
  }),
  request: v.object({
    ...request,
    type: v.literal('GetAuditTrailsRequest'),
    fileId: v.optional(FileId),
    /** Inclusive. */
    minSequenceNumber: v.optional(Count),
    maxSequenceNumber: v.optional(Count),
    minTimestamp: v.optional(Time),
    maxTimestamp: v.optional(Time),
    /** 0: no entries, only whether there are any, and the verdict. */
    maxResults: v.optional(Count),
    /** Exclusive: where the page before ended, as its answer says. */
    after: v.optional(Count),
    /** Beyond theirs: walk the whole chain of the pillar, whatever is asked for, and say whether it holds. */
    verify: v.optional(v.boolean()),
  }),
  progress: v.object({
    ...answer,
    type: v.literal('GetAuditTrailsProgressResponse'),
    entriesDone: Count,
  }),
  final: v.object({
    ...answer,
    type: v.literal('GetAuditTrailsFinalResponse'),
    items: v.array(TrailItem),
    /** Exactly whether more entries match than are given. */
    partialResult: v.boolean(),
    after: v.optional(Count),
    /** With `verify`: of its only volume, or of each. */
    chain: v.optional(Chain),
    chains: v.optional(v.array(Chain)),
  }),
}
