// The pure parts of joining: attempts, conflicts, epochs, weights, and who is gone.

import t from 'tap'
import type { Epoch } from '../../src/protocol/fragments.ts'
import { awayAtStart, goneAt, settleMs } from '../../src/tracker/members-away.ts'
import { type Standing, verdictOn } from '../../src/tracker/members-conflicts.ts'
import {
  acting,
  heardHello,
  heardNewer,
  type Reign,
  starting,
} from '../../src/tracker/members-epoch.ts'
import { partsOf, prefixesOf } from '../../src/tracker/members-inventory.ts'
import { type Join, type JoinEvent, joinStep } from '../../src/tracker/members-join.ts'
import { type Candidate, reweigh } from '../../src/tracker/members-weights.ts'
import type { ViewMember } from '../../src/view/view.ts'

const fine: JoinEvent = { is: 'requested', verdict: { is: 'fine' } }
const refused: JoinEvent = {
  is: 'requested',
  verdict: { is: 'denied', reasonCode: 'NOT_A_MEMBER', reason: 'no' },
}

/** Lets an attempt hear all of this, a second after the other; what was said. */
function course(...events: JoinEvent[]): { join: Join; said: string[]; registered: number } {
  let join: Join = { at: 'new' }
  const said: string[] = []
  let registered = 0
  for (const [n, event] of events.entries()) {
    const step = joinStep(join, event, n * 1_000)
    join = step.join
    if (step.say) said.push(step.say)
    if (step.register) registered++
  }
  return { join, said, registered }
}

t.test('[JOIN-3] the standard course: accepted, then registered', async (t) => {
  const { join, said, registered } = course(fine, { is: 'succeeded' })
  t.equal(join.at, 'registered')
  t.strictSame(said, ['accepted', 'registered'])
  t.equal(registered, 1)
})

t.test('[JOIN-3] what comes again gets the same answer, and registers once', async (t) => {
  const again = course(fine, fine, { is: 'succeeded' }, { is: 'succeeded' }, fine)
  t.strictSame(again.said, ['accepted', 'accepted', 'registered', 'registered', 'registered'])
  t.equal(again.registered, 1)
  t.strictSame(course(refused, fine, { is: 'succeeded' }).said, ['denied', 'denied', 'denied'])
})

t.test(
  '[JOIN-3] the tracker too says it again, with growing pauses, and not for ever',
  async (t) => {
    let { join } = course(fine)
    const at: number[] = []
    for (let now = 0; now < 3_600_000; now += 500) {
      const step = joinStep(join, { is: 'time' }, now)
      join = step.join
      if (step.say === 'accepted') at.push(now / 1_000)
    }
    t.strictSame(at.slice(0, 5), [2, 6, 14, 30, 62])
    t.ok((at.at(-1) ?? 0) < 600 && at.length < 20)
    t.equal(join.at, 'over')
  },
)

t.test('[JOIN-3] an attempt that is not known any more is to begin anew', async (t) => {
  const { join, said, registered } = course({ is: 'succeeded' })
  t.match(join, { at: 'denied', reasonCode: 'OTHER' })
  t.strictSame(said, ['denied'])
  t.equal(registered, 0)
})

t.test('[JOIN-3] what the pillar could not apply is over', async (t) => {
  t.strictSame(course(fine, { is: 'failed' }), {
    join: { at: 'over' },
    said: ['accepted'],
    registered: 0,
  })
  t.equal(
    course(fine, { is: 'succeeded' }, { is: 'failed' }).join.at,
    'registered',
    'said too late',
  )
})

