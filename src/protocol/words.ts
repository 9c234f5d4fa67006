/** What the operator says of a pillar at the tracker's machine, and how far its copies are elsewhere. */
import * as v from 'valibot'
import { answer, envelope } from './parts.ts'
import { Bytes, Count, Name, Time } from './scalars.ts'

/** `retired`: it is to go, its copies are moved away first. `lost`: it is gone, with all that it had. */
export const PillarWord = v.picklist(['retired', 'lost'])
export type PillarWord = v.InferOutput<typeof PillarWord>

/** Of one pillar and a collection that it keeps. */
export const Leaving = v.object({
  pillar: Name,
  word: PillarWord,
  collection: Name,
  /** Of a collection in fragments: those that it holds, and how many of them have too few copies elsewhere. */
  fragments: v.optional(Count),
  fragmentsLeft: v.optional(Count),
})
export type Leaving = v.InferOutput<typeof Leaving>

/** Room that no fragment can use, since its other copies would find no place. */
export const Unusable = v.object({ collection: Name, pillar: Name, bytes: Bytes })
export type Unusable = v.InferOutput<typeof Unusable>

/** Taken of the tracker's own identity only. */
export const SayOfPillarRequest = v.object({
  ...envelope,
  type: v.literal('SayOfPillarRequest'),
  replyTo: v.string(),
  expiresAt: Time,
  pillar: Name,
  /** Neither any more, when absent. */
  word: v.optional(PillarWord),
  /** Also when too few pillars are left. */
  force: v.optional(v.boolean(), false),
})
export const SayOfPillarFinalResponse = v.object({
  ...answer,
  collection: v.optional(Name),
  type: v.literal('SayOfPillarFinalResponse'),
  /** Collections that are left with fewer pillars than they need. */
  scarce: v.array(v.object({ collection: Name, pillars: Count, needed: Count })),
})
