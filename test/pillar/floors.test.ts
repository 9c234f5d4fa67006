// How much may be destroyed in a day is counted by the time that the pillar has run, and by nothing else.

import t from 'tap'
import { floors, usualFloors } from '../../src/pillar/floors.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { massAllowed, massLimit } from '../../src/protocol/mass-changes.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { simClock } from '../../src/sim/clock.ts'
import { openState } from '../../src/state/sqlite.ts'
import type { State } from '../../src/state/state.ts'

const hour = 3_600_000
const document: ArchiveDocument = {
  ...{ archive: 'test', version: 1, issuedAt: '', identities: [], collections: [], exchanges: [] },
}

function ground(options: Partial<typeof usualFloors> = {}, files = 0) {
  const time = simClock()
  const clock = time.board()
  const state = openState(':memory:')
  const alarms: string[] = []
  const on = { document, files }
  /** The pillar as it starts, with what it kept. */
  const start = (kept: State = state) =>
    floors({
      ...{ world: { clock }, name: 'attic', state: kept },
      options: { ...usualFloors, ...options },
      document: () => on.document,
      stored: async () => on.files,
      alarm: (_code, text) => void alarms.push(text),
    })
  return { time, clock, state, alarms, on, start }
}
const change = (files: number, by = 'ann', collection = 'home') => ({
  ...{ by, collection, files },
  kind: 'change' as const,
})

t.test('[FLR-1] neither a restart nor a clock that jumps brings a day back', async (t) => {
  const { time, clock, start, alarms } = ground({ changes: 10 })
  let here = start()
  t.same(await here.spend(change(7)), { granted: 7 })
  here = start()
  const beyond = await here.spend(change(7))
  t.equal(beyond.granted, 3)
  t.match(beyond.why, /^attic changes no more than 10 files a day for ann, whatever it is told$/)
  t.equal((await here.spend(change(1, 'bob'))).granted, 1, 'each has his own')
  // Back to 1970, years ahead, off for a week: for the pillar no time has passed.
  for (const offset of [-clock.now(), 400 * 24 * hour, 0]) {
    clock.setOffset(offset)
    here = start()
    t.equal((await here.spend(change(1))).granted, 0)
    await time.advance(7 * 24 * hour)
    here = start()
    t.equal((await here.spend(change(1))).granted, 0, 'what it was off does not count')
  }
  for (let n = 0; n < 26; n++) {
    await time.advance(hour)
    await here.note()
    if (n === 12) here = start()
    if (n === 20) t.equal((await here.spend(change(1))).granted, 0, 'a part of a day is no day')
  }
  t.equal((await here.spend(change(1))).granted, 1, 'it has run for a day, in two runs')
  t.equal(alarms.length, 1, 'one alarm for all of that')
})

t.test('[FLR-1] all together have a floor, too', async (t) => {
  const { start } = ground({ changes: 10, changesAll: 15 })
  const here = start()
  await here.spend(change(10, 'ann'))
  t.match(await here.spend(change(10, 'bob')), { granted: 5, why: /15 files a day, whatever/ })
  t.match(await here.objection(change(1, 'eve')), /15 files a day/)
})

t.test('[FLR-1] what is counted is durable before anything goes', async (t) => {
  const { state, start } = ground()
  const full = { ...state, change: async () => Promise.reject(new Error('ENOSPC')) }
  t.match(await start(full).spend(change(1)), { granted: 0, why: /went today: ENOSPC/ })
  const unread = { ...state, get: async () => Promise.reject(new Error('EIO')) }
  t.match(await start(unread).spend(change(1)), { granted: 0, why: /went today: EIO/ })
  t.match(await start(unread).objection(change(1)), /EIO/, 'and nothing goes on other pillars')
})

t.test('[FLR-1] two at once do not get more than one after the other', async (t) => {
  const { start } = ground({ changes: 10 })
  const here = start()
  const both = await Promise.all([change(7), change(7), change(7)].map((one) => here.spend(one)))
  t.equal(
    both.reduce((sum, { granted }) => sum + granted, 0),
    10,
  )
})

t.test('[MASS-1] a hundred, or one in twenty of what there was in the morning', async (t) => {
  t.equal(massLimit(0), 100)
  t.equal(massLimit(2_000), 100)
  t.equal(massLimit(10_000), 500)
  const { start, on, alarms, time } = ground({}, 10_000)
  let here = start()
  t.equal(await here.objection(change(500)), undefined)
  t.match(await here.objection(change(501)), /more than 500 files of home in a day; the owner/)
  t.equal((await here.spend(change(400))).granted, 400)
  // Whoever fills it up first gains nothing for that day.
  on.files = 1_000_000
  here = start()
  t.equal((await here.spend(change(400))).granted, 100)
  t.equal((await here.spend(change(100, 'ann', 'other'))).granted, 100, 'each collection by itself')
  t.equal(alarms.length, 1)
  await time.advance(25 * hour)
  t.equal((await here.spend(change(400))).granted, 400)
})

t.test("[MASS-2] the owner's leave is for one, for a collection, and for a time", async (t) => {
  const { start, on, clock, time } = ground({ changes: 3_000 })
  const here = start()
  const until = timeText(clock.now() + hour)
  const leave = { identity: 'ann', collection: 'home', files: 5_000, until }
  on.document = { ...document, massChanges: [leave] }
  t.equal(massAllowed(on.document, 'ann', 'home', clock.now()), 5_000)
  t.equal(massAllowed(on.document, 'bob', 'home', clock.now()), 0)
  t.equal(massAllowed(on.document, 'ann', 'other', clock.now()), 0)
  t.equal((await here.spend(change(2_000))).granted, 2_000)
  t.equal((await here.spend(change(500, 'bob'))).granted, 100)
  t.match(await here.spend(change(2_000)), { granted: 1_000, why: /no more than 3000 files a day/ })
  await time.advance(hour)
  t.equal(massAllowed(on.document, 'ann', 'home', clock.now()), 0, 'over')
})

t.test('[FLR-2] the tracker has few fragments thrown away, by its word alone', async (t) => {
  const { start } = ground({}, 4_000)
  const here = start()
  const drop = { by: 'tracker', collection: 'pieces', files: 150, kind: 'drop' as const }
  t.equal((await here.spend(drop)).granted, 150)
  t.match(await here.spend(drop), { granted: 50, why: /throws away 200 fragments a day at most/ })
})
