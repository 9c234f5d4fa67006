import { test } from 'tap'
import { estimate } from '../../src/pillar/estimate.ts'

const MB = 1_000_000

function clocked() {
  let now = 0
  const clock = { monotonic: () => now }
  return { ...estimate(clock), pass: (ms: number) => (now += ms) }
}

test('[GET-3] before anything was moved, a slow home link is assumed', async (t) => {
  const { msFor } = clocked()
  t.equal(msFor(0), 0)
  t.equal(msFor(10 * MB), 4_000)
})

test('[GET-3] what waits already comes first', async (t) => {
  const { msFor, waiting } = clocked()
  const first = waiting(5 * MB)
  const second = waiting(10 * MB)
  t.equal(msFor(10 * MB), 10_000)
  first(0)
  t.equal(msFor(10 * MB), 8_000)
  second(0)
  t.equal(msFor(10 * MB), 4_000)
})

test('[GET-3] transfers that share a link are measured together', async (t) => {
  const { msFor, waiting, pass } = clocked()
  for (let n = 0; n < 12; n++) {
    const both = [waiting(50 * MB), waiting(50 * MB)]
    pass(1_000)
    for (const moved of both) moved(50 * MB)
  }
  const ms = msFor(100 * MB)
  t.ok(ms > 990 && ms < 1_050, `a second for what took a second, not ${ms} ms`)
})

test('[GET-3] a few bytes, and a clock that stands still, say nothing about the link', async (t) => {
  const { msFor, waiting, pass } = clocked()
  const small = waiting(1_000)
  pass(5_000)
  small(1_000)
  waiting(100 * MB)(100 * MB)
  t.equal(msFor(10 * MB), 4_000)
})
