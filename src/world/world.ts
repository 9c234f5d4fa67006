/**
 * What a program of ours takes from the world it runs in. Behaviour gets these as arguments and touches
 * nothing else, so that a whole fleet can run in one process under a seed.
 */

/** Time. Deadlines are differences of `monotonic`; `now` is only for dates that people and peers read. */
export interface Clock {
  /** Milliseconds since 1970 by the wall clock; may be wrong (a board may boot in 1970) and may jump. */
  now(): number
  /** Milliseconds since some fixed moment; never jumps, never goes back. */
  monotonic(): number
  /** Resolves after `ms` milliseconds, or at once when the signal is aborted; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** `length` random bytes, fit for identifiers and secrets in the real world. */
  bytes(length: number): Uint8Array
}

/** One running digest. */
export interface Hasher {
  update(bytes: Uint8Array | string): Hasher
  /** Lower-case hexadecimal; ends the hasher. */
  hex(): string
}

/** Names of digests. Files are kept by SHA-256; the others are for those who ask for them. */
export type Algorithm = 'md5' | 'sha1' | 'sha256' | 'sha384' | 'sha512'

export interface Hashing {
  start(algorithm: Algorithm): Hasher
  /** HMAC (RFC 2104): only who reads the bytes after the key is known can tell the result. */
  keyed(algorithm: Algorithm, key: Uint8Array): Hasher
}

/** One line an event: a short name in dotted words, and what it was about. Never a secret. */
export interface Log {
  debug(event: string, about?: object): void
  info(event: string, about?: object): void
  warn(event: string, about?: object): void
  error(event: string, about?: object): void
}

export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly hashing: Hashing
  readonly log: Log
}

/** Half to one and a half times `ms`, so that many boards do not come back in step. */
export const jittered = ({ random }: Pick<World, 'random'>, ms: number): number =>
  ms * (0.5 + random.next())

/** Digest of one text or block in hexadecimal. */
export const digestOf = ({ hashing }: Pick<World, 'hashing'>, bytes: Uint8Array | string): string =>
  hashing.start('sha256').update(bytes).hex()
