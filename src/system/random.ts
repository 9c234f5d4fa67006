import { randomBytes } from 'node:crypto'
import type { Random } from '../world/world.ts'

/** Chance from the operating system's generator. */
export function systemRandom(): Random {
  return {
    next: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
    bytes: (length) => new Uint8Array(randomBytes(length)),
  }
}
