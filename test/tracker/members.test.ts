// Joining over a simulated bus: the course of the protocol and each of its alternatives, with every hop lost once.

import t from 'tap'
import { compose, uuid7 } from '../../src/post/compose.ts'
import type { Message } from '../../src/protocol/messages.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { openView } from '../../src/view/sqlite.ts'
import { collection, isRegistered, type Joiner, joinBench } from './bench.ts'

const hour = 3_600_000

/** The first message of this type is lost: before the broker, or on its way to this receiver. */
const firstOf = (type: string, hop: 'up' | 'down', receiver: string) => {
  let left = 1
  return (message: Message, at: string): boolean => {
    const here = hop === 'up' ? at === message.from : at === receiver && at !== message.from
    if (message.type !== type || !here || left === 0) return false
    left--
    return true
  }
}
const heard = (joiner: Joiner, type: string): number =>
  joiner.heard.filter((event) => event.type === type).length

t.test('[JOIN-3] standard: hello, request, accepted, succeeded, registered', async (t) => {
  const bench = await joinBench()
  const attic = bench.pillar('attic')
  await bench.time.advance(5_000)
  t.equal(attic.state().at, 'waiting', 'no tracker yet')
  const tracker = await bench.tracker()
  await bench.time.advance(1_000)
  t.equal(tracker.members.isActing(), false, 'it listens first')
  const cellar = bench.pillar('cellar')
  await bench.time.advance(5_000)
  t.ok(isRegistered(attic) && isRegistered(cellar))
  t.strictSame(tracker.members.counting(collection), ['attic', 'cellar'])
  t.strictSame(tracker.members.present(collection), ['attic', 'cellar'])
  t.strictSame(tracker.members.surveyed(collection), ['attic', 'cellar'], 'nothing on both sides')
  const { version, members } = tracker.members.membership(collection) ?? { members: [] }
  t.equal(version, 2)
  t.strictSame(
    members.map(({ id, weight }) => [id, weight > 0]),
    [
      ['attic', true],
      ['cellar', true],
    ],
  )
  const told = attic.heard.findLast((event) => event.type === 'ClientRegistered')
  t.match(told, { memberships: [{ version: 2 }] }, 'all are told of each other')
  await tracker.stop()
  await bench.time.advance(1_000)
  t.equal(heard(attic, 'TrackerGoodbye'), 1)
  t.ok(isRegistered(attic), 'its goodbye unregisters nobody')
})

const hops: [alternative: string, type: string, hop: 'up' | 'down'][] = [
  ['hello', 'TrackerHello', 'up'],
  ['hello', 'TrackerHello', 'down'],
  ['alternative 1, the request', 'ClientJoinRequested', 'up'],
  ['alternative 1, the request', 'ClientJoinRequested', 'down'],
  ['alternative 2, accepted', 'ClientJoinAccepted', 'up'],
  ['alternative 2, accepted', 'ClientJoinAccepted', 'down'],
  ['alternative 4a, succeeded', 'ClientJoinSucceeded', 'up'],
  ['alternative 4a, succeeded', 'ClientJoinSucceeded', 'down'],
  ['registered', 'ClientRegistered', 'up'],
  ['registered', 'ClientRegistered', 'down'],
]
for (const [alternative, type, hop] of hops)
  t.test(`[JOIN-3] ${alternative} is lost on its way ${hop}: it joins all the same`, async (t) => {
    const bench = await joinBench()
    const fromPillar = type.startsWith('ClientJoinRe') || type === 'ClientJoinSucceeded'
    bench.lose(firstOf(type, hop, fromPillar ? 'tracker' : 'attic'))
    const tracker = await bench.tracker()
    const attic = bench.pillar('attic')
    await bench.time.advance(3_500)
    t.notOk(isRegistered(attic), 'it was lost')
    await bench.time.advance(70_000)
    t.ok(isRegistered(attic))
    t.strictSame(tracker.members.counting(collection), ['attic'])
    t.equal(tracker.members.membership(collection)?.version, 1, 'it has joined once')
    await tracker.stop()
  })