const epoch: Epoch = { counter: 5, tracker: 'tracker' }
const member: ViewMember = {
  pillar: 'attic',
  session: 100,
  volumes: ['old'],
  bytesTotal: 1,
  bytesOpen: 1,
  state: 'registered',
  heardAt: 0,
}
const standing: Standing = { epoch, algorithm: 'sha256', collections: ['pieces'] }
const request = (more: object = {}) => ({
  epoch,
  algorithm: 'sha256',
  session: 100,
  volumes: [{ id: 'old', bytesTotal: 1, bytesOpen: 1 }],
  ...more,
})
const code = (more: object, stands: object = {}): string => {
  const verdict = verdictOn(request(more), { ...standing, ...stands })
  return verdict.is === 'denied' ? verdict.reasonCode : verdict.is
}

t.test('[JOIN-4] each conflict has its rule', async (t) => {
  t.equal(code({}), 'fine')
  t.equal(code({ algorithm: 'SHA256' }), 'fine')
  t.equal(code({ algorithm: 'md5' }), 'WRONG_HASH_ALGORITHM')
  t.equal(code({}, { collections: [] }), 'NOT_A_MEMBER')
  t.equal(code({ epoch: { counter: 4, tracker: 'zoo' } }), 'OLD_EPOCH')
})

t.test('[JOIN-4] two boards under one name: the later one, while both live', async (t) => {
  const other = [{ id: 'new', bytesTotal: 1, bytesOpen: 1 }]
  t.equal(code({ volumes: other, session: 90 }, { member, session: 100 }), 'IDENTITY_CONFLICT')
  t.equal(code({ volumes: other, session: 110 }, { member, session: 110 }), 'fine', 'a new disk')
  t.equal(code({ volumes: other, session: 110 }, { member, session: 100 }), 'fine', 'the later')
  t.equal(code({ volumes: other, session: 1 }, { member }), 'fine', 'the other is not there')
  t.equal(code({ session: 90 }, { member, session: 100 }), 'fine', 'the same volume is one board')
})

t.test('[JOIN-1] a starting tracker goes above what it kept and what it hears', async (t) => {
  const at = (kept: number, ...seen: Epoch[]) => {
    let reign = starting('m', kept)
    for (const one of seen) ({ reign } = heardHello(reign, one))
    return acting(reign)
  }
  t.match(at(7), { reign: { is: 'acting', epoch: { counter: 8, tracker: 'm' } }, hello: true })
  t.match(at(7, { counter: 3, tracker: 'z' }), { reign: { epoch: { counter: 8 } } })
  t.match(at(7, { counter: 9, tracker: 'm' }), { reign: { epoch: { counter: 10 } } }, 'disk lost')
  t.match(at(7, { counter: 8, tracker: 'a' }), { reign: { epoch: { counter: 8 } } }, 'we win ties')
  t.match(at(7, { counter: 8, tracker: 'z' }), { reign: { epoch: { counter: 9 } } })
})

t.test('[JOIN-1] of two that act the older stops, whatever it hears later', async (t) => {
  const reign: Reign = { is: 'acting', epoch: { counter: 5, tracker: 'm' } }
  t.strictSame(heardHello(reign, reign.epoch), { reign }, 'our own, come back')
  t.strictSame(heardHello(reign, { counter: 4, tracker: 'm' }), { reign }, 'of before')
  t.strictSame(heardHello(reign, { counter: 5, tracker: 'a' }), { reign, hello: true })
  const by = { counter: 5, tracker: 'z' }
  const { reign: after } = heardHello(reign, by)
  t.strictSame(after, { is: 'superseded', epoch: reign.epoch, by })
  t.equal(heardHello(after, { counter: 1, tracker: 'a' }).reign.is, 'superseded')
  t.strictSame(acting(after), { reign: after, hello: false })
})

t.test('[JOIN-2] what pillars say stops no tracker: ours rises above it', async (t) => {
  const reign: Reign = { is: 'acting', epoch: { counter: 1, tracker: 'm' } }
  t.strictSame(heardNewer(reign, { counter: 6, tracker: 'z' }), {
    reign: { is: 'acting', epoch: { counter: 7, tracker: 'm' } },
    hello: true,
  })
  t.strictSame(heardNewer(reign, { counter: 1, tracker: 'a' }), { reign })
  const lie = { counter: Number.MAX_SAFE_INTEGER, tracker: 'z' }
  t.strictSame(heardNewer(reign, lie), { reign }, 'there is room to count on')
})

