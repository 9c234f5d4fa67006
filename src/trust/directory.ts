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
  /** Takes a document that is newer and signed by the owner; false, and nothing changes, for any other. */
  accept(sealed: Uint8Array): Promise<boolean>
}

export const documentBytesMax = 4 * 1024 * 1024

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
  const directory: Directory = {
    owner: parts.owner,
    document: () => known().document,
    sealed: () => known().sealed,
    identity: (name) => known().document.identities.find((one) => one.name === name),
    keyOwner: (keyId) => known().owners.get(keyId),
    collection: (name) => known().document.collections.find((one) => one.name === name),
    async accept(sealed) {
      if (!take(sealed)) return false
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
