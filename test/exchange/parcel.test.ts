import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import {
  type Bounds,
  boundsOf,
  expected,
  hasRoomFor,
  heard,
  isAwaited,
  isDone,
  named,
  type Parcel,
  parcelText,
  parseParcel,
  satisfied,
  shareOf,
  windowSegmentsMin,
  withoutLaggards,
} from '../../src/exchange/parcel.ts'

const segmentBytes = 100
const names = ['attic', 'cellar', 'barn', 'constructor']

const bounds = fc
  .integer({ min: windowSegmentsMin * segmentBytes, max: 2000 })
  .map((quota) => boundsOf(quota, segmentBytes) as Bounds)

type Step =
  | { do: 'append'; length: number }
  | { do: 'heard' | 'satisfied' | 'named'; peer: string; safe: number }
  | { do: 'unblock'; who: 'all' | 'named' }

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('append' as const), length: fc.nat(100) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('heard' as const, 'heard', 'heard', 'satisfied', 'named'),
      peer: fc.constantFrom(...names),
      safe: fc.oneof(fc.nat(5000), fc.maxSafeInteger(), fc.constant(-1)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('unblock' as const),
      who: fc.constantFrom('all' as const, 'named'),
    }),
  },
)

function apply(parcel: Parcel, it: Step, of: Bounds): Parcel {
  switch (it.do) {
    case 'append': {
      const length = Math.min(it.length, parcel.size - parcel.have)
      if (parcel.complete || !hasRoomFor(parcel, length, of)) return parcel
      const have = parcel.have + length
      return { ...parcel, have, complete: have === parcel.size }
    }
    case 'heard':
      // Who asks for what has passed is not heard.
      return it.safe < parcel.from && it.safe >= 0 ? parcel : heard(parcel, it.peer, it.safe, of)
    case 'satisfied':
      return satisfied(parcel, it.peer, of)
    case 'named':
      return named(parcel, [it.peer])
    case 'unblock':
      return withoutLaggards(parcel, it.who, of)
  }
}

const start = (size: number, begin: number): Parcel => ({
  size,
  begin,
  from: begin,
  have: begin,
  complete: false,
  safe: new Map(),
  expiresAt: 1,
  since: 0,
})

const begun = fc
  .tuple(fc.nat(5000), fc.nat(50))
  .filter(([size, segment]) => segment * segmentBytes <= size)
  .map(([size, segment]) => start(size, segment * segmentBytes))

/** What must hold after each step, whatever the steps are. */
function holds(of: Bounds, first: Parcel, steps: readonly Step[]): void {
  let parcel = first
  for (const it of steps) {
    const before = parcel
    parcel = apply(parcel, it, of)
    const { from, have, size, safe } = parcel
    const share = shareOf(parcel, of)
    assert(from % segmentBytes === 0 && from >= before.from, 'the window goes on by segments')
    assert(from <= have && have <= size, 'it is where the bytes are')
    assert(have - from <= share && share <= shareOf(before, of), 'it never needs more room')
    assert(share <= of.windowBytes || size - from <= of.windowBytes)
    const lost = ([name, at]: [string, number]): boolean =>
      before.safe.has(name) && at !== expected && at < from && at >= before.from
    assert(
      [...safe.values()].every((at) => at <= have || at === size),
      'nobody has what is not here',
    )
    assert(![...safe].some(lost), 'nobody loses what he has not safely')
    assert(it.do === 'unblock' || safe.size >= before.safe.size)
  }
}

/** A sender by pages and receivers by pages of their own, who make safe what they fetched a page at a time. */
function flows(of: Bounds, size: number, page: number, asks: readonly number[]): void {
  let parcel = start(size, 0)
  const receivers = asks.map((most, n) => ({ name: `${n}`, most, at: 0, safe: 0 }))
  for (let idle = 0; idle < 3; ) {
    const before = JSON.stringify([parcel.have, receivers])
    parcel = apply(parcel, { do: 'append', length: Math.min(page, size - parcel.have) }, of)
    for (const one of receivers) {
      parcel = heard(parcel, one.name, one.safe, of)
      assert(one.at >= parcel.from, 'what he needs is still there')
      one.at = Math.min(parcel.have, one.at + one.most)
      if (one.at - one.safe >= one.most) one.safe = one.at
    }
    idle = JSON.stringify([parcel.have, receivers]) === before ? idle + 1 : 0
  }
  assert(parcel.have === size && receivers.every(({ at }) => at === size), 'it stands still')
}

