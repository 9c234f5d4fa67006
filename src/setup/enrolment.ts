/**
 * The tracker's door for those who have no certificate yet: whoever brings an unused secret gets one for his own key, and is
 * in the archive document before he is answered. Everything else is refused, and counted.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { limits } from '../limits.ts'
import { type ArchiveDocument, type Identity, withMember } from '../protocol/document.ts'
import {
  type Enrolment,
  type EnrolmentRequest,
  enrolmentProof,
  type Invitation,
  parseEnrolmentRequest,
  parseRenewalRequest,
} from '../protocol/enrolment.ts'
import { permitted } from '../protocol/permissions.ts'
import { timeText, timeValue } from '../protocol/scalars.ts'
import type { State } from '../state/state.ts'
import type { Request, Response, Serve } from '../transfer/transfer.ts'
import { codeHalfBytes } from '../trust/code.ts'
import type { Directory } from '../trust/directory.ts'
import { nodeKeys } from '../trust/keys.ts'
import type { World } from '../world/world.ts'
import { findInvitation, keepInvitation } from './invitations.ts'
import { Refused } from './refused.ts'
import { renewal, renewalPath } from './renewal.ts'
import { writeRevoked } from './revoke.ts'
import { publishNext, type Signing, signingKeys, waitingIn } from './signing.ts'

export interface EnrolmentParts {
  readonly world: World
  readonly state: State
  /** Where invitations lie, and the archive document that the tracker hands out. */
  readonly home: string
  readonly ownerKey: string | undefined
  readonly directory: Directory
  /** PEM. */
  readonly ca: string
  readonly broker: Enrolment['broker']
  readonly exchangeUrl: string
  /** So long after its end a certificate may still be renewed, milliseconds. */
  readonly graceMs: number
  /** Where the owner may have left a newer document that we have not seen yet. */
  readonly documentPath: string
  keepDocument(sealed: Uint8Array): void
  announce(): void
}

/** What a code calls the authority. */
export const fingerprintOf = (ca: string): string =>
  createHash('sha256')
    .update(new X509Certificate(ca).raw)
    .digest('hex')
    .slice(0, 2 * codeHalfBytes)

export function enrolment(parts: EnrolmentParts): Serve {
  const { world } = parts
  const failures = attempts(parts)
  let last: Promise<unknown> = Promise.resolve()

  async function enrol(asked: EnrolmentRequest | undefined, address: string): Promise<string> {
    if (!asked) throw new Refused(400, 'this is no request to enrol')
    const enrolled = await admit(parts, asked)
    world.log.info('enrolment.done', { name: enrolled.name, role: enrolled.role, address })
    return JSON.stringify(enrolled)
  }
  async function answered(address: string, work: () => Promise<string>): Promise<Response> {
    try {
      await failures.check(address)
      return text(200, await work())
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      if (error.status === 403) await failures.note(address)
      world.log.warn('enrolment.refused', { address, why: error.message })
      return text(error.status, `${error.message}\n`, error.status === 429)
    }
  }
  return async (address, request) => {
    if (request.method === 'GET' && request.path === '/enrolment/authority')
      return text(200, parts.ca)
    if (request.method !== 'PATCH' || !['/enrolment', renewalPath].includes(request.path))
      return text(403, 'only members of the archive are let in, by their certificates\n')
    const body = await bodyOf(request)
    const work = (): Promise<string> =>
      request.path === renewalPath
        ? renewal(parts, parseRenewalRequest(body))
        : enrol(parseEnrolmentRequest(body), address)
    // One after the other, once all of it is here: who is slow holds up nobody.
    const mine = last.then(() => answered(address, work))
    last = mine.catch(() => undefined)
    return mine
  }
}

async function admit(parts: EnrolmentParts, asked: EnrolmentRequest): Promise<Enrolment> {
  const { world, home, directory } = parts
  const keys = nodeKeys()
  const { role, secret, publicKey, proof } = asked
  const [algorithm = '', signature = ''] = proof.split(' ')
  const bytes = enrolmentProof(secret, publicKey)
  if (!keys.verify(algorithm, publicKey, bytes, Buffer.from(signature, 'base64url')))
    throw new Refused(400, 'who asks does not have the key he asks for')
  const invitation = findInvitation(home, secret)
  if (!invitation) throw new Refused(403, 'the tracker knows no such code')
  const { name, used, expiresAt } = invitation
  if (used && used.publicKey !== publicKey)
    throw new Refused(410, `this code was used on ${used.at}: ask for a new one`)
  const isDone = used !== undefined && directory.identity(name)?.publicKey === publicKey
  if (!isDone && timeValue(expiresAt) < world.clock.now())
    throw new Refused(410, `this code was valid until ${expiresAt}: ask for a new one`)
  if (invitation.role !== role)
    throw new Refused(
      409,
      invitation.role === 'pillar'
        ? 'this code is for a pillar: `colonnade-agent enrol` takes it'
        : 'this code is for a client: `colonnade enrol` takes it',
    )
  if (!isDone) await enlist(parts, invitation, asked)
  return told(parts, invitation)
}

