// Mains fail in the middle of things: whole archives in one thread, each pillar with a UPS on a serial line.

import t, { type Test } from 'tap'
import { heardAlarms } from '../../src/client/alarms.ts'
import type { Client } from '../../src/client/client.ts'
import { statuses } from '../../src/client/list.ts'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { type Board, type Fleet, startFleet } from '../../src/sim/fleet.ts'
import type { FleetOptions } from '../../src/sim/fleet-ground.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import type { PoweredBoard } from '../../src/sim/powered.ts'
import { held } from './held.ts'

const { signal } = new AbortController()
const second = 1_000
const minute = 60 * second
const hour = 60 * minute

type Item = PutItem & { readonly bytes: Uint8Array }
type Powered = Board & { readonly power: PoweredBoard }

interface Setting {
  readonly fleet: Fleet
  readonly client: Client
  readonly boards: readonly [Powered, Powered, Powered]
  item(id: string, size?: number): Item
  put(...items: readonly Item[]): ReturnType<typeof putBatch>
  pass(ms: number): Promise<void>
}

async function setting(t: Test, options: Partial<FleetOptions> = {}): Promise<Setting> {
  const fleet = await startFleet({
    ...{ seed: t.name, pillars: 3, copiesMin: 2, power: {} },
    ...options,
  })
  const client = await fleet.client('ann')
  await fleet.time.advance(second)
  const [one, two, three] = fleet.boards.filter((board): board is Powered => !!board.power)
  if (!one || !two || !three) throw new Error('three boards')
  return {
    ...{ fleet, client, boards: [one, two, three] },
    item: (id, size = 1_000) => memoryItem(fleet.random, fleet, id, size),
    put: (...items) => putBatch(client, 'home', items, { signal }),
    pass: (ms) => fleet.time.advance(ms),
  }
}

async function alarmsOf({ fleet, client }: Setting): Promise<string[]> {
  const told = async (): Promise<string[]> => {
    const texts: string[] = []
    for await (const { component, text } of heardAlarms(client, {}, signal))
      texts.push(`${component}: ${text}`)
    return texts
  }
  return fleet.time.finish(told())
}

const statusOf = async ({ fleet, client }: Setting, pillar: string) =>
  (await fleet.time.finish(statuses(client, 'home', signal))).get(pillar)

t.test(
  '[PWR-7] on battery a pillar refuses new files with the reason, and is owed them',
  async (t) => {
    const all = await setting(t)
    const { fleet, boards, item, put, pass } = all
    const [one, two, three] = boards
    const [a, b, c] = [item('a'), item('b'), item('c')]
    await fleet.time.finish(put(a))
    one.power.ups.mains = false
    await pass(15 * second)
    t.match(await statusOf(all, one.name), {
      verdict: 'WARNING',
      power: { mode: 'battery', refusal: /it runs on battery/, lastEvent: { mode: 'battery' } },
    })
    const [stored] = await fleet.time.finish(put(b))
    t.match(stored, { outcome: 'stored', copies: [two.name, three.name], owed: [one.name] })
    t.equal(await held(one, [b]), 0)
    two.power.ups.mains = false
    await pass(15 * second)
    const [short] = await fleet.time.finish(put(c))
    t.match(short, {
      outcome: 'failed',
      why: /pillar-[12]: it runs on battery; nothing new is taken/,
    })
    t.equal((await held(one, [c])) + (await held(two, [c])), 0)
    await pass(minute)
    t.equal(await held(one, [b]), 0, 'nor does the tracker bring it')
    t.same((await alarmsOf(all)).sort(), [
      'pillar-1: power: on battery',
      'pillar-2: power: on battery',
    ])
    Object.assign(one.power.ups, { mains: true })
    Object.assign(two.power.ups, { mains: true })
    await pass(3 * minute)
    t.equal(await held(one, [a, b]), 2, 'brought when the mains are back')
    t.match((await fleet.time.finish(put(c)))[0], { outcome: 'stored' })
    t.match(await statusOf(all, one.name), { verdict: 'OK', power: { mode: 'mains' } })
  },
)

