// R7: whatever breaks, a transfer goes on where it was; an interruption sends at most a page again.
import t, { type Test } from 'tap'
import { bench } from '../../src/exchange/bench.ts'
import { limits } from '../../src/limits.ts'
import { simRandom } from '../../src/sim/random.ts'
import { TransferFailed } from '../../src/transfer/attempts.ts'
import { hopsOf } from '../../src/transfer/route.ts'
import type { Serve } from '../../src/transfer/transfer.ts'
import {
  claims,
  hopTo,
  lanUrl,
  nameOf,
  patternOffer,
  patternSink,
  pulling,
  pushing,
  type Rig,
  relayUrl,
  releasing,
  rig,
  spoolRig,
  tokenBy,
  type Way,
} from '../exchange/rig.ts'

const pageBytes = 4096
const atLan = [hopTo('ann', lanUrl)]
const hops = () => atLan

/** A client's exchange that offers `a` and takes `b`, of this size. */
async function lanRig(size: number, seed: number | string, perWrite?: () => Promise<void>) {
  const ground = await rig(seed)
  const shelf = bench()
  const place = patternSink(0, perWrite)
  shelf.offer(nameOf('a'), patternOffer(size))
  shelf.land(nameOf('b'), place.sink)
  const serve = ground.exchangeOf('ann', shelf, pageBytes)
  const server = ground.net.serveAs('ann', lanUrl, serve)
  const down: Way = { peer: 'attic', object: 'ann/a', size }
  const up: Way = { peer: 'attic', object: 'ann/b', size, dir: 'up' }
  return { ...ground, shelf, place, serve, server, down, up }
}

t.test(
  'cuts and hangs at every rate: both directions end with equal bytes, and little twice',
  async (t) => {
    const size = 120_000
    for (const [n, rate] of [0, 0.02, 0.1, 0.3, 0.6, 0.8].entries())
      for (const hang of [0, 0.1]) {
        const ground = await lanRig(size, `rate ${rate} ${hang}`)
        const { faults, net, time, place, down, up } = ground
        Object.assign(faults, { cut: rate, hang, refuse: hang, faultBytesMax: 3_000 * (n + 1) })
        const sink = patternSink()
        await time.finish(pulling(ground, down, sink.sink, { hops, pageBytes }))
        const fetched = net.counters.bytesDown
        t.equal(sink.at, size, `pull at ${rate}, hangs ${hang}`)
        t.equal(fetched, size, 'what came came once')
        await time.finish(pushing(ground, up, { hops, pageBytes }))
        t.equal(place.at, size, `push at ${rate}, hangs ${hang}`)
        t.equal(place.finished, 1)
        t.equal(net.counters.bytesUp, size, 'what came came once')
        t.equal(time.waiting(), 0)
      }
  },
)

/** How much came twice, and how often it was interrupted. */
interface Cuts {
  readonly interruptions: number
  readonly again: number
}

function bounded(t: Test, { interruptions, again }: Cuts, about: string): void {
  t.ok(again <= interruptions * pageBytes, `${about}: ${again} bytes for ${interruptions}`)
}

t.test(
  '[XFER-5] a thousand cuts at each way still end, and send less than a page again each',
  async (t) => {
    const size = 1_300_000
    const { net, time, faults, ...ground } = await lanRig(size, 'thousand')
    const parts = { ...ground, net, time, faults }
    Object.assign(faults, { cut: 0.9, hang: 0.02, faultBytesMax: 2_500 })
    const sink = patternSink()
    await time.finish(
      pulling(parts, ground.down, sink.sink, { hops, pageBytes }),
      365 * 24 * 3600_000,
    )
    const down = net.counters.cut
    t.ok(down >= 1000, `${down} cuts while fetching`)
    t.equal(sink.at, size)
    bounded(t, { interruptions: down, again: net.counters.bytesDown - size }, 'fetched')
    await time.finish(pushing(parts, ground.up, { hops, pageBytes }), 365 * 24 * 3600_000)
    const up = net.counters.cut - down
    t.ok(up >= 1000, `${up} cuts while delivering`)
    t.equal(ground.place.at, size)
    bounded(t, { interruptions: up, again: net.counters.bytesUp - size }, 'delivered')
  },
)

