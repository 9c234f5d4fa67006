/** Turning a member out: the next archive document does not have it, and the list of revoked certificates does. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import {
  type ArchiveDocument,
  type Collection,
  parseDocument,
  withoutMember,
} from '../protocol/document.ts'
import { unseal } from '../protocol/envelope.ts'
import type { RequestMessage } from '../protocol/messages.ts'
import { forbidden } from '../protocol/permissions.ts'
import { documentBytesMax, sealDocument } from '../trust/directory.ts'
import { lockNow, type Signing, signingKeys } from './signing.ts'

/** For brokers that know nothing of archive documents. */
export const revokedList = 'revoked.crl'

/**
 * Signs the next document and leaves it where the running tracker takes it at once; returns what whoever holds the key of that
 * member could read, in sentences. Throws with a sentence.
 */
export async function revoke(
  documentPath: string,
  ownerKey: string | undefined,
  name: string,
): Promise<string[]> {
  const keys = signingKeys(ownerKey)
  if (!keys)
    throw new Error(
      'the owner key is not here: `colonnade revoke` does it from where it is, with --owner-key',
    )
  const home = dirname(documentPath)
  const at = new Date().toISOString()
  const unlock = lockNow(home)
  try {
    const parts = unseal(readFileSync(documentPath), documentBytesMax)
    const document = parts && parseDocument(parts.line)
    if (!document) throw new Error(`${documentPath} is damaged`)
    const next = withoutMember(document, name, at)
    const version = document.version + 1
    await writeRevoked(home, keys, next)
    write(documentPath, sealDocument({ ...next, version, issuedAt: at }, keys.owner))
    return couldRead(document, name)
  } finally {
    unlock()
  }
}

/** Beside the document that the tracker hands out. */
export async function writeRevoked(
  home: string,
  { authority }: Signing,
  { revoked = [], version }: Pick<ArchiveDocument, 'revoked' | 'version'>,
): Promise<void> {
  const { revocationList } = await import('../trust/certificates.ts')
  const certificates = revoked.flatMap(({ certificate, earlier = [] }) => [
    ...(certificate === undefined ? [] : [certificate]),
    ...earlier,
  ])
  write(join(home, revokedList), await revocationList(authority, certificates, version))
}

function write(path: string, bytes: string | Uint8Array): void {
  writeFileSync(`${path}.new`, bytes, { flush: true })
  renameSync(`${path}.new`, path)
}

/** What was open to a member; the owner has to know what is out of his hands. */
export function couldRead(document: ArchiveDocument, name: string): string[] {
  const { identities, collections } = document
  const identity = identities.find((one) => one.name === name)
  if (identity?.role !== 'pillar') return clientCould(document, name)
  const kept = collections.filter(({ pillars }) => pillars.includes(name))
  if (identity.kind === 'checksum')
    return [`${name} has names, sizes and checksums of: ${namesOf(kept)}; no contents`]
  const whole = kept.filter(({ fragments }) => fragments === undefined)
  const pieces = kept.filter(({ fragments }) => fragments !== undefined)
  return [
    `its disk has every file of: ${namesOf(whole)}`,
    ...(whole.length > 0
      ? ['and what was deleted or replaced there, as long as it is kept aside']
      : []),
    ...(pieces.length > 0
      ? [`and fragments of: ${namesOf(pieces)}, with the names of the files they belong to`]
      : []),
    'whoever has that disk can read this, for it is not encrypted; nothing that board says counts any more',
  ]
}

/** By its role in each collection, as pillars judge it. */
function clientCould(document: ArchiveDocument, name: string): string[] {
  const may = (type: RequestMessage['type']) =>
    document.collections.filter((one) => forbidden(document, name, one.name, type) === undefined)
  const read = may('GetFileRequest')
  const listed = may('GetFileIDsRequest').filter((one) => !read.includes(one))
  const changed = may('DeleteFileRequest')
  return [
    `${name} could fetch every file of: ${namesOf(read)}`,
    ...(listed.length > 0 ? [`and see names, sizes and checksums of: ${namesOf(listed)}`] : []),
    'and hear on the broker which files others asked for, with names and sizes, in all collections',
    'what it has fetched, and its key, stay with whoever has it; nothing it says counts any more',
    ...(changed.length > 0
      ? [
          `it could replace and delete in: ${namesOf(changed)}; \`colonnade history\` says what it did, \`undelete\` brings back what is kept aside`,
        ]
      : []),
  ]
}

const namesOf = (of: readonly Collection[]): string =>
  of.map(({ name }) => name).join(', ') || 'none'
