import t from 'tap'
import { type BusFaults, simBroker } from '../../src/sim/bus.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { join } from '../contract/bus.ts'

const start = (faults: BusFaults = {}, seed = 1) => {
  const time = simClock()
  return { ...time, broker: simBroker({ clock: time.clock, random: simRandom(seed), faults }) }
}

/** Two who are connected; `count` publishes that many numbered messages. */
async function pair(faults: BusFaults = {}, seed = 1) {
  const started = start(faults, seed)
  const { broker, advance } = started
  const hears = join(broker.connectAs('p1'), {
    clientId: 'p1',
    persistent: true,
    subscriptions: ['x'],
  })
  const says = join(broker.connectAs('p2'), { clientId: 'p2' })
  await advance(100)
  const count = async (messages: number, everyMs = 10) => {
    let acknowledged = 0
    for (let n = 0; n < messages; n++) {
      const done = () => {
        acknowledged++
      }
      says.say('x', String(n)).then(done, () => {})
      await advance(everyMs)
    }
    await advance(60_000)
    return acknowledged
  }
  const heard = () => hears.lines.map((line) => Number(line.slice(2)))
  return { ...started, hears, says, count, heard }
}

t.test('without faults everything arrives once, in order, with virtual time only', async (t) => {
  const { count, heard, broker } = await pair()
  t.equal(await count(100), 100)
  t.same(heard(), [...Array(100).keys()])
  t.match(broker.counters, { published: 100, delivered: 100, lost: 0, cuts: 0 })
})

t.test('each fault does what it says, and is counted', async (t) => {
  const lossy = await pair({ lost: 0.2 })
  t.equal(await lossy.count(100), 100, 'what is lost was acknowledged')
  t.ok(lossy.broker.counters.lost > 5)
  t.equal(lossy.heard().length, 100 - lossy.broker.counters.lost)

  const twice = await pair({ duplicated: 0.2 })
  await twice.count(100)
  t.ok(twice.broker.counters.duplicated > 5)
  t.equal(twice.heard().length, 100 + twice.broker.counters.duplicated)

  const late = await pair({ delayed: 0.2 })
  await late.count(100)
  t.ok(late.broker.counters.delayed > 5)
  t.same(late.heard(), [...Array(100).keys()], 'a delay holds up what is behind')

  const mixed = await pair({ reordered: 0.2 })
  await mixed.count(100)
  t.ok(mixed.broker.counters.reordered > 5)
  t.notSame(mixed.heard(), [...Array(100).keys()])
  t.same(
    mixed.heard().toSorted((a, b) => a - b),
    [...Array(100).keys()],
  )

  const flaky = await pair({ cut: 0.05, cutMsMax: 100 })
  const acknowledged = await flaky.count(100, 500)
  t.ok(flaky.broker.counters.cuts > 2)
  t.ok(flaky.hears.downs > 0 && flaky.hears.ups > 1)
  t.ok(acknowledged > 0 && acknowledged < 100)
  t.ok(flaky.heard().length >= acknowledged, 'what was acknowledged waited in the session')
})

t.test('a message that stops on its way holds up those behind it', async (t) => {
  const faults: BusFaults = {}
  const { says, hears, advance } = await pair(faults)
  faults.delayed = 1
  void says.say('x', 'a')
  faults.delayed = 0
  void says.say('x', 'b')
  await advance(5)
  t.same(hears.lines, [])
  await advance(5_000)
  t.same(hears.lines, ['x a', 'x b'])
})

t.test('what arrives while its receiver is leaving waits in the session', async (t) => {
  const { broker, says, hears, advance, finish } = await pair()
  void says.say('x', 'late')
  await advance(1)
  const last = hears.say('y', 'the last')
  await finish(hears.bus.close())
  await last
  t.same(hears.lines, [])
  const link = { clientId: 'p1', persistent: true, subscriptions: ['x'] }
  const after = join(broker.connectAs('p1'), link)
  await advance(100)
  t.same(after.lines, ['x late'])
})

