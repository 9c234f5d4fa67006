import { strict as assert } from 'node:assert'
import type { Random } from '../world/world.ts'

/** Chance under a seed: the same seed gives the same stream on every machine. */
export interface SimRandom extends Random {
  /** A stream of its own for `label`, the same however much was drawn from this one before. */
  fork(label: string): SimRandom
  /** A whole number in [0, `below`). */
  int(below: number): number
  /** True once in a while: with this probability. */
  chance(probability: number): boolean
  /** One of these; there must be one. */
  pick<T>(from: readonly T[]): T
}

export function simRandom(seed: number | string): SimRandom {
  const bits = sfc32(String(seed))
  // 32 bits at a time: more are not needed for a decision, and one draw a number keeps streams easy to follow.
  const next = (): number => bits() / 2 ** 32
  const int = (below: number): number => Math.floor(next() * below)
  return {
    next,
    bytes: (length) => Uint8Array.from({ length }, () => bits() >>> 24),
    fork: (label) => simRandom(`${seed}/${label}`),
    int,
    chance: (probability) => next() < probability,
    pick<T>(from: readonly T[]): T {
      assert(from.length > 0, 'nothing to pick from')
      return from[int(from.length)] as T
    },
  }
}

/** Chris Doty-Humphrey's sfc32 of PractRand, its state spread from the text by four rounds of MurmurHash3's mixing. */
function sfc32(seed: string): () => number {
  let [a, b, c, counter] = [mixed(seed, 1), mixed(seed, 2), mixed(seed, 3), 1]
  const next = (): number => {
    const sum = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (let round = 0; round < 12; round++) next()
  return next
}

function mixed(text: string, salt: number): number {
  let h = (0x9e3779b9 * salt) | 0
  for (let at = 0; at < text.length; at++) {
    h = Math.imul(h ^ text.charCodeAt(at), 0xcc9e2d51)
    h = (h << 13) | (h >>> 19)
  }
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return h ^ (h >>> 16)
}
