/** What is said when a new member is let in by a code: the invitation the tracker keeps, the request, the answer. */
import * as v from 'valibot'
import { Permission } from './permissions.ts'
import { Name, PillarKind, Time } from './scalars.ts'

const role = v.picklist(['pillar', 'client'])
export type InvitedRole = v.InferOutput<typeof role>

/** Kept by the tracker under the digest of the secret, which it does not keep. */
export const Invitation = v.object({
  role,
  name: Name,
  site: v.optional(Name),
  kind: v.optional(PillarKind),
  /** Of a client: what it may do with which collections. */
  permissions: v.optional(v.array(v.omit(Permission, ['identity']))),
  /** It takes the place of a member of that name, whose certificate counts no more. */
  replace: v.boolean(),
  madeAt: Time,
  expiresAt: Time,
  /** By whom, noted before anything is signed: who says it again with the same key gets the same answer. */
  used: v.optional(v.object({ publicKey: v.string(), at: Time })),
})
export type Invitation = v.InferOutput<typeof Invitation>

export const EnrolmentRequest = v.object({
  role,
  /** Hexadecimal. */
  secret: v.pipe(v.string(), v.regex(/^[0-9a-f]{20}$/)),
  publicKey: v.pipe(v.string(), v.maxLength(400)),
  /** By that key, over `enrolmentProof`: who asks has the private half. Algorithm, a space, base64url. */
  proof: v.pipe(v.string(), v.maxLength(400)),
})
export type EnrolmentRequest = v.InferOutput<typeof EnrolmentRequest>

export const enrolmentProof = (secret: string, publicKey: string): Uint8Array =>
  new TextEncoder().encode(`colonnade enrolment\n${secret}\n${publicKey}`)

/** A member asks for another certificate of the key that he has. */
export const RenewalRequest = v.object({
  name: Name,
  publicKey: v.pipe(v.string(), v.maxLength(400)),
  /** By that key, over `renewalProof`. What was heard and said again brings the answer, which is no secret. */
  proof: v.pipe(v.string(), v.maxLength(400)),
})
export type RenewalRequest = v.InferOutput<typeof RenewalRequest>

export const renewalProof = (name: string, publicKey: string): Uint8Array =>
  new TextEncoder().encode(`colonnade renewal\n${name}\n${publicKey}`)

export const Enrolment = v.object({
  role,
  name: Name,
  site: v.optional(Name),
  kind: v.optional(PillarKind),
  archive: Name,
  owner: v.string(),
  /** PEM. */
  certificate: v.string(),
  /** The archive document as it is signed. */
  document: v.string(),
  exchangeUrl: v.string(),
  broker: v.object({ url: v.string(), identity: Name, prefix: v.string() }),
})
export type Enrolment = v.InferOutput<typeof Enrolment>

export const parseInvitation = (text: string): Invitation | undefined => parsed(Invitation, text)
export const parseEnrolmentRequest = (text: string): EnrolmentRequest | undefined =>
  parsed(EnrolmentRequest, text)
export const parseRenewalRequest = (text: string): RenewalRequest | undefined =>
  parsed(RenewalRequest, text)
export const parseEnrolment = (text: string): Enrolment | undefined => parsed(Enrolment, text)

function parsed<const S extends v.GenericSchema>(schema: S, text: string) {
  try {
    const found = v.safeParse(schema, JSON.parse(text))
    return found.success ? found.output : undefined
  } catch {
    return undefined
  }
}