t.test('a thousand cuts on the way through a relay', async (t) => {
  const size = 900_000
  const spooled = { quotaBytes: 16 * pageBytes, segmentBytes: pageBytes }
  const ground = await spoolRig(spooled, 'relayed')
  const { net, time, faults, spool } = ground
  net.serveAs('tracker', relayUrl, ground.exchangeOf('tracker', spool, pageBytes))
  Object.assign(faults, { cut: 0.8, hang: 0.01, faultBytesMax: 3_000 })
  const sink = patternSink()
  const all = Promise.all([
    pushing(ground, { peer: 'ann', size }, { pageBytes, receivers: () => ['attic'] }),
    pulling(ground, { peer: 'attic', size }, sink.sink, { pageBytes }),
  ])
  await time.finish(all, 365 * 24 * 3600_000)
  const { cut: interruptions, bytesUp, bytesDown } = net.counters
  t.ok(interruptions >= 1000, `${interruptions} cuts`)
  t.equal(sink.at, size)
  bounded(t, { interruptions, again: bytesUp - size + (bytesDown - size) }, 'relayed')
  faults.cut = 0
  faults.hang = 0
  await time.finish(releasing(ground, 'attic', size))
  t.equal(spool.usedBytes(), 0)
})

t.test('a receiver that loses its power goes on at what was safe', async (t) => {
  const size = 400_000
  const random = simRandom('reboots')
  const ground = await lanRig(size, 'reboots')
  const { net, time, faults, down } = ground
  Object.assign(faults, { cut: 0.3, faultBytesMax: 8_000 })
  const sink = patternSink()
  let reboots = 0
  while (sink.at < size) {
    const power = new AbortController()
    const limit = sink.at + 1 + random.int(30_000)
    const write = async (bytes: Uint8Array) => {
      if (sink.at + bytes.length >= limit) power.abort()
      await sink.sink.write(bytes)
    }
    const fetched = pulling(
      ground,
      down,
      { ...sink.sink, write },
      { hops, pageBytes, signal: power.signal },
    )
    await time.finish(fetched).catch((error) => t.ok(error instanceof TransferFailed))
    if (sink.at === size) break
    t.ok(sink.at - sink.safe <= pageBytes, `${sink.at - sink.safe} bytes were not safe`)
    sink.lose()
    reboots++
  }
  t.ok(reboots > 10, `${reboots} reboots`)
  bounded(t, { interruptions: reboots, again: net.counters.bytesDown - size }, 'fetched')
})

t.test('an exchange that restarts, and tokens that change, cost no more than a cut', async (t) => {
  const size = 600_000
  const slow = async () => ground.time.clock.sleep(400)
  const ground: Awaited<ReturnType<typeof lanRig>> = await lanRig(size, 'restarts', slow)
  const { net, time, serve, down, up } = ground
  let server = ground.server
  let restarts = 0
  const over = new AbortController()
  const restarting = (async () => {
    while (!over.signal.aborted) {
      await time.clock.sleep(5_000, over.signal)
      server.close()
      restarts++
      await time.clock.sleep(700)
      server = net.serveAs('ann', lanUrl, serve)
    }
  })()
  /** Good for ten seconds, and renewed each time somebody asks. */
  const token = (dir: 'up' | 'down', object: string) => () => {
    const exp = Math.floor(time.clock.now() / 1000) + 10
    return tokenBy('ann', claims(ground, { dir, exp, obj: [[nameOf(object), size]] }))
  }
  const sink = patternSink(0, slow)
  await time.finish(
    Promise.all([
      pulling(ground, down, sink.sink, { hops, pageBytes, token: token('down', 'a') }),
      pushing(ground, up, { hops, pageBytes, token: token('up', 'b') }),
    ]),
  )
  over.abort()
  await time.finish(restarting)
  t.equal(sink.at, size)
  t.equal(ground.place.at, size)
  t.ok(restarts > 10, `${restarts} restarts`)
  bounded(t, { interruptions: restarts, again: net.counters.bytesUp - size }, 'delivered')
  bounded(t, { interruptions: restarts, again: net.counters.bytesDown - size }, 'fetched')
})