/** A put of which the small file is nearly done and the large one is not. */
async function halfDone(all: Setting) {
  const { fleet, item, put, pass } = all
  Object.assign(fleet.netFaults, { latencyMsMin: 800, latencyMsMax: 800 })
  const items = [item('small', 1_600_000), item('large', 5_000_000)]
  const putting = put(...items)
  await pass(6 * second)
  return { items, putting }
}

/** So that two megabytes are too many, at the rate that is assumed at first. */
const shortly = { power: { finishMs: 500 } }

t.test('[PWR-7] mains fail in the middle of a put: what is nearly done is finished', async (t) => {
  const all = await setting(t, shortly)
  const { fleet, boards, pass } = all
  const [one, two, three] = boards
  const { items, putting } = await halfDone(all)
  one.power.ups.mains = false
  const results = await fleet.time.finish(putting)
  t.match(results, [
    { id: 'small', outcome: 'stored', copies: [one.name, two.name, three.name] },
    { id: 'large', outcome: 'stored', copies: [two.name, three.name], owed: [one.name] },
  ])
  const { bytesDown } = fleet.net.counters
  one.power.ups.mains = true
  Object.assign(fleet.netFaults, { latencyMsMin: 1, latencyMsMax: 5 })
  await pass(4 * minute)
  t.equal(await held(one, items), 2)
  const again = fleet.net.counters.bytesDown - bytesDown
  t.ok(again < 4_500_000, `the part that it had is kept: ${again} bytes`)
})

t.test('[PWR-7] all pillars lose their mains in the middle of a put', async (t) => {
  const all = await setting(t, shortly)
  const { fleet, boards, put, pass } = all
  const { items, putting } = await halfDone(all)
  for (const { power } of boards) power.ups.mains = false
  const results = await fleet.time.finish(putting)
  t.match(results, [
    { id: 'small', outcome: 'stored' },
    { id: 'large', outcome: 'failed', why: /it runs on battery/ },
  ])
  for (const { power } of boards) power.ups.mains = true
  Object.assign(fleet.netFaults, { latencyMsMin: 1, latencyMsMax: 5 })
  await pass(2 * minute)
  t.match(await fleet.time.finish(put(...items)), [{ outcome: 'stored' }, { outcome: 'stored' }])
})

t.test(
  '[PWR-9] the battery ends in the middle of a put: stop, park, switch off; go on later',
  async (t) => {
    const all = await setting(t)
    const { fleet, boards, item, put, pass, client } = all
    const [one] = boards
    const first = [item('a'), item('b', 300_000)]
    await fleet.time.finish(put(...first))
    const { items, putting } = await halfDone(all)
    Object.assign(one.power.ups, { mains: false, low: true })
    await pass(30 * second)
    t.same(one.power.steps, ['open', 'leave', 'closed', 'park', 'shutDown'])
    t.equal(one.running(), undefined)
    t.equal(client.line.presence(one.name), 'offline')
    const until = client.line.downUntil(one.name) ?? 0
    t.ok(
      Math.abs(until - fleet.time.clock.now() - 24 * hour) < minute,
      'down on purpose, for a day',
    )
    t.match(await fleet.time.finish(putting), [
      { id: 'small', outcome: 'stored' },
      { id: 'large', outcome: 'stored', owed: [one.name] },
    ])
    t.equal(await held(one, first), 2, 'what was acknowledged survived the switching off')
    await pass(hour)
    Object.assign(one.power.ups, { mains: true, low: false })
    Object.assign(fleet.netFaults, { latencyMsMin: 1, latencyMsMax: 5 })
    await fleet.time.finish(one.start())
    await pass(5 * minute)
    t.equal(client.line.downUntil(one.name), undefined)
    t.equal(await held(one, [...first, ...items]), 4)
  },
)

t.test('[PWR-9] mains of a moment in the middle of the stop are none: it goes off', async (t) => {
  const { fleet, boards, item, put, pass } = await setting(t)
  const [one] = boards
  const { power } = one
  await fleet.time.finish(put(item('a')))
  power.onStep = (step) => {
    if (step === 'closed') Object.assign(power.ups, { mains: true, low: false })
  }
  Object.assign(power.ups, { mains: false, low: true })
  await pass(20 * second)
  t.same(power.steps.slice(0, 4), ['open', 'leave', 'closed', 'park'])
  t.equal(power.shutDowns, 1, 'mains of a moment are none')
  t.equal(one.running(), undefined)
})

