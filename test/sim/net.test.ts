import t from 'tap'
import { simClock } from '../../src/sim/clock.ts'
import { calmNet, type NetFaults, simNet } from '../../src/sim/net.ts'
import { simRandom } from '../../src/sim/random.ts'
import type { Dial, DialOptions, Request } from '../../src/transfer/transfer.ts'
import { checked, counting, text } from '../contract/bodies.ts'

const url = 'https://10.0.0.1:8443'
const to = { identity: 'exchange', url }
const options: DialOptions = { connectMs: 5_000, idleMs: 30_000 }
const get: Request = { method: 'GET', path: '/', headers: {} }

function fleet(seed: number, changed: Partial<NetFaults> = {}) {
  const time = simClock()
  const faults = { ...calmNet(), ...changed }
  return { time, faults, net: simNet({ clock: time.clock, random: simRandom(seed), faults }) }
}

const tell = (error: Error): string => `${error.name}: ${error.message}`

/** One request with 100 000 bytes in each direction, and what became of it. */
async function both(dial: Dial, request: Partial<Request> = {}): Promise<string> {
  const asked: Request = { method: 'PATCH', path: '/', headers: {}, body: counting(100_000) }
  try {
    const { body, status } = await dial(to, { ...asked, ...request }, options)
    return `${status} ${await checked(body, 100_000)}`
  } catch (error) {
    return tell(error as Error)
  }
}

t.test('the same seed gives the same cuts, hangs and times; another seed others', async (t) => {
  const stormy = { refuse: 0.1, cut: 0.3, hang: 0.1, faultBytesMax: 250_000 }
  const story = async (seed: number): Promise<string[]> => {
    const { time, net } = fleet(seed, stormy)
    const lines: string[] = []
    const took: number[] = []
    net.serveAs('exchange', url, async (peer, { body }) => {
      took.push(await checked(body, 100_000))
      lines.push(`${time.clock.monotonic()} ${peer} sent`)
      return { status: 200, headers: {}, body: counting(100_000) }
    })
    const pillar = async (name: string) => {
      for (let n = 0; n < 30; n++) {
        const outcome = await both(net.dialAs(name))
        lines.push(`${time.clock.monotonic()} ${name} ${outcome}`)
      }
    }
    await time.finish(Promise.all([pillar('attic'), pillar('cellar'), pillar('barn')]))
    t.equal(time.waiting(), 0, 'nothing is left waiting')
    return [...lines, JSON.stringify(net.counters)]
  }
  const once = await story(7)
  t.strictSame(await story(7), once)
  t.notSame(await story(8), once)
  const all = once.join('\n')
  t.match(all, /200 100000/)
  t.match(all, /Cut: the connection broke/)
  t.match(all, /Cut: not a byte for 30000 ms/)
  t.match(all, /Unreachable: .* refused/)
})

t.test('a link that is cut after the request was served leaves its effect behind', async (t) => {
  const { time, net } = fleet(3, { cut: 1, faultBytesMax: 300 })
  let served = 0
  net.serveAs('exchange', url, async () => {
    served++
    return { status: 204, headers: {} }
  })
  const outcomes: string[] = []
  await time.finish(
    (async () => {
      for (let n = 0; n < 100; n++) {
        outcomes.push(await both(net.dialAs('attic'), { method: 'DELETE' }))
      }
    })(),
  )
  const done = outcomes.filter((outcome) => outcome.startsWith('204')).length
  t.ok(done > 0 && done < served && served < 100, `${done} done of ${served} served`)
})

t.test('a hang ends after the idle time, to the millisecond', async (t) => {
  const calm = { latencyMsMin: 10, latencyMsMax: 10, faultBytesMax: 1 }
  const { time, net } = fleet(1, { ...calm, hang: 1 })
  let gone = false
  net.serveAs('exchange', url, async (_peer, _request, signal) => {
    signal.addEventListener('abort', () => {
      gone = true
    })
    return { status: 200, headers: {} }
  })
  const outcome = await time.finish(both(net.dialAs('attic')))
  t.equal(outcome, 'Cut: not a byte for 30000 ms')
  t.equal(time.clock.monotonic(), 10 + 30_000)
  t.equal(gone, false, 'the request never came')
})

t.test(
  'a partition takes the connect time from new requests and the idle time from open ones',
  async (t) => {
    const { time, net } = fleet(1)
    net.serveAs('exchange', url, async (_, { path }) => {
      if (path === '/slow') await time.clock.sleep(1_000)
      return { status: 200, headers: {} }
    })
    const dial = net.dialAs('attic')
    const ask = (path: string, identity = 'attic') =>
      (identity === 'attic' ? dial : net.dialAs(identity))(to, { ...get, path }, options).then(
        ({ status }) => `${status}`,
        tell,
      )
    const open = ask('/slow')
    await time.advance(500)
    net.partition('attic', 'exchange')
    const began = time.clock.monotonic()
    t.equal(await time.finish(ask('/')), `Unreachable: ${url} did not connect`)
    t.equal(time.clock.monotonic() - began, options.connectMs)
    t.equal(await time.finish(ask('/', 'cellar')), '200')
    t.equal(await time.finish(open), 'Cut: not a byte for 30000 ms')
    net.heal('exchange', 'attic')
    t.equal(await time.finish(ask('/')), '200')
    net.partition('exchange', 'attic')
    t.match(await time.finish(ask('/')), /^Unreachable/, 'either way round')
    net.heal('attic', 'exchange')
    t.equal(await time.finish(ask('/')), '200')
    for (const one of ['exchange', url]) {
      net.partition(one)
      t.match(await time.finish(ask('/', 'cellar')), /^Unreachable/)
      net.heal()
      t.equal(await time.finish(ask('/', 'cellar')), '200')
    }
  },
)

t.test('closing a server cuts what is open there', async (t) => {
  const { time, net } = fleet(1)
  const { close } = net.serveAs('exchange', url, () => new Promise(() => {}))
  t.throws(() => net.serveAs('another', url, () => new Promise(() => {})))
  const answer = net.dialAs('attic')(to, get, options).catch(tell)
  await time.advance(100)
  close()
  t.equal(await time.finish(answer), 'Cut: the peer was closed')
  net.serveAs('exchange', url, async () => ({ status: 200, headers: {} }))
  t.equal((await time.finish(net.dialAs('attic')(to, get, options))).status, 200)
})

t.test('bytes and troubles are counted', async (t) => {
  const { time, net } = fleet(1)
  net.serveAs('exchange', url, async (_, { body }) => ({
    status: 200,
    headers: {},
    body: counting(await checked(body, 100_000)),
  }))
  t.equal(await time.finish(both(net.dialAs('attic'))), '200 100000')
  await time.finish(
    net
      .dialAs('attic')({ ...to, identity: 'x' }, get, options)
      .catch(tell),
  )
  const small = await time.finish(net.dialAs('attic')(to, get, options))
  t.equal(await time.finish(text(small)), '')
  t.strictSame(net.counters, {
    requests: 3,
    unreachable: 1,
    cut: 0,
    bytesUp: 100_000,
    bytesDown: 100_000,
  })
})
