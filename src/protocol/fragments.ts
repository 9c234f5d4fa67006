/**
 * The sixteen events of fragment distribution, named and placed as MyTorrent's design has them; a "client" of theirs is
 * a pillar here. What goes beyond: who sent it (every message is signed), which tracker acts (its epoch), and lists of
 * fragments. The conversation is the attempt of a join, or the distribution.
 */
import * as v from 'valibot'
import { envelope, files, Transmission } from './parts.ts'
import { Bytes, Checksum, Count, Name, Text, Time } from './scalars.ts'

/**
 * One tracker acts at a time: an older epoch is ignored, of two equal counters the greater name wins. Both sides keep
 * the highest that they have seen.
 */
export const Epoch = v.object({ counter: Count, tracker: Name })
export type Epoch = v.InferOutput<typeof Epoch>

/** -1, 0 or 1, as `a` is older than, the same as, or newer than `b`. */
export const compareEpochs = (a: Epoch, b: Epoch): number =>
  Math.sign(a.counter - b.counter) || (a.tracker < b.tracker ? -1 : a.tracker > b.tracker ? 1 : 0)

/** Bytes named by their hash: a slice of a file, or the text that says of what a file consists. */
export const Fragment = v.object({
  hash: Checksum,
  size: Bytes,
  kind: v.optional(v.picklist(['slice', 'info']), 'slice'),
})
export type Fragment = v.InferOutput<typeof Fragment>

/** Under which id pillars keep it; all of it is readable without Colonnade. */
export const fragmentFileId = ({ hash, kind }: Pick<Fragment, 'hash' | 'kind'>): string =>
  kind === 'info'
    ? `files/${hash.slice(0, 2)}/${hash}.txt`
    : `${hash.slice(0, 2)}/${hash.slice(2, 4)}/${hash}`

/** The fragment that is kept under this id, or undefined. */
export function fragmentOfFileId(id: string): Pick<Fragment, 'hash' | 'kind'> | undefined {
  const hash = /([0-9a-f]{64})(\.txt)?$/.exec(id)?.[1]
  if (hash === undefined) return undefined
  const found = (['slice', 'info'] as const).find((kind) => fragmentFileId({ hash, kind }) === id)
  return found && { hash, kind: found }
}

/** Fragments have no time of their own. */
export const fragmentTime = '1970-01-01T00:00:00.000Z'

/** Who is registered for one collection, by which weight (0: gets nothing new), in one version. */
export const Membership = v.object({
  collection: Name,
  version: Count,
  /** The weights are fitted for so many. */
  copies: Count,
  members: v.array(v.object({ id: Name, weight: Count, site: v.optional(Name) })),
  /** In a message: there are so many that they are not named in it, but to be asked of the tracker's exchange. */
  count: v.optional(Count),
})
export type Membership = v.InferOutput<typeof Membership>

/** Where the tracker's exchange tells the membership of a collection, to pillars. */
export const membershipPath = (collection: string): string => `/membership/${collection}`
export const membershipAt = (path: string): string | undefined =>
  /^\/membership\/([a-z0-9-]+)$/.exec(path)?.[1]

/** The membership of this collection, or undefined when it is none. */
export function parseMembership(collection: string, text: string): Membership | undefined {
  try {
    const parsed = v.safeParse(Membership, JSON.parse(text))
    return parsed.success && parsed.output.collection === collection ? parsed.output : undefined
  } catch {
    return undefined
  }
}
/** Each further round of a distribution asks twice as many candidates beyond the copies. */
export const sparesAtFirst = 2

const byTracker = { ...envelope, epoch: Epoch }
/** What a pillar holds of one collection; equal sets have equal digests. */
const holding = v.object({ collection: Name, files: Count, bytes: Bytes, digest: v.string() })

// ---- Tracker -----------------------------------------------------------------------------------------------
/** Retained: the tracker is there, and this is its epoch. Pillars that are not registered with it ask to join. */
export const TrackerHello = v.object({ ...byTracker, type: v.literal('TrackerHello') })
/** It goes, on purpose. Nobody is unregistered by it. */
export const TrackerGoodbye = v.object({ ...byTracker, type: v.literal('TrackerGoodbye') })

