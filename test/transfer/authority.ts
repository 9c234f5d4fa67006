import type { Credentials } from '../../src/transfer/https.ts'
import { issue, makeAuthority } from '../../src/trust/certificates.ts'
import { makeKeyPair } from '../../src/trust/keys.ts'
import type { Log } from '../../src/world/world.ts'

const silent = () => {}
const log: Log = { debug: silent, info: silent, warn: silent, error: silent }
/** A world without a voice. */
export const quiet = { log }

/** A certificate authority that makes up credentials as they are asked for. */
export async function testAuthority(name = 'home') {
  const authority = await makeAuthority(name)
  const { certificate, privateKey } = authority
  return {
    /** Valid, and nobody's: a certificate that names no identity. */
    nameless: { ca: certificate, cert: certificate, key: privateKey } satisfies Credentials,
    credentials: async (identity: string): Promise<Credentials> => {
      const { privateKey, publicKey } = makeKeyPair()
      const cert = await issue(authority, { name: identity, publicKey })
      return { ca: certificate, cert, key: privateKey }
    },
  }
}
