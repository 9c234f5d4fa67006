/** How evenly fragments lie on pillars of 1, 2, 4 and 8 TB, what moves when one joins or leaves, what a decision costs. */
import { createHash } from 'node:crypto'
import { fit } from '../../src/placement/fit.ts'
import { candidates, rank } from '../../src/placement/order.ts'
import type { Member, Membership } from '../../src/placement/placement.ts'
import { recommend } from '../../src/placement/recommend.ts'
import { type Measurement, markdown, tell } from './table.ts'

const capacities = [1e12, 2e12, 4e12, 8e12] as const

export const placement: Measurement = async ({ scale }) => {
  const keys = Array.from({ length: 200_000 * scale }, (_, i) =>
    createHash('sha256').update(`fragment ${i}`).digest('hex'),
  )
  const rows = [12, 100, 1000].flatMap((pillars) =>
    [2, 3].map((copies) => {
      tell(`${pillars} pillars, ${copies} copies`)
      return row(keys, pillars, copies)
    }),
  )
  return markdown(
    [
      `${keys.length} fragments`,
      'fullest',
      'emptiest',
      'chance alone (1 σ of the smallest)',
      '8 TB joins: moved, of the ideal',
      '8 TB leaves: moved, of the ideal',
      'should I: µs',
      'who should: µs',
      'recommended, copies + 4 apply: µs',
      'fit: ms',
    ],
    rows,
  )
}

function row(keys: readonly string[], pillars: number, copies: number): string[] {
  const members = Array.from({ length: pillars }, (_, i) => ({
    id: `pillar-${i}`,
    capacity: capacities[i % 4] ?? 0,
  }))
  const total = members.reduce((sum, { capacity }) => sum + capacity, 0)
  const [{ membership }, fitMs] = timed(() => fit(1, copies, members))
  const choose = (now: Membership): string[][] => keys.map((key) => candidates(key, now, copies))
  // Once before it counts: the first decisions are slower until they are compiled.
  choose(membership)
  const [before, chooseMs] = timed(() => choose(membership))
  const [, rankMs] = timed(() => keys.map((key) => rank(key, membership, 'pillar-1')))
  const [, recommendMs] = timed(() =>
    keys.map((key, i) => {
      const applicants = candidates(key, membership, copies + 4).map((id) => ({ id, free: i }))
      return recommend(applicants, key, membership, { size: 0 })
    }),
  )
  const loads = loadsOf(before, members, total)
  const joining = { id: 'pillar-new', capacity: capacities[3] }
  const leaving = members.filter((_, i) => i !== 3)
  const joined = choose(fit(2, copies, [...members, joining]).membership)
  const left = choose(fit(2, copies, leaving).membership)
  const copiesInAll = keys.length * copies
  return [
    `${pillars} pillars, ${copies} copies`,
    Math.max(...loads).toFixed(3),
    Math.min(...loads).toFixed(3),
    (1 / Math.sqrt((copiesInAll * capacities[0]) / total)).toFixed(3),
    (moved(before, joined) / copiesInAll / (joining.capacity / (total + joining.capacity))).toFixed(
      2,
    ),
    (moved(before, left) / copiesInAll / (capacities[3] / total)).toFixed(2),
    ((1000 * rankMs) / keys.length).toFixed(2),
    ((1000 * chooseMs) / keys.length).toFixed(2),
    ((1000 * (recommendMs - chooseMs)) / keys.length).toFixed(1),
    fitMs.toFixed(0),
  ]
}

/** Of each member, how many copies it has by how many are its fair share. */
function loadsOf(chosen: readonly string[][], members: readonly Member[], total: number): number[] {
  const counts = new Map<string, number>()
  for (const id of chosen.flat()) counts.set(id, (counts.get(id) ?? 0) + 1)
  const all = chosen.reduce((sum, ids) => sum + ids.length, 0)
  return members.map(({ id, capacity }) => (counts.get(id) ?? 0) / ((all * capacity) / total))
}

/** Copies that stand elsewhere than before. */
const moved = (before: readonly string[][], after: readonly string[][]): number =>
  after.reduce((sum, ids, i) => sum + ids.filter((id) => !before[i]?.includes(id)).length, 0)

function timed<T>(work: () => T): [T, number] {
  const began = performance.now()
  const result = work()
  return [result, performance.now() - began]
}
