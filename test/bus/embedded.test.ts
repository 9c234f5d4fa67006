import { once } from 'node:events'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import type { Link } from '../../src/bus/bus.ts'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { join } from '../contract/bus.ts'
import { startEmbedded, startRelay } from '../support/brokers.ts'
import { makePki } from '../support/pki.ts'

type Started = Awaited<ReturnType<typeof startEmbedded>>

/** A participant by TLS; under its identity unless a client id is given. */
async function participant(
  t: Test,
  { pki, url, world }: Started,
  identity: string,
  link: Partial<Link> = {},
  via: string = url,
) {
  const tls = await pki.credentialsOf(identity)
  const bus = mqttBus({ url: via, identity: 'broker', tls, world })
  const joined = join(bus, { clientId: identity, ...link })
  t.teardown(() => joined.bus.close())
  return joined
}

async function joined(...[t, started, identity, link, via]: Parameters<typeof participant>) {
  const one = await participant(t, started, identity, link, via)
  await one.until('connected', () => one.ups > 0)
  return one
}

t.test('a forbidden publish is acknowledged, dropped and reported', async (t) => {
  const reported: string[] = []
  const started = await startEmbedded(t, {
    allow: (identity, action, topic) =>
      action === 'subscribe' || identity === 'boss' || topic === 'x/allowed',
    onForbidden: (identity, topic) => void reported.push(`${identity} ${topic}`),
  })
  const watcher = await joined(t, started, 'watcher', { subscriptions: ['x/#'] })
  const p1 = await joined(t, started, 'p1')
  await p1.say('x/forbidden', 'let me', true)
  await p1.say('x/allowed', 'end')
  await watcher.until('the end', () => watcher.lines.length > 0)
  const late = await joined(t, started, 'late', { subscriptions: ['x/forbidden', 'x/allowed'] })
  await p1.say('x/allowed', 'end')
  await late.until('the end', () => late.lines.length > 0)
  t.same(reported, ['p1 x/forbidden'])
  t.same(watcher.lines[0], 'x/allowed end')
  t.same(late.lines, ['x/allowed end'], 'nor was it retained')
  t.equal(p1.downs, 0)
})

t.test('a forbidden Will is dropped and reported', async (t) => {
  const reported: string[] = []
  const started = await startEmbedded(t, {
    allow: (identity, action) => action === 'subscribe' || identity !== 'p1',
    onForbidden: (identity, topic) => void reported.push(`${identity} ${topic}`),
  })
  const watcher = await joined(t, started, 'watcher', { subscriptions: ['x/#'] })
  const will = { topic: 'x/will', payload: Buffer.from('dead') }
  const p1 = await joined(t, started, 'p1', { will })
  started.broker.drop('p1')
  await p1.until('connected again', () => p1.ups === 2)
  await watcher.say('x/end', 'end')
  await watcher.until('the end', () => watcher.lines.length > 0)
  t.same(watcher.lines, ['x/end end'])
  t.same(reported, ['p1 x/will'])
})

t.test('a forbidden subscription is refused, the others beside it count', async (t) => {
  const started = await startEmbedded(t, {
    allow: (identity, action, topic) => action === 'publish' || identity !== 'p1' || topic === 'x',
  })
  const link = { subscriptions: ['x', 'secret'], persistent: true }
  const before = await joined(t, started, 'p1', link)
  const boss = await joined(t, started, 'boss')
  await boss.say('secret', 'a')
  await boss.say('x', 'b')
  await before.until('the allowed one', () => before.lines.length > 0)
  await before.bus.close()
  await boss.say('x', 'c')
  // More than a queue holds: what is refused must not push out what is allowed.
  await Promise.all(Array.from({ length: 1_000 }, () => boss.say('secret', 'd')))
  const after = await joined(t, started, 'p1', link)
  await after.until('the allowed one', () => after.lines.length > 0)
  t.same([before.lines, after.lines], [['x b'], ['x c']])
  t.ok(started.world.lines.some((line) => line.startsWith('bus.subscription.refused')))
})