t.test(
  '[PWR-12] mains are back before the UPS cuts: it cuts, and the board starts again',
  async (t) => {
    const all = await setting(t, { power: { cutMs: 2 * minute } })
    const { fleet, boards, item, put, pass } = all
    const [one] = boards
    const { power } = one
    const items = [item('a'), item('b')]
    await fleet.time.finish(put(...items))
    const output: boolean[] = []
    let started: Promise<void> | undefined
    power.ups.onOutput = (isOn) => {
      output.push(isOn)
      t.equal(one.running(), undefined, 'whatever it does, the board is off')
      if (isOn) started = one.start()
    }
    Object.assign(power.ups, { mains: false, low: true })
    await pass(20 * second)
    t.same(power.steps, ['open', 'leave', 'closed', 'park', 'cut', 'shutDown'])
    Object.assign(power.ups, { mains: true, low: false })
    await pass(minute)
    t.same(output, [], 'not before its time')
    await pass(2 * minute)
    t.same(output, [false], 'nor does it come back at once')
    await pass(3 * minute)
    t.same(output, [false, true])
    await fleet.time.finish(started ?? Promise.reject(new Error('it was not started')))
    t.equal(await held(one, items), 2)
    // One that does not know the order: it is switched off all the same.
    Object.assign(power.ups, { mains: false, low: true, manners: 'good' })
    power.onStep = (step) => {
      if (step === 'cut') power.ups.manners = 'echo'
    }
    await pass(30 * second)
    t.same(power.steps.slice(-2), ['cut', 'shutDown'])
    await pass(5 * minute)
    t.same(output, [false, true])
  },
)

t.test('[PWR-9] without a way to switch off it waits, and goes on by itself', async (t) => {
  const all = await setting(t)
  const { fleet, boards, item, put, pass } = all
  const [one] = boards
  const { power } = one
  const items = [item('a'), item('b')]
  await fleet.time.finish(put(...items))
  power.off = false
  Object.assign(power.ups, { mains: false, low: true })
  await pass(minute)
  t.equal(one.running(), undefined)
  t.same(power.steps, ['open', 'leave', 'closed', 'park', 'shutDown'])
  Object.assign(power.ups, { mains: true, low: false })
  await pass(50 * second)
  t.equal(one.running(), undefined, 'mains of a moment are none')
  await pass(30 * second)
  t.same(power.steps.slice(5), ['unpark', 'open'])
  t.ok(one.running()?.isConnected())
  t.match(await fleet.time.finish(put(item('c'))), [{ copies: [one.name, 'pillar-2', 'pillar-3'] }])
})

t.test('[PWR-9] the power goes for good in the middle of the stop: nothing is lost', async (t) => {
  for (const at of ['leave', 'closed', 'park', 'shutDown']) {
    const { fleet, boards, item, put, pass } = await setting(t, { seed: at })
    const [one] = boards
    const { power } = one
    const items = Array.from({ length: 20 }, (_, n) => item(`${n}`, 20_000))
    t.ok((await fleet.time.finish(put(...items))).every(({ copies }) => copies.includes(one.name)))
    power.onStep = (step) => {
      if (step === at) one.crash()
    }
    Object.assign(power.ups, { mains: false, low: true })
    await pass(minute)
    power.onStep = () => undefined
    Object.assign(power.ups, { mains: true, low: false })
    await fleet.time.finish(one.start())
    await pass(minute)
    t.equal(await held(one, items), 20, at)
  }
})

t.test('[PWR-1] mains fail in the middle of a scrub: it rests, and goes on', async (t) => {
  const slow = { spinUpMs: 0, sleepsAfterMs: hour, bytesPerMs: 100 }
  const all = await setting(t, { slow })
  const { fleet, boards, item, put, pass } = all
  const [one] = boards
  const items = Array.from({ length: 6 }, (_, n) => item(`${n}`, 1_500_000))
  await fleet.time.finish(put(...items))
  await fleet.time.finish(one.stop())
  one.clock.setOffset(88 * 24 * hour)
  await fleet.time.finish(one.start())
  const proven = async (): Promise<number> => {
    const rows = await one.index.stored(
      'home',
      items.map(({ id }) => id),
    )
    return rows.filter((row) => (row?.provenAt ?? 0) > fleet.time.clock.now() + 24 * hour).length
  }
  await pass(10 * minute)
  t.equal(await proven(), 0, 'nothing is proven in the first minutes')
  await pass(30 * second)
  one.power.ups.mains = false
  await pass(8 * minute)
  t.equal(await proven(), 0, 'in the middle of it')
  one.power.ups.mains = true
  await pass(6 * minute)
  t.equal(await proven(), 6)
})