/** Signs certificate and document; both are safe, and the document is in use, when this resolves. */
async function enlist(
  parts: EnrolmentParts,
  invitation: Invitation,
  { secret, publicKey }: EnrolmentRequest,
): Promise<void> {
  const { world, home, directory } = parts
  const closed = waitingIn(home)
  if (closed !== undefined) throw new Refused(503, closed)
  const keys = signingKeys(parts.ownerKey)
  if (!keys || keys.owner.publicKey !== directory.owner)
    throw new Refused(503, 'the keys of the archive are not on the tracker: nobody can be let in')
  const at = timeText(world.clock.now())
  keepInvitation(home, secret, { ...invitation, used: invitation.used ?? { publicKey, at } })
  const identity = await identityOf(keys, invitation, publicKey)
  const next = await publishNext(parts, keys, at, (document) =>
    withNew(document, identity, { ...invitation, at }),
  )
  if (invitation.replace) await writeRevoked(home, keys, next)
  parts.announce()
}

async function identityOf(
  { authority }: Signing,
  { name, role, site, kind }: Invitation,
  publicKey: string,
): Promise<Identity> {
  const { issue } = await import('../trust/certificates.ts')
  const certificate = await issue(authority, { name, publicKey })
  return {
    ...{ name, role, publicKey, certificate },
    ...(site === undefined ? {} : { site }),
    ...(kind === undefined ? {} : { kind }),
  }
}

function withNew(
  document: ArchiveDocument,
  identity: Identity,
  how: Pick<Invitation, 'replace' | 'permissions'> & { at: string },
): ArchiveDocument {
  try {
    return (how.permissions ?? []).reduce(
      (before, { collection, role }) => permitted(before, identity.name, collection, role),
      withMember(document, identity, how),
    )
  } catch (error) {
    throw new Refused(409, error instanceof Error ? error.message : String(error))
  }
}

function told(parts: EnrolmentParts, { role, name, kind }: Invitation): Enrolment {
  const { directory, broker, exchangeUrl } = parts
  const identity = directory.identity(name)
  return {
    ...{ role, name, broker, exchangeUrl },
    ...(identity?.site === undefined ? {} : { site: identity.site }),
    ...(kind === undefined ? {} : { kind }),
    archive: directory.document().archive,
    owner: directory.owner,
    certificate: identity?.certificate ?? '',
    document: Buffer.from(directory.sealed()).toString('utf8'),
  }
}

/** Wrong secrets: so many a minute from one address, and from all of them, also across restarts. */
function attempts({ world, state }: Pick<EnrolmentParts, 'world' | 'state'>) {
  const key = 'enrolment-failures'
  const minute = (): number => Math.floor(world.clock.now() / 60_000)
  let near: { minute: number; counts: Map<string, number> } = { minute: -1, counts: new Map() }
  const all = async (): Promise<number> => {
    const [at, count] = (JSON.parse((await state.get(key)) ?? '[0,0]') as number[]) ?? []
    return at === minute() ? (count ?? 0) : 0
  }
  return {
    async check(address: string): Promise<void> {
      if (near.minute !== minute()) near = { minute: minute(), counts: new Map() }
      const mine = near.counts.get(address) ?? 0
      if (mine < limits.enrolmentFailuresMax && (await all()) < limits.enrolmentFailuresAllMax)
        return
      throw new Refused(429, 'too many wrong codes: try again in a minute')
    },
    async note(address: string): Promise<void> {
      near.counts.set(address, (near.counts.get(address) ?? 0) + 1)
      await state.change([[key, JSON.stringify([minute(), (await all()) + 1])]])
    },
  }
}

async function bodyOf({ body }: Request): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const bytes of body ?? []) {
    size += bytes.length
    if (size > limits.enrolmentBytesMax) return ''
    parts.push(Uint8Array.from(bytes))
  }
  return Buffer.concat(parts).toString('utf8')
}

function text(status: number, said: string, later = false): Response {
  const bytes = Buffer.from(said)
  const headers = {
    'content-length': `${bytes.length}`,
    ...(later ? { 'retry-after': '60' } : {}),
  }
  return { status, headers, body: once(bytes) }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