t.test('whatever happens, the window goes on and holds what is needed', async (t) => {
  const whatever = fc.property(bounds, begun, fc.array(step, { maxLength: 200 }), holds)
  t.doesNotThrow(() => fc.assert(whatever, { numRuns: 2000 }))
})

t.test('a sender and receivers that go on never stand still', async (t) => {
  const page = fc.integer({ min: 1, max: segmentBytes })
  const pages = fc.array(page, { minLength: 1, maxLength: 3 })
  const going = fc.property(bounds, fc.nat(4000), page, pages, flows)
  t.doesNotThrow(() => fc.assert(going, { numRuns: 500 }))
})

t.test('what is written down is read again, and nothing else is', async (t) => {
  fc.assert(
    fc.property(bounds, begun, fc.array(step), (of, first, steps) => {
      const parcel = steps.reduce((all, it) => apply(all, it, of), first)
      t.strictSame(parseParcel(parcelText(parcel, of), of), parcel)
    }),
    { numRuns: 50 },
  )
  const of = boundsOf(2000, segmentBytes) as Bounds
  const text = parcelText(start(1000, 100), of)
  t.ok(parseParcel(text, of))
  t.equal(parseParcel(text, { ...of, segmentBytes: 50 }), undefined, 'other segments')
  for (const wrong of ['', '{', 'null', '[]', '{}', text.replace('"have":100', '"have":"100"')])
    t.equal(parseParcel(wrong, of), undefined, wrong)
})

t.test('who is named when the window has moved is for a later pass', async (t) => {
  const of = boundsOf(400, segmentBytes) as Bounds
  const early = named({ ...start(1000, 0), have: 300 }, ['attic'])
  t.equal(early.safe.get('attic'), expected)
  t.equal(named(early, ['attic', 'constructor']).safe.size, 2)
  const moved = heard(early, 'attic', 250, of)
  t.equal(moved.from, 200)
  t.equal(named(moved, ['cellar']), moved)
})

t.test('who holds up others is put off, who holds up nobody is not', async (t) => {
  const of = boundsOf(400, segmentBytes) as Bounds
  const both = named({ ...start(1000, 0), have: 300 }, ['attic', 'cellar'])
  t.equal(withoutLaggards(both, 'all', of), both, 'nobody is ahead')
  const ahead = heard(both, 'attic', 250, of)
  t.equal(ahead.from, 0, 'it waits for who was named')
  t.equal(withoutLaggards(ahead, 'named', of).from, 200)
  const slow = heard(ahead, 'cellar', 50, of)
  t.equal(withoutLaggards(slow, 'named', of), slow, 'it has come')
  t.strictSame([...withoutLaggards(slow, 'all', of).safe], [['attic', 250]])
  const done = satisfied(slow, 'attic', of)
  t.equal(withoutLaggards(done, 'all', of), done, 'nobody wants to go on')
})

t.test('who is waited for', async (t) => {
  const of = boundsOf(2000, segmentBytes) as Bounds
  const parcel = { ...named(start(1000, 0), ['attic']), have: 1000, complete: true }
  t.equal(isAwaited(parcel), false, 'named only')
  t.equal(isDone(parcel), false)
  const came = heard(parcel, 'attic', 0, of)
  t.equal(isAwaited(came), true)
  const done = satisfied(came, 'attic', of)
  t.equal(isAwaited(done), false)
  t.equal(isDone(done), true)
  t.equal(isDone(start(1000, 0)), false, 'nobody was there')
  t.equal(boundsOf(windowSegmentsMin * segmentBytes - 1, segmentBytes), undefined)
})
