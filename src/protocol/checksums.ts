/** By which algorithm a checksum is asked for, and with which salt: what may be asked, and who computes it. */
import { Buffer } from 'node:buffer'
import * as v from 'valibot'
import type { Algorithm, Hasher, World } from '../world/world.ts'
import type { Code } from './codes.ts'
import { Bytes, Count, FileId, Text } from './scalars.ts'

const digests = {
  MD5: 'md5',
  'SHA-1': 'sha1',
  'SHA-256': 'sha256',
  'SHA-384': 'sha384',
  'SHA-512': 'sha512',
} as const satisfies Record<string, Algorithm>
const salted = 'HMAC-'

/** All that can be asked for: the plain digests, then each as HMAC. */
export const checksumAlgorithms: readonly string[] = ['', salted].flatMap((prefix) =>
  Object.keys(digests).map((name) => prefix + name),
)

/** Any name may come, so that an unknown one is answered as not supported and not as garbage. */
export const ChecksumSpec = v.object({
  algorithm: v.pipe(v.string(), v.maxLength(64)),
  /** Of an HMAC: its key, 1 to 256 bytes in hexadecimal. */
  salt: v.optional(v.string()),
})
export type ChecksumSpec = v.InferOutput<typeof ChecksumSpec>

/** A checksum by any of the algorithms. */
export const AnyChecksum = v.pipe(
  v.string(),
  v.regex(/^([0-9a-f]{2}){16,64}$/, 'not a checksum in hexadecimal'),
)

/** What a request for checksums, its progress and its final answer have beyond those of other listings. */
export const asked = { checksumSpec: v.optional(ChecksumSpec) }
export const working = { filesDone: v.optional(Count), bytesDone: v.optional(Bytes) }
export const answered = {
  checksumSpec: v.optional(ChecksumSpec),
  /** Files whose bytes can not be read, or are not those that were stored. */
  failed: v.optional(
    v.array(v.object({ id: FileId, code: v.literal('FAILURE'), text: v.optional(Text) })),
  ),
}

export interface SpecFault {
  readonly code: v.InferOutput<typeof Code>
  /** One sentence. */
  readonly text: string
}

/** Why checksums can not be asked for so, or undefined when they can. */
export function specFault({ algorithm, salt }: ChecksumSpec): SpecFault | undefined {
  const not = (text: string): SpecFault => ({ code: 'REQUEST_NOT_UNDERSTOOD_FAILURE', text })
  if (!checksumAlgorithms.includes(algorithm))
    return { code: 'REQUEST_NOT_SUPPORTED', text: `there is no checksum algorithm ${algorithm}` }
  if (!algorithm.startsWith(salted))
    return salt === undefined ? undefined : not(`${algorithm} takes no salt`)
  if (salt === undefined) return not(`${algorithm} needs a salt`)
  return /^([0-9a-fA-F]{2}){1,256}$/.test(salt)
    ? undefined
    : not('a salt is 1 to 256 bytes in hexadecimal')
}

/** The index of a pillar has it: nothing need be computed. */
export const isIndexed = (spec: ChecksumSpec | undefined): boolean =>
  spec === undefined || spec.algorithm === 'SHA-256'

/** A hasher for a spec without fault. */
export function hasherFor(
  { hashing }: Pick<World, 'hashing'>,
  { algorithm, salt }: ChecksumSpec,
): Hasher {
  const name = algorithm.replace(salted, '') as keyof typeof digests
  return salt === undefined
    ? hashing.start(digests[name])
    : hashing.keyed(digests[name], Buffer.from(salt, 'hex'))
}