t.test('[JOIN-3] alternative 2: denied is lost on both hops, and said again', async (t) => {
  const bench = await joinBench()
  const tracker = await bench.tracker()
  const losses = [
    firstOf('ClientJoinDenied', 'up', ''),
    firstOf('ClientJoinDenied', 'down', 'stranger'),
  ]
  bench.lose((message, at) => losses.some((lost) => lost(message, at)))
  const stranger = bench.pillar('stranger')
  await bench.time.advance(30_000)
  t.equal(stranger.state().at, 'denied')
  await tracker.stop()
})

t.test('[JOIN-4] alternative 3: conflicts are denied, each for its reason', async (t) => {
  const bench = await joinBench()
  const tracker = await bench.tracker()
  const stranger = bench.pillar('stranger')
  const attic = bench.pillar('attic', { more: { algorithm: 'md5' } })
  await bench.time.advance(10_000)
  const reason = (joiner: Joiner) =>
    joiner.heard.flatMap((one) =>
      one.type === 'ClientJoinDenied' && one.to?.includes(joiner.name) ? [one.reasonCode] : [],
    )
  t.strictSame(reason(stranger), ['NOT_A_MEMBER'])
  t.strictSame(reason(attic), ['WRONG_HASH_ALGORITHM'])
  t.strictSame(tracker.members.counting(collection), [])
  await tracker.stop()
})

t.test(
  '[JOIN-3] alternative 4b: what the pillar can not apply, it asks for again later',
  async (t) => {
    const bench = await joinBench()
    const tracker = await bench.tracker()
    let broken = true
    bench.lose(firstOf('ClientJoinFailed', 'up', ''))
    const attic = bench.pillar('attic', { fails: () => broken })
    await bench.time.advance(30_000)
    t.notOk(isRegistered(attic))
    t.strictSame(tracker.members.counting(collection), [])
    broken = false
    await bench.time.advance(120_000)
    t.ok(isRegistered(attic))
    await tracker.stop()
  },
)

t.test('[JOIN-3] many join at once over a bus that loses, doubles and delays', async (t) => {
  const faults = { lost: 0.2, duplicated: 0.3, delayed: 0.3, delayMsMax: 20_000, reordered: 0.2 }
  const bench = await joinBench(faults)
  const tracker = await bench.tracker()
  const all = ['attic', 'cellar', 'friend'].map((name) => bench.pillar(name))
  await bench.time.advance(20 * 60_000)
  t.ok(all.every((one) => isRegistered(one, tracker.members.epoch())))
  t.equal(tracker.members.counting(collection).length, 3)
  t.equal(tracker.members.membership(collection)?.version, 3, 'each has joined once')
  await tracker.stop()
})

t.test('[JOIN-5] hundreds join at once: a few versions, and each message is short', async (t) => {
  const names = Array.from({ length: 110 }, (_, n) => `${'board-'.repeat(9)}${n}`)
  const bench = await joinBench({}, names)
  const tracker = await bench.tracker()
  const all = names.map((name) => bench.pillar(name))
  await bench.time.advance(10_000)
  t.ok(all.every((one) => isRegistered(one)))
  const { version = 0, members = [] } = tracker.members.membership(collection) ?? {}
  t.equal(members.length, names.length, 'all are weighed')
  t.ok(version <= 3, `${version} versions`)
  const told = all[0]?.heard.filter((one) => one.type === 'ClientRegistered') ?? []
  t.ok(told.every((one) => JSON.stringify(one).length < 10_000))
  const last = told.flatMap(({ memberships }) => memberships).at(-1)
  t.match(last, { version, count: names.length, members: [] }, 'it is to be fetched')
  await tracker.stop()
})

