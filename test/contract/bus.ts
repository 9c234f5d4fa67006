import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { Bus, ConnectBus, Link } from '../../src/bus/bus.ts'
import { limits } from '../../src/limits.ts'

export interface BusUnderTest {
  /** For `identities` only. */
  connectAs(identity: string): ConnectBus
  /** Ends the links of one identity abnormally, so that they can come back; absent where nothing can do that. */
  cut?(identity: string): void
}

/** All that the contract speaks as; `p1` to `p3` may write their own states. */
export const identities = ['p1', 'p2', 'p3'] as const
type Identity = (typeof identities)[number]

const requests = (collection: string) => `colonnade/collections/${collection}/requests`
const state = (pillar: Identity) => `colonnade/pillars/${pillar}/state`
const reply = (to: Identity, rest: string) => `colonnade/replies/${to}/${rest}`
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString()
const bytes = (said: string) => new TextEncoder().encode(said)

/** One participant that keeps what it was told, as lines: `topic payload` or `topic payload (retained)`. */
interface Participant {
  readonly bus: Bus
  readonly lines: string[]
  ups: number
  downs: number
  /** Resolves when this has become true; rejects after 20 s. */
  until(what: string, isSo: () => boolean): Promise<void>
  say(topic: string, what: string, retain?: boolean): Promise<void>
}

export function join(connect: ConnectBus, link: Partial<Link> & { clientId: string }): Participant {
  const watchers = new Set<() => void>()
  const told = () => {
    for (const watch of watchers) watch()
  }
  const until = (what: string, isSo: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const stop = () => {
        clearTimeout(timer)
        watchers.delete(watch)
      }
      const timer = setTimeout(() => {
        stop()
        reject(new Error(`${link.clientId}: not within 20 s: ${what}; has ${lines.join(', ')}`))
      }, 20_000)
      const watch = () => {
        if (!isSo()) return
        stop()
        resolve()
      }
      watchers.add(watch)
      watch()
    })
  const lines: string[] = []
  const participant = { lines, ups: 0, downs: 0, until }
  const bus = connect({
    persistent: false,
    subscriptions: [],
    ...link,
    receive(topic, payload, retained) {
      lines.push(`${topic} ${text(payload)}${retained ? ' (retained)' : ''}`)
      try {
        link.receive?.(topic, payload, retained)
      } finally {
        told()
      }
    },
    connected() {
      participant.ups++
      told()
    },
    closed(reason) {
      participant.downs++
      link.closed?.(reason)
      told()
    },
  })
  const say = (topic: string, what: string, retain = false) =>
    bus.publish(topic, bytes(what), retain)
  return Object.assign(participant, { bus, say })
}

/** What every bus must do, whatever carries it. */
export function busContract(t: Test, name: string, make: (t: Test) => Promise<BusUnderTest>): void {
  t.test(name, async (t) => {
    const under = await make(t)
    /** A participant that is connected, under its identity unless a client id is given. */
    const joined = async (
      t: Test,
      identity: Identity,
      link: Partial<Link> = {},
    ): Promise<Participant> => {
      const participant = join(under.connectAs(identity), { clientId: identity, ...link })
      t.teardown(() => participant.bus.close())
      await participant.until('connected', () => participant.ups > 0)
      return participant
    }
    messages(t, joined)
    retention(t, joined)
    absence(t, joined)
    sessionEnds(t, joined)
    ends(t, joined, under)
    if (under.cut) cuts(t, joined, under.cut)
  })
}

type Joined = (t: Test, identity: Identity, link?: Partial<Link>) => Promise<Participant>

