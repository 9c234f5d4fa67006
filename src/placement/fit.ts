/** The tracker's part: weights for a version of the membership, so that boards of unequal size fill up together. */
import assert from 'node:assert/strict'
import { ln } from './arithmetic.ts'
import { inclusion } from './inclusion.ts'
import { type Member, type Membership, weightMax } from './placement.ts'
import { type Spread, sharesOf, spreadOf } from './shares.ts'

export interface Fit {
  readonly membership: Membership
  /** Bytes of each member that no fragment can use, since its other copies would find no place. */
  readonly unusable: ReadonlyMap<string, number>
  readonly unusableBytes: number
  /** The part of all fragments, 0 to 1, that each member is to hold. */
  readonly shares: ReadonlyMap<string, number>
}

/** No chance is fitted beyond these: always would take an infinite weight, never none at all. */
const least = 1e-6
const most = 1 - 1 / 1024
const closeEnough = 1e-4
const roundsMax = 60

/** The same result for the same members in whatever order, on every machine. */
export function fit(version: number, copies: number, members: readonly Member[]): Fit {
  assert(Number.isSafeInteger(copies) && copies > 0, 'copies is a positive whole number')
  const sorted = [...members].sort((a, b) => (a.id < b.id ? -1 : 1))
  for (const [i, { id, capacity }] of sorted.entries()) {
    assert(Number.isSafeInteger(capacity) && capacity >= 0, 'a capacity is a whole number of bytes')
    assert(id !== sorted[i + 1]?.id, 'each member is there once')
  }
  const filling = sorted.filter(({ capacity }) => capacity > 0)
  const capacities = filling.map(({ capacity }) => capacity)
  const spread = spreadOf(filling, copies)
  const shares = sharesOf(capacities, spread)
  const weights = quantised(weightsFor(capacities, shares, spread))
  const weightOf = new Map(filling.map(({ id }, i) => [id, weights[i] ?? 0]))
  // Bytes of fragments, each counted once, when the first member is full.
  const room = Math.min(...capacities.map((capacity, i) => capacity / (shares[i] ?? 1)))
  const unusable = new Map(
    filling.map(({ id, capacity }, i) => [id, capacity - Math.round(room * (shares[i] ?? 0))]),
  )
  return {
    membership: {
      version,
      copies,
      members: sorted.map(({ id, site }) => ({
        id,
        weight: weightOf.get(id) ?? 0,
        ...(site === undefined ? {} : { site }),
      })),
    },
    unusable,
    unusableBytes: [...unusable.values()].reduce((sum, bytes) => sum + bytes, 0),
    shares: new Map(filling.map(({ id }, i) => [id, shares[i] ?? 0])),
  }
}

/** Corrects each weight by how far the member is from its share, until none is. */
function weightsFor(
  capacities: readonly number[],
  shares: readonly number[],
  spread: Spread,
): number[] {
  const { sites, each } = spread
  let weights = [...capacities]
  if (sites.every(({ members }) => members.length <= each)) return weights
  for (let round = 0; round < roundsMax; round++) {
    const now = inclusion(weights, spread)
    const factors = weights.map(() => 1)
    for (const { members } of sites) {
      if (members.length <= each) continue
      const total = (of: readonly number[]): number => members.reduce((s, i) => s + (of[i] ?? 0), 0)
      for (const i of members)
        factors[i] =
          each === 0 ? rate(total(shares)) / rate(total(now)) : rate(shares[i]) / rate(now[i])
    }
    weights = weights.map((weight, i) => weight * (factors[i] ?? 1))
    const settling = factors.filter((_, i) => (shares[i] ?? 0) < most)
    if (Math.max(...settling) < Math.min(...settling) * (1 + closeEnough)) break
  }
  return weights
}

/** Of the exponential time after which something has happened by then with this chance. */
function rate(chance = 0): number {
  return -ln(1 - Math.min(most, Math.max(least, chance)))
}

function quantised(weights: readonly number[]): number[] {
  const largest = Math.max(...weights)
  return weights.map((weight) => Math.max(1, Math.round((weight / largest) * weightMax)))
}
