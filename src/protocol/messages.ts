/**
 * Every message: schema and type at once. Unknown fields are dropped, so that peers may be newer than we are.
 * Names and fields follow Bitrepository.org; what goes beyond theirs says so.
 */
import * as v from 'valibot'
import { Alarm, GetAlarmsFinalResponse, GetAlarmsRequest } from './alarms.ts'
import { audits } from './audit.ts'
import * as sums from './checksums.ts'
import { fragmentEvents } from './fragments.ts'
import { answer, envelope, fileAnswer, files, OfferedFile, request, Transmission } from './parts.ts'
import { GetFragmentsFinalResponse, GetFragmentsRequest } from './pieces.ts'
import { puts } from './puts.ts'
import { GetReceiptsFinalResponse, GetReceiptsRequest } from './receipts.ts'
import { removalMessages } from './removals.ts'
import { GetRepairsFinalResponse, GetRepairsRequest } from './repairs.ts'
import { delivered, itemsOf, wantsResults } from './results.ts'
import { Bytes, Checksum, Count, FileId, Name, PillarKind, Text, Time, Uuid } from './scalars.ts'
import { trimMessages } from './trims.ts'
import { SayOfPillarFinalResponse, SayOfPillarRequest } from './words.ts'

/** Version we write, and the oldest reader that understands it. */
export const protocolVersion = 1

// ---- GetFile -------------------------------------------------------------------------------------------------
export const IdentifyPillarsForGetFileRequest = v.object({
  ...request,
  type: v.literal('IdentifyPillarsForGetFileRequest'),
  files: files(v.object({ id: FileId })),
})
const known = { size: v.optional(Bytes), checksum: v.optional(Checksum), mtime: v.optional(Time) }
export const IdentifyPillarsForGetFileResponse = v.object({
  ...answer,
  type: v.literal('IdentifyPillarsForGetFileResponse'),
  timeToDeliver: v.optional(Count),
  files: files(v.object({ ...fileAnswer, ...known })),
})
/** A slice of a file; the whole of it without `offset` and `length`. */
const wanted = v.object({
  id: FileId,
  offset: v.optional(Bytes),
  length: v.optional(Bytes),
  checksum: v.optional(Checksum),
})
export const GetFileRequest = v.object({
  ...request,
  type: v.literal('GetFileRequest'),
  files: files(wanted),
  transmission: Transmission,
})
export const GetFileProgressResponse = v.object({
  ...answer,
  type: v.literal('GetFileProgressResponse'),
  filesDone: Count,
  bytesDone: Bytes,
  /** Exchanges the pillar delivers to, when it is not the first of the list. */
  deliveringTo: v.optional(v.array(Name)),
  tokenEnds: v.optional(v.boolean()),
})
export const GetFileFinalResponse = v.object({
  ...answer,
  type: v.literal('GetFileFinalResponse'),
  files: files(
    v.object({
      ...fileAnswer,
      ...known,
      offset: v.optional(Bytes),
      length: v.optional(Bytes),
      partChecksum: v.optional(Checksum),
    }),
  ),
})

// ---- Listings ------------------------------------------------------------------------------------------------
const cursor = v.object({ timestamp: Time, id: FileId })
const asked = {
  /** Only these; all when absent. */
  fileIds: v.optional(v.array(FileId)),
  prefix: v.optional(v.string()),
  /** Inclusive window over the index time. */
  minTimestamp: v.optional(Time),
  maxTimestamp: v.optional(Time),
  maxResults: v.optional(Count),
  /** Exclusive: the last item of the page before. */
  after: v.optional(cursor),
}
const listed = {
  /** Exactly whether more items match than are given. */
  partialResult: v.boolean(),
  after: v.optional(cursor),
  /** Of `fileIds`, those the pillar does not have. */
  missing: v.optional(v.array(FileId)),
}
const idItem = { id: FileId, timestamp: Time }
const sumItem = { ...idItem, checksum: Checksum, provenAt: Time }
const infoItem = {
  ...sumItem,
  size: Bytes,
  mtime: Time,
  /** Of a collection in fragments, when asked for: copies of the scarcest on pillars that are there, of how many. */
  copies: v.optional(v.object({ least: Count, wanted: Count })),
}
/** What was deleted; `keptUntil` while the bytes can be brought back. */
const tombstoneItem = {
  ...idItem,
  checksum: Checksum,
  size: Bytes,
  mtime: Time,
  removedAt: Time,
  keptUntil: v.optional(Time),
}

function listing<
  K extends 'GetFileIDs' | 'GetChecksums' | 'GetFileInfos' | 'GetTombstones',
  T extends v.ObjectEntries,
