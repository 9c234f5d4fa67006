/** What a pillar signs for another, so that the other may trim its copies: two lines, as a message, but not one. */
import * as v from 'valibot'
import type { Keys, Signer } from '../trust/trust.ts'
import type { Identity } from './document.ts'
import { seal, unseal } from './envelope.ts'
import { FileId, Name } from './scalars.ts'
import { Nonce } from './trims.ts'

/** `from` has just read these files, and found them right. */
export const Confirmation = v.object({
  type: v.literal('FragmentsConfirmed'),
  from: Name,
  /** For whom, and by which of its nonces. */
  holder: Name,
  nonce: Nonce,
  collection: Name,
  files: v.array(FileId),
})
export type Confirmation = v.InferOutput<typeof Confirmation>

export const sealConfirmation = (confirmation: Confirmation, signer: Signer): string =>
  new TextDecoder().decode(seal(JSON.stringify(confirmation), signer))

/** Undefined unless it is signed by the key that the archive document gives to the pillar it is from. */
export function openConfirmation(
  sealed: string,
  directory: { keyOwner(keyId: string): Identity | undefined },
  keys: Pick<Keys, 'verify'>,
): Confirmation | undefined {
  const parts = unseal(new TextEncoder().encode(sealed))
  const owner = parts && directory.keyOwner(parts.keyId)
  if (!owner || !keys.verify(parts.algorithm, owner.publicKey, parts.line, parts.signature))
    return undefined
  try {
    const parsed = v.safeParse(Confirmation, JSON.parse(new TextDecoder().decode(parts.line)))
    if (!parsed.success || parsed.output.from !== owner.name || owner.role !== 'pillar')
      return undefined
    return parsed.output
  } catch {
    return undefined
  }
}
