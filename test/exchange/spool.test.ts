import t from 'tap'
import { bench } from '../../src/exchange/bench.ts'
import { openSpool, type Spool, type SpoolOptions } from '../../src/exchange/spool.ts'
import { limits } from '../../src/limits.ts'
import { TransferFailed } from '../../src/transfer/attempts.ts'
import { opening } from '../contract/bodies.ts'
import {
  ask,
  atRelay,
  claims,
  hopTo,
  lanUrl,
  nameOf,
  pattern,
  patternOffer,
  patternSink,
  pulling,
  pushing,
  type Rig,
  relayUrl,
  releasing,
  spoolRig,
  tokenBy,
  type Way,
} from './rig.ts'

const segmentBytes = 4096
const pageBytes = segmentBytes
const quotaBytes = 16 * segmentBytes
const windowBytes = 8 * segmentBytes

/** A relay behind a network, with a watch on its disk: it never holds more than the quota. */
async function relayRig(options: Partial<SpoolOptions> = {}, seed: number | string = 1) {
  const ground = await spoolRig({ quotaBytes, segmentBytes, ...options }, seed)
  const quota = options.quotaBytes ?? quotaBytes
  const { spool, disk, net } = ground
  const now = { spool, most: 0, server: { close: (): void => undefined } }
  const filled = (): number =>
    [...disk.snapshot().values()].reduce((sum, { length }) => sum + length, 0)
  disk.onCall(() => {
    now.most = Math.max(now.most, now.spool.usedBytes(), filled())
    if (now.most > quota) throw new Error(`${now.most} bytes are more than ${quota}`)
  })
  const serve = (it: Spool): void => {
    now.spool = it
    now.server = net.serveAs('tracker', relayUrl, ground.exchangeOf('tracker', it, pageBytes))
  }
  serve(spool)
  return {
    ...ground,
    now,
    filled,
    files: () => [...disk.snapshot().keys()],
    restart: async () => {
      now.server.close()
      // What was under way has ended by then: a process that is gone writes no more.
      await ground.time.clock.sleep(100)
      serve(await ground.open())
    },
  }
}

const send = (rig: Rig, way: Way, receivers: readonly string[] = [], more = {}) =>
  pushing(rig, way, { pageBytes, receivers: () => receivers, ...more })
const fetch = (rig: Rig, way: Way, sink = patternSink(), more = {}) =>
  pulling(rig, way, sink.sink, { pageBytes, ...more })

/** As a client does for whom pillars wait at the relay: brings it, and brings it again, until it is over. */
async function bringing(
  rig: Rig,
  way: Way,
  receivers: readonly string[],
  over: AbortSignal,
): Promise<number> {
  let passes = 0
  while (!over.aborted) {
    await send(rig, way, receivers, { signal: over }).catch((error) => {
      if (!(error instanceof TransferFailed)) throw error
    })
    passes++
    await rig.time.clock.sleep(5_000, over)
  }
  return passes
}

t.test(
  '[XFER-7] what is far bigger than the quota passes to a fast and to a slow receiver',
  async (t) => {
    const rig = await relayRig()
    const { time, world } = rig
    const size = 1_000_000
    const pace = (ms: number) => () => world.clock.sleep(ms)
    const fast = patternSink(0, pace(10))
    const slow = patternSink(0, pace(100))
    const waiting = time.waiting()
    const all = Promise.all([
      send(rig, { peer: 'ann', size }, ['attic', 'cellar']),
      fetch(rig, { peer: 'attic', size }, fast),
      fetch(rig, { peer: 'cellar', size }, slow),
    ])
    await time.finish(all)
    t.equal(fast.at, size)
    t.equal(slow.at, size)
    t.equal(rig.net.counters.bytesUp, size, 'nothing was sent twice')
    t.equal(rig.net.counters.bytesDown, 2 * size)
    t.ok(rig.now.most <= quotaBytes && rig.now.most >= windowBytes / 2, `${rig.now.most} at most`)
    await time.finish(releasing(rig, 'attic', size))
    t.equal(rig.spool.objects(), 1, 'the other one still needs it')
    await time.finish(releasing(rig, 'cellar', size))
    t.strictSame(rig.files(), [], 'released by all: gone')
    t.equal(rig.spool.usedBytes(), 0)
    t.strictSame(await rig.state.list(''), [])
    t.equal(time.waiting(), waiting)
  },
)