t.test(
  '[JOIN-1] [JOIN-2] the tracker is started anew: a newer epoch, and all join again',
  async (t) => {
    const bench = await joinBench()
    const view = openView(':memory:')
    const first = await bench.tracker('tracker', view)
    const attic = bench.pillar('attic')
    await bench.time.advance(5_000)
    const before = first.members.epoch().counter
    const { version } = first.members.membership(collection) ?? {}
    await first.stop()
    const second = await bench.tracker('tracker', view)
    t.strictSame(second.members.counting(collection), ['attic'], 'from the disk')
    await bench.time.advance(5_000)
    t.equal(second.members.epoch().counter, before + 1)
    t.ok(isRegistered(attic, second.members.epoch()))
    t.equal(second.members.membership(collection)?.version, version, 'nothing has changed')
    await second.stop()

    t.comment('its disk is lost: the retained hello tells the epoch')
    const third = await bench.tracker('tracker')
    await bench.time.advance(5_000)
    t.equal(third.members.epoch().counter, before + 2)
    t.ok(isRegistered(attic, third.members.epoch()))
    await third.stop()

    t.comment('its disk is lost, and the broker forgot: the pillar tells it')
    bench.broker.wipe()
    const fourth = await bench.tracker('tracker')
    await bench.time.advance(60_000)
    t.equal(fourth.members.epoch().counter, before + 3)
    t.ok(isRegistered(attic, fourth.members.epoch()))
    await fourth.stop()
  },
)

t.test('[JOIN-1] a second tracker starts: the first stops, logs and alarms', async (t) => {
  const bench = await joinBench()
  const first = await bench.tracker('tracker')
  const attic = bench.pillar('attic')
  await bench.time.advance(5_000)
  const second = await bench.tracker('tracker-b')
  await bench.time.advance(5_000)
  t.equal(first.members.isActing(), false)
  t.equal(first.alarms.length, 1)
  t.ok(first.world.lines().some((line) => line.includes('tracker.superseded')))
  t.ok(second.members.isActing())
  t.ok(isRegistered(attic, second.members.epoch()))
  t.strictSame(second.members.counting(collection), ['attic'])
  bench.broker.cut('tracker', 1_000)
  await bench.time.advance(60_000)
  t.equal(first.members.isActing(), false, 'and it does not come back by itself')
  await first.stop()
  await second.stop()
})

t.test(
  '[JOIN-1] both start at once and cannot hear each other: the greater name wins',
  async (t) => {
    const bench = await joinBench()
    bench.lose((message, at) => message.type === 'TrackerHello' && message.from !== at)
    const both = await Promise.all(['tracker', 'tracker-b'].map((name) => bench.tracker(name)))
    await bench.time.advance(5_000)
    t.strictSame(
      both.map(({ members }) => members.isActing()),
      [true, true],
    )
    bench.lose(() => false)
    bench.broker.cut('tracker-b')
    await bench.time.advance(10_000)
    t.strictSame(
      both.map(({ members }) => members.isActing()),
      [false, true],
    )
    for (const one of both) await one.stop()
  },
)

t.test('[JOIN-4] an answer to an older epoch is denied, and the hello said again', async (t) => {
  const bench = await joinBench()
  const view = openView(':memory:')
  await view.change([{ do: 'fact', key: 'epoch', value: '7' }])
  const tracker = await bench.tracker('tracker', view)
  await bench.time.advance(5_000)
  const old = { counter: 3, tracker: 'tracker' }
  let once = true
  bench.lose((message, at) => {
    if (message.type !== 'TrackerHello' || at !== 'attic' || !once) return false
    once = false
    return true
  })
  const attic = bench.pillar('attic')
  await bench.time.advance(5_000)
  t.equal(attic.state().at, 'waiting')
  const late = compose<'ClientJoinSucceeded'>(tracker.world, 'attic', {
    type: 'ClientJoinSucceeded',
    conversation: uuid7(tracker.world),
    epoch: old,
  })
  await bench.time.finish(attic.say(late))
  await bench.time.advance(5_000)
  t.ok(isRegistered(attic, tracker.members.epoch()))
  await tracker.stop()
})