t.test(
  '[PWR-10] mains fail in the middle of a repair: it waits, and both sides know',
  async (t) => {
    const all = await setting(t)
    const { fleet, boards, item, put, pass } = all
    const [one, two, three] = boards
    const items = Array.from({ length: 60 }, (_, n) => item(`${n}`, 100_000))
    for (let at = 0; at < 60; at += 30) await fleet.time.finish(put(...items.slice(at, at + 30)))
    three.crash()
    await pass(minute)
    three.newDisk()
    Object.assign(fleet.netFaults, { latencyMsMin: 200, latencyMsMax: 400 })
    await fleet.time.finish(three.start())
    while ((await held(three, items)) === 0) await pass(second)
    three.power.ups.mains = false
    await pass(40 * second)
    const came = await held(three, items)
    t.ok(came > 0 && came < 60, `${came} of 60`)
    await pass(5 * minute)
    t.equal(await held(three, items), came, 'nothing is brought to it')
    three.power.ups.mains = true
    // And nothing is fetched from those that save theirs.
    for (const { power } of [one, two]) power.ups.mains = false
    await pass(3 * minute)
    t.equal(await held(three, items), came)
    for (const { power } of [one, two]) power.ups.mains = true
    await pass(10 * minute)
    t.equal(await held(three, items), 60)
  },
)

t.test('[PWR-6] flapping mains: nothing acknowledged is lost, and it stops once', async (t) => {
  const all = await setting(t)
  const { fleet, boards, item, put, pass } = all
  const [one] = boards
  const acknowledged: Item[] = []
  for (let n = 0; n < 30; n++) {
    one.power.ups.mains = n % 2 === 0
    await pass((5 + ((n * 7) % 40)) * second)
    const some = item(`${n}`, 50_000)
    const [result] = await fleet.time.finish(put(some))
    t.equal(result?.outcome, 'stored')
    if (result?.copies.includes(one.name)) acknowledged.push(some)
  }
  t.ok(acknowledged.length > 0 && acknowledged.length < 30, `${acknowledged.length}`)
  t.equal(await held(one, acknowledged), acknowledged.length)
  t.same(one.power.steps, ['open'])
  one.power.ups.mains = true
  await pass(5 * minute)
  t.equal((await statusOf(all, one.name))?.files, 30, 'all the rest was brought')
})

t.test('[PWR-5] a battery that lies: full, and dead; or never low, and too long', async (t) => {
  const all = await setting(t)
  const { fleet, boards, item, put, pass } = all
  const [one, two] = boards
  const items = [item('a', 200_000), item('b')]
  await fleet.time.finish(put(...items))
  one.power.ups.mains = false
  two.power.ups.mains = false
  await pass(5 * minute)
  one.crash()
  await pass(4 * minute)
  t.equal(two.power.shutDowns, 0)
  await pass(90 * second)
  t.equal(two.power.shutDowns, 1, 'ten minutes on battery are enough, whatever it says')
  for (const board of [one, two]) {
    board.power.ups.mains = true
    await fleet.time.finish(board.start())
    t.equal(await held(board, items), 2)
  }
})