t.test('the smallest spool that opens does not stand still', async (t) => {
  await t.rejects(spoolRig({ quotaBytes: 3 * segmentBytes - 1 }), {
    message: /at least 12288 bytes/,
  })
  for (const [seed, page] of [pageBytes, pageBytes - 1, 1000, 777].entries()) {
    const rig = await relayRig({ quotaBytes: 3 * segmentBytes }, seed)
    const size = 200_000
    const sink = patternSink()
    const all = Promise.all([
      send(rig, { peer: 'ann', size }, ['attic'], { pageBytes }),
      fetch(rig, { peer: 'attic', size }, sink, { pageBytes: page }),
    ])
    await rig.time.finish(all, 600_000)
    t.equal(sink.at, size, `pages of ${page}`)
  }
})

t.test('who comes when the window has moved is served in a second pass', async (t) => {
  const rig = await relayRig()
  const { time } = rig
  const size = 400_000
  const over = new AbortController()
  const bringer = bringing(rig, { peer: 'ann', size }, ['attic'], over.signal)
  const first = patternSink(0, () => time.clock.sleep(50))
  const fetched = fetch(rig, { peer: 'attic', size }, first).then(() =>
    releasing(rig, 'attic', size),
  )
  await time.advance(3_000)
  t.ok(first.at > 0 && first.at < size)
  const second = patternSink()
  const late = fetch(rig, { peer: 'cellar', size }, second).then(() =>
    releasing(rig, 'cellar', size),
  )
  await time.finish(Promise.all([fetched, late]), 10 * 60_000)
  t.equal(first.at, size)
  t.equal(second.at, size)
  over.abort()
  await time.finish(bringer)
  t.equal(rig.net.counters.bytesUp, 2 * size)
})

t.test('who comes late but in time is waited for, named or not', async (t) => {
  const rig = await relayRig()
  const { time } = rig
  const size = 20 * segmentBytes
  const sending = send(rig, { peer: 'ann', size }, ['attic'])
  await time.advance(20_000)
  const late = patternSink(0, () => time.clock.sleep(500))
  const fetched = fetch(rig, { peer: 'constructor', size }, late, {
    token: () => tokenBy('ann', claims(rig, { hld: ['constructor'], obj: [[nameOf('a'), size]] })),
  })
  const all = Promise.all([sending, fetched, fetch(rig, { peer: 'attic', size })])
  await time.finish(all, 600_000)
  t.equal(late.at, size)
  t.equal(rig.net.counters.bytesUp, size, 'in one pass')
})

t.test('who was named is waited for a minute, and no longer', async (t) => {
  const size = 40 * segmentBytes
  for (const [ms, passes] of [
    [40_000, 1],
    [90_000, 2],
  ] as const) {
    const rig = await relayRig()
    const { time } = rig
    const over = new AbortController()
    const fast = fetch(rig, { peer: 'cellar', size }).then(() => releasing(rig, 'cellar', size))
    const bringer = bringing(rig, { peer: 'ann', size }, ['attic', 'cellar'], over.signal)
    await time.advance(ms)
    const sink = patternSink()
    await time.finish(Promise.all([fast, fetch(rig, { peer: 'attic', size }, sink)]), 300_000)
    t.equal(sink.at, size)
    t.equal(rig.net.counters.bytesUp, passes * size, `it came after ${ms} ms`)
    over.abort()
    await time.finish(bringer)
  }
})

