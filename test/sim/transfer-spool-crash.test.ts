// The relay's power is cut at every call of its disk: what is fetched is right, or comes again.
import t from 'tap'
import { openSpool } from '../../src/exchange/spool.ts'
import { type Chooser, simDisk } from '../../src/sim/disk.ts'
import { type Life, life, mortal } from '../../src/sim/mortal.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import type { Serve } from '../../src/transfer/transfer.ts'
import {
  patternSink,
  pulling,
  pushing,
  type Rig,
  relayUrl,
  releasing,
  rig,
  type Way,
} from '../exchange/rig.ts'

const segmentBytes = 1024
const pageBytes = segmentBytes
const options = { quotaBytes: 4 * segmentBytes, segmentBytes, expiryMs: 24 * 3600_000 }

/** A relay that dies with the power of its disk, and starts again a second later. */
async function mortalRelay(ground: Rig, choose: Chooser) {
  const disk = simDisk({ capacity: 1 << 20 })
  const state = openState(':memory:')
  const cuts: number[] = []
  let own: Life = life()
  let server = { close: (): void => undefined }
  let crashes = 0
  let excess = 0
  const filled = (): number =>
    [...disk.snapshot().values()].reduce((sum, { length }) => sum + length, 0)
  const lively =
    (serve: Serve, { own: lives }: Life): Serve =>
    (...call) =>
      lives(serve(...call))
  const start = async (): Promise<void> => {
    own = life()
    const mine = own
    const { time, random } = ground
    const sleep: typeof time.clock.sleep = (ms, signal) => mine.own(time.clock.sleep(ms, signal))
    const world = simWorld({ ...time.clock, sleep }, random, 'relay')
    const spool = await openSpool(world, disk.disk, mortal(mine, { ...state }), options)
    if (!mine.dead()) excess = Math.max(excess, filled() - spool.usedBytes())
    const serve = lively(ground.exchangeOf('tracker', spool, pageBytes), mine)
    if (!mine.dead()) server = ground.net.serveAs('tracker', relayUrl, serve)
  }
  const crash = (): void => {
    crashes++
    own.die()
    disk.cut()
    server.close()
    void (async () => {
      await ground.time.clock.sleep(1_000)
      disk.crash(choose)
      await start()
    })()
  }
  disk.onCall(({ call }) => {
    if (call !== cuts[0] || own.dead()) return
    cuts.shift()
    crash()
  })
  return {
    start,
    disk,
    state,
    crashes: () => crashes,
    /** Bytes beyond what is accounted for, after a start. */
    excess: () => excess,
    calls: () => disk.calls(),
    /** The power is cut at the nth call from the start, then at the mth from the next start, and so on. */
    cutAt: (...at: number[]) => void cuts.push(...at),
  }
}

/** An object bigger than the spool on its way to two receivers; how often the relay died. */
async function passage(cuts: readonly number[], seed: string, choose: Chooser) {
  const ground = await rig(seed)
  const relay = await mortalRelay(ground, choose)
  relay.cutAt(...cuts)
  void relay.start()
  await ground.time.advance(5_000)
  const size = 7 * segmentBytes + 100
  const way = (peer: string): Way => ({ peer, size })
  const sinks = [patternSink(), patternSink()]
  const over = new AbortController()
  const bringing = (async () => {
    while (!over.signal.aborted) {
      const named = { pageBytes, receivers: () => ['attic', 'cellar'], signal: over.signal }
      await pushing(ground, way('ann'), named).catch(() => undefined)
      await ground.time.clock.sleep(5_000, over.signal)
    }
  })()
  const fetching = ['attic', 'cellar'].map(async (peer, n) => {
    const sink = sinks[n]?.sink
    if (sink) await pulling(ground, way(peer), sink, { pageBytes })
    await releasing(ground, peer, size).catch(() => undefined)
  })
  await ground.time.finish(Promise.all(fetching), 3600_000)
  over.abort()
  await ground.time.finish(bringing)
  await ground.time.advance(5_000)
  const { bytesUp, bytesDown } = ground.net.counters
  return {
    at: sinks.map(({ at }) => at),
    crashes: relay.crashes(),
    excess: relay.excess(),
    calls: relay.calls(),
    again: Math.max(bytesUp - size, bytesDown - 2 * size),
    size,
    left: [...relay.disk.snapshot().keys()],
  }
}

t.test('a power cut at every call of the disk', async (t) => {
  const calm = await passage([], 'calm', () => 0)
  t.strictSame(calm.at, [calm.size, calm.size])
  t.equal(calm.again, 0)
  t.strictSame(calm.left, [])
  t.ok(calm.calls > 20, `${calm.calls} calls`)
  let states = 0
  for (let call = 1; call <= calm.calls; call++) {
    const random = simRandom(`cut ${call}`)
    const choosers: [string, Chooser][] = [
      ['least', () => 0],
      ['most', (among) => among - 1],
      ['any', (among) => random.int(among)],
    ]
    for (const [how, choose] of choosers) {
      const found = await passage([call], `${call} ${how}`, choose)
      const about = `cut at call ${call}, ${how}`
      if (found.at.some((at) => at !== found.size)) t.fail(`${about}: ${found.at}`)
      if (found.excess > 0) t.fail(`${about}: ${found.excess} bytes too many are left`)
      if (found.crashes !== 1) t.fail(`${about}: ${found.crashes} crashes`)
      // One page, and the other end of the window, which is a segment.
      if (found.again > 2 * pageBytes) t.fail(`${about}: ${found.again} bytes were sent again`)
      states++
    }
  }
  t.ok(states > 80, `${states} crash states`)
})

t.test('power cuts again and again, also while it opens', async (t) => {
  let crashes = 0
  for (let seed = 0; seed < 40; seed++) {
    const random = simRandom(`again ${seed}`)
    const cuts = Array.from({ length: 6 }, () => 1 + random.int(12))
    const found = await passage(cuts, `again ${seed}`, (among) => random.int(among))
    if (found.at.some((at) => at !== found.size)) t.fail(`seed ${seed}: ${found.at}`)
    crashes += found.crashes
  }
  t.ok(crashes > 100, `${crashes} crashes`)
})
