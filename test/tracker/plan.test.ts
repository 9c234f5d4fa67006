// Who lacks what: the plan of a repair against a slow and simple one, over pillars of all kinds.

import fc from 'fast-check'
import t from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { comparing, type Held } from '../../src/tracker/plan.ts'
import { openRows } from '../../src/tracker/rows.ts'

const world = simWorld(simClock().clock, simRandom('plan'), 'tracker')

interface Pillar {
  readonly heard: boolean
  readonly doubted: boolean
  readonly files: readonly Held[]
  readonly stones: readonly { id: string; checksum: string; removedAt: number }[]
}

const ids = ['a', 'b', 'c', 'folder/d', 'é', '']
const time = fc.integer({ min: 0, max: 6 })
const pillar: fc.Arbitrary<Pillar> = fc
  .record({
    silent: fc.integer({ min: 0, max: 4 }),
    doubt: fc.integer({ min: 0, max: 3 }),
    standing: fc.array(
      fc.record({
        is: fc.constantFrom('held', 'held', 'held', 'buried', 'absent'),
        checksum: fc.constantFrom('X', 'X', 'X', 'X', 'Y'),
        time,
      }),
      { minLength: ids.length, maxLength: ids.length },
    ),
  })
  .map(({ silent, doubt, standing }) => {
    const about = standing.map((one, n) => ({ ...one, id: ids[n] ?? '' }))
    const of = (is: string) => about.filter((one) => one.is === is)
    return {
      heard: silent > 0,
      doubted: doubt === 0,
      files: of('held').map(({ id, checksum, time }) => ({ id, checksum, timestamp: time })),
      stones: of('buried').map(({ id, checksum, time }) => ({ id, checksum, removedAt: time })),
    }
  })

const numbers = (pillars: readonly Pillar[], isOne: (one: Pillar) => boolean): Set<number> =>
  new Set(pillars.flatMap((one, n) => (isOne(one) ? [n] : [])))

function planFor(pillars: readonly Pillar[]) {
  const doubted = numbers(pillars, (one) => one.doubted)
  const about = comparing(world, { pillars: pillars.length, doubted })
  for (const [n, { files }] of pillars.entries()) for (const file of files) about.holds(n, file)
  for (const [n, { heard, stones }] of pillars.entries()) {
    if (!heard) continue
    about.heard(n)
    for (const stone of stones) about.buried(n, stone)
  }
  return about.plan()
}

/** What comes to whom, by the simplest way of thinking: `pillar id` each. */
function expected(pillars: readonly Pillar[]): string[] {
  const found: string[] = []
  for (const id of ids) {
    const copies = pillars.flatMap((one) => one.files.filter((file) => file.id === id))
    const sums = new Set(copies.map(({ checksum }) => checksum))
    if (sums.size !== 1) continue
    const [checksum] = sums
    const stoneOf = ({ heard, stones }: Pillar) =>
      heard ? stones.find((stone) => stone.id === id && stone.checksum === checksum) : undefined
    const deleted = Math.max(...pillars.map((one) => stoneOf(one)?.removedAt ?? -1))
    if (deleted >= Math.max(...copies.map(({ timestamp }) => timestamp))) continue
    const has = ({ files }: Pillar) => files.some((file) => file.id === id)
    if (!pillars.some((one) => one.heard && !one.doubted && has(one))) continue
    for (const [n, one] of pillars.entries())
      if (one.heard && !has(one) && !stoneOf(one)) found.push(`${n} ${id}`)
  }
  return found.sort()
}

t.test('[REP-1] [REP-3] [REP-4] everybody gets what it lacks once, and nothing else', async () => {
  fc.assert(
    fc.property(fc.array(pillar, { minLength: 1, maxLength: 6 }), (pillars) => {
      const plan = planFor(pillars)
      const due = pillars.flatMap(({ files }, source) =>
        files.flatMap((file) => {
          const { to, holders } = plan.due(source, file)
          for (const holder of holders)
            if (!pillars[holder]?.files.some(({ id }) => id === file.id))
              throw new Error('it does not hold it')
          if (to.length > 0 && !(plan.sources[source] ?? 0)) throw new Error('it is no source')
          return to.map((one) => `${one} ${file.id}`)
        }),
      )
      const sound = JSON.stringify(due.toSorted()) === JSON.stringify(expected(pillars))
      const counted = plan.lacking.every(
        (count, n) => count === due.filter((one) => one.startsWith(`${n} `)).length,
      )
      return sound && counted
    }),
    { numRuns: 3_000 },
  )
})

t.test('[REP-4] different bytes are found by name, whoever has them', async () => {
  fc.assert(
    fc.property(fc.array(pillar, { minLength: 1, maxLength: 6 }), (pillars) => {
      const { differing } = planFor(pillars)
      const found = ids.filter((id) => {
        const copies = pillars.flatMap((one) => one.files.filter((file) => file.id === id))
        return new Set(copies.map(({ checksum }) => checksum)).size > 1
      })
      return (
        differing.count === found.length &&
        JSON.stringify(differing.ids) === JSON.stringify(found.sort())
      )
    }),
  )
})

t.test(
  '[REP-3] what is deleted and still somewhere is found, unless it was put again',
  async (t) => {
    const held = (timestamp: number): Held => ({ id: 'a', checksum: 'X', timestamp })
    const buried = { id: 'a', checksum: 'X', removedAt: 5 }
    const none = { heard: true, doubted: false, files: [], stones: [] }
    const deletedAfter = (timestamp: number) =>
      planFor([{ ...none, files: [held(timestamp)] }, { ...none, stones: [buried] }, none])
    t.match(deletedAfter(4), { buried: { count: 1, ids: ['a'] }, lacking: [0, 0, 0] })
    t.match(deletedAfter(6), { buried: { count: 0, ids: [] }, lacking: [0, 0, 1] })
    const both = { ...none, files: [held(4)], stones: [buried] }
    t.match(
      planFor([both, none]),
      { buried: { count: 0 }, lacking: [0, 0] },
      'gone while we listened',
    )
  },
)

t.test('more pillars than bits in a word', async (t) => {
  const none = { heard: true, doubted: false, files: [], stones: [] }
  const file = { id: 'a', checksum: 'X', timestamp: 1 }
  const pillars = Array.from({ length: 70 }, (_, n) =>
    [31, 32, 69].includes(n) ? { ...none, files: [file] } : none,
  )
  const plan = planFor(pillars)
  t.equal(plan.lacking.filter((count) => count === 1).length, 67)
  t.same(plan.due(31, file).holders, [31, 32, 69])
})

t.test('rows are found again, however many there are', async (t) => {
  const rows = openRows(3)
  const mark = (n: number) => [Math.imul(n, 2_654_435_761) >>> 0, n] as const
  for (let n = 0; n < 20_000; n++) {
    if (rows.find(mark(n)) !== undefined) t.fail(`${n} is there already`)
    const row = rows.add(mark(n), mark(n + 7))
    rows.hold(row, n % 3, n)
  }
  t.equal(rows.count, 20_000)
  for (let n = 0; n < 20_000; n++) {
    const row = rows.find(mark(n)) ?? -1
    const sound = rows.isAbout(row, mark(n + 7)) && rows.newest(row) === n
    if (!sound || !rows.holds(row, n % 3) || rows.holds(row, (n + 1) % 3)) t.fail(`row ${n}`)
  }
})