t.test('a right that was taken away ends what was subscribed to', async (t) => {
  const taken = new Set<string>()
  const started = await startEmbedded(t, { allow: (_, __, topic) => !taken.has(topic) })
  const link = { subscriptions: ['x', 'y'], persistent: true }
  const before = await joined(t, started, 'p1', link)
  await before.bus.close()
  const boss = join(started.broker.connectLocal, { clientId: 'boss' })
  t.teardown(() => boss.bus.close())
  await boss.until('connected', () => boss.ups > 0)
  await boss.say('x', 'queued')
  taken.add('x')
  const after = await joined(t, started, 'p1', link)
  await boss.say('x', 'live')
  await boss.say('y', 'end')
  await after.until('the end', () => after.lines.length > 0)
  t.same(after.lines, ['y end'])
})

t.test('a client id that is not of the certificate is refused', async (t) => {
  const started = await startEmbedded(t)
  for (const clientId of ['p2', 'p1x', 'p2.p1']) {
    const one = await participant(t, started, 'p1', { clientId })
    await one.until('refused', () => one.downs > 0)
    t.equal(one.ups, 0, clientId)
  }
  const lasting = await participant(t, started, 'p1', { clientId: 'p1.run', persistent: true })
  await lasting.until('refused', () => lasting.downs > 0)
  t.equal(lasting.ups, 0, 'a run of a command may not leave a session behind')
})

t.test('an identity that is not admitted is refused', async (t) => {
  const revoked = new Set<string>()
  const keys = new Set<string>()
  const started = await startEmbedded(t, {
    admit: (identity, key) => !revoked.has(identity) && keys.add(key).size > 0,
  })
  const one = await joined(t, started, 'p1')
  t.match([...keys], [/^MFkwEwYHKoZIzj0/], 'it is asked about the key of the certificate')
  revoked.add('p1')
  started.broker.drop('p1')
  await one.until('cut and refused', () => one.downs > 1)
  t.equal(one.ups, 1)
})

t.test('nobody is heard without a certificate of our authority, or below TLS 1.3', async (t) => {
  const { broker, pki, url, world } = await startEmbedded(t)
  const stranger = await (await makePki()).credentialsOf('p1')
  const own = await pki.credentialsOf('p1')
  const { ca } = own
  const to = { port: broker.port, host: '127.0.0.1', servername: 'broker', ca }
  for (const tls of [{}, { key: stranger.key, cert: stranger.cert }]) {
    const socket = connect({ ...to, ...tls }).on('error', () => {})
    const received: Buffer[] = []
    socket.on('data', (bytes: Buffer) => void received.push(bytes))
    // MQTT 3.1.1: CONNECT, clean session, keep-alive 0, client id `p1`; the answer would be 20 02 00 00.
    socket.write(Buffer.from('100e00044d5154540402000000027031', 'hex'))
    await new Promise((resolve) => socket.once('close', resolve))
    t.same(received, [])
  }
  const [error] = await once(connect({ ...to, ...own, maxVersion: 'TLSv1.2' }), 'error')
  t.match(error.code, /PROTOCOL_VERSION/)

  const reasons: string[] = []
  const link = { clientId: 'p1', closed: (reason: string) => void reasons.push(reason) }
  for (const [identity, tls] of [
    ['broker', { ...stranger, ca }],
    ['broker', { ...own, ca: stranger.ca }],
    ['tracker', own],
  ] as const) {
    const one = join(mqttBus({ url, identity, tls, world }), link)
    t.teardown(() => one.bus.close())
    await one.until('refused', () => one.downs > 0)
    t.equal(one.ups, 0)
  }
})

