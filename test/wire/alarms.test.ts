// Alarms: said sparingly, heard and kept by the tracker, shown and followed by the command line.

import t from 'tap'
import { type AlarmsOptions, alarmFeed, alarms, type Feed } from '../../src/cli/alarms.ts'
import { type Output, output } from '../../src/cli/output.ts'
import type { Client } from '../../src/client/client.ts'
import { Stopped } from '../../src/client/line.ts'
import { sparing } from '../../src/pillar/alarms.ts'
import { compose, uuid7 } from '../../src/post/compose.ts'
import type { HeardAlarm } from '../../src/protocol/alarms.ts'
import type { MessageOf } from '../../src/protocol/messages.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { simClock } from '../../src/sim/clock.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { openAlarms } from '../../src/tracker/alarms.ts'
import { topics, type Wire, wire } from './wire.ts'

const time = simClock()
const world = simWorld(time.clock, simRandom('alarms'), 'tracker')

const alarmOf = (alarmText: string, more: object = {}): MessageOf<'Alarm'> => ({
  ...compose<'Alarm'>(world, 'pillar-1', {
    type: 'Alarm',
    conversation: uuid7(world),
    alarmCode: 'CHECKSUM_ALARM',
    alarmText,
  }),
  ...more,
})

const question = (more: object = {}): MessageOf<'GetAlarmsRequest'> => ({
  ...compose<'GetAlarmsRequest'>(world, 'ann', {
    type: 'GetAlarmsRequest',
    conversation: uuid7(world),
    replyTo: 'colonnade/replies/ann/x',
    expiresAt: timeText(time.clock.now() + 1000),
  }),
  ...more,
})

const texts = ({ alarms }: { alarms: readonly HeardAlarm[] }): string =>
  alarms.map(({ text }) => text).join(' ')

t.test(
  '[ALM-2] what comes twice is kept once, also after a restart; the oldest are forgotten',
  async (t) => {
    const state = openState(':memory:')
    t.teardown(() => state.close())
    const first = await openAlarms(world, 'tracker', state, 150)
    const all = Array.from({ length: 160 }, (_, n) => alarmOf(`${n}`))
    for (const alarm of all) {
      await first.hear(alarm)
      await first.hear(alarm)
    }
    const again = await openAlarms(world, 'tracker', state, 150)
    for (const alarm of all.slice(-3)) await again.hear(alarm)
    await again.hear(alarmOf('last'))
    const answer = await again.answer(question())
    t.equal(answer.partialResult, false)
    t.same(
      answer.alarms.map(({ sequence }) => sequence),
      Array.from({ length: 150 }, (_, n) => n + 12),
    )
    t.match(answer.alarms.at(-1), { text: 'last', component: 'pillar-1', code: 'CHECKSUM_ALARM' })
    t.equal((await state.list('alarm')).length, 300, 'and nothing else is left of them')
  },
)

t.test('[ALM-2] alarms are answered by window, code and component, in exact pages', async (t) => {
  const state = openState(':memory:')
  t.teardown(() => state.close())
  const kept = await openAlarms(world, 'tracker', state)
  await time.advance(5_000)
  const begun = time.clock.now()
  for (const [n, text] of ['a', 'b', 'c', 'd', 'e'].entries()) {
    const alarmCode = n % 2 ? 'TIMEOUT' : 'FAILED_TRANSFER'
    await kept.hear(alarmOf(text, { alarmCode, from: `pillar-${n % 3}`, sentAt: timeText(0) }))
    await time.advance(1_000)
  }
  const ask = async (more: object) => {
    const answer = await kept.answer(question(more))
    return [texts(answer), answer.partialResult, answer.after]
  }
  t.same(await ask({}), ['a b c d e', false, undefined])
  t.same(await ask({ maxResults: 2 }), ['a b', true, 2])
  t.same(await ask({ maxResults: 2, after: 2 }), ['c d', true, 4])
  t.same(await ask({ maxResults: 2, after: 3 }), ['d e', false, undefined])
  t.same(await ask({ code: 'TIMEOUT' }), ['b d', false, undefined])
  t.same(await ask({ component: 'pillar-0' }), ['a d', false, undefined])
  const at = (n: number): string => timeText(begun + n * 1_000)
  t.same(
    await ask({ minTimestamp: at(1), maxTimestamp: at(3) }),
    ['b c d', false, undefined],
    'by our clock',
  )
  for (let n = 0; n < 40; n++) await kept.hear(alarmOf('é'.repeat(2_000)))
  const page = await kept.answer(question())
  t.ok(
    page.partialResult && page.alarms.length > 5 && page.alarms.length < 20,
    'a page is a message',
  )
})

