// The state of a conversation is pure: answers and time in, what is due out.

import t from 'tap'
import { begin, type Conversation, due, hear } from '../../src/client/conversation.ts'
import { limits } from '../../src/limits.ts'
import type { ResponseCode } from '../../src/protocol/codes.ts'
import type { AnswerMessage } from '../../src/protocol/messages.ts'

const patience = { idleMs: 90_000, offlineMs: 5_000 }
const nobodyOff = (): boolean => false

const answer = (from: string, code: ResponseCode): AnswerMessage => ({
  v: 1,
  min: 1,
  id: '00000000-0000-7000-8000-000000000000',
  conversation: '00000000-0000-7000-8000-000000000001',
  from,
  sentAt: '2026-01-01T00:00:00.000Z',
  page: 0,
  collection: 'home',
  pillar: from,
  type: 'GetStatusFinalResponse',
  responseInfo: { code },
})
const partyOf = (state: Conversation, name: string): string | undefined =>
  state.parties.get(name)?.party.at

t.test('[DEL-2] a silent party hears the request again, with growing pauses', async (t) => {
  let state = begin(['a', 'b'], 0)
  state = hear(state, answer('b', 'OPERATION_COMPLETED'), 100)
  const said: number[] = []
  for (let now = 0; now < 80_000; ) {
    const next = due(state, now, patience, nobodyOff)
    state = next.state
    t.notOk(next.again.includes('b'), 'who has answered is left alone')
    if (next.again.includes('a')) said.push(now)
    now = next.wake
  }
  const pauses = said.map((at, n) => at - (said[n - 1] ?? 0))
  t.same(pauses.slice(0, 5), [2_000, 4_000, 8_000, 16_000, 30_000])
})

t.test('[DEL-4] it ends by answers, or because a party was silent for the idle time', async (t) => {
  let state = begin(['a', 'b'], 0)
  t.equal(due(state, 0, patience, nobodyOff).over, false)
  state = hear(state, answer('a', 'OPERATION_COMPLETED'), 10)
  state = hear(state, answer('b', 'OPERATION_ACCEPTED_PROGRESS'), 10)
  t.equal(partyOf(state, 'b'), 'working')
  state = hear(state, answer('b', 'OPERATION_PROGRESS'), 60_000)
  const still = due(state, 90_020, patience, nobodyOff)
  t.equal(still.over, false, 'progress restarts the idle time')
  const end = due(still.state, 150_000, patience, nobodyOff)
  t.equal(end.over, true)
  t.same([partyOf(end.state, 'a'), partyOf(end.state, 'b')], ['answered', 'silent'])
})

t.test('[DEL-4] a party that is known to be off is given up sooner', async (t) => {
  const off = (name: string): boolean => name === 'a'
  const state = due(begin(['a', 'b'], 0), 5_000, patience, off).state
  t.same([partyOf(state, 'a'), partyOf(state, 'b')], ['silent', 'asked'])
})

t.test('a worker that falls silent is asked again long before it is given up', async (t) => {
  const state = hear(begin(['a'], 0), answer('a', 'OPERATION_PROGRESS'), 1_000)
  const quiet = 1_000 + 3 * limits.progressMs
  t.same(due(state, quiet - 1, patience, nobodyOff).again, [])
  t.same(due(state, quiet, patience, nobodyOff).again, ['a'])
})

t.test('answers by strangers and after the end change nothing', async (t) => {
  const state = hear(begin(['a'], 0), answer('a', 'FAILURE'), 1)
  t.equal(hear(state, answer('a', 'OPERATION_COMPLETED'), 2), state)
  t.equal(hear(state, answer('z', 'OPERATION_COMPLETED'), 2), state)
})

t.test('a conversation with nobody is over at once', async (t) => {
  t.equal(due(begin([], 0), 0, patience, nobodyOff).over, true)
})