t.test('who waited before the first byte is waited for, also between two questions', async (t) => {
  const rig = await relayRig()
  const { time } = rig
  const size = 20 * segmentBytes
  const stop = new AbortController()
  const asked = fetch(rig, { peer: 'cellar', size }, patternSink(), { signal: stop.signal })
  await time.advance(1_000)
  stop.abort()
  await t.rejects(time.finish(asked), TransferFailed)
  const others = Promise.all([
    send(rig, { peer: 'ann', size }, ['attic']),
    fetch(rig, { peer: 'attic', size }),
  ])
  await time.advance(30_000)
  const sink = patternSink()
  await time.finish(Promise.all([others, fetch(rig, { peer: 'cellar', size }, sink)]), 90_000)
  t.equal(sink.at, size)
  t.equal(rig.net.counters.bytesUp, size, 'in one pass')
})

t.test('what does not fit waits until there is room, and nothing is lost', async (t) => {
  const rig = await relayRig()
  const { time, spool } = rig
  const size = 7 * segmentBytes + 100
  const put = (object: string) => send(rig, { peer: 'ann', object, size }, ['attic'])
  await time.finish(Promise.all([put('ann/a'), put('ann/b')]))
  t.equal(spool.usedBytes(), 2 * size)
  const serve = rig.exchangeOf('tracker', spool, pageBytes)
  const token = tokenBy('ann', claims(rig, { obj: [[nameOf('c'), size]] }))
  const began = time.clock.monotonic()
  const refused = await time.finish(
    ask(serve, 'ann', {
      method: 'PATCH',
      object: 'ann/c',
      token,
      headers: {
        'upload-offset': '0',
        'upload-length': `${size}`,
        'content-length': '10',
        'upload-complete': '?0',
      },
      body: pattern(0, 10),
    }),
  )
  t.equal(refused.status, 503)
  t.equal(time.clock.monotonic() - began, limits.exchangeHoldMs, 'it was held for a while')
  t.equal(spool.objects(), 2)
  let through = false
  const third = put('ann/c').then(() => {
    through = true
  })
  await time.advance(120_000)
  t.equal(through, false)
  const sink = patternSink()
  await time.finish(fetch(rig, { peer: 'attic', object: 'ann/a', size }, sink))
  await time.finish(releasing(rig, 'attic', size, 'ann/a'))
  await time.finish(third, 10_000)
  for (const object of ['ann/b', 'ann/c']) {
    const rest = patternSink()
    await time.finish(fetch(rig, { peer: 'attic', object, size }, rest))
    t.equal(rest.at, size, object)
  }
})

t.test('two objects bigger than a quota for one pass one after the other', async (t) => {
  const rig = await relayRig({ quotaBytes: 9 * segmentBytes })
  const size = 60 * segmentBytes
  const both = ['ann/a', 'ann/b'].map(async (object, n) => {
    const sink = patternSink(0, () => rig.time.clock.sleep(20))
    const peer = n === 0 ? 'attic' : 'cellar'
    await Promise.all([
      send(rig, { peer: 'ann', object, size }, [peer]),
      fetch(rig, { peer, object, size }, sink).then(() => releasing(rig, peer, size, object)),
    ])
    return sink.at
  })
  t.strictSame(await rig.time.finish(Promise.all(both), 600_000), [size, size])
})