t.test('the same seed gives the same story, another one another', async (t) => {
  const story = async (seed: number) => {
    const faults = { lost: 0.1, duplicated: 0.1, delayed: 0.1, reordered: 0.1, cut: 0.02 }
    const { count, hears, broker } = await pair({ ...faults, noticeMsMax: 1_000 }, seed)
    const acknowledged = await count(200)
    return { acknowledged, lines: hears.lines, counters: { ...broker.counters } }
  }
  t.same(await story(7), await story(7))
  t.notSame(await story(7), await story(8))
})

t.test('faults may end while it runs', async (t) => {
  const faults: BusFaults = { lost: 1 }
  const { count, heard } = await pair(faults)
  await count(10)
  faults.lost = 0
  await count(10)
  t.equal(heard().length, 10)
})

t.test('a wiped broker has forgotten sessions, queues and what was retained', async (t) => {
  const { broker, says, hears, advance } = await pair()
  broker.cut('p1', 10_000)
  await advance(1)
  void says.say('x', 'queued', true)
  await advance(100)
  broker.wipe(5_000)
  await advance(1_000)
  t.equal(says.downs, 2, 'once cut, once not reached')
  await advance(120_000)
  t.same(hears.lines, [])
  t.ok(says.ups === 2 && hears.ups === 2)
  void says.say('x', 'new')
  await advance(10)
  t.same(hears.lines, ['x new'])
})

t.test('a restarted broker remembers', async (t) => {
  const { broker, says, hears, advance } = await pair()
  broker.cut('p1', 10_000)
  await advance(1)
  void says.say('x', 'queued')
  await advance(100)
  broker.restart(1_000)
  await advance(120_000)
  t.same(hears.lines, ['x queued'])
})

t.test('the killed are told nothing; their Will is published, their session waits', async (t) => {
  const { broker, says, advance } = await pair()
  const will = { topic: 'dead', payload: Buffer.from('p3') }
  const link = { clientId: 'p3', persistent: true, subscriptions: ['x'], will }
  const victim = join(broker.connectAs('p3'), link)
  const watcher = join(broker.connectAs('p4'), { clientId: 'p4', subscriptions: ['dead'] })
  await advance(100)
  void says.say('x', 'on its way')
  broker.kill('p3')
  await advance(60_000)
  t.same([victim.lines, victim.ups, victim.downs], [[], 1, 0])
  t.same(watcher.lines, ['dead p3'])
  const next = join(broker.connectAs('p3'), link)
  await advance(100)
  t.same(next.lines, ['x on its way'])
})

t.test('a cut may be noticed late, but not after its owner is back', async (t) => {
  const { broker, advance } = start({ noticeMsMax: 1e9 })
  const will = { topic: 'state', payload: Buffer.from('dead') }
  const one = join(broker.connectAs('p1'), { clientId: 'p1', will })
  const watcher = join(broker.connectAs('p2'), { clientId: 'p2', subscriptions: ['state'] })
  await advance(100)
  broker.cut('p1', 5_000)
  await advance(5_000)
  t.same(watcher.lines, [])
  await advance(10_000)
  t.equal(one.ups, 2)
  t.same(watcher.lines, ['state dead'])
})

t.test('who takes a client id throws the other out; a foreign one is never reached', async (t) => {
  const { broker, advance } = start()
  const first = join(broker.connectAs('p1'), { clientId: 'p1' })
  await advance(100)
  const second = join(broker.connectAs('p1'), { clientId: 'p1' })
  const foreign = join(broker.connectAs('p2'), { clientId: 'p1' })
  await advance(100)
  t.same([first.downs, second.ups, foreign.ups], [1, 1, 0])
})

t.test('a queue is bounded, the oldest is dropped', async (t) => {
  const { broker, says, heard, advance } = await pair()
  broker.cut('p1', 10_000)
  for (let n = 0; n < 1_100; n++) void says.say('x', String(n))
  await advance(60_000)
  t.same([heard().length, heard()[0], broker.counters.overflowed], [1_000, 100, 100])
})

t.test('leaving in order ends the work of its own link only', async (t) => {
  const { broker, says, hears, finish, waiting, advance } = await pair()
  await finish(hears.bus.close())
  void says.say('x', 'waits')
  await advance(10)
  await finish(says.bus.close())
  t.equal(waiting(), 0, 'nobody sleeps any more')
  t.equal(broker.counters.delivered, 0)
})