t.test(
  '[PWR-8] under-voltage in the middle of a put: nothing is written until it is over',
  async (t) => {
    const all = await setting(t)
    const { fleet, boards, pass } = all
    const [one] = boards
    const { items, putting } = await halfDone(all)
    one.power.weak = true
    await pass(10 * second)
    const before = one.disk.snapshot()
    await pass(40 * second)
    t.same(sizes(one.disk.snapshot()), sizes(before))
    one.power.weak = false
    const results = await fleet.time.finish(putting)
    t.ok(
      results.every(({ copies }) => copies.includes(one.name)),
      JSON.stringify(results),
    )
    t.equal(await held(one, items), 2)
    // One that lasts: those who wait are told.
    Object.assign(fleet.netFaults, { latencyMsMin: 800, latencyMsMax: 800 })
    const again = all.put(all.item('another', 2_000_000))
    await pass(6 * second)
    one.power.weak = true
    t.match(await fleet.time.finish(again), [{ outcome: 'stored', owed: [one.name] }])
    t.ok((await alarmsOf(all)).includes('pillar-1: power: under-voltage: nothing is written'))
  },
)

const sizes = (files: ReadonlyMap<string, Uint8Array>): string[] =>
  [...files].map(([path, bytes]) => `${path} ${bytes.length}`)

t.test('[PWR-8] nor is anything deleted with too weak a supply; on battery it is', async (t) => {
  const { fleet, client, boards, item, put, pass } = await setting(t)
  const [one] = boards
  const items = [item('a'), item('b')]
  await fleet.time.finish(put(...items))
  const removed = (id: string) => {
    const checksum = items.find((item) => item.id === id)?.checksum ?? ''
    return fleet.time.finish(remove(client, 'home', { id, checksum }, [one.name], signal))
  }
  one.power.weak = true
  await pass(10 * second)
  t.match(await removed('a'), [{ is: 'refused', why: /under-voltage/ }])
  Object.assign(one.power, { weak: false })
  one.power.ups.mains = false
  await pass(90 * second)
  t.match(await removed('a'), [{ is: 'done' }])
  t.equal(await held(one, items), 1)
})

t.test('[PWR-7] on battery no fragment is applied for', async (t) => {
  const { fleet, client, boards, item, pass } = await setting(t, {
    fragments: { bytes: 65_536, copies: 2 },
  })
  await pass(minute)
  const [one, two, three] = boards
  one.power.ups.mains = false
  await pass(15 * second)
  const putting = putBatch(client, 'pieces', [item('a', 500_000)], { signal })
  t.match(await fleet.time.finish(putting), [{ outcome: 'stored' }])
  const pieces = async ({ index }: Board): Promise<number> =>
    (await index.summary()).find(({ collection }) => collection === 'pieces')?.files ?? 0
  t.equal(await pieces(one), 0)
  t.ok((await pieces(two)) > 7 && (await pieces(three)) > 7)
})

t.test('[PWR-11] the plug of the line is pulled: told, and work goes on', async (t) => {
  const all = await setting(t)
  const { fleet, boards, item, put, pass } = all
  const [one] = boards
  one.power.plug(false)
  await pass(3 * minute)
  t.match(await statusOf(all, one.name), { verdict: 'WARNING', power: { mode: 'unknown' } })
  t.match(await alarmsOf(all), [/pillar-1: power: nobody can tell .*no such device/])
  t.match((await fleet.time.finish(put(item('a'))))[0], { copies: [one.name, /./, /./] })
  one.power.plug(true)
  await pass(30 * second)
  t.match(await statusOf(all, one.name), { verdict: 'OK', power: { mode: 'mains' } })
})

t.test(
  '[PWR-10] down on purpose: waited for beyond the grace time, and not for ever',
  async (t) => {
    const options = {
      ...{ fragments: { bytes: 65_536, copies: 2 }, graceMs: 10 * minute },
      power: { awayMs: 40 * minute, everyMs: 30 * second },
    }
    const gone = (fleet: Fleet): number =>
      fleet.lines().filter((line) => line.includes('members.gone')).length
    for (const how of ['said', 'died on battery', 'died']) {
      const { fleet, boards, pass } = await setting(t, { ...options, seed: how })
      const [one] = boards
      await pass(minute)
      one.power.ups.mains = how === 'died'
      await pass(3 * minute)
      if (how === 'said') one.power.ups.low = true
      await pass(3 * minute)
      if (how === 'said') t.same(one.power.steps.at(-1), 'shutDown')
      else one.crash()
      await pass(25 * minute)
      t.equal(gone(fleet), how === 'died' ? 1 : 0, `${how}: before it means to be back`)
      await pass(25 * minute)
      t.equal(gone(fleet), 1, `${how}: long after`)
    }
  },
)
