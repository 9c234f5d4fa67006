// Boards of unequal size fill up together, as far as copies on distinct boards and sites allow.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { decay, ln } from '../../src/placement/arithmetic.ts'
import { fit } from '../../src/placement/fit.ts'
import { inclusion } from '../../src/placement/inclusion.ts'
import { candidates } from '../../src/placement/order.ts'
import { type Member, type Membership, weightMax } from '../../src/placement/placement.ts'
import { spreadOf } from '../../src/placement/shares.ts'

const TB = 1e12
const boards = (capacities: readonly number[], sites: readonly string[] = []): Member[] =>
  capacities.map((tb, i) => ({
    id: `pillar-${i}`,
    capacity: tb * TB,
    ...(sites[i] === undefined ? {} : { site: sites[i] }),
  }))
const inTB = (bytes: ReadonlyMap<string, number>): number[] =>
  [...bytes.values()].map((amount) => Math.round(amount / 1e9) / 1e3)

const capacity = fc.oneof(fc.constantFrom(0, 1, 2, 4, 8), fc.integer({ min: 1, max: 1000 }))
const site = fc.constantFrom(undefined, 'north', 'south', 'west')
const fleet = fc.array(fc.tuple(capacity, site), { maxLength: 10 }).map((list) =>
  list.map(([gb, place], i) => ({
    id: `p${i}`,
    capacity: gb * 1e9,
    ...(place === undefined ? {} : { site: place }),
  })),
)
const copies = fc.integer({ min: 1, max: 4 })

t.test('[PLC-1] logarithm and exponential are right to the fourteenth digit', async (t) => {
  // V8's own are within one unit of the last place.
  const near = (a: number, b: number): boolean =>
    Math.abs(a - b) <= 1e-14 * Math.max(1, Math.abs(b))
  for (let exponent = -9; exponent < 6.6; exponent += 0.01) {
    const x = 10 ** exponent
    t.ok(near(ln(x), Math.log(x)) && near(ln(1 + x), Math.log(1 + x)), `ln ${x}`)
    const small = Math.exp(-x)
    t.ok(Math.abs(decay(x) - small) <= 1e-12 * small + 1e-300, `decay ${x}`)
  }
  t.equal(ln(1), 0)
  t.equal(decay(0), 1)
})

/** How often each is among the first copies: by drawing one after the other, and dealing them out over the sites. */
function byDrawing(weights: readonly number[], sites: readonly number[], count: number): number[] {
  const chosen = weights.map(() => 0)
  const draw = (drawn: readonly number[], chance: number): void => {
    const left = weights.flatMap((_, i) => (drawn.includes(i) ? [] : [i]))
    if (left.length > 0) {
      const total = left.reduce((sum, i) => sum + (weights[i] ?? 0), 0)
      for (const i of left) draw([...drawn, i], (chance * (weights[i] ?? 0)) / total)
      return
    }
    const level = (at: number): number =>
      drawn.slice(0, at).filter((i) => sites[i] === sites[drawn[at] ?? 0]).length
    const dealt = drawn.map((i, at) => ({ i, level: level(at) })).sort((a, b) => a.level - b.level)
    for (const { i } of dealt.slice(0, count)) chosen[i] = (chosen[i] ?? 0) + chance
  }
  draw([], 1)
  return chosen
}

t.test('[PLC-3] how often a member is chosen is known exactly', async (t) => {
  const weight = fc.oneof(fc.integer({ min: 1, max: 10 }), fc.constantFrom(1e3, 1e6))
  const member = fc.tuple(weight, fc.nat(2))
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 6 }), copies, (list, count) => {
      const weights = list.map(([w]) => w)
      const now = inclusion(
        weights,
        spreadOf(
          list.map(([, s]) => ({ site: `${s}` })),
          count,
        ),
      )
      const wanted = byDrawing(
        weights,
        list.map(([, s]) => s),
        count,
      )
      return now.every((chance, i) => Math.abs(chance - (wanted[i] ?? 0)) < 1e-6)
    }),
    { numRuns: 200 },
  )
  t.same(inclusion([], spreadOf([], 2)), [])
})

t.test(
  '[PLC-3] weights are such that members are chosen as often as their capacity asks',
  async (t) => {
    for (const many of [1, 2, 3])
      for (const sites of [1, 2, 3, 5, 12]) {
        const list = Array.from({ length: 12 }, (_, i) => ({
          id: `pillar-${i + 10}`,
          capacity: ([1, 2, 4, 8][i % 4] ?? 1) * TB,
          site: `site-${i % sites}`,
        }))
        const { membership, shares } = fit(1, many, list)
        const chances = inclusion(
          membership.members.map(({ weight }) => weight),
          spreadOf(list, many),
        )
        for (const [i, chance] of chances.entries())
          t.ok(
            Math.abs(chance / (shares.get(`pillar-${i + 10}`) ?? 0) - 1) < 0.01,
            `${sites} sites`,
          )
      }
  },
)