t.test('[JOIN-6] who dies is suspect at once, and gone after the grace time', async (t) => {
  const bench = await joinBench()
  const view = openView(':memory:')
  const tracker = await bench.tracker('tracker', view, undefined, 2 * hour)
  const [attic] = [bench.pillar('attic'), bench.pillar('cellar')]
  await bench.time.advance(5_000)
  const { version = 0 } = tracker.members.membership(collection) ?? {}
  bench.broker.cut('attic', 1.9 * hour)
  await bench.time.advance(60_000)
  t.strictSame(tracker.members.present(collection), ['cellar'])
  t.strictSame(tracker.members.counting(collection), ['attic', 'cellar'])
  await bench.time.advance(2 * hour)
  t.strictSame(tracker.members.present(collection), ['attic', 'cellar'], 'it came back in time')
  t.equal(tracker.members.membership(collection)?.version, version)
  bench.broker.cut('attic', 3 * hour)
  await bench.time.advance(1.9 * hour)
  t.strictSame(tracker.members.counting(collection), ['attic', 'cellar'], 'counted anew')
  await bench.time.advance(0.2 * hour)
  t.strictSame(tracker.members.counting(collection), ['cellar'])
  t.equal(tracker.members.membership(collection)?.version, version + 1)
  t.match(await view.members(), [{ pillar: 'attic', state: 'gone' }, { state: 'registered' }])
  await bench.time.advance(1.5 * hour)
  t.ok(isRegistered(attic))
  t.strictSame(tracker.members.counting(collection), ['attic', 'cellar'], 'until it joins again')
  await tracker.stop()
})

t.test('[JOIN-6] its goodbye is no death, and a late one does not take it away', async (t) => {
  const bench = await joinBench()
  const tracker = await bench.tracker()
  const attic = bench.pillar('attic')
  await bench.time.advance(5_000)
  const goodbye = compose<'ClientGoodbye'>(tracker.world, 'attic', {
    type: 'ClientGoodbye',
    conversation: uuid7(tracker.world),
  })
  await bench.time.advance(5_000)
  bench.broker.cut('attic', 1_000)
  await bench.time.advance(10_000)
  await bench.time.finish(attic.say(goodbye))
  await bench.time.advance(1_000)
  t.strictSame(tracker.members.present(collection), ['attic'])
  const later = { ...goodbye, sentAt: timeText(bench.time.clock.now()) }
  await bench.time.finish(attic.say(later))
  await bench.time.advance(1_000)
  t.strictSame(tracker.members.present(collection), [])
  t.strictSame(tracker.members.counting(collection), ['attic'])
  await tracker.stop()
})

t.test(
  '[JOIN-6] a board that died comes back with another disk: its registration is replaced',
  async (t) => {
    const bench = await joinBench()
    const view = openView(':memory:')
    const tracker = await bench.tracker('tracker', view)
    const old = bench.pillar('attic')
    await bench.time.advance(5_000)
    bench.broker.kill('attic')
    void old.stop()
    await bench.time.advance(120_000)
    const fresh = bench.pillar('attic', { session: 200, volume: 'another' })
    await bench.time.advance(10_000)
    t.ok(isRegistered(fresh))
    t.match(await view.members(), [{ session: 200, volumes: ['another'], state: 'registered' }])
    await tracker.stop()
  },
)

t.test('[JOIN-5] a pillar that the document does not name any more leaves', async (t) => {
  const bench = await joinBench()
  const view = openView(':memory:')
  const tracker = await bench.tracker('tracker', view)
  const joiners = ['attic', 'cellar'].map((name) => bench.pillar(name))
  await bench.time.advance(5_000)
  await bench.directory.accept(bench.document(2, ['cellar', 'friend']))
  tracker.members.decided()
  await bench.time.advance(1_000)
  t.strictSame(tracker.members.counting(collection), ['cellar'])
  t.match(await view.members(), [{ pillar: 'cellar' }])
  const told = joiners[1]?.heard.findLast((event) => event.type === 'ClientRegistered')
  t.match(told, { memberships: [{ members: [{ id: 'cellar' }] }] })
  await tracker.stop()
})