t.test(
  'a receiver that died holds the others up for a while only, and gets the rest later',
  async (t) => {
    const rig = await relayRig()
    const { time } = rig
    const size = 100 * segmentBytes
    const over = new AbortController()
    const bringer = bringing(rig, { peer: 'ann', size }, ['attic', 'cellar'], over.signal)
    const dying = new AbortController()
    const dead = patternSink(0, async () => {
      if (dead.at >= 5 * segmentBytes) dying.abort()
      await time.clock.sleep(10)
    })
    const died = fetch(rig, { peer: 'cellar', size }, dead, { signal: dying.signal })
    const alive = patternSink()
    const fetched = fetch(rig, { peer: 'attic', size }, alive)
    await t.rejects(time.finish(died), TransferFailed)
    await time.advance(60_000)
    t.ok(alive.at < 20 * segmentBytes, 'it is waited for')
    await time.finish(fetched, limits.transferStallMs)
    t.equal(alive.at, size)
    await time.finish(releasing(rig, 'attic', size))
    const before = rig.net.counters.bytesUp
    dead.lose()
    const rest = size - dead.at
    await time.finish(fetch(rig, { peer: 'cellar', size }, dead), 600_000)
    t.equal(dead.at, size)
    t.ok(rig.net.counters.bytesUp - before <= rest + segmentBytes, 'only the rest came again')
    over.abort()
    await time.finish(bringer)
  },
)

t.test('an object that nobody touches makes way when the room is wanted, not before', async (t) => {
  const rig = await relayRig({ quotaBytes: 9 * segmentBytes })
  const { time, spool } = rig
  const size = 50 * segmentBytes
  const dying = new AbortController()
  const dead = patternSink(0, async () => {
    if (dead.at >= 5 * segmentBytes) dying.abort()
  })
  const sending = send(rig, { peer: 'ann', size }, ['attic'])
  await t.rejects(
    time.finish(fetch(rig, { peer: 'attic', size }, dead, { signal: dying.signal })),
    TransferFailed,
  )
  await t.rejects(time.finish(sending), { message: 'nothing moved for too long' })
  t.equal(spool.objects(), 1)
  await time.advance(3600_000)
  t.equal(spool.objects(), 1, 'it stays while nobody wants the room')
  const other = patternSink()
  const way: Way = { peer: 'bob', object: 'bob/b', size }
  const all = Promise.all([
    send(rig, way, ['cellar']),
    fetch(rig, { ...way, peer: 'cellar' }, other),
  ])
  await time.finish(all, 600_000)
  t.equal(other.at, size)
  t.equal(spool.objects(), 1)
  await time.finish(releasing(rig, 'cellar', size, 'bob/b'))
  const over = new AbortController()
  const bringer = bringing(rig, { peer: 'ann', size }, ['attic'], over.signal)
  dead.lose()
  await time.finish(fetch(rig, { peer: 'attic', size }, dead), 600_000)
  t.equal(dead.at, size, 'who comes back after all gets it all the same')
  over.abort()
  await time.finish(bringer)
})

t.test('everything ends with its token, or after the longest stay', async (t) => {
  const rig = await relayRig({ expiryMs: 2 * 3600_000 })
  const { time, spool } = rig
  const size = 5000
  const long = claims(rig, { exp: time.clock.now() / 1000 + 100 * 3600 })
  const longer = () => tokenBy('ann', { ...long, obj: [[nameOf('b'), size]] })
  await time.finish(send(rig, { peer: 'ann', size }, ['attic']))
  await time.finish(send(rig, { peer: 'ann', object: 'ann/b', size }, ['attic'], { token: longer }))
  t.equal(await spool.expire(), 0)
  await time.advance(3600_000 + 10_000)
  t.equal(await spool.expire(), 1)
  t.equal(spool.usedBytes(), size)
  await time.advance(3600_000)
  t.equal(await spool.expire(), 1)
  t.equal(spool.objects(), 0)
  t.strictSame(rig.files(), [])
  t.strictSame(await rig.state.list(''), [])
})

t.test('a restart goes on at the last safe byte', async (t) => {
  const rig = await relayRig()
  const { time, net } = rig
  const size = 300_000
  const sink = patternSink(0, () => time.clock.sleep(200))
  const all = Promise.all([
    send(rig, { peer: 'ann', size }, ['attic']),
    fetch(rig, { peer: 'attic', size }, sink),
  ])
  let restarts = 0
  const shaking = (async () => {
    while (sink.at < size) {
      await time.clock.sleep(2_000)
      if (sink.at === size) return
      await rig.restart()
      restarts++
    }
  })()
  await time.finish(Promise.all([all, shaking]))
  t.equal(sink.at, size)
  t.ok(restarts > 3, `${restarts} restarts`)
  t.ok(net.counters.bytesUp <= size + restarts * pageBytes)
  t.ok(net.counters.bytesDown <= size + restarts * pageBytes)
})