// ---- Joining -----------------------------------------------------------------------------------------------
export const ClientJoinRequested = v.object({
  ...envelope,
  type: v.literal('ClientJoinRequested'),
  /** The epoch whose hello is answered. */
  epoch: Epoch,
  algorithm: v.string(),
  /** Of the presence: tells two boards with one name apart. */
  session: Count,
  volumes: v.array(v.object({ id: v.string(), bytesTotal: Bytes, bytesOpen: Bytes })),
  /** Of collections in fragments. */
  holdings: v.array(holding),
  site: v.optional(Name),
})
export const ClientJoinAccepted = v.object({
  ...byTracker,
  type: v.literal('ClientJoinAccepted'),
  memberships: v.array(Membership),
})
export const denials = {
  WRONG_HASH_ALGORITHM: 'It hashes by another algorithm than the collections.',
  IDENTITY_CONFLICT: 'Another board is here under this name, with other volumes.',
  NOT_A_MEMBER: 'It keeps no collection in fragments by the archive document.',
  OLD_EPOCH: 'It answers a tracker that does not act any more.',
  OTHER: 'The text says why.',
} as const
export type Denial = keyof typeof denials
export const ClientJoinDenied = v.object({
  ...byTracker,
  type: v.literal('ClientJoinDenied'),
  reasonCode: v.picklist(Object.keys(denials) as Denial[]),
  reason: v.optional(Text),
})
export const ClientJoinSucceeded = v.object({
  ...envelope,
  type: v.literal('ClientJoinSucceeded'),
  epoch: Epoch,
})
export const ClientJoinFailed = v.object({
  ...envelope,
  type: v.literal('ClientJoinFailed'),
  epoch: Epoch,
  reason: v.optional(Text),
})
/** To all: this pillar is a member now, or its weight has changed; here is who is. */
export const ClientRegistered = v.object({
  ...byTracker,
  type: v.literal('ClientRegistered'),
  pillar: Name,
  memberships: v.array(Membership),
})
/** It goes, on purpose. What it holds is still there when it comes back. */
export const ClientGoodbye = v.object({
  ...envelope,
  type: v.literal('ClientGoodbye'),
  reason: v.optional(Text),
})

// ---- Files -------------------------------------------------------------------------------------------------
/** These files are safe: each of their fragments has its copies. */
export const FileInfoPublished = v.object({
  ...byTracker,
  type: v.literal('FileInfoPublished'),
  collection: Name,
  files: files(
    v.object({ hash: Checksum, size: Bytes, fragments: Count, info: v.optional(Checksum) }),
  ),
})

// ---- Distribution ------------------------------------------------------------------------------------------
export const FragmentDistributionStarted = v.object({
  ...byTracker,
  type: v.literal('FragmentDistributionStarted'),
  collection: Name,
  /** Of the membership by which the candidates are ranked. */
  membership: Count,
  /** Each further round asks more candidates. */
  round: Count,
  /** Applications that come later may be too late. */
  closesAt: Time,
  fragments: files(
    v.object({ ...Fragment.entries, copies: Count, holders: v.optional(v.array(Name)) }),
  ),
})
/** The pillar applies for these; it keeps room for them until they are delivered or given to others. */
export const FragmentDistributionRequested = v.object({
  ...envelope,
  type: v.literal('FragmentDistributionRequested'),
  epoch: Epoch,
  collection: Name,
  fragments: files(Checksum),
  /** Room that may still be promised. */
  bytesOpen: Bytes,
})
/** Where the bytes are, and who is to fetch them: those named, and nobody else. */
export const FragmentDistributionDelivered = v.object({
  ...byTracker,
  type: v.literal('FragmentDistributionDelivered'),
  collection: Name,
  /** After it nothing new is fetched. */
  expiresAt: Time,
  fragments: files(v.object({ ...Fragment.entries, recipients: v.array(Name) })),
  /** The objects stand in the order of the fragments. */
  transmission: Transmission,
})
/** `temporary`: fetched, compared, and safe from a power cut; `persisted`: kept for good. */
export const FragmentDistributionObtained = v.object({
  ...envelope,
  type: v.literal('FragmentDistributionObtained'),
  collection: Name,
  stage: v.picklist(['temporary', 'persisted']),
  fragments: files(Checksum),
})
export const FragmentDistributionFailed = v.object({
  ...envelope,
  type: v.literal('FragmentDistributionFailed'),
  collection: Name,
  fragments: files(v.object({ hash: Checksum, reason: v.optional(Text) })),
  /** They are not here, although the tracker may think so. */
  gone: v.optional(v.boolean()),
})
/**
 * The result, said again until each holder has persisted it. `aborted` alone makes a pillar discard what it holds
 * temporarily; `partial` is persisted like `complete`, and the rest is still looked for.
 */
export const FragmentDistributionEnded = v.object({
  ...byTracker,
  type: v.literal('FragmentDistributionEnded'),
  collection: Name,
  fragments: files(
    v.object({
      ...Fragment.entries,
      outcome: v.picklist(['complete', 'partial', 'aborted']),
      holders: v.array(Name),
    }),
  ),
})

export const fragmentEvents = {
  TrackerHello,
  TrackerGoodbye,
  ClientJoinRequested,
  ClientJoinAccepted,
  ClientJoinDenied,
  ClientJoinSucceeded,
  ClientJoinFailed,
  ClientRegistered,
  ClientGoodbye,
  FileInfoPublished,
  FragmentDistributionStarted,
  FragmentDistributionRequested,
  FragmentDistributionDelivered,
  FragmentDistributionObtained,
  FragmentDistributionFailed,
  FragmentDistributionEnded,
} as const

type Events = typeof fragmentEvents
/** Any of them, as it is said. */
export type FragmentEvent = { [Type in keyof Events]: v.InferOutput<Events[Type]> }[keyof Events]
