import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto'
import type { Keys, PublicKey, Signer } from './trust.ts'

/** A private key as PKCS #8, or a certificate, in the text form that OpenSSL reads. */
export type Pem = string

export interface KeyPair {
  readonly privateKey: Pem
  readonly publicKey: PublicKey
}

/** ECDSA P-256 with SHA-256 (RFC 7518 §3.4): signatures are r and s, 32 bytes each, without DER. */
const algorithm = 'ES256'
const curve = 'prime256v1'
const signatureBytes = 64

/** An archive has tens of identities; beyond this the key unused for longest is parsed again. */
const parsedKeysMax = 1_000

interface ParsedKey {
  readonly keyId: string
  /** Undefined when the text is no P-256 public key. */
  readonly key: KeyObject | undefined
}

/** Checks signatures by node:crypto. Each key is parsed once: parsing costs as much as verifying. */
export function nodeKeys(): Keys {
  const parsed = new Map<PublicKey, ParsedKey>()

  const parsedKey = (text: PublicKey): ParsedKey => {
    const known = parsed.get(text) ?? parsePublicKey(text)
    parsed.delete(text)
    parsed.set(text, known)
    for (const oldest of parsed.keys()) {
      if (parsed.size <= parsedKeysMax) break
      parsed.delete(oldest)
    }
    return known
  }

  return {
    keyId: (key) => parsedKey(key).keyId,
    verify: (name, text, bytes, signature) => {
      const { key } = parsedKey(text)
      if (name !== algorithm || key === undefined || signature.length !== signatureBytes) {
        return false
      }
      try {
        return verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, signature)
      } catch {
        return false
      }
    },
  }
}

/** A new P-256 key pair. The private half never needs to leave the machine that made it. */
export function makeKeyPair(): KeyPair {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: curve })
  return {
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: textOf(publicKey),
  }
}

/** Signs with a P-256 private key; throws when the text is no such key. */
export function nodeSigner(privateKey: Pem): Signer & { readonly publicKey: PublicKey } {
  const key = createPrivateKey(privateKey)
  if (!isP256(key)) throw new Error('the private key is not an ECDSA P-256 key')
  const publicKey = textOf(createPublicKey(key))
  return {
    algorithm,
    keyId: keyIdOf(Buffer.from(publicKey, 'base64')),
    publicKey,
    sign: (bytes) => sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }),
  }
}

/** The key that a certificate binds to its name; throws when the text is no certificate. */
export const keyOfCertificate = (certificate: Pem): PublicKey =>
  keyIn(new X509Certificate(certificate))

/** The same of a certificate that was read already. */
export const keyIn = (certificate: X509Certificate): PublicKey => textOf(certificate.publicKey)

/** Whom a certificate names, when this authority has issued it; undefined otherwise, and for what is no certificate. */
export function vouchedFor(
  authority: Pem,
  certificate: Pem,
): { readonly name: string; readonly publicKey: PublicKey; readonly ends: number } | undefined {
  try {
    const [issuer, one] = [new X509Certificate(authority), new X509Certificate(certificate)]
    const name = identityOf(one)
    if (!issuer.ca || !one.checkIssued(issuer) || !one.verify(issuer.publicKey)) return undefined
    return name === undefined
      ? undefined
      : { name, publicKey: keyIn(one), ends: Date.parse(one.validTo) }
  } catch {
    return undefined
  }
}

/** When a certificate ends, milliseconds since 1970. */
export const endOfCertificate = (certificate: Pem): number =>
  Date.parse(new X509Certificate(certificate).validTo)

/** The identity a certificate proves; undefined when it names none. Throws when it is no certificate. */
export const nameOfCertificate = (certificate: Pem): string | undefined =>
  identityOf(new X509Certificate(certificate))

/**
 * The first subject alternative name, which must be a dNSName that is an identity of ours: OpenSSL's text
 * is `DNS:name, …`, and whatever needs quoting in it cannot match.
 */
export const identityOf = (certificate: X509Certificate): string | undefined =>
  /^DNS:([a-z0-9][a-z0-9-]{0,62})(?:, |$)/.exec(certificate.subjectAltName ?? '')?.[1]

function parsePublicKey(text: PublicKey): ParsedKey {
  const der = Buffer.from(text, 'base64')
  const keyId = keyIdOf(der)
  try {
    const key = createPublicKey({ key: der, format: 'der', type: 'spki' })
    return { keyId, key: isP256(key) ? key : undefined }
  } catch {
    return { keyId, key: undefined }
  }
}

const isP256 = (key: KeyObject): boolean =>
  key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === curve

const textOf = (key: KeyObject): PublicKey =>
  key.export({ type: 'spki', format: 'der' }).toString('base64')

const keyIdOf = (der: Uint8Array): string =>
  createHash('sha256').update(der).digest('base64url').slice(0, 22)