t.test('an upload begins where the receiver is already', async (t) => {
  const rig = await relayRig()
  const size = 200_000
  for (const start of [segmentBytes * 30, segmentBytes * 30 + 1, segmentBytes * 31 - 1, size - 1]) {
    const before = { ...rig.net.counters }
    const object = `ann/from-${start}`
    const sink = patternSink(start)
    const fetched = fetch(rig, { peer: 'attic', object, size }, sink)
    await rig.time.advance(1_000)
    await rig.time.finish(
      Promise.all([fetched, send(rig, { peer: 'ann', object, size }, ['attic'])]),
    )
    t.equal(sink.at, size)
    const up = rig.net.counters.bytesUp - before.bytesUp
    t.ok(up >= size - start && up < size - start + segmentBytes, `${up} of ${size - start}`)
    t.equal(rig.net.counters.bytesDown - before.bytesDown, size - start)
    await rig.time.finish(releasing(rig, 'attic', size, object))
  }
})

t.test('a wish is forgotten with who had it, and many are not kept', async (t) => {
  const rig = await relayRig()
  const { time } = rig
  const size = 100_000
  const stop = new AbortController()
  const fetched = fetch(rig, { peer: 'attic', size }, patternSink(50_000), { signal: stop.signal })
  await time.advance(1_000)
  stop.abort()
  await t.rejects(time.finish(fetched), TransferFailed)
  await time.advance(5 * 60_000)
  await time.finish(send(rig, { peer: 'ann', size: 20_000, object: 'ann/a' }))
  t.equal(rig.net.counters.bytesUp, 20_000, 'from the beginning')
})

t.test('from the exchange of a client to the relay in the middle of a file', async (t) => {
  for (const cutAt of [0, 1, 50_000, 131_072, 199_999]) {
    const rig = await relayRig({}, cutAt)
    const { net, time } = rig
    const size = 200_000
    const shelf = bench()
    shelf.offer(nameOf('a'), patternOffer(size))
    net.serveAs('ann', lanUrl, rig.exchangeOf('ann', shelf))
    const sink = patternSink(0, async () => {
      if (sink.at >= cutAt) net.partition('attic', lanUrl)
    })
    if (cutAt === 0) net.partition('attic', lanUrl)
    let bringer: Promise<void> | undefined
    const fetched = fetch(rig, { peer: 'attic', size }, sink, {
      hops: () => [hopTo('ann', lanUrl), ...atRelay],
      waitingAt: () => {
        bringer ??= send(rig, { peer: 'ann', size }, ['attic'])
      },
    })
    await time.finish(fetched)
    await time.finish(bringer ?? Promise.resolve())
    t.equal(sink.at, size)
    const { bytesUp, bytesDown } = net.counters
    t.ok(bytesUp <= size - cutAt + segmentBytes, `${bytesUp} brought, cut at ${cutAt}`)
    t.ok(bytesDown <= size + pageBytes, `${bytesDown} fetched, cut at ${cutAt}`)
  }
})

