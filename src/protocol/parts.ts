/** The fields that messages share. */
import * as v from 'valibot'
import { limits } from '../limits.ts'
import { Code } from './codes.ts'
import { Bytes, Checksum, Count, FileId, Name, PillarKind, Text, Time, Uuid } from './scalars.ts'

export const envelope = {
  v: Count,
  min: Count,
  id: Uuid,
  /** UUIDv7 made by the initiator; the same for all messages of one operation. */
  conversation: Uuid,
  from: Name,
  to: v.optional(v.array(Name)),
  /** Where answers go; only below `replies/<from>/`. */
  replyTo: v.optional(v.string()),
  collection: v.optional(Name),
  sentAt: Time,
  /** Requests: after it no new effect begins. */
  expiresAt: v.optional(Time),
  /** Pages of a request's parameters are complete requests of one conversation. */
  page: v.optional(Count, 0),
}
const inCollection = { ...envelope, collection: Name }
export const request = {
  ...inCollection,
  replyTo: v.string(),
  expiresAt: Time,
  /** Why it is asked for, in free words; ends in the audit trail of what it changes. */
  auditTrailInformation: v.optional(v.pipe(v.string(), v.maxLength(limits.noteMax))),
}
/** Where two people must want what is destroyed: the order that both have signed. */
export const ordered = { order: v.optional(v.pipe(v.string(), v.maxLength(limits.orderBytesMax))) }
export const answer = {
  ...inCollection,
  responseInfo: v.object({ code: Code, text: v.optional(Text) }),
  pillar: Name,
  /** Of a checksum pillar: what it confirms is no copy. */
  kind: v.optional(PillarKind),
}
/** A page of files. */
export const files = <T extends v.GenericSchema>(file: T) =>
  v.pipe(v.array(file), v.minLength(1), v.maxLength(256))
/** What is said of one file. */
export const fileAnswer = { id: FileId, code: Code, text: v.optional(Text) }

/** What a file is: its id, its bytes, and when it was last changed at its source. */
const offered = { id: FileId, size: Bytes, checksum: Checksum, mtime: Time }
export const OfferedFile = v.object(offered)
export type OfferedFile = v.InferOutput<typeof OfferedFile>

/**
 * One transmission of bytes, designated by the client, carried out by the pillar. The token alone suffices: it
 * names who may dial where for which objects; the objects stand in the order of the files of the request.
 */
export const Transmission = v.object({
  /** Where to dial, in this order: the client's own exchange first, then the tracker's. */
  exchanges: v.pipe(
    v.array(v.object({ identity: Name, urls: v.array(v.string()) })),
    v.maxLength(4),
  ),
  /** Compact JWS (RFC 7515) by the issuer. */
  token: v.string(),
})
export type Transmission = v.InferOutput<typeof Transmission>