t.test('a token that ends on its way is no failure when there is a newer one', async (t) => {
  const size = 10_000
  const ground = await lanRig(size, 'tokens')
  for (const dir of ['down', 'up'] as const) {
    const way = dir === 'down' ? ground.down : ground.up
    const object = dir === 'down' ? 'a' : 'b'
    const right = claims(ground, { dir, obj: [[nameOf(object), size]] })
    let asked = 0
    const token = () => tokenBy('ann', { ...right, exp: asked++ === 0 ? 1 : right.exp })
    const sink = patternSink()
    if (dir === 'down')
      await ground.time.finish(pulling(ground, way, sink.sink, { hops, pageBytes, token }))
    else await ground.time.finish(pushing(ground, way, { hops, pageBytes, token }))
    t.equal(dir === 'down' ? sink.at : ground.place.at, size)
    const ended = () => tokenBy('ann', { ...right, exp: 1 })
    const failing: Promise<unknown> =
      dir === 'down'
        ? pulling(ground, way, patternSink().sink, { hops, pageBytes, token: ended })
        : pushing(ground, way, { hops, pageBytes, token: ended })
    await t.rejects(ground.time.finish(failing), { name: 'TransferFailed', message: /403/ })
  }
})

t.test(
  'a client that can not be reached costs a second, however many addresses it has',
  async (t) => {
    const size = 20_000
    const spooled = { quotaBytes: 16 * pageBytes, segmentBytes: pageBytes }
    for (const addresses of [1, 3, 50]) {
      const ground = await spoolRig(spooled, addresses)
      const { net, time, spool, directory } = ground
      net.serveAs('tracker', relayUrl, ground.exchangeOf('tracker', spool, pageBytes))
      const urls = Array.from({ length: addresses }, (_, n) => `https://192.168.1.${n + 1}:443`)
      for (const url of urls) net.partition(url)
      const exchanges = [
        { identity: 'ann', urls },
        { identity: 'tracker', urls: [] },
      ]
      const token = tokenBy('ann', claims(ground, { obj: [[nameOf('a'), size]] }))
      const all = hopsOf({ exchanges, token }, directory)?.hops ?? []
      await time.finish(pushing(ground, { peer: 'ann', size }, { pageBytes }))
      const began = time.clock.monotonic()
      await time.finish(pulling(ground, { peer: 'attic', size }, patternSink().sink, { pageBytes }))
      const direct = time.clock.monotonic() - began
      const waited: string[] = []
      await time.finish(
        pulling(ground, { peer: 'cellar', size }, patternSink().sink, {
          pageBytes,
          hops: () => all,
          waitingAt: (identity) => waited.push(identity),
        }),
      )
      const took = time.clock.monotonic() - began - direct
      t.ok(took >= 900 && took <= direct + 1_050, `${took} ms with ${addresses} addresses`)
      t.ok(waited.length > 0 && waited.every((one) => one === 'tracker'))
    }
  },
)

/** Starts it, and tells how it failed and after how many milliseconds. */
async function failing(ground: Rig, work: Promise<unknown>): Promise<[string, number]> {
  const began = ground.time.clock.monotonic()
  const how = await ground.time.finish(
    work.then(
      () => 'it ended',
      (error) => `${error.name}: ${error.message}`,
    ),
  )
  return [how, ground.time.clock.monotonic() - began]
}

t.test('[XFER-8] what does not move is given up after a while, and not before', async (t) => {
  const size = 50_000
  const answer =
    (status: number): Serve =>
    async () => ({ status, headers: {} })
  const stuck: Record<string, Serve> = {
    'nothing here yet': answer(503),
    'trouble of its own': answer(500),
    'another way': answer(421),
    'no answer at all': () => new Promise(() => {}),
  }
  for (const [about, serve] of Object.entries(stuck)) {
    const ground = await lanRig(size, about)
    ground.server.close()
    ground.net.serveAs('ann', lanUrl, serve)
    const before = ground.time.waiting()
    for (const work of [
      (): Promise<unknown> => pulling(ground, ground.down, patternSink().sink, { hops, pageBytes }),
      () => pushing(ground, ground.up, { hops, pageBytes }),
    ]) {
      const [how, ms] = await failing(ground, work())
      t.equal(how, 'TransferFailed: nothing moved for too long', about)
      t.ok(ms >= limits.transferStallMs && ms < limits.transferStallMs + 120_000, `${about} ${ms}`)
      t.equal(ground.time.waiting(), before, 'nothing is left waiting')
    }
  }
})

