// biome-ignore lint/style/noRestrictedImports: digests are pure and synchronous, the same for the real and the simulated world
import { createHash, hash } from 'node:crypto'
import type { Hasher, Hashing } from './world.ts'

/** Digests computed at once in the calling thread, so that a simulation replays bit for bit. */
export function hashingInThread(): Hashing {
  return {
    start(algorithm) {
      const running = createHash(algorithm)
      const hasher: Hasher = {
        update(bytes) {
          running.update(bytes)
          return hasher
        },
        hex: () => running.digest('hex'),
      }
      return hasher
    },
  }
}

/** SHA-256 of one short text in lower-case hexadecimal, twice as fast as a hasher: for what is done per row. */
export const textDigest = (text: string): string => hash('sha256', text, 'hex')
