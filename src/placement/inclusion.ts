/** How often members are among the first copies of a fragment, exactly, from their weights. */
import { decay } from './arithmetic.ts'
import type { Spread } from './shares.ts'

/** Step of the integral over the logarithm of time; its error falls as e^(−10/step). */
const step = 0.25
const negligible = 1e-9

/**
 * Each member rings after an exponential time of rate `weight`. A member that rings at t is chosen when fewer than `each`
 * of its site rang before; or exactly that many, and fewer than `more` other sites have had their turn beyond `each`.
 */
export function inclusion(weights: readonly number[], spread: Spread): number[] {
  const { sites, each, more } = spread
  const chosen = weights.map(() => 0)
  // Of sites that no fragment passes by.
  const deep = sites.filter(({ members }) => members.length > each)
  const rates = deep.map(({ members }) => Float64Array.from(members, (i) => weights[i] ?? 0))
  const rung = rates.map((site) => new Float64Array(site.length))
  const before = rates.map((site) => counting(site.length, each + 1))
  const reached = new Float64Array(deep.length)
  const turns = counting(deep.length, more)
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  const end = 40 / Math.min(...weights)
  const growth = 1 / decay(step)
  for (let t = negligible / all; t < end; t *= growth) {
    for (const [s, site] of rates.entries()) {
      const chances = rung[s] ?? reached
      for (let m = 0; m < site.length; m++) chances[m] = 1 - decay((site[m] ?? 0) * t)
      reached[s] = 1 - (before[s]?.count(chances) ?? 0)
    }
    turns.count(reached)
    for (const [s, { members }] of deep.entries()) {
      const turn = turns.below(s, more)
      for (let m = 0; m < members.length; m++) {
        const i = members[m] ?? 0
        const rate = (rates[s]?.[m] ?? 0) * t
        const counts = before[s]
        const chance = (counts?.below(m, each) ?? 0) + (counts?.exactly(m, each) ?? 0) * turn
        chosen[i] = (chosen[i] ?? 0) + step * rate * (1 - (rung[s]?.[m] ?? 0)) * chance
      }
    }
  }
  for (const { members } of sites)
    if (members.length <= each) for (const i of members) chosen[i] = 1
  return chosen
}

/**
 * For each of some independent events the chances that exactly 0, 1, ... fewer than `length` of the others happen. Its
 * arrays are used over and over: with a thousand members this is where all the time goes.
 */
function counting(events: number, length: number) {
  const others = new Float64Array(events * length)
  const after = new Float64Array((events + 1) * length)
  const sofar = new Float64Array(length)
  /** One event more: `from` of `source` becomes what it is with it, at `to` of `target`. */
  const add = (
    source: Float64Array,
    from: number,
    chance: number,
    target: typeof source,
    to: number,
  ) => {
    for (let n = length - 1; n >= 0; n--)
      target[to + n] =
        (source[from + n] ?? 0) * (1 - chance) +
        (n === 0 ? 0 : (source[from + n - 1] ?? 0) * chance)
  }
  return {
    /** Gives the chance that fewer than `length` of all of them happen. */
    count(chances: Float64Array): number {
      if (length === 0) return 0
      after.fill(0, events * length)
      after[events * length] = 1
      for (let i = events - 1; i >= 0; i--)
        add(after, (i + 1) * length, chances[i] ?? 0, after, i * length)
      sofar.fill(0)
      sofar[0] = 1
      for (let i = 0; i < events; i++) {
        for (let n = 0; n < length; n++) {
          let both = 0
          for (let b = 0; b <= n; b++)
            both += (sofar[b] ?? 0) * (after[(i + 1) * length + n - b] ?? 0)
          others[i * length + n] = both
        }
        add(sofar, 0, chances[i] ?? 0, sofar, 0)
      }
      return sofar.reduce((sum, chance) => sum + chance, 0)
    },
    exactly: (event: number, n: number): number => others[event * length + n] ?? 0,
    below(event: number, n: number): number {
      let sum = 0
      for (let b = 0; b < n; b++) sum += others[event * length + b] ?? 0
      return sum
    },
  }
}
