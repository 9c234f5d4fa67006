/**
 * PORT: signing and checking signatures. Synchronous, so that a simulation never leaves its thread.
 * The algorithm is named beside every signature and may change later.
 */
export interface Signer {
  /** Name of the signature algorithm, e.g. `ES256` (ECDSA P-256 with SHA-256, RFC 7518 §3.4). */
  readonly algorithm: string
  /** Digest of the public key: first 22 characters of base64url(SHA-256(SubjectPublicKeyInfo)). */
  readonly keyId: string
  sign(bytes: Uint8Array): Uint8Array
}

/** Public key as base64 of its SubjectPublicKeyInfo (DER). */
export type PublicKey = string

export interface Keys {
  keyId(key: PublicKey): string
  /** False for any wrong signature, key or algorithm; never throws. */
  verify(algorithm: string, key: PublicKey, bytes: Uint8Array, signature: Uint8Array): boolean
}

/** Hides bytes from everybody who has not the key; undefined, and nothing else, for what was not sealed by it. */
export interface Sealing {
  seal(bytes: Uint8Array): Uint8Array
  open(sealed: Uint8Array): Uint8Array | undefined
}
