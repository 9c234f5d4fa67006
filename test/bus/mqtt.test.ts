import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { join } from '../contract/bus.ts'
import { quietWorld } from '../support/brokers.ts'

/** MQTT packets as a broker sends them. */
const connack = (code: number) => Buffer.from([0x20, 2, 0, code])
const puback = Buffer.from([0x40, 2, 0, 1])

/** A broker without TLS that answers each packet as told; the packet's type is its first byte. */
async function broker(t: Test, answer: (packet: Buffer, socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (packet) => answer(packet, socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  return { url: `mqtt://127.0.0.1:${port}`, sockets }
}

const typeOf = (packet: Buffer) => (packet[0] ?? 0) >> 4
/** The protocol level that a CONNECT asks for. */
const versionOf = (packet: Buffer) => packet[packet.indexOf('MQTT') + 4]

t.test('a broker that refuses MQTT 5 is asked by MQTT 3.1.1, from then on', async (t) => {
  const asked: unknown[] = []
  const { url, sockets } = await broker(t, (packet, socket) => {
    if (typeOf(packet) !== 1) return
    asked.push(versionOf(packet))
    socket.write(connack(versionOf(packet) === 5 ? 1 : 0))
  })
  const one = join(mqttBus({ url, identity: 'broker', world: quietWorld() }), { clientId: 'p1' })
  t.teardown(() => one.bus.close())
  await one.until('connected', () => one.ups === 1)
  t.equal(one.downs, 0, 'the refusal is not told as an end')
  for (const socket of sockets) socket.destroy()
  await one.until('connected again', () => one.ups === 2)
  t.same(asked, [5, 4, 4])
})

t.test('nothing that was not acknowledged is sent again by itself', async (t) => {
  const published: Buffer[] = []
  const { url } = await broker(t, (packet, socket) => {
    if (typeOf(packet) === 1) socket.write(connack(0))
    if (typeOf(packet) !== 3) return
    published.push(packet)
    socket.destroy()
  })
  const bus = mqttBus({ url, identity: 'broker', protocolVersion: 4, world: quietWorld() })
  const one = join(bus, { clientId: 'p1', persistent: true })
  t.teardown(() => one.bus.close())
  await one.until('connected', () => one.ups === 1)
  await t.rejects(one.say('x', 'once'))
  await one.until('connected again', () => one.ups === 2)
  await t.rejects(one.say('x', 'another'))
  t.same(
    published.map((packet) => packet.toString('utf8', 7)),
    ['once', 'another'],
  )
})

t.test('garbage from a broker ends the connection, not the program', async (t) => {
  let connects = 0
  const { url } = await broker(t, (packet, socket) => {
    if (typeOf(packet) !== 1) return
    socket.write(connack(0))
    if (++connects === 1) socket.write(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))
  })
  const bus = mqttBus({ url, identity: 'broker', protocolVersion: 4, world: quietWorld() })
  const one = join(bus, { clientId: 'p1' })
  t.teardown(() => one.bus.close())
  await one.until('connected again', () => connects === 2 && one.ups === 2)
  t.equal(one.downs, 1)
})

t.test('leaving a broker that does not answer any more takes a bounded time', async (t) => {
  const waits: number[] = []
  const world = quietWorld()
  const clock = {
    ...world.clock,
    sleep: async (ms: number) => {
      waits.push(ms)
    },
  }
  const { url } = await broker(t, (packet, socket) => {
    if (typeOf(packet) === 1) socket.write(connack(0))
  })
  const bus = mqttBus({ url, identity: 'broker', protocolVersion: 4, world: { ...world, clock } })
  const one = join(bus, { clientId: 'p1' })
  await one.until('connected', () => one.ups === 1)
  const said = t.rejects(one.say('x', 'no answer'))
  await one.bus.close()
  await said
  t.same(waits, [5_000])
})

t.test('what arrives while leaving is not acknowledged: it waits in the session', async (t) => {
  const types: number[] = []
  const { url } = await broker(t, (packet, socket) => {
    types.push(typeOf(packet))
    if (typeOf(packet) === 1) socket.write(connack(0))
    if (typeOf(packet) !== 3) return
    const message = Buffer.from([0x32, 6, 0, 1, 0x78, 0, 7, 0x21]) // QoS 1, topic x, id 7, "!"
    const messageId = packet.subarray(5, 7)
    socket.write(Buffer.concat([message, puback.subarray(0, 2), messageId]))
  })
  const bus = mqttBus({ url, identity: 'broker', protocolVersion: 4, world: quietWorld() })
  const one = join(bus, { clientId: 'p1', persistent: true })
  await one.until('connected', () => one.ups === 1)
  const said = one.say('x', 'the last')
  await one.bus.close()
  await said
  t.same(one.lines, [])
  t.same(types, [1, 3, 14], 'CONNECT, PUBLISH, DISCONNECT and no PUBACK')
})

t.test('attempts become rarer while connections do not last', async (t) => {
  const waits: number[] = []
  const world = quietWorld()
  const clock = {
    ...world.clock,
    monotonic: () => 0,
    sleep: async (ms: number) => {
      waits.push(ms)
    },
  }
  const { url } = await broker(t, (packet, socket) => {
    if (typeOf(packet) === 1) socket.end(connack(0))
  })
  const random = { ...world.random, next: () => 0.5 }
  const bus = mqttBus({
    url,
    identity: 'broker',
    protocolVersion: 4,
    world: { ...world, clock, random },
  })
  const one = join(bus, { clientId: 'p1' })
  t.teardown(() => one.bus.close())
  await one.until('many attempts', () => waits.length >= 8)
  t.same(waits.slice(0, 8), [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
})

t.test(
  'a broker that is named wrongly, or without means to prove ourselves, is said at once',
  async (t) => {
    const world = quietWorld()
    t.throws(() => mqttBus({ url: 'https://broker', identity: 'broker', world }), /mqtts:/)
    t.throws(() => mqttBus({ url: 'mqtts://broker', identity: 'broker', world }), /certificate/)
    const tls = { ca: '', cert: 'no', key: 'no' }
    t.throws(() => mqttBus({ url: 'mqtts://broker', identity: 'broker', tls, world }))
  },
)
