// biome-ignore lint/style/noRestrictedImports: digests are pure and synchronous, the same for the real and the simulated world
import { createHash, createHmac, hash } from 'node:crypto'
import type { Hasher, Hashing } from './world.ts'

/** Digests computed at once in the calling thread, so that a simulation replays bit for bit. */
export const hashingInThread = (): Hashing => ({
  start: (algorithm) => over(createHash(algorithm)),
  keyed: (algorithm, key) => over(createHmac(algorithm, key)),
})

function over(running: ReturnType<typeof createHash> | ReturnType<typeof createHmac>): Hasher {
  const hasher: Hasher = {
    update(bytes) {
      running.update(bytes)
      return hasher
    },
    hex: () => running.digest('hex'),
  }
  return hasher
}

/** SHA-256 of one short text in lower-case hexadecimal, twice as fast as a hasher: for what is done per row. */
export const textDigest = (text: string): string => hash('sha256', text, 'hex')