t.test('from the exchange of a client to the relay while delivering', async (t) => {
  const rig = await relayRig()
  const { net, time } = rig
  const size = 200_000
  const shelf = bench()
  const place = patternSink(0, async () => {
    if (place.at >= 90_000) net.partition('attic', lanUrl)
  })
  shelf.land(nameOf('a'), place.sink)
  net.serveAs('ann', lanUrl, rig.exchangeOf('ann', shelf))
  let fetched: Promise<number> | undefined
  await time.finish(
    send(rig, { peer: 'attic', size, dir: 'up' }, [], {
      hops: () => [hopTo('ann', lanUrl), ...atRelay],
      waitingAt: () => {
        fetched ??= (async () => {
          t.equal(await shelf.withdraw(nameOf('a')), true)
          net.heal()
          return fetch(rig, { peer: 'ann', size, dir: 'up' }, place)
        })()
      },
    }),
  )
  t.equal(await time.finish(fetched ?? Promise.resolve(0)), size)
  t.equal(place.at, size)
  t.ok(net.counters.bytesUp <= size + 2 * segmentBytes, `${net.counters.bytesUp} delivered`)
  await time.finish(releasing(rig, 'ann', size, 'ann/a', 'up'))
  t.equal(rig.spool.objects(), 0)
})

t.test(
  'who was withdrawn from finds the relay again, even when the client can be reached',
  async (t) => {
    const rig = await relayRig()
    const { net, time } = rig
    const size = 100_000
    const shelf = bench()
    const place = patternSink()
    shelf.land(nameOf('a'), place.sink)
    net.serveAs('ann', lanUrl, rig.exchangeOf('ann', shelf))
    await shelf.withdraw(nameOf('a'))
    const way: Way = { peer: 'attic', size, dir: 'up' }
    const hops = () => [hopTo('ann', lanUrl), ...atRelay]
    await time.finish(
      Promise.all([send(rig, way, [], { hops }), fetch(rig, { ...way, peer: 'ann' }, place)]),
      120_000,
    )
    t.equal(place.at, size)
  },
)

t.test(
  'the issuer keeps nothing from those who came, and those who never came keep nothing',
  async (t) => {
    const rig = await relayRig()
    const { time, spool } = rig
    const size = 10_000
    const put = () => time.finish(send(rig, { peer: 'ann', size }, ['attic', 'cellar']))
    await put()
    await time.finish(releasing(rig, 'barn', size))
    t.equal(spool.objects(), 1, 'a stranger to it has no say')
    await time.finish(fetch(rig, { peer: 'attic', size }))
    await time.finish(releasing(rig, 'attic', size))
    t.equal(spool.objects(), 1, 'another one was named')
    await time.finish(releasing(rig, 'ann', size))
    t.equal(spool.objects(), 0, 'and never came')
    await put()
    await time.finish(fetch(rig, { peer: 'attic', size }, patternSink(), { pageBytes: 1000 }))
    await time.finish(releasing(rig, 'ann', size))
    t.equal(spool.objects(), 1, 'it came, and has not said that all is safe')
    await time.finish(releasing(rig, 'attic', size))
    t.equal(spool.objects(), 1, 'the other one may still come')
    await time.finish(releasing(rig, 'ann', size))
    t.equal(spool.objects(), 0)
  },
)

t.test('a new object of a name begins only when the old one is gone altogether', async (t) => {
  const rig = await relayRig()
  const { time, disk } = rig
  const size = 30_000
  for (let round = 0; round < 12; round++) {
    await time.finish(send(rig, { peer: 'ann', size }, ['attic']))
    let calls = 0
    let again: Promise<void> | undefined
    const hook = (): void => {
      if (calls++ === round) again = send(rig, { peer: 'ann', size }, ['attic'])
    }
    disk.onCall(hook)
    await time.finish(releasing(rig, 'attic', size))
    await time.finish(again ?? send(rig, { peer: 'ann', size }, ['attic']))
    const sink = patternSink()
    await time.finish(fetch(rig, { peer: 'attic', size }, sink))
    t.equal(sink.at, size)
    await time.finish(releasing(rig, 'attic', size))
    t.strictSame(rig.files(), [])
  }
})