t.test('[JOIN-5] who has no room left gets nothing new, and all are told', async (t) => {
  const bench = await joinBench()
  const tracker = await bench.tracker()
  const attic = bench.pillar('attic')
  await bench.time.advance(5_000)
  const application = (bytesOpen: number) =>
    compose<'FragmentDistributionRequested'>(tracker.world, 'attic', {
      type: 'FragmentDistributionRequested',
      conversation: uuid7(tracker.world),
      epoch: tracker.members.epoch(),
      collection,
      fragments: ['a'.repeat(64)],
      bytesOpen,
    })
  const weight = () => tracker.members.membership(collection)?.members[0]?.weight
  t.ok((weight() ?? 0) > 0)
  const from = bench.directory.identity('attic')
  if (!from) throw new Error('attic is in the document')
  const mail = (message: Message) => ({ topic: '', from, message, line: '', key: '' })
  await bench.time.finish(tracker.members.hear(mail(application(1_000))))
  t.equal(weight(), 0)
  await bench.time.advance(1_000)
  const told = attic.heard.findLast((event) => event.type === 'ClientRegistered')
  t.match(told, { memberships: [{ members: [{ id: 'attic', weight: 0 }] }] })
  await tracker.stop()
})

t.test('[JOIN-5] who missed a membership hears it again', async (t) => {
  const bench = await joinBench()
  const tracker = await bench.tracker()
  const attic = bench.pillar('attic')
  await bench.time.advance(5_000)
  bench.lose((message, at) => message.type === 'ClientRegistered' && at === 'attic')
  bench.pillar('cellar')
  await bench.time.advance(10_000)
  bench.lose(() => false)
  await bench.time.advance(60_000)
  const told = attic.heard.findLast((event) => event.type === 'ClientRegistered')
  t.match(told, { memberships: [{ version: 2 }] })
  await tracker.stop()
})

t.test('[JOIN-7] when nothing is due, nothing is done: an idle tracker sleeps', async (t) => {
  const bench = await joinBench()
  let woken = 0
  const { clock } = bench.time
  const counting = {
    ...clock,
    sleep: (ms: number, signal?: AbortSignal) =>
      clock.sleep(ms, signal).then(() => void (signal?.aborted || woken++)),
  }
  const tracker = await bench.tracker('tracker', undefined, undefined, undefined, counting)
  for (const name of ['attic', 'cellar', 'friend']) bench.pillar(name)
  await bench.time.advance(hour)
  t.equal(tracker.members.present(collection).length, 3)
  woken = 0
  await bench.time.advance(10 * hour)
  t.ok(woken > 0 && woken <= 20, `woken ${woken} times in ten hours`)
  await tracker.stop()
})

t.test('[PRS-2] over a new connection a smaller number is believed, once', async (t) => {
  const bench = await joinBench()
  const tracker = await bench.tracker()
  bench.pillar('attic')
  await bench.time.advance(5_000)
  const say = async (state: 'online' | 'offline', session: number) => {
    const common = { conversation: uuid7(tracker.world), state, session, version: '0' }
    tracker.members.notice(compose(tracker.world, 'attic', { type: 'Presence', ...common }))
    await bench.time.advance(10)
    return tracker.members.present(collection)
  }
  t.strictSame(await say('offline', 5), ['attic'], 'of an older session')
  tracker.members.connected()
  t.strictSame(await say('offline', 5), [], 'the broker may have forgotten the other')
  t.strictSame(await say('offline', 4), [])
  await tracker.stop()
})