function messages(t: Test, joined: Joined): void {
  t.test('a message reaches every subscriber whose filter matches, and nobody else', async (t) => {
    const subscriptions = [requests('books')]
    const [one, two] = [
      await joined(t, 'p1', { subscriptions }),
      await joined(t, 'p2', { subscriptions }),
    ]
    const other = await joined(t, 'p3', { subscriptions: [requests('maps')] })
    await one.say(requests('books'), 'who has it?')
    await one.say(requests('maps'), 'end')
    await one.until('the message', () => one.lines.length > 0)
    await two.until('the message', () => two.lines.length > 0)
    await other.until('the end', () => other.lines.length > 0)
    t.same(one.lines, [`${requests('books')} who has it?`])
    t.same(two.lines, one.lines)
    t.same(other.lines, [`${requests('maps')} end`])
  })

  t.test('+ is one level of a filter, # any number', async (t) => {
    const subscriptions = ['colonnade/collections/+/requests', 'colonnade/replies/p1/#']
    const one = await joined(t, 'p1', { subscriptions })
    const two = await joined(t, 'p2')
    await two.say(requests('maps'), 'a')
    await two.say(reply('p2', 'run'), 'not for p1')
    await two.say(reply('p1', 'run'), 'b')
    await two.say('colonnade/alarms', 'not asked for')
    await two.say(requests('books'), 'end')
    await one.until('the end', () => one.lines.includes(`${requests('books')} end`))
    t.same(one.lines.toSorted(), [
      `${requests('books')} end`,
      `${requests('maps')} a`,
      `${reply('p1', 'run')} b`,
    ])
  })

  t.test('what was acknowledged arrives once and in order', async (t) => {
    const one = await joined(t, 'p1', { subscriptions: [requests('books')] })
    const two = await joined(t, 'p2')
    const numbers = Array.from({ length: 200 }, (_, n) => String(n))
    await Promise.all(numbers.map((n) => two.say(requests('books'), n)))
    await one.until('all', () => one.lines.length >= numbers.length)
    t.same(
      one.lines,
      numbers.map((n) => `${requests('books')} ${n}`),
    )
  })

  t.test('a message is any bytes, up to the limit', async (t) => {
    const received: Uint8Array[] = []
    const receive = (_: string, payload: Uint8Array) => void received.push(payload)
    const one = await joined(t, 'p1', { subscriptions: [requests('books')], receive })
    const two = await joined(t, 'p2')
    const sent = [new Uint8Array(0), randomBytes(1000), randomBytes(limits.messageBytesMax)]
    for (const payload of sent) await two.bus.publish(requests('books'), payload)
    await one.until('all', () => received.length === sent.length)
    t.ok(sent.every((payload, at) => Buffer.from(payload).equals(received[at] ?? randomBytes(1))))
  })

  t.test('what no broker takes is rejected, and the link goes on', async (t) => {
    const one = await joined(t, 'p1', { subscriptions: [requests('books')] })
    const tooLong = new Uint8Array(limits.messageBytesMax + 1)
    await t.rejects(one.bus.publish(requests('books'), tooLong), RangeError)
    await t.rejects(one.say(requests('+'), 'to all?'), RangeError)
    await t.rejects(one.say('', 'to nobody'), RangeError)
    await one.say(requests('books'), 'end')
    await one.until('the end', () => one.lines.length > 0)
    t.equal(one.downs, 0)
  })

  t.test('two connections of one identity with different client ids do not disturb', async (t) => {
    const subscriptions = [reply('p1', '#')]
    const one = await joined(t, 'p1', { clientId: 'p1.a', subscriptions })
    const two = await joined(t, 'p1', { clientId: 'p1.b', subscriptions })
    await one.say(reply('p1', 'x'), 'from a')
    await two.say(reply('p1', 'x'), 'from b')
    for (const each of [one, two]) await each.until('both', () => each.lines.length === 2)
    t.equal(one.downs + two.downs, 0)
  })

  t.test('a handler that throws does not end the link', async (t) => {
    const receive = () => {
      throw new Error('no')
    }
    const one = await joined(t, 'p1', { subscriptions: [requests('books')], receive })
    await one.say(requests('books'), 'a')
    await one.say(requests('books'), 'b')
    await one.until('both', () => one.lines.length === 2)
    t.equal(one.downs, 0)
  })
}

function retention(t: Test, joined: Joined): void {
  t.test('a retained message reaches a later subscriber, and only that one flagged', async (t) => {
    const subscriptions = ['colonnade/pillars/+/state']
    const early = await joined(t, 'p2', { subscriptions })
    const one = await joined(t, 'p1')
    await one.say(state('p1'), 'born', true)
    await early.until('the birth', () => early.lines.length > 0)
    const late = await joined(t, 'p3', { subscriptions })
    await late.until('the birth', () => late.lines.length > 0)
    t.same(early.lines, [`${state('p1')} born`])
    t.same(late.lines, [`${state('p1')} born (retained)`])
    await one.say(state('p1'), '', true)
  })

  t.test('an empty retained message clears it', async (t) => {
    const one = await joined(t, 'p1')
    await one.say(state('p1'), 'born', true)
    await one.say(state('p1'), '', true)
    const late = await joined(t, 'p2', { subscriptions: [state('p1'), requests('books')] })
    await one.say(requests('books'), 'end')
    await late.until('the end', () => late.lines.length > 0)
    t.same(late.lines, [`${requests('books')} end`])
  })
}

function absence(t: Test, joined: Joined): void {
  t.test('a persistent session gets what was published while it was away', async (t) => {
    const link = { persistent: true, subscriptions: [requests('books'), state('p2')] }
    const before = await joined(t, 'p1', link)
    await before.bus.close()
    const two = await joined(t, 'p2')
    await two.say(requests('books'), 'a')
    await two.say(state('p2'), 'b', true)
    const after = await joined(t, 'p1', link)
    await after.until('all', () => after.lines.length === 3)
    // What is retained comes once as it was sent, and once as the state of things.
    const state2 = `${state('p2')} b`
    t.same(after.lines.toSorted(), [`${requests('books')} a`, state2, `${state2} (retained)`])
    t.same(before.lines, [])
    await two.say(state('p2'), '', true)
  })

  t.test('a clean session gets nothing of that', async (t) => {
    const link = { clientId: 'p1.run', subscriptions: [requests('books')] }
    const before = await joined(t, 'p1', link)
    await before.bus.close()
    const two = await joined(t, 'p2')
    await two.say(requests('books'), 'a')
    const after = await joined(t, 'p1', link)
    await two.say(requests('books'), 'end')
    await after.until('the end', () => after.lines.length > 0)
    t.same(after.lines, [`${requests('books')} end`])
  })
}

