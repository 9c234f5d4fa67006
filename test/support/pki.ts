import { createPrivateKey, webcrypto } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { type Authority, issue, makeAuthority } from '../../src/trust/certificates.ts'
import { makeKeyPair } from '../../src/trust/keys.ts'

/** What one identity needs for TLS; PEM. */
export interface Credentials {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/** An authority for tests, and what it certifies. */
export async function makePki(): Promise<{ credentialsOf(name: string): Promise<Credentials> }> {
  const authority: Authority = await makeAuthority('test')
  return {
    async credentialsOf(name) {
      const { privateKey, publicKey } = makeKeyPair()
      const cert = await issue(authority, { name, publicKey })
      return { ca: authority.certificate, cert, key: privateKey }
    },
  }
}

/** Certificate and key of a member, by the authority of the archive in this folder, that were right until some days ago. */
export async function expired(
  home: string,
  name: string,
  { days = 1, pair = makeKeyPair() } = {},
): Promise<Pick<Credentials, 'cert' | 'key'>> {
  const pem = (file: string): string => readFileSync(join(home, 'archive', file), 'utf8')
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const der = createPrivateKey(pem('ca.key')).export({ type: 'pkcs8', format: 'der' })
  const certificate = await X509CertificateGenerator.create({
    ...{ serialNumber: '41', subject: `CN=${name}`, signingAlgorithm: algorithm },
    issuer: new X509Certificate(pem('ca.pem')).subjectName,
    notBefore: new Date(0),
    notAfter: new Date(Date.now() - days * 24 * 3_600_000),
    publicKey: new Uint8Array(Buffer.from(pair.publicKey, 'base64')),
    signingKey: await webcrypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign']),
    extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  })
  return { cert: `${certificate.toString('pem')}\n`, key: pair.privateKey }
}