t.test('what waits for an absent participant is bounded, the oldest is dropped', async (t) => {
  const started = await startEmbedded(t)
  const boss = await joined(t, started, 'boss')
  const link = { subscriptions: ['x'], persistent: true }
  const away = async (publish: () => Promise<unknown>) => {
    const before = await joined(t, started, 'p1', link)
    await before.bus.close()
    await publish()
    await boss.say('x', 'end')
    const after = await joined(t, started, 'p1', link)
    await after.until('the end', () => after.lines.at(-1) === 'x end')
    await after.bus.close()
    return after.lines
  }
  const many = await away(() =>
    Promise.all(Array.from({ length: 1100 }, (_, n) => boss.say('x', String(n)))),
  )
  t.same([many.length, many[0], many.at(-2)], [1000, 'x 101', 'x 1099'])
  const big = await away(async () => {
    for (let n = 0; n < 100; n++) await boss.say('x', String(n).padEnd(60_000))
  })
  t.same([big.length, big[0]?.trim()], [70, 'x 31'], '69 times 60 000 bytes are below 4 MiB')
})

t.test('a message that has expired meanwhile is not delivered any more', async (t) => {
  const started = await startEmbedded(t)
  const boss = await joined(t, started, 'boss')
  const link = { subscriptions: ['x'], persistent: true }
  const before = await joined(t, started, 'p1', link)
  await before.bus.close()
  const message = (id: string, expiresAt: unknown) =>
    `${JSON.stringify({ id, expiresAt })}\nES256 key signature`
  await boss.say('x', message('past', new Date(started.world.clock.now() - 1).toISOString()))
  await boss.say('x', message('future', new Date(started.world.clock.now() + 1e6).toISOString()))
  await boss.say('x', message('odd', { never: true }))
  await boss.say('x', '"expiresAt"')
  await boss.say('x', `${message('none', undefined)}\n"expiresAt":"1999-01-01T00:00:00Z"`)
  await boss.say('x', 'end')
  const after = await joined(t, started, 'p1', link)
  await after.until('the end', () => after.lines.at(-1) === 'x end')
  t.same(
    after.lines.map((line) => /"id":"(\w+)"/.exec(line)?.[1] ?? line),
    ['future', 'odd', 'x "expiresAt"', 'none', 'x end'],
  )
})

t.test('a subscriber that reads nothing holds up nobody, and is cut in the end', async (t) => {
  const started = await startEmbedded(t)
  const said = (what: string) => started.world.lines.some((line) => line.includes(what))
  const relay = await startRelay(t, started.broker.port)
  const subscriptions = ['x']
  const via = `mqtts://127.0.0.1:${relay.port}`
  await joined(t, started, 'p1', { subscriptions }, via)
  const other = await joined(t, started, 'p2', { subscriptions })
  const boss = await joined(t, started, 'boss')
  relay.freeze()
  const big = 'x'.repeat(60_000)
  for (let n = 0; n < 200; n++) await boss.say('x', big)
  await other.until('all', () => other.lines.length === 200)
  t.notOk(said('drain timeout') || said('reads too slowly'), 'nobody had to be cut for that')
  for (let n = 0; n < 400 && !said('reads too slowly'); n++) await boss.say('x', big)
  t.ok(said('reads too slowly'))
})

t.test('closing ends all connections, and the port is free again', async (t) => {
  const started = await startEmbedded(t)
  const one = await joined(t, started, 'p1')
  const reasons: string[] = []
  const closed = (reason: string) => void reasons.push(reason)
  const local = join(started.broker.connectLocal, { clientId: 'tracker', closed })
  t.teardown(() => local.bus.close())
  await local.until('connected', () => local.ups > 0)
  await started.broker.close()
  for (const each of [one, local]) await each.until('told of the end', () => each.downs > 0)
  await t.rejects(one.say('x', 'anybody?'))
  await startEmbedded(t, { port: started.broker.port })
  for (const each of [one, local]) await each.until('tried again', () => each.downs > 1)
  t.notMatch(reasons, /timeout/, 'who tries again within the process is told at once')
})
