/** Signing for the owner and the authority on the tracker's machine, as long as their keys lie there. */
import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { ArchiveDocument } from '../protocol/document.ts'
import type { Authority } from '../trust/certificates.ts'
import { type Directory, sealDocument } from '../trust/directory.ts'
import { keyOfCertificate, nodeSigner } from '../trust/keys.ts'
import type { Signer } from '../trust/trust.ts'

export interface Signing {
  readonly owner: Signer & { readonly publicKey: string }
  readonly authority: Authority
  /** PEM, for the recovery kit. */
  readonly ownerKey: string
}

const credential = /^.*\/\$CREDENTIALS_DIRECTORY(?=\/)/

/** Whether systemd gives the keys to the service, and to nobody else: `$CREDENTIALS_DIRECTORY/owner.key`. */
export const isCredential = (ownerKey: string | undefined): boolean =>
  ownerKey !== undefined && credential.test(ownerKey)

function placeOf(ownerKey: string): string {
  const { CREDENTIALS_DIRECTORY: given } = process.env
  return given === undefined ? ownerKey : ownerKey.replace(credential, () => given)
}

/** The keys as they lie now; undefined when they are not here. They may be taken away at any time. */
export function signingKeys(ownerKey: string | undefined): Signing | undefined {
  if (ownerKey === undefined) return undefined
  const place = placeOf(ownerKey)
  const beside = (name: string): string => join(dirname(place), name)
  const paths = [place, beside('ca.pem'), beside('ca.key')]
  if (!paths.every((path) => existsSync(path))) return undefined
  const [owner = '', certificate = '', privateKey = ''] = paths.map((path) =>
    readFileSync(path, 'utf8'),
  )
  const authority = { certificate, privateKey }
  if (nodeSigner(privateKey).publicKey !== keyOfCertificate(certificate))
    throw new Error(`${beside('ca.key')} is not the key of ${beside('ca.pem')}`)
  return { owner: nodeSigner(owner), authority, ownerKey: owner }
}

export interface Publishing {
  readonly directory: Directory
  /** Where the owner may have left a newer document that we have not seen yet. */
  readonly documentPath: string
  keepDocument(sealed: Uint8Array): void
}

/** Signs the next document, one after the other with everybody else; it is safe and in use when this resolves. */
export function publishNext(
  { directory, documentPath, keepDocument }: Publishing,
  { owner }: Pick<Signing, 'owner'>,
  at: string,
  change: (document: ArchiveDocument) => ArchiveDocument,
): Promise<ArchiveDocument> {
  return alone(dirname(documentPath), async () => {
    await directory.accept(readFileSync(documentPath)).catch(() => false)
    const before = directory.document()
    const next = { ...change(before), version: before.version + 1, issuedAt: at }
    const sealed = sealDocument(next, owner)
    keepDocument(sealed)
    await directory.accept(sealed)
    return next
  })
}

/** Beside the document of a tracker that was restored, until it knows what the pillars know. */
export const recoveringMark = 'recovering'

/** Why the document must not be changed now, as a sentence. */
export const waitingIn = (folder: string): string | undefined =>
  existsSync(join(folder, recoveringMark))
    ? 'this tracker was restored and waits for its pillars: `colonnade-tracker status` says for which'
    : undefined

const staleMs = 30_000
const patienceMs = 10_000
const pauseMs = 20

/** One at a time signs the next version of the document that lies in this folder, whichever process it is. */
export async function alone<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const lock = lockIn(folder)
  while (!lock.take()) await new Promise((resolve) => setTimeout(resolve, pauseMs))
  try {
    return await work()
  } finally {
    lock.leave()
  }
}

/** The same for a command that does nothing else; returns what gives it back. */
export function lockNow(folder: string): () => void {
  const lock = lockIn(folder)
  while (!lock.take()) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, pauseMs)
  return lock.leave
}

function lockIn(folder: string): { take(): boolean; leave(): void } {
  const path = join(folder, 'archive-document.lock')
  const end = Date.now() + patienceMs
  const waiting = waitingIn(folder)
  if (waiting !== undefined) throw new Error(waiting)
  return {
    take() {
      if (made(path)) return true
      if (Date.now() > end)
        throw new Error(`somebody else is changing the archive document: ${path}`)
      return false
    },
    leave: () => rmSync(path, { force: true }),
  }
}

function made(lock: string): boolean {
  try {
    closeSync(openSync(lock, 'wx', 0o600))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    // Whoever was killed with it can not take it away.
    const { mtimeMs } = statSync(lock, { throwIfNoEntry: false }) ?? { mtimeMs: Date.now() }
    if (Date.now() - mtimeMs > staleMs) rmSync(lock, { force: true })
    return false
  }
}
