// biome-ignore lint/style/noRestrictedImports: synchronous digests leave neither the thread nor a trace
import { createHash, createHmac } from 'node:crypto'
import type { Keys, PublicKey, Signer } from '../trust/trust.ts'

const algorithm = 'SIM'

/** Signs always alike: as the key that `name` stands for, which every simulated checker knows too. */
export function simSigner(name: string): Signer & { readonly publicKey: PublicKey } {
  const publicKey = simPublicKey(name)
  return { algorithm, keyId: keyIdOf(publicKey), publicKey, sign: (bytes) => mac(publicKey, bytes) }
}

export const simKeys = (): Keys => ({
  keyId: keyIdOf,
  verify: (named, key, bytes, signature) =>
    named === algorithm &&
    Buffer.from(key, 'base64').toString().startsWith('sim key of ') &&
    mac(key, bytes).equals(signature),
})

export const simPublicKey = (name: string): PublicKey =>
  Buffer.from(`sim key of ${name}`).toString('base64')

const mac = (key: PublicKey, bytes: Uint8Array): Buffer =>
  createHmac('sha256', `secret of ${key}`).update(bytes).digest()

const keyIdOf = (key: PublicKey): string =>
  createHash('sha256').update(Buffer.from(key, 'base64')).digest('base64url').slice(0, 22)
