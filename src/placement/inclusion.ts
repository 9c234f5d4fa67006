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
  const rates = sites.map(({ members }) => members.map((i) => weights[i] ?? 0))
  const all = weights.reduce((sum, weight) => sum + weight, 0)
  const end = 40 / Math.min(...weights)
  const chosen = weights.map(() => 0)
  const growth = 1 / decay(step)
  for (let t = negligible / all; t < end; t *= growth) {
    const rung = rates.map((site) => site.map((rate) => 1 - decay(rate * t)))
    const before = rung.map((site) => others(site, each + 1))
    const deep = rung.flatMap((site, s) => (site.length > each ? [s] : []))
    const turns = others(
      deep.map((s) => atLeast(rung[s] ?? [], each + 1)),
      more,
    )
    for (const [n, s] of deep.entries()) {
      const turn = sum(turns[n] ?? [])
      for (const [m, i] of (sites[s]?.members ?? []).entries()) {
        const counts = before[s]?.[m] ?? []
        const rate = (rates[s]?.[m] ?? 0) * t
        const now = step * rate * decay(rate)
        chosen[i] =
          (chosen[i] ?? 0) + now * (sum(counts.slice(0, each)) + (counts[each] ?? 0) * turn)
      }
    }
  }
  for (const { members } of sites)
    if (members.length <= each) for (const i of members) chosen[i] = 1
  return chosen
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0)

/** Chances that 0, 1, ... fewer than `length` of independent events happen, when one more may. */
const withOne = (counts: readonly number[], chance: number): number[] =>
  counts.map((count, n) => count * (1 - chance) + (n === 0 ? 0 : (counts[n - 1] ?? 0) * chance))

const nothing = (length: number): number[] => Array.from({ length }, (_, n) => (n === 0 ? 1 : 0))

/** For each event the chances that exactly 0, 1, ... fewer than `length` of the others happen. */
function others(chances: readonly number[], length: number): number[][] {
  const after: number[][] = [nothing(length)]
  for (let i = chances.length - 1; i > 0; i--)
    after.push(withOne(after[after.length - 1] ?? [], chances[i] ?? 0))
  let before = nothing(length)
  return chances.map((chance) => {
    const rest = after.pop() ?? []
    const both = rest.map((_, n) =>
      sum(before.slice(0, n + 1).map((count, b) => count * (rest[n - b] ?? 0))),
    )
    before = withOne(before, chance)
    return both
  })
}

function atLeast(chances: readonly number[], count: number): number {
  return 1 - sum(chances.reduce(withOne, nothing(count)))
}