const policy = { bytes: 1_000, copies: 2 }
const board = (id: string, usable = 1e9, more: Partial<Candidate> = {}): Candidate => ({
  id,
  usable,
  open: usable / 2,
  ...more,
})

t.test('[JOIN-5] a membership has weights by what members can hold', async (t) => {
  const made = reweigh(undefined, 'pieces', policy, [board('c', 2e9), board('a'), board('b')])
  const { members, version, copies } = made?.membership ?? { members: [] }
  t.strictSame([version, copies], [1, 2])
  t.strictSame(
    members.map(({ id }) => id),
    ['a', 'b', 'c'],
  )
  const [a, b, c] = members.map(({ weight }) => weight)
  t.ok(a === b && (c ?? 0) > (a ?? 0))
})

t.test('[JOIN-5] a new version is made for a change that matters, and for no other', async (t) => {
  const first = reweigh(undefined, 'pieces', policy, [board('a'), board('b')])
  const next = (...candidates: Candidate[]) =>
    reweigh(first, 'pieces', policy, candidates)?.membership.version
  t.equal(next(board('b'), board('a')), undefined)
  t.equal(next(board('a', 1.09e9), board('b')), undefined, 'a trifle')
  t.equal(next(board('a', 1.2e9), board('b')), 2)
  t.equal(next(board('a'), board('b'), board('c')), 2)
  t.equal(next(board('a')), 2)
  t.equal(next(board('a', 1e9, { site: 'home' }), board('b')), 2)
  t.equal(
    reweigh(first, 'pieces', { ...policy, copies: 3 }, [board('a'), board('b')])?.membership
      .version,
    2,
  )
})

t.test('[JOIN-5] who is full gets nothing new until there is room again', async (t) => {
  const weightOf = (weighing: ReturnType<typeof reweigh>) =>
    weighing?.membership.members.find(({ id }) => id === 'a')?.weight
  const all = (open: number) => [board('a', 1e9, { open }), board('b'), board('c')]
  const first = reweigh(undefined, 'pieces', policy, all(1e6))
  t.ok((weightOf(first) ?? 0) > 0)
  const full = reweigh(first, 'pieces', policy, all(3_999))
  t.equal(weightOf(full), 0)
  t.equal(reweigh(full, 'pieces', policy, all(60_000)), undefined, 'not yet')
  t.ok((weightOf(reweigh(full, 'pieces', policy, all(64_000))) ?? 0) > 0)
})

t.test('[JOIN-6] gone after the grace time, by a clock that does not jump', async (t) => {
  const graceMs = 24 * 3_600_000
  t.equal(goneAt({ since: 5 }, graceMs), graceMs + 5)
  const now = { now: 1e12, monotonic: 500 }
  const left = (heardAt: number): number =>
    graceMs - (now.monotonic - awayAtStart(heardAt, now, graceMs).since)
  t.equal(left(now.now - 3_600_000), 23 * 3_600_000)
  t.equal(left(0), settleMs, 'after a start everybody has a while to be heard')
  t.equal(left(now.now + 1e9), graceMs, 'a date of the future')
})

t.test('[VIEW-5] an inventory is fetched in parts that fit into memory', async (t) => {
  t.strictSame(partsOf(16_384), [''])
  t.equal(partsOf(16_385).length, 256)
  t.equal(partsOf(5_000_000).length, 4_096)
  t.strictSame(prefixesOf(''), [''])
  t.strictSame(prefixesOf('0f'), ['0f/', 'files/0f/'])
  t.strictSame(prefixesOf('0fa'), ['0f/a', 'files/0f/0fa'])
})
