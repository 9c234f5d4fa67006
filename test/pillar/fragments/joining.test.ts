// How a pillar joins: the standard steps, and each alternative flow of MyTorrent's design.

import fc from 'fast-check'
import t from 'tap'
import { type JoinEvent, type Joining, joinStep } from '../../../src/pillar/fragments/joining.ts'
import { compareEpochs, type Epoch } from '../../../src/protocol/fragments.ts'

const first: Epoch = { counter: 1, tracker: 'tracker' }
const second: Epoch = { counter: 2, tracker: 'tracker' }
const start: Joining = { at: 'waiting' }

/** Plays events at their times; what was said, and where it ends. Attempts are named a0, a1, ... */
function play(events: readonly (readonly [number, JoinEvent])[]): { said: string[]; end: Joining } {
  let state = start
  const said: string[] = []
  for (const [n, [now, event]] of events.entries()) {
    const step = joinStep(state, event, now, `a${n}`)
    state = step.state
    if (step.say) said.push(step.say)
  }
  return { said, end: state }
}

t.test('[FRG-1] hello, requested, accepted, succeeded, registered', async (t) => {
  const { said, end } = play([
    [0, { is: 'hello', epoch: first }],
    [10, { is: 'applied', attempt: 'a0' }],
    [20, { is: 'registered', epoch: first }],
    [99_999, { is: 'time' }],
  ])
  t.same(said, ['requested', 'succeeded'])
  t.same(end, { at: 'registered', epoch: first })
})

t.test('[FRG-1] nothing is said before a tracker has said hello', async (t) => {
  t.same(
    play([
      [0, { is: 'connected' }],
      [9e9, { is: 'time' }],
    ]).said,
    [],
  )
})

t.test(
  '[FRG-2] alternative 1 and 2: a request or its answer that is lost is asked for again',
  async (t) => {
    const { said } = play([
      [0, { is: 'hello', epoch: first }],
      [1_999, { is: 'time' }],
      [2_000, { is: 'time' }],
      [5_999, { is: 'time' }],
      [6_000, { is: 'time' }],
    ])
    t.same(
      said,
      ['requested', 'requested', 'requested'],
      'by the same attempt, with growing pauses',
    )
  },
)

t.test(
  '[FRG-2] alternative 3: who is denied asks again later, and at once a newer tracker',
  async (t) => {
    const denied: [number, JoinEvent][] = [
      [0, { is: 'hello', epoch: first }],
      [10, { is: 'denied', attempt: 'a0' }],
      [60_009, { is: 'time' }],
    ]
    t.same(play(denied).said, ['requested'])
    t.same(play([...denied, [60_010, { is: 'time' }]]).said, ['requested', 'requested'])
    t.same(play([...denied, [60_000, { is: 'hello', epoch: second }]]).said, [
      'requested',
      'requested',
    ])
  },
)

t.test(
  '[FRG-2] alternative 4: success that was not heard is said again; failure is said and tried again',
  async (t) => {
    const lost = play([
      [0, { is: 'hello', epoch: first }],
      [10, { is: 'applied', attempt: 'a0' }],
      [2_010, { is: 'time' }],
      [2_020, { is: 'applied', attempt: 'a0' }],
    ])
    t.same(lost.said, ['requested', 'succeeded', 'succeeded', 'succeeded'])
    const failed = play([
      [0, { is: 'hello', epoch: first }],
      [10, { is: 'notApplied', attempt: 'a0' }],
      [60_010, { is: 'time' }],
    ])
    t.same(failed.said, ['requested', 'failed', 'requested'])
  },
)

t.test('[FRG-2] answers to another attempt change nothing', async (t) => {
  const { said, end } = play([
    [0, { is: 'hello', epoch: first }],
    [10, { is: 'applied', attempt: 'other' }],
    [11, { is: 'denied', attempt: 'other' }],
  ])
  t.same(said, ['requested'])
  t.equal(end.at, 'asking')
})

