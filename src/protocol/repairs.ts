/** What the tracker brings back to whom, and what it has found that people are to decide. */
import * as v from 'valibot'
import { answer, envelope } from './parts.ts'
import { Count, FileId, Name, Text, Time } from './scalars.ts'
import { Leaving, Unusable } from './words.ts'

export const Repair = v.object({
  collection: Name,
  /** Who gets them. */
  pillar: Name,
  /** Found missing there, and how many of them are still to come. */
  files: Count,
  filesLeft: Count,
  /** At the pace so far. */
  msLeft: v.optional(Count),
})
export type Repair = v.InferOutput<typeof Repair>

/** What is not repaired; the first few of the files by name. */
export const Finding = v.object({
  collection: Name,
  is: v.picklist([
    /** Pillars have other bytes under one id. */
    'differing',
    /** Deleted on some pillars, and there on others that have stored it before. */
    'halfDeleted',
    /** Only on pillars that were away for long, and not compared with enough others yet. */
    'catchingUp',
  ]),
  files: Count,
  ids: v.array(FileId),
})
export type Finding = v.InferOutput<typeof Finding>

/** Beyond theirs. Asked of the tracker, about the whole archive. */
export const GetRepairsRequest = v.object({
  ...envelope,
  type: v.literal('GetRepairsRequest'),
  replyTo: v.string(),
  expiresAt: Time,
})
export const GetRepairsFinalResponse = v.object({
  ...answer,
  collection: v.optional(Name),
  type: v.literal('GetRepairsFinalResponse'),
  repairs: v.array(Repair),
  findings: v.array(Finding),
  leaving: v.optional(v.array(Leaving)),
  unusable: v.optional(v.array(Unusable)),
  /** What the operator is to see to, in sentences. */
  notes: v.optional(v.array(Text)),
})
