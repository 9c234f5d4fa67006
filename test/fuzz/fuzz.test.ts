import { connect } from 'node:tls'
import t from 'tap'
import { embeddedBroker } from '../../src/bus/embedded.ts'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { simRandom } from '../../src/sim/random.ts'
import { httpsServe } from '../../src/transfer/https.ts'
import { join } from '../contract/bus.ts'
import { request } from '../real/hostile/http.ts'
import { hello, publish, subscribe } from '../real/hostile/packets.ts'
import { quietWorld } from '../support/brokers.ts'
import { makePki } from '../support/pki.ts'
import { fuzz } from './fuzz.ts'
import { mutated } from './mutations.ts'

t.test('[HOST-9] what reads words of others believes nothing that was altered', async (t) => {
  for (const seed of [1, 2]) {
    const { tried, findings } = await fuzz(seed, 400)
    t.ok(tried > 3_000)
    t.same(findings, [], `seed ${seed}`)
  }
})

t.test(
  '[HOST-9] altered packets and requests, on real sockets, end nothing but their connection',
  async (t) => {
    const pki = await makePki()
    const world = quietWorld()
    const tls = await pki.credentialsOf('tracker')
    const common = { host: '127.0.0.1', tls, world }
    const broker = await embeddedBroker({
      ...common,
      port: 'none',
      allow: (_, __, topic) => topic === 'a/b',
    })
    const served = await httpsServe({
      ...{ ...common, port: 0, mqtt: broker.take },
      async serve(_, { body }) {
        for await (const _ of body ?? []);
        return { status: 204, headers: {} }
      },
    })
    t.teardown(async () => {
      await broker.close()
      await served.close()
    })
    const own = await pki.credentialsOf('p1')
    const random = simRandom(7)
    const packets = Buffer.concat([
      hello('p1.x'),
      subscribe('a/b'),
      publish('a/b', Buffer.from('x')),
    ])
    const words = Buffer.from(
      request('PATCH', '/a', { 'content-length': 3, x: 'y', connection: 'close' }, 'abc'),
    )
    const say = (alpn: string, bytes: Buffer): Promise<void> =>
      new Promise((resolve) => {
        const to = { host: '127.0.0.1', port: served.port, servername: 'tracker' }
        const socket = connect({ ...to, ...own, ALPNProtocols: [alpn] })
        socket
          .on('error', () => undefined)
          .on('close', () => resolve())
          .resume()
        // The other side answers, ends it, or waits for more: then it is ended here.
        socket.once('secureConnect', () =>
          socket.write(bytes, () => setTimeout(() => socket.destroy(), 30)),
        )
      })
    for (let n = 0; n < 15; n++)
      await Promise.all(
        Array.from({ length: 10 }, (_, at) => {
          const isMqtt = at % 2 === 0
          return say(isMqtt ? 'mqtt' : 'http/1.1', mutated(isMqtt ? packets : words, random))
        }),
      )
    const one = join(
      mqttBus({ url: `mqtts://127.0.0.1:${served.port}`, identity: 'tracker', tls: own, world }),
      {
        ...{ clientId: 'p1', subscriptions: ['a/b'] },
      },
    )
    t.teardown(() => one.bus.close())
    await one.until('connected', () => one.ups === 1)
    await one.say('a/b', 'still here')
    await one.until('heard', () => one.lines.includes('a/b still here'))
    t.same(
      world.lines.filter((line) =>
        /^(broker.failed|transfer.serve-failed|transfer.answer-broken)/.test(line),
      ),
      [],
    )
  },
)
