/** The archive document: one signed, versioned statement of who is who and what is kept where. */
import * as v from 'valibot'
import { MassChange } from './mass-changes.ts'
import { Approver, Permission } from './permissions.ts'
import { Bytes, Count, Name, PillarKind, Time } from './scalars.ts'

export const Identity = v.object({
  name: Name,
  role: v.picklist(['pillar', 'client', 'tracker']),
  site: v.optional(Name),
  /** Of pillars: what it keeps of a file; the file when it is not said. */
  kind: v.optional(PillarKind),
  /** base64 of the SubjectPublicKeyInfo: the key that signs messages and tokens, and of the TLS certificate. */
  publicKey: v.string(),
  /** PEM. */
  certificate: v.optional(v.string()),
  /** Earlier ones of the same key, which was certified anew before they ended. */
  earlier: v.optional(v.array(v.string())),
})
export type Identity = v.InferOutput<typeof Identity>

/** Smaller ones would cost more in messages than in bytes; bigger ones would not fit beside each other on small boards. */
export const fragmentBytesMin = 64 * 1024
export const fragmentBytesMax = 1024 * 1024 * 1024

export const Collection = v.object({
  name: Name,
  /** Who keeps it. */
  pillars: v.pipe(v.array(Name), v.minLength(1)),
  /** Confirmed copies at which a put is done; the rest is owed. */
  copiesMin: v.pipe(Count, v.minValue(1)),
  algorithm: v.literal('sha256'),
  /** Files are only added: nothing in it is replaced or deleted, whoever asks. */
  appendOnly: v.optional(v.boolean()),
  /** So many people must want it before anything is replaced or deleted: the second one signs the very same order. */
  approvals: v.optional(v.pipe(Count, v.minValue(1), v.maxValue(2))),
  /** Days that deleted and replaced bytes are kept aside, where that is longer than a board keeps them anyway. */
  retainDays: v.optional(v.pipe(Count, v.minValue(1), v.maxValue(3_650))),
  /**
   * Kept in fragments of `bytes` each, of which the tracker brings `copies` to as many of the pillars, and answers for the
   * collection as a pillar does. Whole files on every pillar when absent.
   */
  fragments: v.optional(
    v.object({
      bytes: v.pipe(Bytes, v.minValue(fragmentBytesMin), v.maxValue(fragmentBytesMax)),
      copies: v.pipe(Count, v.minValue(1)),
    }),
  ),
})
export type Collection = v.InferOutput<typeof Collection>

/** A key that counts no more, and its certificate, though the authority once vouched for both. */
export const Revocation = v.object({
  name: Name,
  publicKey: v.string(),
  /** PEM, for lists of revoked certificates. */
  certificate: v.optional(v.string()),
  earlier: v.optional(v.array(v.string())),
  at: Time,
})
export type Revocation = v.InferOutput<typeof Revocation>

export const ArchiveDocument = v.object({
  archive: Name,
  /** Only ever grows; an older document is never taken for a newer one. */
  version: Count,
  issuedAt: Time,
  /** How often the tracker was restored: one that is from before is none any more. */
  reign: v.optional(Count),
  identities: v.array(Identity),
  /** What clients may do; everything, when the whole field is absent. Else who is not named here may do nothing. */
  permissions: v.optional(v.array(Permission)),
  /** Who may approve what others want to change, beside the curators. */
  approvers: v.optional(v.array(Approver)),
  /** Changes of many files that the owner allows, for a time. */
  massChanges: v.optional(v.array(MassChange)),
  /** Who was taken out or replaced. What counts is that `identities` does not have the key any more. */
  revoked: v.optional(v.array(Revocation)),
  collections: v.array(Collection),
  /** Exchanges that are not a client's own: who, and where to dial. */
  exchanges: v.array(v.object({ identity: Name, urls: v.array(v.string()) })),
  /** Where the broker is dialled, since the tracker has moved: the newest first; as the configuration says when absent. */
  brokers: v.optional(v.array(v.string())),
})
export type ArchiveDocument = v.InferOutput<typeof ArchiveDocument>

