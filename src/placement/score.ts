/**
 * How soon a member comes to a fragment. As of independent clocks that ring after exponential times, the first to ring is
 * a member with a chance in proportion to its weight (weighted rendezvous hashing). Integers and one division.
 */
import assert from 'node:assert/strict'
import { ln } from './arithmetic.ts'
import type { Key } from './placement.ts'

/** 64 bits in two halves. */
export type Digest = readonly [number, number]

const one = 1 << 26
const tableSize = 1 << 10

/** 2^26 · log2(1 + i/1024), rounded. The test holds it against exact arithmetic. */
const log2Table = Int32Array.from({ length: tableSize + 1 }, (_, i) =>
  Math.floor((ln(1 + i / tableSize) / ln(2)) * one + 0.5),
)

/** Each bit that comes in changes about half of those that go out; no two numbers give the same. */
function mix(x: number): number {
  let h = x
  h = Math.imul(h ^ (h >>> 16), 0x21f0aaad)
  h = Math.imul(h ^ (h >>> 15), 0xd35a2d97)
  return h ^ (h >>> 15)
}

/** Four bytes a word, the first the highest; what is missing of the last word is 0. */
export function digestOf(bytes: Uint8Array): Digest {
  const words = new Int32Array(Math.ceil(bytes.length / 4))
  for (const [at, byte] of bytes.entries())
    words[at >> 2] = (words[at >> 2] ?? 0) | (byte << (24 - 8 * (at & 3)))
  return digestOfWords(words, bytes.length)
}

export function digestOfKey(key: Key): Digest {
  if (typeof key !== 'string') return digestOf(key)
  const words = new Int32Array(Math.ceil(key.length / 8))
  for (let at = 0; at < key.length; at++)
    words[at >> 3] = (words[at >> 3] ?? 0) | (digit(key.charCodeAt(at)) << (28 - 4 * (at & 7)))
  assert(key.length % 2 === 0, 'not hexadecimal')
  return digestOfWords(words, key.length / 2)
}

function digit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  assert(code >= 97 && code <= 102, 'not hexadecimal')
  return code - 87
}

function digestOfWords(words: Int32Array, bytes: number): Digest {
  let a = mix(bytes)
  let b = mix(a)
  for (const word of words) {
    a = mix(a ^ word)
    b = mix(b ^ a)
  }
  return [a, b]
}

/** 32 bits for a key and a member, evenly spread and independent of those of other keys and members. */
export const draw = (key: Digest, seed0: number, seed1: number): number =>
  mix(mix(key[0] ^ seed0) ^ key[1] ^ seed1) >>> 0

/** −log2 of the draw as a fraction of 2^32, in units of 2^−26: from 1 to 2^31, exponentially distributed. */
export function wait(drawn: number): number {
  const odd = drawn | 1
  const zeros = Math.clz32(odd)
  const mantissa = odd << zeros
  const index = (mantissa >>> 21) & (tableSize - 1)
  const low = log2Table[index] ?? 0
  const rise = (log2Table[index + 1] ?? 0) - low
  const between = Math.floor(((mantissa & 0x1fffff) * rise) / (1 << 21))
  return (zeros + 1) * one - low - between
}
