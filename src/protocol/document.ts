/** The archive document: one signed, versioned statement of who is who and what is kept where. */
import * as v from 'valibot'
import { Count, Name, PillarKind, Time } from './scalars.ts'

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
})
export type Identity = v.InferOutput<typeof Identity>

export const Collection = v.object({
  name: Name,
  /** Who keeps it. */
  pillars: v.pipe(v.array(Name), v.minLength(1)),
  /** Confirmed copies at which a put is done; the rest is owed. */
  copiesMin: v.pipe(Count, v.minValue(1)),
  algorithm: v.literal('sha256'),
})
export type Collection = v.InferOutput<typeof Collection>

export const ArchiveDocument = v.object({
  archive: Name,
  /** Only ever grows; an older document is never taken for a newer one. */
  version: Count,
  issuedAt: Time,
  identities: v.array(Identity),
  collections: v.array(Collection),
  /** Exchanges that are not a client's own: who, and where to dial. */
  exchanges: v.array(v.object({ identity: Name, urls: v.array(v.string()) })),
})
export type ArchiveDocument = v.InferOutput<typeof ArchiveDocument>

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
