/**
 * A change that two people must want: what is to be done, as one line of JSON, and below it the signature of each of them
 * over the exact bytes of that line. It travels as a file between them, and in the request to the pillars.
 */
import { Buffer } from 'node:buffer'
import * as v from 'valibot'
import { limits } from '../limits.ts'
import type { Keys, Signer } from '../trust/trust.ts'
import type { Identity } from './document.ts'
import { type Sealed, seal, unseal } from './envelope.ts'
import { Bytes, Checksum, FileId, Name, Time, Uuid } from './scalars.ts'

const Ordered = v.object({
  id: FileId,
  /** Of the bytes that go. */
  checksum: Checksum,
  /** Of a replace: what comes in their place. */
  replacement: v.optional(v.object({ size: Bytes, checksum: Checksum })),
})
export const ChangeOrder = v.object({
  type: v.literal('ChangeOrder'),
  archive: Name,
  /** Its own name: each pillar runs it once. */
  order: Uuid,
  collection: Name,
  operation: v.picklist(['delete', 'replace']),
  /** Who wrote it. */
  from: Name,
  pillars: v.pipe(v.array(Name), v.minLength(1), v.maxLength(64)),
  files: v.pipe(v.array(Ordered), v.minLength(1), v.maxLength(limits.orderFilesMax)),
  madeAt: Time,
  /** No pillar runs it afterwards. */
  expiresAt: Time,
  note: v.optional(v.pipe(v.string(), v.maxLength(limits.noteMax))),
})
export type ChangeOrder = v.InferOutput<typeof ChangeOrder>

/** The order as its first signer hands it on. */
export const writeOrder = (order: ChangeOrder, signer: Signer): string =>
  `${Buffer.from(seal(JSON.stringify(order), signer, limits.orderBytesMax)).toString('utf8')}\n`

/** The same with one signature more, over the very bytes that the others have signed. */
export function approveOrder(text: string, signer: Signer): string {
  const [line = ''] = text.split('\n', 1)
  const [, signature = ''] = Buffer.from(seal(line, signer, limits.orderBytesMax))
    .toString('utf8')
    .split('\n')
  return `${text.trimEnd()}\n${signature}\n`
}

export interface OpenedOrder {
  readonly order: ChangeOrder
  /** Exactly what was signed. */
  readonly line: Uint8Array
  /** Members whose signature is right, each once. */
  readonly signers: readonly Identity[]
}

/** Undefined when it is none. A signature that is wrong, or of nobody who is a member now, does not count. */
export function openOrder(
  text: string,
  directory: { keyOwner(keyId: string): Identity | undefined },
  keys: Pick<Keys, 'verify'>,
): OpenedOrder | undefined {
  const [line = '', ...signatures] = text.trimEnd().split('\n')
  const sealed = signatures.slice(0, signaturesMax).flatMap((signature): Sealed[] => {
    const one = unseal(Buffer.from(`${line}\n${signature}`), limits.orderBytesMax)
    return one ? [one] : []
  })
  const signers = new Set<Identity>()
  for (const { algorithm, keyId, line: bytes, signature } of sealed) {
    const owner = directory.keyOwner(keyId)
    if (owner && keys.verify(algorithm, owner.publicKey, bytes, signature)) signers.add(owner)
  }
  if (signers.size === 0) return undefined
  try {
    const parsed = v.safeParse(ChangeOrder, JSON.parse(line))
    if (!parsed.success) return undefined
    return { order: parsed.output, line: Buffer.from(line), signers: [...signers] }
  } catch {
    return undefined
  }
}

const signaturesMax = 8
