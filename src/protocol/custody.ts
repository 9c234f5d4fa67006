/** Custody receipts: what a pillar signs of files that it keeps, so that it can be shown to anybody, without the archive. */
import * as v from 'valibot'
import type { Signer } from '../trust/trust.ts'
import { seal, unseal } from './envelope.ts'
import { SealedReceipt } from './receipts.ts'
import { Bytes, Checksum, Count, FileId, Name, PillarKind, Time } from './scalars.ts'

/** `from` says that it keeps these files. */
export const Receipt = v.object({
  type: v.literal('FilesKept'),
  archive: Name,
  from: Name,
  /** It keeps them in fragments on pillars, as their tracker. */
  vault: v.optional(v.boolean()),
  /** Of who keeps checksums only: no copy. */
  kind: v.optional(PillarKind),
  site: v.optional(Name),
  collection: Name,
  /** By its own clock, as all times in it. */
  at: Time,
  files: v.array(
    v.object({
      id: FileId,
      size: Bytes,
      checksum: Checksum,
      mtime: Time,
      /** When it took its place, and when its bytes were read last and found right. */
      storedAt: Time,
      provenAt: Time,
      /** The newest entry about it in the audit trail: its hash stands for all entries before it. */
      entry: v.optional(
        v.object({ sequence: Count, hash: v.string(), at: Time, volume: v.optional(v.string()) }),
      ),
    }),
  ),
})
export type Receipt = v.InferOutput<typeof Receipt>

export const sealReceipt = (receipt: Receipt, signer: Signer): string =>
  new TextDecoder().decode(seal(JSON.stringify(receipt), signer))

/** Undefined when the signature is not by this key, or it says something else. */
export function openReceipt(
  sealed: string,
  verify: (algorithm: string, bytes: Uint8Array, signature: Uint8Array) => boolean,
): Receipt | undefined {
  const parts = unseal(new TextEncoder().encode(sealed))
  if (!parts || !verify(parts.algorithm, parts.line, parts.signature)) return undefined
  try {
    const parsed = v.safeParse(Receipt, JSON.parse(new TextDecoder().decode(parts.line)))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** What `put --receipt` writes: each receipt with the certificate of who signed it. */
export const ReceiptFile = v.object({
  colonnadeReceipts: v.literal(1),
  archive: Name,
  madeAt: Time,
  /** The authority's certificate as it was then, PEM; who checks it goes by his own. */
  authority: v.string(),
  receipts: v.array(v.object({ certificate: v.string(), receipt: SealedReceipt })),
})
export type ReceiptFile = v.InferOutput<typeof ReceiptFile>

export function parseReceiptFile(text: string): ReceiptFile | undefined {
  try {
    const parsed = v.safeParse(ReceiptFile, JSON.parse(text))
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}