t.test('an upload that waits while its object goes begins anew', async (t) => {
  const rig = await relayRig()
  const { time, disk, spool } = rig
  const size = 3000
  const token = tokenBy('ann', claims(rig, { obj: [[nameOf('a'), size]] }))
  const serve = rig.exchangeOf('tracker', spool, pageBytes)
  const headers = {
    'upload-offset': '0',
    'upload-length': `${size}`,
    'content-length': `${size}`,
    'upload-complete': '?1',
  }
  const put = () => ask(serve, 'ann', { method: 'PATCH', token, headers, body: pattern(0, size) })
  t.equal((await put()).status, 204)
  let again: ReturnType<typeof put> | undefined
  disk.onCall(() => {
    again ??= put()
  })
  await ask(serve, 'ann', { method: 'DELETE', token })
  t.equal((await again)?.status, 204)
  const sink = patternSink()
  await time.finish(fetch(rig, { peer: 'attic', size }, sink))
  t.equal(sink.at, size)
})

t.test('who needs what this pass leaves out does not hold it up', async (t) => {
  const rig = await relayRig()
  const { time } = rig
  const size = 100 * segmentBytes
  const over = new AbortController()
  const ahead = patternSink(40 * segmentBytes)
  const first = fetch(rig, { peer: 'attic', size }, ahead).then(() => releasing(rig, 'attic', size))
  await time.advance(1_000)
  const bringer = bringing(rig, { peer: 'ann', size }, ['attic', 'cellar'], over.signal)
  await time.advance(10)
  const behind = patternSink()
  const second = fetch(rig, { peer: 'cellar', size }, behind)
  await time.finish(first, 60_000)
  t.equal(ahead.at, size)
  await time.finish(second, 150_000)
  t.equal(behind.at, size)
  over.abort()
  await time.finish(bringer)
})

t.test('when those whom a pass was for have died, the next one begins', async (t) => {
  const rig = await relayRig()
  const { time } = rig
  const size = 100 * segmentBytes
  const over = new AbortController()
  const dying = new AbortController()
  const dead = patternSink(40 * segmentBytes, async () => {
    if (dead.at > 45 * segmentBytes) dying.abort()
  })
  const died = fetch(rig, { peer: 'attic', size }, dead, { signal: dying.signal })
  await time.advance(1_000)
  const bringer = bringing(rig, { peer: 'ann', size }, ['attic'], over.signal)
  await t.rejects(time.finish(died), TransferFailed)
  const sink = patternSink()
  await time.finish(fetch(rig, { peer: 'cellar', size }, sink), limits.transferStallMs)
  t.equal(sink.at, size)
  over.abort()
  await time.finish(bringer)
})

t.test('a new object of a name waits for the last file of the old one', async (t) => {
  const rig = await relayRig()
  const gate = opening()
  const disk = rig.disk.disk
  const slow = {
    ...disk,
    remove: async (path: string) => {
      await gate.open
      await disk.remove(path)
    },
  }
  const options = { quotaBytes, segmentBytes, expiryMs: 3600_000 }
  const spool = await openSpool(rig.world, slow, rig.state, options)
  const key = { issuer: 'ann', name: nameOf('a') }
  const never = new AbortController().signal
  const put = () => {
    const whole = { peer: 'ann', offset: 0, size: 3000, length: 3000, body: pattern(0, 3000) }
    const expiresAt = rig.time.clock.now() + 3600_000
    return spool.write(key, { ...whole, receivers: [], expiresAt }, never)
  }
  t.match(await put(), { is: 'written', complete: true })
  const released = spool.release(key, { peer: 'ann', issuer: true })
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  const again = put()
  for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate)
  gate.pass()
  await released
  t.match(await again, { is: 'written', complete: true })
  const slice = await spool.read(key, { peer: 'attic', offset: 0, length: 3000, safe: 0 }, never)
  if (slice.is !== 'bytes') return t.fail(slice.is)
  for await (const bytes of slice.bytes) t.equal(bytes.length, 3000)
})

