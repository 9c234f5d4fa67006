import 'reflect-metadata'
import { createPrivateKey, randomBytes, webcrypto } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
  X509CrlGenerator,
} from '@peculiar/x509'
import { makeKeyPair, type Pem } from './keys.ts'
import type { PublicKey } from './trust.ts'

/** What signs the certificates of one archive. */
export interface Authority {
  readonly certificate: Pem
  readonly privateKey: Pem
}

export interface Subject {
  /** The identity: common name and only subject alternative name. */
  readonly name: string
  readonly publicKey: PublicKey
}

const ecdsa = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
/** Boards boot in 1970: a certificate that begins later makes TLS itself fail there. */
const notBefore = new Date(0)
const leafYears = 20
const authorityYears = 100
/** The issuing machine may itself have booted in 1970; it is never earlier than this. */
const earliestIssue = Date.UTC(2026, 0, 1)

/**
 * A new certificate authority for the archive `name`. Its subject is never that of an identity: a leaf with the
 * subject of its issuer counts as self-issued (RFC 5280 §6.1), and verifiers differ on those. `now` in
 * milliseconds since 1970.
 */
export async function makeAuthority(name: string, now = Date.now()): Promise<Authority> {
  checkName(name)
  const { privateKey, publicKey } = makeKeyPair()
  const subject = `CN=Colonnade CA, O=${name}`
  const key = spkiOf(publicKey)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject,
    issuer: subject,
    notBefore,
    notAfter: yearsAfter(now, authorityYears),
    signingAlgorithm: ecdsa,
    publicKey: key,
    signingKey: await signingKey(privateKey),
    extensions: [
      new BasicConstraintsExtension(true, 0, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(key),
      await AuthorityKeyIdentifierExtension.create(key),
    ],
  })
  return { certificate: pemOf(certificate), privateKey }
}

/**
 * Certifies that `publicKey` belongs to the identity `name`, both as server and as client: pillars dial
 * exchanges, and clients run some. Throws when the name is no identity or the key no key.
 */
export async function issue(authority: Authority, to: Subject, now = Date.now()): Promise<Pem> {
  checkName(to.name)
  const issuer = new X509Certificate(authority.certificate)
  const key = spkiOf(to.publicKey)
  const certificate = await X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: `CN=${to.name}`,
    issuer: issuer.subjectName,
    notBefore,
    notAfter: yearsAfter(now, leafYears),
    signingAlgorithm: ecdsa,
    publicKey: key,
    signingKey: await signingKey(authority.privateKey),
    extensions: [
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      new SubjectAlternativeNameExtension([{ type: 'dns', value: to.name }]),
      await SubjectKeyIdentifierExtension.create(key),
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
    ],
  })
  return pemOf(certificate)
}

/**
 * The authority's list of certificates that count no more (RFC 5280 §5), PEM. It is as valid as the authority is: a broker whose
 * list had run out would let nobody in.
 */
export async function revocationList(
  authority: Authority,
  revoked: readonly Pem[],
  number: number,
  now = Date.now(),
): Promise<Pem> {
  const issuer = new X509Certificate(authority.certificate)
  const list = await X509CrlGenerator.create({
    issuer: issuer.subject,
    thisUpdate: notBefore,
    nextUpdate: yearsAfter(now, authorityYears),
    entries: revoked.map((one) => ({
      serialNumber: new X509Certificate(one).serialNumber,
      revocationDate: notBefore,
    })),
    extensions: [
      await AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      new Extension('2.5.29.20', false, derInteger(number)),
    ],
    signingAlgorithm: ecdsa,
    signingKey: await signingKey(authority.privateKey),
  })
  // The library says `CRL`; everybody else reads only this (RFC 7468 §6).
  return `${list.toString('pem').replace(/(BEGIN|END) CRL/g, '$1 X509 CRL')}\n`
}

/** A small number as DER has it; the CRL number (RFC 5280 §5.2.3). */
function derInteger(value: number): Uint8Array<ArrayBuffer> {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  const signed = (bytes[0] ?? 0) > 0x7f ? [0, ...bytes] : [...bytes]
  return Uint8Array.from([2, signed.length, ...signed])
}

function checkName(name: string): void {
  if (/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) return
  throw new Error(`"${name}" is no name for a certificate: letters a-z, digits and "-", at most 63`)
}

function yearsAfter(now: number, years: number): Date {
  const date = new Date(Math.max(now, earliestIssue))
  date.setUTCFullYear(date.getUTCFullYear() + years)
  date.setUTCMilliseconds(0)
  return date
}

/** 127 random bits, positive and without a leading zero byte (RFC 5280 §4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40
  return bytes.toString('hex')
}

const signingKey = (privateKey: Pem): Promise<webcrypto.CryptoKey> =>
  webcrypto.subtle.importKey(
    'pkcs8',
    createPrivateKey(privateKey).export({ type: 'pkcs8', format: 'der' }),
    ecdsa,
    false,
    ['sign'],
  )

const spkiOf = (publicKey: PublicKey): Uint8Array<ArrayBuffer> =>
  new Uint8Array(Buffer.from(publicKey, 'base64'))

const pemOf = (certificate: X509Certificate): Pem => `${certificate.toString('pem')}\n`