t.test('[FRG-3] an older tracker is not joined, and does not register anybody', async (t) => {
  const joined: [number, JoinEvent][] = [
    [0, { is: 'hello', epoch: second }],
    [10, { is: 'applied', attempt: 'a0' }],
    [20, { is: 'registered', epoch: first }],
  ]
  t.equal(play(joined).end.at, 'applied')
  t.same(play([...joined, [30, { is: 'hello', epoch: first }]]).said, ['requested', 'succeeded'])
})

t.test('[FRG-3] of two trackers with the same counter the greater name wins', async (t) => {
  const a: Epoch = { counter: 3, tracker: 'a' }
  const b: Epoch = { counter: 3, tracker: 'b' }
  t.equal(compareEpochs(a, b), -1)
  t.equal(compareEpochs(b, a), 1)
  t.equal(compareEpochs(a, a), 0)
  t.equal(compareEpochs({ counter: 10, tracker: 'a' }, { counter: 9, tracker: 'z' }), 1)
})

t.test(
  '[FRG-4] every connection begins anew: the broker may have forgotten everything',
  async (t) => {
    const { said } = play([
      [0, { is: 'hello', epoch: first }],
      [10, { is: 'applied', attempt: 'a0' }],
      [20, { is: 'registered', epoch: first }],
      [30, { is: 'connected' }],
      [31, { is: 'hello', epoch: first }],
    ])
    t.same(said, ['requested', 'succeeded', 'requested'])
  },
)

t.test(
  '[FRG-2] whatever is lost, doubled or late: with a tracker that answers in the end, it is registered',
  async (t) => {
    const noise = fc.constantFrom<JoinEvent>(
      { is: 'hello', epoch: first },
      { is: 'hello', epoch: second },
      { is: 'connected' },
      { is: 'denied', attempt: 'a0' },
      { is: 'notApplied', attempt: 'a1' },
      { is: 'applied', attempt: 'a2' },
      { is: 'registered', epoch: first },
      { is: 'time' },
    )
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(fc.array(noise, { maxLength: 30 }), (events) => {
          let state: Joining = start
          let now = 0
          for (const [n, event] of events.entries()) {
            now += 500
            state = joinStep(state, event, now, `a${n}`).state
          }
          let said = joinStep(state, { is: 'hello', epoch: second }, now, 'last')
          for (let n = 0; n < 5_000 && said.state.at !== 'registered'; n++) {
            const { at } = said.state
            const attempt = 'attempt' in said.state ? said.state.attempt : ''
            if (said.say === 'requested')
              said = joinStep(said.state, { is: 'applied', attempt }, now, 'x')
            else if (said.say === 'succeeded')
              said = joinStep(said.state, { is: 'registered', epoch: second }, now, 'x')
            else said = joinStep(said.state, { is: 'time' }, now, `t${n}`)
            now += 1_000
            if (at === 'waiting') return false
          }
          return said.state.at === 'registered'
        }),
      ),
    )
  },
)

t.test('[JOIN-2] an older hello is answered by the epoch that is known', async (t) => {
  const known: Epoch = { counter: 7, tracker: 'tracker' }
  const older = (by: string): JoinEvent => ({ is: 'olderHello', epoch: known, by })
  const joined: [number, JoinEvent][] = [
    [0, { is: 'hello', epoch: known }],
    [10, { is: 'applied', attempt: 'a0' }],
    [20, { is: 'registered', epoch: known }],
  ]
  t.match(play([[0, older('tracker')]]), { said: ['requested'], end: { epoch: known } }, 'a start')
  const more = play([...joined, [30, older('tracker')], [31, older('tracker')]])
  t.same(more.said, ['requested', 'succeeded', 'requested'], 'its disk was lost; once is enough')
  t.match(more.end, { at: 'asking', epoch: known })
  t.same(play([...joined, [30, older('other')]]).said, ['requested', 'succeeded'], 'one acts')
  const waits = play([
    ...joined.slice(0, 1),
    [10, { is: 'denied', attempt: 'a0' }],
    [20, older('x')],
  ])
  t.same(waits.said, ['requested', 'requested'], 'nobody acts')
  const risen: Epoch = { counter: 8, tracker: 'other' }
  const end = play([...joined, [30, older('tracker')], [40, { is: 'hello', epoch: risen }]]).end
  t.match(end, { at: 'asking', epoch: risen })
})
