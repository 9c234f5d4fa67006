// Who is away for lack of power, and for how long nobody makes anything of it.

import t from 'tap'
import { purposeLeftMs, withPurpose } from '../../src/client/absent.ts'
import { limits } from '../../src/limits.ts'
import type { MessageOf } from '../../src/protocol/messages.ts'
import { timeText } from '../../src/protocol/scalars.ts'

type Presence = MessageOf<'Presence'>
const hour = 3_600_000
const now = 1e12

const presence = (about: Partial<Presence>): Presence => ({
  ...{ v: 1, min: 1, page: 0, id: '00000000-0000-7000-8000-000000000001', type: 'Presence' },
  ...{ conversation: '00000000-0000-7000-8000-000000000002', from: 'attic', version: '1' },
  ...{ state: 'offline', session: 5, sentAt: timeText(now) },
  ...about,
})
const until = (ms: number) => ({ downUntil: timeText(now + ms) })

t.test('[PWR-10] it is waited for as long as it said, a week at most', async (t) => {
  const gone = presence(until(24 * hour))
  t.equal(purposeLeftMs(gone, now), 24 * hour)
  t.equal(purposeLeftMs(gone, now + 23 * hour), hour)
  t.equal(purposeLeftMs(gone, now + 25 * hour), 0)
  t.equal(purposeLeftMs(presence({}), now), 0)
  t.equal(purposeLeftMs(presence({ ...until(24 * hour), state: 'online' }), now), 0)
  t.equal(purposeLeftMs(presence(until(1e4 * hour)), now), limits.downOnPurposeMsMax)
})

t.test('[PWR-10] a clock that is ahead lengthens nothing', async (t) => {
  const ahead = presence({ sentAt: timeText(now + 1e3 * hour), ...until(1_024 * hour) })
  t.equal(purposeLeftMs(ahead, now), 24 * hour)
  t.equal(purposeLeftMs(presence({ sentAt: timeText(0), downUntil: timeText(24 * hour) }), now), 0)
})

t.test('[PWR-10] who dies while it saves its power has gone on purpose', async (t) => {
  const saving = presence({ state: 'online', ...until(24 * hour) })
  const died = presence({ sentAt: timeText(now - hour) })
  t.match(withPurpose(saving, died), { state: 'offline', ...until(24 * hour) })
  t.equal(purposeLeftMs(withPurpose(saving, died), now + hour), 23 * hour)
  t.equal(withPurpose(undefined, died).downUntil, undefined)
  t.equal(withPurpose(presence({ state: 'online' }), died).downUntil, undefined)
  t.equal(withPurpose({ ...saving, session: 4 }, died).downUntil, undefined, 'of another run')
  const back = presence({ state: 'online' })
  t.equal(withPurpose(saving, back), back)
  const said = presence(until(hour))
  t.equal(withPurpose(saving, said), said)
})