t.test(
  'a push whose pages never arrive is given up, although its questions are answered',
  async (t) => {
    const ground = await lanRig(50_000, 'pages')
    ground.server.close()
    ground.net.serveAs('ann', lanUrl, async (peer, request, signal) => {
      if (request.method === 'PATCH') return new Promise(() => {})
      return ground.serve(peer, request, signal)
    })
    const [how, ms] = await failing(ground, pushing(ground, ground.up, { hops, pageBytes }))
    t.equal(how, 'TransferFailed: nothing moved for too long')
    t.ok(ms < limits.transferStallMs + 120_000, `${ms}`)
  },
)

t.test('a page that takes longer than a standstill is none', async (t) => {
  const size = 3 * pageBytes
  const ground = await lanRig(size, 'slow')
  async function* slowly(from: number) {
    for (let at = from; at < size; at += 64) {
      await ground.time.clock.sleep(20_000)
      yield* patternOffer(size).read(at, Math.min(64, size - at))
    }
  }
  Object.assign(ground.faults, { cut: 0.5, faultBytesMax: 2 * pageBytes })
  const [how, ms] = await failing(
    ground,
    pushing(ground, ground.up, { hops, pageBytes, open: slowly }),
  )
  t.equal(how, 'it ended')
  t.ok(ms > 2 * limits.transferStallMs, `${ms}`)
})

t.test('who stops is let go at once, and nothing is left waiting', async (t) => {
  const size = 100_000
  for (const after of [0, 1, 3, 500, 2_000, 20_000])
    for (const how of ['well', 'nowhere', 'silent', 'absent'] as const) {
      const pace = () => ground.time.clock.sleep(300)
      const ground: Awaited<ReturnType<typeof lanRig>> = await lanRig(size, `${after}${how}`, pace)
      if (how !== 'well') ground.server.close()
      if (how === 'silent') ground.net.serveAs('ann', lanUrl, () => new Promise(() => {}))
      if (how === 'absent')
        ground.net.serveAs('ann', lanUrl, async () => ({ status: 503, headers: {} }))
      const { time } = ground
      const before = time.waiting()
      const stop = new AbortController()
      const sink = patternSink(0, pace)
      const works = [
        pulling(ground, ground.down, sink.sink, { hops, pageBytes, signal: stop.signal }),
        pushing(ground, ground.up, { hops, pageBytes, signal: stop.signal }),
      ].map((work) =>
        work.then(
          () => 'it ended',
          (error) => `${error.name}: ${error.message}`,
        ),
      )
      await time.advance(after)
      stop.abort()
      const began = time.clock.monotonic()
      const outcomes = await time.finish(Promise.all(works))
      t.strictSame(
        outcomes,
        ['TransferFailed: stopped', 'TransferFailed: stopped'],
        `${how} ${after}`,
      )
      t.ok(time.clock.monotonic() - began <= 300, 'at once, but for a write under way')
      await time.advance(300)
      t.equal(time.waiting(), before, `${how} after ${after} ms`)
    }
})

t.test('a source that hangs does not keep who stops', async (t) => {
  const ground = await lanRig(1000, 'hanging')
  const stop = new AbortController()
  async function* hanging() {
    yield new Uint8Array(0)
    await new Promise(() => {})
  }
  const work = failing(
    ground,
    pushing(ground, ground.up, { hops, pageBytes, signal: stop.signal, open: hanging }),
  )
  await ground.time.advance(1_000)
  stop.abort()
  t.strictSame((await work)[0], 'TransferFailed: stopped')
})

t.test('a size that nobody knew is learned on the way', async (t) => {
  for (const size of [0, 1, pageBytes, 3 * pageBytes + 7]) {
    const ground = await lanRig(size, size)
    for (const start of [0, size]) {
      const sink = patternSink(start)
      const { net, time, down } = ground
      const unsized = () => tokenBy('ann', claims(ground, { obj: [[nameOf('a'), -1]] }))
      const options = { hops, pageBytes, size: -1, token: unsized }
      t.equal(await time.finish(pulling(ground, down, sink.sink, options)), size)
      t.equal(sink.at, size)
      t.equal(net.counters.cut, 0)
    }
  }
})