/** With a new member, or with a new key for one; throws with a sentence when the name is taken. */
export function withMember(
  document: ArchiveDocument,
  identity: Identity,
  { replace, at }: { replace: boolean; at: string },
): ArchiveDocument {
  const old = document.identities.find(({ name }) => name === identity.name)
  if (old && !replace) throw new Error(`there is a member ${identity.name} already`)
  if (old && old.role !== identity.role)
    throw new Error(`${identity.name} is a ${old.role}, and no ${identity.role} can take its place`)
  return {
    ...document,
    identities: [
      ...document.identities.filter((one) => one !== old),
      // What is not said stays as it was.
      { ...(old?.site === undefined ? {} : { site: old.site }), ...identity },
    ],
    ...(old ? { revoked: [...(document.revoked ?? []), revocationOf(old, at)] } : {}),
  }
}

export const revocationOf = (
  { name, publicKey, certificate, earlier }: Identity,
  at: string,
): Revocation => ({
  name,
  publicKey,
  at,
  ...(earlier === undefined ? {} : { earlier }),
  ...(certificate === undefined ? {} : { certificate }),
})

/**
 * Without a member, and without it in the collections that others keep, too: what it has is no copy any more. Throws with a
 * sentence for who is none, and for the tracker, without which nobody would hear of it.
 */
export function withoutMember(
  document: ArchiveDocument,
  name: string,
  at: string,
): ArchiveDocument {
  const old = document.identities.find((one) => one.name === name)
  if (!old) throw new Error(`there is no member ${name}`)
  if (old.role === 'tracker') throw new Error(`${name} is the tracker: found it anew instead`)
  const collections = document.collections.map((collection) => {
    const others = collection.pillars.filter((pillar) => pillar !== name)
    return others.length === 0 ? collection : { ...collection, pillars: others }
  })
  return {
    ...document,
    identities: document.identities.filter((one) => one !== old),
    revoked: [...(document.revoked ?? []), revocationOf(old, at)],
    ...(document.permissions
      ? { permissions: document.permissions.filter(({ identity }) => identity !== name) }
      : {}),
    ...(document.approvers
      ? { approvers: document.approvers.filter(({ identity }) => identity !== name) }
      : {}),
    ...(document.massChanges
      ? { massChanges: document.massChanges.filter(({ identity }) => identity !== name) }
      : {}),
    collections,
  }
}

/** So many earlier certificates of one key are remembered: they are 15 years apart. */
const earlierMax = 4

/** With another certificate for a member's key; the same document when that has changed meanwhile. */
export function withCertificate(
  document: ArchiveDocument,
  { name, publicKey }: Pick<Identity, 'name' | 'publicKey'>,
  certificate: string,
): ArchiveDocument {
  const renewed = (one: Identity): Identity => {
    if (one.name !== name || one.publicKey !== publicKey) return one
    const earlier = [...(one.certificate === undefined ? [] : [one.certificate])]
    earlier.push(...(one.earlier ?? []))
    return { ...one, certificate, earlier: earlier.slice(0, earlierMax) }
  }
  return { ...document, identities: document.identities.map(renewed) }
}

/** So many addresses are tried one after the other. */
const addressesMax = 3

/** The tracker has moved: members try the new address first, and those before as long as that does not answer. */
export function withAddress(
  document: ArchiveDocument,
  exchange: string,
  brokers: { readonly now: string; readonly before: string },
): ArchiveDocument {
  const newest = (all: readonly string[]): string[] => [...new Set(all)].slice(0, addressesMax)
  const trackers = document.identities.filter(({ role }) => role === 'tracker')
  const isTracker = (identity: string): boolean => trackers.some(({ name }) => name === identity)
  return {
    ...document,
    exchanges: document.exchanges.map((one) =>
      isTracker(one.identity) ? { ...one, urls: newest([exchange, ...one.urls]) } : one,
    ),
    brokers: newest([brokers.now, ...(document.brokers ?? []), brokers.before]),
  }
}

/** Who answers for a collection: its pillars, or the tracker when they keep it in fragments. */
export const keepersOf = (
  { identities }: Pick<ArchiveDocument, 'identities'>,
  { fragments, pillars }: Pick<Collection, 'fragments' | 'pillars'>,
): readonly string[] =>
  fragments === undefined
    ? pillars
    : identities.flatMap(({ name, role }) => (role === 'tracker' ? [name] : []))

/** Undefined when it is not an archive document. */
export function parseDocument(line: Uint8Array): ArchiveDocument | undefined {
  try {
    const parsed = v.safeParse(
      ArchiveDocument,
      JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(line)),
    )
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