>(kind: K, item: T) {
  return {
    identify: v.object({ ...request, type: v.literal(`IdentifyPillarsFor${kind}Request`) }),
    identified: v.object({
      ...answer,
      type: v.literal(`IdentifyPillarsFor${kind}Response`),
      timeToDeliver: v.optional(Count),
    }),
    request: v.object({ ...request, type: v.literal(`${kind}Request`), ...asked }),
    progress: v.object({ ...answer, type: v.literal(`${kind}ProgressResponse`) }),
    final: v.object({
      ...answer,
      type: v.literal(`${kind}FinalResponse`),
      items: v.array(v.object(item)),
      ...listed,
    }),
  }
}
const checksums = listing('GetChecksums', { ...sumItem, checksum: sums.AnyChecksum })
/** Those whose results may be delivered by a token. */
function deliverable<K extends 'GetFileIDs' | 'GetFileInfos', T extends v.ObjectEntries>(
  kind: K,
  item: T,
) {
  const plain = listing(kind, item)
  return {
    ...plain,
    request: v.object({ ...plain.request.entries, ...wantsResults }),
    progress: v.object({ ...plain.progress.entries, ...delivering }),
    final: v.object({ ...plain.final.entries, ...delivered }),
  }
}
/** Exchanges the pillar delivers to, when it is not the first of the list. */
const delivering = { deliveringTo: v.optional(v.array(Name)) }
const infos = deliverable('GetFileInfos', infoItem)
export const listings = {
  GetFileIDs: deliverable('GetFileIDs', idItem),
  GetChecksums: {
    ...checksums,
    identify: v.object({ ...checksums.identify.entries, ...sums.asked }),
    request: v.object({ ...checksums.request.entries, ...sums.asked, ...wantsResults }),
    progress: v.object({ ...checksums.progress.entries, ...sums.working, ...delivering }),
    final: v.object({ ...checksums.final.entries, ...sums.answered, ...delivered }),
  },
  GetFileInfos: {
    ...infos,
    request: v.object({ ...infos.request.entries, copies: v.optional(v.boolean()) }),
  },
  /** Beyond theirs. */
  GetTombstones: listing('GetTombstones', tombstoneItem),
}

/** Items that came by a result token; undefined when they are none. */
export const resultItems = (kind: keyof typeof listings, text: string): object[] | undefined =>
  itemsOf(listings[kind].final.entries.items.item, text)

// ---- GetStatus -----------------------------------------------------------------------------------------------
export const IdentifyContributorsForGetStatusRequest = v.object({
  ...request,
  type: v.literal('IdentifyContributorsForGetStatusRequest'),
})
export const IdentifyContributorsForGetStatusResponse = v.object({
  ...answer,
  type: v.literal('IdentifyContributorsForGetStatusResponse'),
  timeToDeliver: v.optional(Count),
})
export const GetStatusRequest = v.object({ ...request, type: v.literal('GetStatusRequest') })
export const GetStatusProgressResponse = v.object({
  ...answer,
  type: v.literal('GetStatusProgressResponse'),
})
/** Of a pillar that has an eye on its power. */
export const PowerStatus = v.object({
  /** mains, battery, weak (under-voltage), unknown, or ending; a newer pillar may know more. */
  mode: v.string(),
  since: Time,
  text: Text,
  /** Why nothing new is taken now. */
  refusal: v.optional(Text),
  /** Of the battery, per cent. */
  charge: v.optional(Count),
  /** On battery: until it stops, by the most careful of all figures. */
  msLeft: v.optional(Count),
  /** The last time that it was not on mains: it may be long ago. */
  lastEvent: v.optional(v.object({ mode: v.string(), at: Time })),
})
export type PowerStatus = v.InferOutput<typeof PowerStatus>
export const Status = v.object({
  verdict: v.picklist(['OK', 'WARNING', 'ERROR']),
  text: Text,
  version: v.string(),
  volumes: v.array(
    v.object({
      id: v.string(),
      state: v.string(),
      bytesFree: Bytes,
      bytesTotal: Bytes,
      bytesReserved: Bytes,
      /** Of deleted files, kept aside for a while. */
      bytesRetained: v.optional(Bytes, 0),
      /** Why it is not `ready`. */
      text: v.optional(Text),
    }),
  ),
  /** Of the collection asked for. Equal sets of files have equal digests. */
  files: Count,
  bytes: Bytes,
  digest: v.string(),
  oldestProof: v.optional(Time),
  /** How many files were last proven longer ago than so many days. */
  proofAges: v.optional(v.array(v.object({ days: Count, files: Count }))),
  receiving: Count,
  /** Absent of pillars that keep files. */
  kind: v.optional(PillarKind),
  /** Of a collection in fragments: how many copies the scarcest has, how many each is to have, on how many pillars. */
  copies: v.optional(v.object({ least: Count, wanted: Count, pillars: Count })),
  power: v.optional(PowerStatus),
  /** The cipher that its processor is best at, and offers first. */
  cipher: v.optional(v.picklist(['AES', 'ChaCha20'])),
  /** Written outside its volumes, log included, in so many milliseconds since its start. */
  wear: v.optional(v.object({ bytes: Bytes, ms: Count })),
})
export type Status = v.InferOutput<typeof Status>
export const GetStatusFinalResponse = v.object({
  ...answer,
  type: v.literal('GetStatusFinalResponse'),
  status: v.optional(Status),
})

