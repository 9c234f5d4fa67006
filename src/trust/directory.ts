/**
 * Who is who, from the archive document: signed by the owner key, kept by everybody, and only ever replaced by a
 * newer one with the same signature. Whoever hands it over need not be trusted.
 */
import { Buffer } from 'node:buffer'
import {
  type ArchiveDocument,
  type Collection,
  type Identity,
  parseDocument,
} from '../protocol/document.ts'
import { seal, unseal } from '../protocol/envelope.ts'
import type { State } from '../state/state.ts'
import type { Keys, PublicKey, Signer } from './trust.ts'

export interface Directory {
  /** Whose signature is believed. */
  readonly owner: PublicKey
  document(): ArchiveDocument
  /** The document as it was signed: two lines. */
  sealed(): Uint8Array
  identity(name: string): Identity | undefined
  keyOwner(keyId: string): Identity | undefined
  collection(name: string): Collection | undefined
  /** Whether the identity is a member with this very key: what the authority once vouched for may not count any more. */
  admits(name: string, key: PublicKey): boolean
  /** Whether this key once was the identity's, and is revoked. What is not known may be newer than we are. */
  revoked(name: string, key: PublicKey): boolean
  /** Calls whenever there is a newer document, until it is told to stop. */
  watch(changed: () => void): () => void
  /** Takes a document that is newer and signed by the owner; false, and nothing changes, for any other. */
  accept(sealed: Uint8Array): Promise<boolean>
}

export const documentBytesMax = 4 * 1024 * 1024

/** Names the version that is known, as HTTP does (RFC 9110 §8.8.3). */
export const documentTag = (directory: Directory): string => `"${directory.document().version}"`

/** Signs a document with the owner key. */
export const sealDocument = (document: ArchiveDocument, owner: Signer): Uint8Array =>
  seal(JSON.stringify(document), owner, documentBytesMax)

export interface DirectoryParts {
  readonly keys: Keys
  readonly owner: PublicKey
  readonly archive: string
  readonly state: State
}

/** Opens with the newer of the given and the remembered document; rejects when neither is right. */
export async function openDirectory(parts: DirectoryParts, first?: Uint8Array): Promise<Directory> {
  const { state } = parts
  let current:
    | { sealed: Uint8Array; document: ArchiveDocument; owners: Map<string, Identity> }
    | undefined

  function take(sealed: Uint8Array): boolean {
    const document = openDocument(parts, sealed)
    if (!document || (current && document.version <= current.document.version)) return false
    const owners = new Map(document.identities.map((one) => [parts.keys.keyId(one.publicKey), one]))
    current = { sealed, document, owners }
    return true
  }
  const remembered = await state.get('archive-document')
  if (remembered !== undefined) take(Buffer.from(remembered, 'utf8'))
  const known = (): NonNullable<typeof current> => {
    if (!current) throw new Error('there is no archive document by this owner')
    return current
  }
  const watchers = new Set<() => void>()
  const directory: Directory = {
    owner: parts.owner,
    document: () => known().document,
    sealed: () => known().sealed,
    identity: (name) => known().document.identities.find((one) => one.name === name),
    keyOwner: (keyId) => known().owners.get(keyId),
    admits: (name, key) =>
      known().document.identities.some((one) => one.name === name && one.publicKey === key),
    revoked: (name, key) =>
      (known().document.revoked ?? []).some((one) => one.name === name && one.publicKey === key) &&
      !directory.admits(name, key),
    watch(changed) {
      watchers.add(changed)
      return () => void watchers.delete(changed)
    },
    collection: (name) => known().document.collections.find((one) => one.name === name),
    async accept(sealed) {
      if (!take(sealed)) return false
      // Whoever was turned out is turned out now, also if our disk is slow.
      for (const changed of watchers) changed()
      await state.change([['archive-document', Buffer.from(sealed).toString('utf8')]])
      return true
    },
  }
  if (first) await directory.accept(first)
  known()
  return directory
}

function openDocument(
  { keys, owner, archive }: DirectoryParts,
  sealed: Uint8Array,
): ArchiveDocument | undefined {
  const parts = unseal(sealed, documentBytesMax)
  if (!parts || parts.keyId !== keys.keyId(owner)) return undefined
  if (!keys.verify(parts.algorithm, owner, parts.line, parts.signature)) return undefined
  const document = parseDocument(parts.line)
  return document?.archive === archive ? document : undefined
}
