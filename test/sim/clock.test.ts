import fc from 'fast-check'
import { test } from 'tap'
import { simClock } from '../../src/sim/clock.ts'

test('sleepers wake in the order of their time, equal times in the order of arrival', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 60 }), async (lengths) => {
      const time = simClock()
      const woken: [ms: number, index: number][] = []
      for (const [index, ms] of lengths.entries()) {
        void time.clock.sleep(ms).then(() => woken.push([time.clock.monotonic(), index]))
      }
      await time.run(20)
      const expected = lengths.map((ms, index): [number, number] => [ms, index])
      expected.sort(([a, i], [b, j]) => a - b || i - j)
      t.strictSame(woken, expected)
      t.equal(time.waiting(), 0)
    }),
  )
})

test('what a sleeper does on waking is done before the next one wakes', async (t) => {
  const time = simClock()
  const said: string[] = []
  const walk = async (name: string): Promise<void> => {
    await time.clock.sleep(10)
    for (const step of [1, 2, 3]) {
      await Promise.resolve()
      said.push(`${name}${step}`)
    }
  }
  const walks = Promise.all([walk('a'), walk('b')])
  await time.run(10)
  await walks
  t.strictSame(said, ['a1', 'a2', 'a3', 'b1', 'b2', 'b3'])
})

test('run stops before what is due later, and leaves the time where it was told to', async (t) => {
  const time = simClock()
  let woken = false
  void time.clock.sleep(1001).then(() => {
    woken = true
  })
  await time.run(1000)
  t.equal(woken, false)
  t.equal(time.clock.monotonic(), 1000)
  await time.advance(1)
  t.equal(woken, true)
})

test('a sleep begun while time passes counts from that moment', async (t) => {
  const time = simClock()
  const woken: number[] = []
  const tick = async (): Promise<void> => {
    for (let n = 0; n < 3; n++) {
      await time.clock.sleep(7)
      woken.push(time.clock.monotonic())
    }
  }
  await time.finish(tick())
  t.strictSame(woken, [7, 14, 21])
})

test('an aborted sleep ends at once, takes no time, and never rejects', async (t) => {
  const time = simClock()
  const stop = new AbortController()
  const asleep = time.clock.sleep(60_000, stop.signal)
  const later = time.clock.sleep(5)
  stop.abort()
  await asleep
  t.equal(time.waiting(), 1)
  await time.clock.sleep(60_000, stop.signal)
  await time.finish(later)
  t.equal(time.clock.monotonic(), 5)
})

test('a board may believe it is 1970, and time passes for it as for all', async (t) => {
  const time = simClock(1_000_000)
  const board = time.board(-1_000_000)
  t.equal(board.now(), 0)
  await time.advance(250)
  t.equal(board.now(), 250)
  board.setOffset(50)
  t.equal(board.now(), 1_000_300)
  t.equal(board.monotonic(), 250)
  t.equal(time.clock.now(), 1_000_250)
})

test('work that waits for what never comes is an error, not a hang', async (t) => {
  const time = simClock()
  await t.rejects(time.finish(new Promise(() => {})), /not finished/)
  await t.rejects(time.finish(time.clock.sleep(5000), 1000), /not finished/)
  await t.rejects(time.finish(Promise.reject(new Error('of the work'))), /of the work/)
})