t.test('[PLC-3] small parts of many are fitted as well', async (t) => {
  const list = Array.from({ length: 100 }, (_, i) => ({
    id: `pillar-${i + 100}`,
    capacity: ([1, 2, 4, 100][i % 4] ?? 1) * TB,
  }))
  const { membership, shares } = fit(1, 3, list)
  const chances = inclusion(
    membership.members.map(({ weight }) => weight),
    spreadOf(membership.members, 3),
  )
  for (const [i, { id }] of list.entries())
    t.ok(Math.abs((chances[i] ?? 0) / (shares.get(id) ?? 0) - 1) < 0.001, id)
  const tiny = fit(1, 1, [...boards([8, 8]), { id: 'tiny', capacity: 1 }]).membership
  t.equal(tiny.members.find(({ id }) => id === 'tiny')?.weight, 1, 'the least weight')
})

t.test('[PLC-3] fits of odd fleets are near as well', async () => {
  fc.assert(
    fc.property(fleet, copies, (list, many) => {
      const { membership, shares } = fit(1, many, list)
      const chosen = membership.members.filter(({ weight }) => weight > 0)
      const spread = spreadOf(chosen, many)
      const chances = inclusion(
        chosen.map(({ weight }) => weight),
        spread,
      )
      return chosen.every(({ id }, i) => Math.abs((chances[i] ?? 0) - (shares.get(id) ?? 0)) < 0.02)
    }),
    { numRuns: 60 },
  )
})

t.test('[PLC-3] what can not be filled is said', async (t) => {
  const cases: [string, number[], string[], number, number[]][] = [
    ['8 TB beside 1 and 2', [1, 2, 8], [], 2, [0, 0, 5]],
    ['equal ones', [4, 4, 4, 4], [], 3, [0, 0, 0, 0]],
    ['one copy fills everything', [1, 2, 8], [], 1, [0, 0, 0]],
    ['as many copies as members', [1, 2, 8], [], 3, [0, 1, 7]],
    ['more copies than members: as many as there are', [1, 2, 8], [], 5, [0, 1, 7]],
    ['1, 2, 4 and 8, three times', [1, 2, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8], [], 3, Array(12).fill(0)],
    ['two sites, one of them small', [1, 1, 4, 8], ['a', 'a', 'b', 'b'], 2, [0, 0, 3.333, 6.667]],
    ['three copies on two sites', [3, 3, 3, 3], ['a', 'a', 'b', 'b'], 3, [0, 0, 0, 0]],
    [
      'who has no site shares one',
      [4, 4, 4],
      [undefined as never, undefined as never, 'a'],
      2,
      [2, 2, 0],
    ],
    ['a full one', [0, 4, 4], [], 2, [0, 0]],
    ['alone', [4], [], 2, [0]],
    ['nobody', [], [], 2, []],
  ]
  for (const [what, capacities, sites, many, wanted] of cases) {
    const { unusable, unusableBytes } = fit(1, many, boards(capacities, sites))
    t.same(inTB(unusable), wanted, what)
    t.equal(
      unusableBytes,
      [...unusable.values()].reduce((a, b) => a + b, 0),
    )
  }
})

t.test('[PLC-3] no more can be used than is said, without sites', async () => {
  fc.assert(
    fc.property(fleet, copies, (list, many) => {
      const plain = list.map(({ id, capacity }) => ({ id, capacity }))
      const { unusableBytes } = fit(1, many, plain)
      const sizes = plain.map(({ capacity }) => capacity).filter((bytes) => bytes > 0)
      const total = sizes.reduce((a, b) => a + b, 0)
      const each = Math.min(many, sizes.length)
      // So many bytes of fragments fit exactly when each board's part of them, at most one copy, adds up to the copies.
      const fits = (bytes: number): boolean =>
        sizes.reduce((sum, size) => sum + Math.min(size, bytes), 0) >= each * bytes
      const used = (total - unusableBytes) / Math.max(1, each)
      return sizes.length === 0 || (fits(used * (1 - 1e-9)) && !fits(used * (1 + 1e-9) + 1))
    }),
    { numRuns: 300 },
  )
})

