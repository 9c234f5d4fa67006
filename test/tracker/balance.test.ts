// Where copies should be, and when they may go: the parts that decide, without a wire.

import t from 'tap'
import { fit } from '../../src/placement/fit.ts'
import { candidates } from '../../src/placement/order.ts'
import type { Membership } from '../../src/placement/placement.ts'
import { type BoardClock, simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { nextStep, type Placed } from '../../src/tracker/balance.ts'
import { farewells } from '../../src/tracker/farewells.ts'
import { forgetting } from '../../src/tracker/forgetting.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { View } from '../../src/view/view.ts'

const placed = (more: Partial<Placed>): Placed => ({
  ...{ copies: 2, ideal: ['a', 'b'], holders: ['a', 'b'] },
  ...{ rest: (holders) => holders, isThere: () => true, isFull: () => false },
  ...more,
})

t.test('[KEEP-7] first it is brought, then it is taken, and never below the copies', async (t) => {
  t.same(nextStep(placed({})), { do: 'nothing', waits: false })
  t.same(nextStep(placed({ holders: ['a'] })), { do: 'nothing', waits: true }, 'repair comes first')
  t.same(nextStep(placed({ holders: ['a', 'c'] })), { do: 'bring', to: ['b'] })
  const many = placed({ holders: ['a', 'b', 'c', 'd'] })
  t.same(nextStep(many), { do: 'trim', from: 'c', confirm: ['a', 'b'] })
  const absent = (name: string) => (pillar: string) => pillar !== name
  t.same(nextStep({ ...many, isThere: absent('c') }), {
    do: 'trim',
    from: 'd',
    confirm: ['a', 'b'],
  })
  t.same(
    nextStep({ ...many, isThere: absent('b') }),
    { do: 'trim', from: 'c', confirm: ['a', 'd'] },
    'who is not there can not confirm, but another that has it',
  )
  const few = placed({ holders: ['a', 'b', 'c'], isThere: absent('b') })
  t.same(nextStep(few), { do: 'nothing', waits: true })
  const full = placed({ holders: ['a', 'c', 'd'], isFull: (pillar) => pillar === 'b' })
  t.same(nextStep(full), { do: 'trim', from: 'd', confirm: ['a', 'c'] })
  t.same(nextStep({ ...full, holders: ['a', 'c'] }), { do: 'nothing', waits: true })
})

/** All steps of one fragment, carried out; what was moved. */
function carriedOut(holders: Set<string>, hash: string, membership: Membership): number {
  let moved = 0
  for (let n = 0; n < 20; n++) {
    const step = nextStep(
      placed({
        copies: membership.copies,
        ideal: candidates(hash, membership, membership.copies),
        holders: [...holders],
      }),
    )
    if (step.do === 'nothing') return moved
    if (step.do === 'bring') {
      for (const pillar of step.to) holders.add(pillar)
      moved += step.to.length
    } else {
      for (const one of step.confirm) if (!holders.has(one)) throw new Error(`${one} has it not`)
      if (step.confirm.includes(step.from)) throw new Error('it confirms for itself')
      holders.delete(step.from)
      if (holders.size < membership.copies) throw new Error('below the copies')
    }
  }
  throw new Error('it does not come to rest')
}

t.test('[KEEP-7] a new pillar gets its fair share, and little else moves', async (t) => {
  const random = simRandom('fair share')
  const hashes = Array.from({ length: 20_000 }, () => Buffer.from(random.bytes(32)).toString('hex'))
  const tera = 1e12
  const members = Array.from({ length: 12 }, (_, n) => ({
    id: `pillar-${n}`,
    capacity: ([1, 2, 4, 8][n % 4] ?? 1) * tera,
  }))
  for (const copies of [2, 3]) {
    const before = fit(1, copies, members).membership
    const { membership: after, shares } = fit(2, copies, [
      ...members,
      { id: 'new', capacity: 4 * tera },
    ])
    let [moved, got] = [0, 0]
    for (const hash of hashes) {
      const holders = new Set(candidates(hash, before, copies))
      moved += carriedOut(holders, hash, after)
      if (holders.has('new')) got++
      if (holders.size !== copies) t.fail(`${holders.size} holders`)
    }
    const ideal = (shares.get('new') ?? 0) * hashes.length
    t.comment(
      `${copies} copies: ${moved} moved, ${Math.round(ideal)} is the fair share, ${got} got`,
    )
    t.ok(moved <= 1.15 * ideal, `${moved} of ${ideal}`)
    t.ok(Math.abs(got - ideal) < 0.05 * ideal, `${got} of ${ideal}`)
  }
})

const graceMs = 24 * 3_600_000
const hour = 3_600_000

/** A tracker's run, in which everybody is known, or whom it is said. */
function run(board: BoardClock, view: View, told: { surveyed?: string[]; unread?: string } = {}) {
  const stop = new AbortController()
  const policy = { pillars: ['a', 'b', 'c', 'd'], copiesMin: 2 }
  const forgets = forgetting({
    ...{ clock: board, view, graceMs },
    directory: { collection: () => policy as never },
    members: { surveyed: () => told.surveyed ?? ['a', 'b', 'c'] },
    knows: async (_, pillar) => pillar !== told.unread,
  })
  void forgets.watch(stop.signal)
  return { before: () => forgets.before('pieces'), end: () => stop.abort() }
}

t.test('[TRIM-5] what nobody seems to need goes only when all is known', async (t) => {
  const time = simClock()
  const board = time.board()
  const told: { surveyed?: string[]; unread?: string } = {}
  const { before, end } = run(board, openView(':memory:'), told)
  const isADayAgo = (at = 0): boolean => {
    const ms = board.now() - graceMs - at
    return ms >= 0 && ms < 1.1 * hour
  }
  t.equal(await before(), undefined, 'just started, perhaps from a backup')
  await time.advance(graceMs + 1)
  t.ok(isADayAgo(await before()))
  told.surveyed = ['a', 'b']
  t.equal(await before(), undefined, 'two may know of what the others do not')
  told.surveyed = ['a', 'b', 'c']
  told.unread = 'b'
  t.equal(await before(), undefined, 'its texts were not read')
  told.unread = ''
  board.setOffset(-board.now())
  t.equal(await before(), undefined, 'a clock that jumped')
  board.setOffset(0)
  t.ok(isADayAgo(await before()))
  board.setOffset(30 * graceMs)
  await time.advance(2 * hour)
  t.equal(await before(), undefined, 'and one that stays so begins anew')
  await time.advance(graceMs)
  t.ok(isADayAgo(await before()))
  end()
})

t.test('[TRIM-5] a tracker that is started anew each day counts all its runs', async (t) => {
  const time = simClock()
  const board = time.board()
  const view = openView(':memory:')
  const first = board.now()
  const day = async () => {
    const { before, end } = run(board, view)
    t.equal(await before(), undefined, 'it has just begun')
    await time.advance(20 * hour)
    const found = await before()
    end()
    // Off for longer than it ran.
    await time.advance(28 * hour)
    return found
  }
  t.equal(await day(), undefined, 'no whole day yet')
  const second = (await day()) ?? 0
  t.ok(second > first && second < first + 20 * hour, 'the hours that it was off do not count')
  const other = run(board, openView(':memory:'))
  await time.advance(20 * hour)
  t.equal(await other.before(), undefined, 'one that was rebuilt has watched nothing yet')
  other.end()
  board.setOffset(-30 * graceMs)
  t.equal(await day(), undefined, 'nor one whose clock went back while it was off')
})

t.test('[TRIM-7] what a pillar had said before it gave a copy up changes nothing', async (t) => {
  const time = simClock()
  const late = farewells(time.clock)
  late.note('pieces', 'a', ['x', 'y'], 1_000)
  t.ok(late.isLate('pieces', 'a', 'x', 1_000))
  t.notOk(late.isLate('pieces', 'a', 'x', 1_001), 'it has it again')
  t.notOk(late.isLate('pieces', 'b', 'x', 1))
  t.notOk(late.isLate('films', 'a', 'x', 1))
  await time.advance(3_600_000)
  t.notOk(late.isLate('pieces', 'a', 'x', 1), 'nothing is as late as that')
})
