// Exchange and broker on one port, in this process.

import { request } from 'node:https'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import { embeddedBroker } from '../../src/bus/embedded.ts'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { httpsServe } from '../../src/transfer/https.ts'
import { join } from '../contract/bus.ts'
import { quietWorld } from '../support/brokers.ts'
import { makePki } from '../support/pki.ts'

async function onePort(t: Test) {
  const pki = await makePki()
  const world = quietWorld()
  const tls = await pki.credentialsOf('tracker')
  const gone = new Set<string>()
  const admit = (name: string) => !gone.has(name)
  const common = { host: '127.0.0.1', tls, world, admit }
  const broker = await embeddedBroker({ ...common, port: 'none', allow: () => true })
  const answer = async () => ({ status: 204, headers: {} })
  const served = await httpsServe({
    ...common,
    port: 0,
    serve: answer,
    strangers: answer,
    mqtt: broker.take,
  })
  t.teardown(async () => {
    await broker.close()
    await served.close()
  })
  const at = (scheme: string, path = '') => `${scheme}://127.0.0.1:${served.port}${path}`
  async function member(t: Test, name: string, ...urls: string[]) {
    const tls = await pki.credentialsOf(name)
    const how = { url: () => urls, identity: 'tracker', tls, world }
    const one = join(mqttBus(how), { clientId: name, subscriptions: ['x'] })
    t.teardown(() => one.bus.close())
    return one
  }
  return { pki, broker, served, gone, at, member, world }
}

t.test(
  '[DOOR-1] [DOOR-2] both ways lead to one broker, and HTTP is answered beside it',
  async (t) => {
    const { at, member, pki } = await onePort(t)
    const one = await member(t, 'one', at('mqtts'))
    const two = await member(t, 'two', at('wss', '/mqtt'))
    for (const each of [one, two]) await each.until('connected', () => each.ups === 1)
    await one.say('x', 'by ALPN')
    await two.say('x', 'by WebSocket'.padEnd(60_000))
    for (const each of [one, two]) await each.until('both', () => each.lines.length === 2)
    const tls = await pki.credentialsOf('three')
    const status = await new Promise((resolve, reject) => {
      const asking = request(at('https'), { ...tls, servername: 'tracker', agent: false })
      asking.on('response', (answer) => resolve(answer.statusCode)).on('error', reject)
      asking.end()
    })
    t.equal(status, 204)
  },
)

t.test('[DOOR-1] who is turned out is cut, whatever way he came', async (t) => {
  const { at, member, gone, served } = await onePort(t)
  const all = [await member(t, 'one', at('mqtts')), await member(t, 'two', at('wss', '/mqtt'))]
  for (const each of all) await each.until('connected', () => each.ups === 1)
  for (const name of ['one', 'two']) gone.add(name)
  served.recheck()
  for (const each of all) await each.until('cut, and not let in again', () => each.downs >= 2)
  t.same(
    all.map(({ ups }) => ups),
    [1, 1],
  )
})

t.test('[DOOR-1] strangers have no broker, and other upgrades are refused', async (t) => {
  const { at, pki, served } = await onePort(t)
  const own = await pki.credentialsOf('one')
  const heard = (alpn: string, words: string | Uint8Array, tls: object) =>
    new Promise<string>((resolve) => {
      const to = { host: '127.0.0.1', port: served.port, servername: 'tracker', ca: own.ca }
      const socket = connect({ ...to, ...tls, ALPNProtocols: [alpn] })
      let text = ''
      socket.on('data', (bytes) => (text += bytes)).on('error', () => undefined)
      socket.on('secureConnect', () => socket.write(words)).on('close', () => resolve(text))
    })
  const hello = Buffer.from('100f00044d515454040200000003782e79', 'hex')
  t.equal(await heard('mqtt', hello, {}), '', 'no certificate, by ALPN')
  const upgrade = (path: string, protocol: string) =>
    `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n` +
    `sec-websocket-key: ${'A'.repeat(22)}==\r\nsec-websocket-protocol: ${protocol}\r\n\r\n`
  t.notMatch(
    await heard('http/1.1', upgrade('/mqtt', 'mqtt'), {}),
    / 101 /,
    'no certificate, by WebSocket',
  )
  for (const [path, protocol] of [
    ['/', 'mqtt'],
    ['/mqtt/..', 'mqtt'],
    ['/mqtt', 'chat'],
  ] as const)
    t.match(
      await heard('http/1.1', upgrade(path, protocol), own),
      /^HTTP\/1.1 400 [\s\S]*\r\n\r\nonly mqtt is spoken .*\n$/,
    )
  t.equal(await heard('h2', '', own), '', 'nothing else is spoken')
  t.ok(at('https'))
})

t.test('[DOOR-2] the other way is tried when the first leads nowhere', async (t) => {
  const { at, member } = await onePort(t)
  const one = await member(t, 'one', 'mqtts://127.0.0.1:9', at('wss', '/mqtt'))
  await one.until('connected', () => one.ups === 1)
  t.equal(one.downs, 1)
})
