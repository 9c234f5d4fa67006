/**
 * Founding an archive, and its members. Everything that signs for the archive lies in one folder: the owner key can be
 * taken away from the server once the document is written.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ArchiveDocument,
  type Collection,
  type Identity,
  parseDocument,
  withMember,
} from '../protocol/document.ts'
import { unseal } from '../protocol/envelope.ts'
import { documentBytesMax, sealDocument } from '../trust/directory.ts'
import { makeKeyPair, nodeKeys, nodeSigner } from '../trust/keys.ts'

export interface Founding {
  readonly archive: string
  /** Where the tracker's exchange is dialled, e.g. `https://tracker.example.org:8443`. */
  readonly exchangeUrls: readonly string[]
}

const files = {
  owner: 'owner.key',
  ca: 'ca.pem',
  caKey: 'ca.key',
  document: 'archive-document',
} as const

/** Makes certificate authority, owner key and an empty archive document; throws when the folder has them already. */
export async function foundArchive(folder: string, founding: Founding): Promise<void> {
  if (existsSync(join(folder, files.owner))) throw new Error(`${folder} holds an archive already`)
  const { makeAuthority } = await import('../trust/certificates.ts')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const authority = await makeAuthority(founding.archive)
  const owner = makeKeyPair()
  writeSecret(join(folder, files.caKey), authority.privateKey)
  writeFileSync(join(folder, files.ca), authority.certificate)
  writeSecret(join(folder, files.owner), owner.privateKey)
  const exchanges =
    founding.exchangeUrls.length > 0
      ? [{ identity: 'tracker', urls: [...founding.exchangeUrls] }]
      : []
  publish(folder, {
    archive: founding.archive,
    version: 1,
    issuedAt: new Date().toISOString(),
    identities: [],
    collections: [],
    exchanges,
  })
}

/** The archive document as it was signed last. */
export function readDocument(folder: string): { document: ArchiveDocument; sealed: Uint8Array } {
  const sealed = readFileSync(join(folder, files.document))
  const parts = unseal(sealed, documentBytesMax)
  const document = parts && parseDocument(parts.line)
  if (!document) throw new Error(`${join(folder, files.document)} is damaged`)
  return { document, sealed }
}

export const ownerKey = (folder: string): string =>
  nodeSigner(readFileSync(join(folder, files.owner), 'utf8')).publicKey

/** Signs the next version; a power cut leaves the old or the new one. */
export function changeDocument(
  folder: string,
  change: (document: ArchiveDocument) => ArchiveDocument,
): void {
  const { document } = readDocument(folder)
  publish(folder, {
    ...change(document),
    version: document.version + 1,
    issuedAt: new Date().toISOString(),
  })
}

/** Takes a newer document by the same owner in the place of ours. */
export function takeDocument(folder: string, sealed: Uint8Array): void {
  const parts = unseal(sealed, documentBytesMax)
  const document = parts && parseDocument(parts.line)
  const owner = ownerKey(folder)
  const known = readDocument(folder).document
  if (!parts || document?.archive !== known.archive || document.version <= known.version) return
  if (!nodeKeys().verify(parts.algorithm, owner, parts.line, parts.signature)) return
  const path = join(folder, files.document)
  writeFileSync(`${path}.new`, sealed, { flush: true })
  renameSync(`${path}.new`, path)
}

function publish(folder: string, document: ArchiveDocument): void {
  const path = join(folder, files.document)
  const owner = nodeSigner(readFileSync(join(folder, files.owner), 'utf8'))
  writeFileSync(`${path}.new`, sealDocument(document, owner), { flush: true })
  renameSync(`${path}.new`, path)
}

export interface Member {
  readonly role: Identity['role']
  readonly name: string
  readonly site?: string
  readonly kind?: Identity['kind']
}

/** What a member needs to take part: its key, its certificate, the authority, and the document. */
export async function addMember(folder: string, member: Member, into: string): Promise<void> {
  const { issue } = await import('../trust/certificates.ts')
  const pair = makeKeyPair()
  const authority = {
    certificate: readFileSync(join(folder, files.ca), 'utf8'),
    privateKey: readFileSync(join(folder, files.caKey), 'utf8'),
  }
  const certificate = await issue(authority, { name: member.name, publicKey: pair.publicKey })
  const identity: Identity = {
    name: member.name,
    role: member.role,
    publicKey: pair.publicKey,
    certificate,
    ...(member.site === undefined ? {} : { site: member.site }),
    ...(member.kind === 'checksum' ? { kind: member.kind } : {}),
  }
  const at = new Date().toISOString()
  changeDocument(folder, (document) => withMember(document, identity, { replace: false, at }))
  mkdirSync(into, { recursive: true, mode: 0o700 })
  writeSecret(join(into, 'key.pem'), pair.privateKey)
  writeFileSync(join(into, 'certificate.pem'), certificate)
  writeFileSync(join(into, 'ca.pem'), authority.certificate)
  writeFileSync(join(into, files.document), readDocument(folder).sealed)
}

/** What is not said again stays. */
function keptRules({ collections }: ArchiveDocument, name: string): Partial<Collection> {
  const { appendOnly, approvals, retainDays } = collections.find((one) => one.name === name) ?? {}
  return {
    ...(appendOnly === undefined ? {} : { appendOnly }),
    ...(approvals === undefined ? {} : { approvals }),
    ...(retainDays === undefined ? {} : { retainDays }),
  }
}

/** Adds a collection, or gives it another policy. */
export function setCollection(folder: string, collection: Collection): void {
  changeDocument(folder, (document) => ({
    ...document,
    collections: [
      ...document.collections.filter((one) => one.name !== collection.name),
      { ...keptRules(document, collection.name), ...collection },
    ],
  }))
}

const writeSecret = (path: string, text: string): void =>
  writeFileSync(path, text, { mode: 0o600, flag: 'wx' })
