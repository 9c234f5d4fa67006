/** What brings back a tracker whose machine is lost: the kit that the owner keeps, and the part that pillars keep sealed. */
import * as v from 'valibot'
import { Count, Name, Time } from './scalars.ts'
import { PillarWord } from './words.ts'

const PrivateScalar = v.pipe(v.string(), v.regex(/^[\w-]{43}$/))

/** Short names: it is printed, and may have to be typed. */
export const Kit = v.object({
  archive: Name,
  madeAt: Time,
  /** Where the tracker is reached: exchange, broker. */
  exchange: v.string(),
  broker: v.string(),
  /** When these are not as usual. */
  brokerIdentity: v.optional(Name),
  prefix: v.optional(v.string()),
  /** P-256 private keys, base64url. */
  owner: PrivateScalar,
  authority: PrivateScalar,
  tracker: PrivateScalar,
  /** Opens the part that pillars keep. */
  part: PrivateScalar,
  /** The authority's certificate, DER, base64url. */
  certificate: v.string(),
})
export type Kit = v.InferOutput<typeof Kit>

/** What changes, and can not be had from pillars otherwise. */
export const RecoveryPart = v.object({
  archive: Name,
  /** Only ever grows. */
  version: Count,
  at: Time,
  /** The archive document as it is signed. */
  document: v.string(),
  /** Codes that were given out: the digest of the secret, and what it is for. */
  invitations: v.array(v.object({ name: v.string(), text: v.string() })),
  words: v.array(v.object({ pillar: Name, word: PillarWord })),
  /** Counter of the tracker's epoch. */
  epoch: Count,
})
export type RecoveryPart = v.InferOutput<typeof RecoveryPart>

export const parseKit = (text: string): Kit | undefined => parsed(Kit, text)
export const parseRecoveryPart = (text: string): RecoveryPart | undefined =>
  parsed(RecoveryPart, text)

function parsed<const S extends v.GenericSchema>(schema: S, text: string) {
  try {
    const found = v.safeParse(schema, JSON.parse(text))
    return found.success ? found.output : undefined
  } catch {
    return undefined
  }
}
