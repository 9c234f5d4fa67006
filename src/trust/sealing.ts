/** AES-256-GCM by node:crypto (NIST SP 800-38D): what is sealed can neither be read nor altered without the key. */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from 'node:crypto'
import type { Sealing } from './trust.ts'

export const sealingKeyBytes = 32
const algorithm = 'aes-256-gcm'
const ivBytes = 12
const tagBytes = 16

/** `about` is not hidden, but belongs to it: nothing opens under other words. */
export function sealingBy(key: Uint8Array, about = ''): Sealing {
  return {
    seal(bytes) {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagBytes })
      cipher.setAAD(Buffer.from(about))
      const inner = Buffer.concat([cipher.update(bytes), cipher.final()])
      return Buffer.concat([iv, cipher.getAuthTag(), inner])
    },
    open(sealed) {
      if (sealed.length < ivBytes + tagBytes) return undefined
      const bytes = Buffer.from(sealed)
      const iv = bytes.subarray(0, ivBytes)
      const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagBytes })
      decipher.setAAD(Buffer.from(about))
      decipher.setAuthTag(bytes.subarray(ivBytes, ivBytes + tagBytes))
      try {
        const inner = decipher.update(bytes.subarray(ivBytes + tagBytes))
        return Buffer.concat([inner, decipher.final()])
      } catch {
        return undefined
      }
    },
  }
}

/** 128 MiB and half a second on a small board: nobody tries many words (RFC 7914). */
export const usualCost = 17
const blockSize = 8

/** The key that a passphrase stands for; `cost` is the logarithm of scrypt's N. */
export const keyOfPassphrase = (passphrase: string, salt: Uint8Array, cost: number): Buffer =>
  scryptSync(passphrase.normalize('NFKC'), salt, sealingKeyBytes, {
    N: 2 ** cost,
    r: blockSize,
    p: 1,
    maxmem: 2 * 128 * blockSize * 2 ** cost,
  })