// ---- Presence, owed copies -------------------------------------------------------------------------------------
/** Retained birth, or the Last Will: the death with the same session number. */
export const Presence = v.object({
  ...envelope,
  type: v.literal('Presence'),
  state: v.picklist(['online', 'offline']),
  /** max(clock, last + 1) at each start: a late death of an older session is ignored. */
  session: Count,
  version: v.string(),
  /** Of the tracker: version of the archive document it hands out. */
  document: v.optional(Count),
  /** Of the tracker: what pillars are to keep of the recovery kit; 0 when it was restored, and wants what they have. */
  recovery: v.optional(Count),
  /** Of the tracker: pillars that are to go, or are lost; they count no more as copies. */
  leaving: v.optional(v.array(Name)),
  site: v.optional(Name),
  /** Of a pillar that keeps checksums only. */
  kind: v.optional(PillarKind),
  /** Of a pillar that saves its power: on battery, or with too weak a supply. Nothing is to be brought to it now. */
  saving: v.optional(v.object({ mode: v.string(), since: Time })),
  /** Of one that goes for lack of power, or will: it means to be back by then, and is to be waited for. */
  downUntil: v.optional(Time),
})
/** Beyond theirs: the client hands the rest of its work to the tracker and may switch off. */
export const DeliverOwedCopiesRequest = v.object({
  ...request,
  type: v.literal('DeliverOwedCopiesRequest'),
  files: files(OfferedFile),
  /** Pillars that confirmed, and pillars that are owed. */
  holders: v.array(Name),
  owed: v.array(Name),
})
export const DeliverOwedCopiesFinalResponse = v.object({
  ...answer,
  type: v.literal('DeliverOwedCopiesFinalResponse'),
})

/** To a request that can not be read: of an unknown type, too new, or with wrong fields. */
export const NotUnderstoodResponse = v.object({
  ...answer,
  collection: v.optional(Name),
  type: v.literal('NotUnderstoodResponse'),
  /** Type of the message that was not understood. */
  about: v.string(),
})

export const Message = v.variant('type', [
  NotUnderstoodResponse,
  ...Object.values(puts.PutFile),
  ...Object.values(puts.ReplaceFile),
  IdentifyPillarsForGetFileRequest,
  IdentifyPillarsForGetFileResponse,
  GetFileRequest,
  GetFileProgressResponse,
  GetFileFinalResponse,
  GetFragmentsRequest,
  GetFragmentsFinalResponse,
  ...removalMessages,
  ...Object.values(listings.GetFileIDs),
  ...Object.values(listings.GetChecksums),
  ...Object.values(listings.GetFileInfos),
  ...Object.values(listings.GetTombstones),
  IdentifyContributorsForGetStatusRequest,
  IdentifyContributorsForGetStatusResponse,
  GetStatusRequest,
  GetStatusProgressResponse,
  GetStatusFinalResponse,
  ...Object.values(audits),
  Alarm,
  GetAlarmsRequest,
  GetAlarmsFinalResponse,
  GetReceiptsRequest,
  GetReceiptsFinalResponse,
  GetRepairsRequest,
  GetRepairsFinalResponse,
  SayOfPillarRequest,
  SayOfPillarFinalResponse,
  Presence,
  DeliverOwedCopiesRequest,
  DeliverOwedCopiesFinalResponse,
  ...Object.values(fragmentEvents),
  ...trimMessages,
])
export type Message = v.InferOutput<typeof Message>
export type MessageType = Message['type']
export type MessageOf<T extends MessageType> = Extract<Message, { type: T }>
/** Every message that asks about a collection, and every one that answers. */
export type RequestMessage = Extract<
  Message,
  { replyTo: string; expiresAt: string; collection: string }
>
export type AnswerMessage = Extract<Message, { responseInfo: object }>

export const isAnswer = (message: Message): message is AnswerMessage => 'responseInfo' in message
export const isRequest = (message: Message): message is RequestMessage =>
  message.type.endsWith('Request') && message.collection !== undefined

/** What every reader may look at even in a message it does not understand. */
export const Head = v.object({
  v: Count,
  min: Count,
  type: v.string(),
  id: Uuid,
  conversation: Uuid,
  from: Name,
  replyTo: v.optional(v.string()),
  collection: v.optional(Name),
  page: v.optional(Count, 0),
})
export type Head = v.InferOutput<typeof Head>