t.test('[ALM-1] the same alarm is said once a minute, with how often it happened', async (t) => {
  const said: string[] = []
  const stop = new AbortController()
  const log = { ...world.log, error: () => undefined }
  const alarm = sparing({ clock: time.clock, log }, stop.signal, (_, text, about) =>
    said.push(`${text} ${about?.fileId ?? ''}`),
  )
  for (let n = 0; n < 50; n++) alarm('CHECKSUM_ALARM', 'rotten', { fileId: 'a' })
  alarm('CHECKSUM_ALARM', 'rotten', { fileId: 'b' })
  alarm('TIMEOUT', 'rotten', { fileId: 'a' })
  t.same(
    said.splice(0),
    ['rotten a', 'rotten b', 'rotten a'],
    'another file or code is another cause',
  )
  await time.advance(61_000)
  t.same(said.splice(0), ['rotten (49 more times within a minute) a'])
  alarm('CHECKSUM_ALARM', 'rotten', { fileId: 'a' })
  alarm('CHECKSUM_ALARM', 'rotten', { fileId: 'b' })
  t.same(said.splice(0), ['rotten b'], 'a minute without b has passed')
  await time.advance(200_000)
  t.same(said.splice(0), ['rotten (1 more times within a minute) a'])
  alarm('CHECKSUM_ALARM', 'rotten', { fileId: 'a' })
  t.same(said.splice(0), ['rotten a'])
  for (let n = 0; n < 2_000; n++) alarm('TIMEOUT', `${n}`)
  t.equal(said.length, 999, 'so many causes at a time, and no more')
  stop.abort()
  await time.advance(1_000)
})

interface Setting {
  readonly fleet: Fleet
  readonly ann: Wire
  readonly client: Client
  say(text: string, more?: object): Promise<void>
}

async function setting(seed: string): Promise<Setting> {
  const fleet = await startFleet({ seed, pillars: 1, copiesMin: 1 })
  const ann = await wire(fleet)
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const say = async (text: string, more: object = {}): Promise<void> => {
    const alarm = { ...alarmOf(text), id: uuid7(ann.world), ...more }
    await ann.say(topics.alarms(), alarm, simSigner('pillar-1'))
    await fleet.time.advance(1_000)
  }
  return { fleet, ann, client, say }
}

/** Runs the command until it ends by itself, or is told to stop once everything was heard. */
async function shown(
  { fleet, client }: Setting,
  options: AlarmsOptions = {},
  meanwhile: (feed: Feed) => Promise<void> = async () => undefined,
): Promise<string[]> {
  const lines: string[] = []
  const hear = (text: string): void => void lines.push(text)
  const out: Output = { ...output({ quiet: true }), line: hear, note: hear, warn: hear }
  const stop = new AbortController()
  const feed = alarmFeed()
  const disk = fleet.boards[0]?.disk.disk
  if (!disk) throw new Error('no board')
  const ended = alarms({ client, out, signal: stop.signal, disk }, feed, options).catch(
    (error) => error,
  )
  await fleet.time.advance(40_000)
  await meanwhile(feed)
  await fleet.time.advance(1_000)
  if (options.follow) stop.abort(new Stopped('interrupted'))
  const end = await fleet.time.finish(ended)
  lines.push(end instanceof Error ? `${end.name}: ${end.message}` : `${end}`)
  return lines
}

t.test('[ALM-2] the tracker keeps what it hears, and survives its power plug', async (t) => {
  const s = await setting('keeps')
  const { ann, fleet, say } = s
  t.same(await shown(s), ['there are no alarms', '0'])
  const alarm = alarmOf('the disk fails', { fileId: 'a b' })
  await say('the disk fails', alarm)
  await say('the disk fails', alarm)
  await ann.say(topics.alarms(), { ...alarm, id: uuid7(ann.world) }, simSigner('bob'))
  fleet.tracker.crash()
  await fleet.time.finish(fleet.tracker.start())
  await fleet.time.advance(1_000)
  await say('again', { alarmCode: 'TIMEOUT' })
  const lines = await shown(s)
  t.match(lines, [
    /Z {2}pillar-1 {2}CHECKSUM_ALARM {2}the disk fails {2}a b$/,
    /TIMEOUT {2}again$/,
    '0',
  ])
  t.equal(lines.length, 3, 'once; and what another signed was not heard')
  t.match(await shown(s, { code: 'TIMEOUT' }), [/again/, '0'])
  t.same(await shown(s, { since: fleet.time.clock.now() }), ['there are no alarms', '0'])
  const answered: Uint8Array[] = []
  const spy = fleet.broker.connectAs('pillar-1')({
    ...{
      clientId: 'pillar-1.spy',
      persistent: false,
      subscriptions: [topics.replies('pillar-1', 'x')],
    },
    receive: (_topic, payload) => void answered.push(payload),
    ...{ connected: () => undefined, closed: () => undefined },
  })
  await fleet.time.advance(1_000)
  const asked = { ...question(), from: 'pillar-1', replyTo: topics.replies('pillar-1', 'x') }
  await ann.say(topics.trackerRequests(), asked, simSigner('pillar-1'))
  await fleet.time.advance(5_000)
  await fleet.time.finish(spy.close())
  t.same(answered, [], 'pillars do not ask')
})

t.test('[ALM-3] --follow goes on with what comes, each alarm once', async (t) => {
  const s = await setting('follows')
  const alarm = alarmOf('before')
  await s.say('before', alarm)
  const lines = await shown(s, { follow: true, code: 'CHECKSUM_ALARM' }, async (feed) => {
    feed.hear(alarm)
    const next = alarmOf('after')
    for (const one of [next, next, alarmOf('else', { alarmCode: 'TIMEOUT' })]) feed.hear(one)
  })
  t.match(lines, [/before$/, /after$/, 'Stopped: interrupted'])
  t.equal(lines.length, 3)
  s.fleet.tracker.crash()
  t.match(await shown(s), ['Complaint: the tracker did not answer'])
  const live = await shown(s, { follow: true }, async (feed) => feed.hear(alarmOf('live')))
  t.match(live, [/only what comes from now on/, /live$/, 'Stopped: interrupted'])
})