t.test('[PLC-3] the same members give the same weights, in whatever order', async () => {
  fc.assert(
    fc.property(fleet, copies, (list, many) => {
      const { membership } = fit(7, many, list)
      const other = fit(7, many, [...list].reverse()).membership
      const whole = membership.members.every(
        ({ weight }) => Number.isInteger(weight) && weight >= 0 && weight <= weightMax,
      )
      const positive = membership.members.every(
        ({ id, weight }) => weight > 0 === list.some((m) => m.id === id && m.capacity > 0),
      )
      return JSON.stringify(membership) === JSON.stringify(other) && whole && positive
    }),
    { numRuns: 40 },
  )
})

t.test('[PLC-3] the weights are these on every machine', async (t) => {
  const weights = (many: number, list: readonly Member[]): number[] =>
    fit(1, many, list).membership.members.map(({ weight }) => weight)
  const sizes = [1, 2, 4, 8, 16, 3, 7]
  t.same(
    weights(2, boards(sizes)),
    [2598551, 5239873, 10672084, 22361358, 67108863, 7929027, 19307871],
  )
  t.same(
    weights(3, boards(sizes, ['a', 'b', 'a', 'b', 'a', 'b', 'a'])),
    [242388, 153525, 969909, 637733, 67108863, 231519, 1697947],
  )
  t.same(weights(2, boards([1, 2, 8])), [1159582, 2320155, 67108863])
})

t.test('[PLC-3] what is no membership is refused', async (t) => {
  t.throws(() => fit(1, 0, boards([1])), /copies/)
  t.throws(() => fit(1, 1.5, boards([1])), /copies/)
  t.throws(() => fit(1, 2, [{ id: 'a', capacity: -1 }]), /capacity/)
  t.throws(() => fit(1, 2, [{ id: 'a', capacity: 0.5 }]), /capacity/)
  t.throws(() => fit(1, 2, [...boards([1]), ...boards([2])]), /once/)
})

const keys = Array.from({ length: 200_000 }, (_, i) =>
  createHash('sha256').update(`fragment ${i}`).digest(),
)
const twelve = Array.from({ length: 12 }, (_, i) => ({
  id: `pillar-${i + 1}`,
  capacity: ([1, 2, 4, 8][i % 4] ?? 1) * TB,
}))
const holders = (membership: Membership): string[][] =>
  keys.map((key) => candidates(key, membership, membership.copies))
/** The part of all copies that stand elsewhere than before. */
const moved = (before: readonly string[][], after: readonly string[][], many: number): number =>
  after.reduce((sum, ids, i) => sum + ids.filter((id) => !before[i]?.includes(id)).length, 0) /
  (after.length * many)

for (const many of [2, 3])
  t.test(`[PLC-5] 12 pillars of 1, 2, 4 and 8 TB, 200 000 fragments, ${many} copies`, async (t) => {
    const all = holders(fit(1, many, twelve).membership)
    const counts = new Map<string, number>()
    for (const id of all.flat()) counts.set(id, (counts.get(id) ?? 0) + 1)
    const total = twelve.reduce((sum, { capacity }) => sum + capacity, 0)
    const loads = twelve.map(
      ({ id, capacity }) => (counts.get(id) ?? 0) / ((keys.length * many * capacity) / total),
    )
    t.ok(Math.max(...loads) <= 1.05, `the fullest ${Math.max(...loads)}`)
    t.ok(Math.min(...loads) >= 0.95, `the emptiest ${Math.min(...loads)}`)

    for (const size of [1, 8]) {
      const more = [...twelve, { id: 'newcomer', capacity: size * TB }]
      const joined = holders(fit(2, many, more).membership)
      const ideal = (size * TB) / (total + size * TB)
      const ratio = moved(all, joined, many) / ideal
      t.ok(ratio <= 1.15, `${size} TB joins: ${ratio} of the ideal`)
      const back = moved(joined, all, many) / ideal
      t.ok(back <= 1.15, `${size} TB leaves: ${back} of the ideal`)
    }
  })

t.test('[PLC-5] on distinct sites, too, a newcomer moves little more than it takes', async (t) => {
  const sited = twelve.map((member, i) => ({ ...member, site: `site-${i % 5}` }))
  const newcomer = { id: 'newcomer', capacity: 8 * TB, site: 'site-0' }
  for (const many of [2, 3]) {
    const before = fit(1, many, sited)
    const after = fit(2, many, [...sited, newcomer])
    const gains = [...after.shares].map(([id, share]) => share - (before.shares.get(id) ?? 0))
    const ideal = gains.reduce((sum, gain) => sum + Math.max(0, gain), 0) / many
    const ratio = moved(holders(before.membership), holders(after.membership), many) / ideal
    t.ok(ratio <= 1.4, `${many} copies: ${ratio} of the ideal`)
  }
})