t.test('bytes that can not be read any more are brought again', async (t) => {
  const rig = await relayRig()
  const { time, disk } = rig
  const size = 30_000
  await time.finish(send(rig, { peer: 'ann', size }, ['attic']))
  await disk.disk.remove(rig.files().find((path) => path.endsWith('/3')) ?? '')
  const over = new AbortController()
  const sink = patternSink()
  const fetched = fetch(rig, { peer: 'attic', size }, sink)
  const bringer = bringing(rig, { peer: 'ann', size }, ['attic'], over.signal)
  await time.finish(fetched, 600_000)
  t.equal(sink.at, size)
  over.abort()
  await time.finish(bringer)
})

t.test('what a disk has lost is found at the start, and brought again', async (t) => {
  const rig = await relayRig()
  const size = 30_000
  await rig.time.finish(send(rig, { peer: 'ann', size }, ['attic']))
  const path = rig.files().find((one) => one.endsWith('/3')) ?? ''
  await rig.disk.disk.truncate(path, 10)
  await rig.time.finish(rig.restart())
  t.equal(rig.now.spool.objects(), 0)
  t.strictSame(rig.files(), [])
  const sink = patternSink()
  const all = [
    send(rig, { peer: 'ann', size }, ['attic']),
    fetch(rig, { peer: 'attic', size }, sink),
  ]
  await rig.time.finish(Promise.all<unknown>(all), 60_000)
  t.equal(sink.at, size)
})

t.test('a disk that is full, or fails, costs time only', async (t) => {
  for (const [method, code] of [
    ['write', 'ENOSPC'],
    ['write', 'EIO'],
    ['sync', 'EIO'],
    ['syncDir', 'EIO'],
    ['mkdir', 'ENOSPC'],
  ] as const) {
    const rig = await relayRig()
    const size = 30_000
    rig.disk.faults.failNext(method, code, { times: 3 })
    const sink = patternSink()
    const all = Promise.all([
      send(rig, { peer: 'ann', size }, ['attic']),
      fetch(rig, { peer: 'attic', size }, sink),
    ])
    await rig.time.finish(all, limits.transferStallMs)
    t.equal(sink.at, size, `${method} ${code}`)
  }
})

t.test('huge numbers cost nothing', async (t) => {
  const rig = await relayRig()
  const { time, spool } = rig
  const size = 2 ** 52
  const serve = rig.exchangeOf('tracker', spool, pageBytes)
  const token = tokenBy('ann', claims(rig, { obj: [[nameOf('a'), size]] }))
  const headers = {
    'upload-offset': '0',
    'upload-length': `${size}`,
    'content-length': '10',
    'upload-complete': '?0',
  }
  const began = await ask(serve, 'ann', { method: 'PATCH', token, headers, body: pattern(0, 10) })
  t.equal(began.status, 204)
  t.equal(spool.usedBytes(), windowBytes)
  const far = `${size - 5}`
  const asked = ask(serve, 'attic', {
    token,
    headers: { range: `bytes=${far}-`, 'safe-offset': far },
  })
  t.equal((await time.finish(asked)).status, 503)
  const near = ask(serve, 'attic', { token, headers: { range: 'bytes=0-' } })
  t.equal((await time.finish(near)).status, 206, 'the window has not moved to where nothing is')
  for (const peer of ['attic', 'ann'])
    t.equal((await ask(serve, peer, { token, method: 'DELETE' })).status, 204)
  t.strictSame(rig.files(), [])
})

t.test('what is not ours on that disk stays', async (t) => {
  const rig = await relayRig()
  const { disk } = rig.disk
  for (const folder of ['photos', 'lost+found', 'ann~short', `ann~${'x'.repeat(22)}`]) {
    await disk.mkdir(folder)
    await disk.write(`${folder}/1`, 0, new Uint8Array(1))
  }
  await rig.time.finish(rig.restart())
  t.strictSame(rig.files(), [
    'ann~short/',
    'ann~short/1',
    'lost+found/',
    'lost+found/1',
    'photos/',
    'photos/1',
  ])
})