function sessionEnds(t: Test, joined: Joined): void {
  t.test('connecting without a session ends the one that was persistent', async (t) => {
    const link = { persistent: true, subscriptions: [requests('books')] }
    const before = await joined(t, 'p1', link)
    await before.bus.close()
    const two = await joined(t, 'p2')
    await two.say(requests('books'), 'a')
    const clean = await joined(t, 'p1', { subscriptions: [reply('p1', '#')] })
    await two.say(requests('books'), 'b')
    await two.say(reply('p1', 'x'), 'end')
    await clean.until('the end', () => clean.lines.length > 0)
    await clean.bus.close()
    await two.say(requests('books'), 'c')
    const after = await joined(t, 'p1', link)
    await two.say(requests('books'), 'end')
    await after.until('the end', () => after.lines.length > 0)
    t.same(clean.lines, [`${reply('p1', 'x')} end`])
    t.same(after.lines, [`${requests('books')} end`])
  })
}

function ends(t: Test, joined: Joined, under: BusUnderTest): void {
  t.test('publishing before the link is up, and after close, is rejected', async (t) => {
    const one = join(under.connectAs('p1'), { clientId: 'p1' })
    await t.rejects(one.say(requests('books'), 'too early'))
    await one.until('connected', () => one.ups > 0)
    await one.bus.close()
    await t.rejects(one.say(requests('books'), 'too late'))
    t.equal(one.downs, 0, 'and leaving is not told as an end')
  })

  t.test('closing before the link is up leaves at once', async (t) => {
    const one = join(under.connectAs('p1'), { clientId: 'p1' })
    await one.bus.close()
    t.equal(one.ups, 0)
  })

  t.test('closing in order publishes no Will, and lets what is on its way arrive', async (t) => {
    const watcher = await joined(t, 'p2', { subscriptions: [state('p1'), requests('books')] })
    const will = { topic: state('p1'), payload: bytes('dead') }
    const one = await joined(t, 'p1', { will })
    const last = one.say(requests('books'), 'the last')
    await one.bus.close()
    await last
    await watcher.say(requests('books'), 'end')
    await watcher.until('the end', () => watcher.lines.includes(`${requests('books')} end`))
    t.same(watcher.lines, [`${requests('books')} the last`, `${requests('books')} end`])
  })
}

function cuts(t: Test, joined: Joined, cut: (identity: string) => void): void {
  t.test('an abnormal end publishes the Will, retained', async (t) => {
    const watcher = await joined(t, 'p2', { subscriptions: [state('p1')] })
    const will = { topic: state('p1'), payload: bytes('dead') }
    const one = await joined(t, 'p1', { will })
    cut('p1')
    await watcher.until('the Will', () => watcher.lines.length > 0)
    const late = await joined(t, 'p3', { subscriptions: [state('p1')] })
    await late.until('the Will', () => late.lines.length > 0)
    t.same(watcher.lines, [`${state('p1')} dead`])
    t.same(late.lines, [`${state('p1')} dead (retained)`])
    await one.until('connected again', () => one.ups === 2)
    await one.say(state('p1'), '', true)
  })

  t.test('a link that was cut comes back by itself, with its subscriptions', async (t) => {
    const one = await joined(t, 'p1', { subscriptions: [requests('books')] })
    const two = await joined(t, 'p2')
    cut('p1')
    await one.until('told of the end', () => one.downs > 0)
    await t.rejects(one.say(requests('books'), 'while down'))
    await one.until('connected again', () => one.ups === 2)
    await two.say(requests('books'), 'welcome back')
    await one.until('the message', () => one.lines.length > 0)
    t.same(one.lines, [`${requests('books')} welcome back`])
  })

  t.test('a persistent session gets what was published while its link was down', async (t) => {
    const link = { persistent: true, subscriptions: [requests('books')] }
    const one = await joined(t, 'p1', link)
    const two = await joined(t, 'p2')
    cut('p1')
    await one.until('told of the end', () => one.downs > 0)
    await two.say(requests('books'), 'meanwhile')
    await one.until('the message', () => one.lines.length > 0)
    t.same(one.lines, [`${requests('books')} meanwhile`])
  })

  t.test('a publish that is on its way when the link is cut is rejected', async (t) => {
    const one = await joined(t, 'p1')
    const said = one.say(requests('books'), 'lost')
    cut('p1')
    await t.rejects(said)
    await one.until('connected again', () => one.ups === 2)
  })
}
