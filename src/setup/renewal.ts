/** Certificates are renewed for the key that they are of: by the tracker for members, and by a member for itself. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { limits } from '../limits.ts'
import { withCertificate } from '../protocol/document.ts'
import { type RenewalRequest, renewalProof } from '../protocol/enrolment.ts'
import { timeText } from '../protocol/scalars.ts'
import { httpsDial } from '../transfer/https.ts'
import type { Address, Response } from '../transfer/transfer.ts'
import { endOfCertificate, keyOfCertificate, nodeKeys } from '../trust/keys.ts'
import type { Signer } from '../trust/trust.ts'
import type { World } from '../world/world.ts'
import { Refused } from './refused.ts'
import { type Publishing, publishNext, type Signing, signingKeys } from './signing.ts'

export const renewalPath = '/renewal'
const answerBytesMax = 16 * 1024

export interface RenewalParts extends Publishing {
  readonly world: Pick<World, 'clock' | 'log'>
  readonly ownerKey: string | undefined
  readonly graceMs: number
  announce(): void
}

/** The certificate to be used from now on, PEM. Throws `Refused`. */
export async function renewal(
  parts: RenewalParts,
  asked: RenewalRequest | undefined,
): Promise<string> {
  const { world, directory, graceMs } = parts
  if (!asked) throw new Refused(400, 'this is no request to renew a certificate')
  const { name, publicKey, proof } = asked
  const [algorithm = '', signature = ''] = proof.split(' ')
  const bytes = renewalProof(name, publicKey)
  if (!nodeKeys().verify(algorithm, publicKey, bytes, Buffer.from(signature, 'base64url')))
    throw new Refused(403, 'who asks does not have the key he asks for')
  const identity = directory.identity(name)
  if (identity?.publicKey !== publicKey)
    throw new Refused(403, `${name} is no member with this key: it was revoked, or replaced`)
  const now = world.clock.now()
  const ends = identity.certificate === undefined ? now : endOfCertificate(identity.certificate)
  if (identity.certificate !== undefined && ends - now >= limits.renewAheadMs)
    return identity.certificate
  if (now - ends > graceMs)
    throw new Refused(
      410,
      `its certificate has ended on ${timeText(ends)}, too long ago: \`invite ${identity.role === 'client' ? 'client' : 'pillar'} ${name} --replace\` lets it in again`,
    )
  const keys = signingKeys(parts.ownerKey)
  if (!keys || keys.owner.publicKey !== directory.owner)
    throw new Refused(503, 'the keys of the archive are not on the tracker: nothing can be renewed')
  const certificate = await certified(parts, keys, { name, publicKey }, now)
  world.log.info('renewal.done', { name, ends: timeText(endOfCertificate(certificate)) })
  parts.announce()
  return certificate
}

async function certified(
  parts: Publishing,
  keys: Signing,
  to: { readonly name: string; readonly publicKey: string },
  now: number,
): Promise<string> {
  const { issue } = await import('../trust/certificates.ts')
  const certificate = await issue(keys.authority, to, now)
  await publishNext(parts, keys, timeText(now), (document) =>
    withCertificate(document, to, certificate),
  )
  return certificate
}

/** Of the tracker itself, where the keys are; undefined when it need not, or can not. */
export async function renewOwn(
  parts: Omit<RenewalParts, 'graceMs'>,
  name: string,
  path: string,
): Promise<string | undefined> {
  const before = readFileSync(path, 'utf8')
  const now = parts.world.clock.now()
  if (endOfCertificate(before) - now >= limits.renewAheadMs) return undefined
  const keys = signingKeys(parts.ownerKey)
  const publicKey = keyOfCertificate(before)
  if (keys?.owner.publicKey !== parts.directory.owner) return undefined
  const certificate = await certified(parts, keys, { name, publicKey }, now)
  keepCertificate(path, certificate)
  parts.world.log.info('renewal.done', { name, ends: timeText(endOfCertificate(certificate)) })
  parts.announce()
  return certificate
}

export interface Renewing {
  readonly world: Pick<World, 'log'>
  readonly name: string
  readonly signer: Signer & { readonly publicKey: string }
  /** PEM. */
  readonly ca: string
  /** Where the tracker may be. */
  readonly addresses: readonly Address[]
}

/**
 * Asks as who has no certificate, since ours may have ended; the key proves us. Rejects with the tracker's sentence, or when
 * nobody is reached; nothing has changed then.
 */
export async function askRenewal({
  world,
  name,
  signer,
  ca,
  addresses,
}: Renewing): Promise<string> {
  const { algorithm, publicKey } = signer
  const signature = Buffer.from(signer.sign(renewalProof(name, publicKey))).toString('base64url')
  const body = Buffer.from(JSON.stringify({ name, publicKey, proof: `${algorithm} ${signature}` }))
  const dial = httpsDial({ tls: { ca }, world })
  const headers = { 'content-length': `${body.length}` }
  const { connectMs, transferIdleMs: idleMs } = limits
  let failure = 'there is no tracker'
  try {
    for (const to of addresses)
      try {
        const request = { method: 'PATCH', path: renewalPath, headers, body: once(body) } as const
        const answer = await dial(to, request, { connectMs, idleMs })
        const said = await wholeOf(answer)
        if (answer.status === 200 && keyOfCertificate(said) === publicKey) return said
        failure = said.trim()
      } catch (error) {
        failure = error instanceof Error ? error.message : String(error)
      }
  } finally {
    dial.close()
  }
  throw new Error(failure)
}

/** A power cut leaves the old one or the new one. */
export function keepCertificate(path: string, certificate: string): void {
  writeFileSync(`${path}.new`, certificate, { flush: true })
  renameSync(`${path}.new`, path)
}

async function wholeOf({ body }: Response): Promise<string> {
  let text = ''
  for await (const bytes of body ?? []) {
    text += Buffer.from(bytes).toString('utf8')
    if (text.length > answerBytesMax) throw new Error('too long an answer')
  }
  return text
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}

/** Whether it is time, as far as somebody knows what time it is. */
export const isDue = (certificate: string, now: number): boolean =>
  endOfCertificate(certificate) - now < limits.renewAheadMs
