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
