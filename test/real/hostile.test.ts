// Everything bad that a peer can say, at a tracker with its broker and exchange, and at an agent, all of them real processes:
// none ends, nothing that they keep is altered, each input gets one sentence or one line in a log, and memory stays flat.

import { copyFileSync, existsSync, readFileSync, rmSync } from 'node:fs'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { seal } from '../../src/protocol/envelope.ts'
import { readConfig } from '../../src/system/config.ts'
import { clientShape } from '../../src/system/config-shapes.ts'
import { issueToken } from '../../src/transfer/token.ts'
import { makeKeyPair, nodeSigner } from '../../src/trust/keys.ts'
import { groundOf } from '../conformance/member.ts'
import { openPeer, type Peer } from '../conformance/peer.ts'
import { changeConfig, makeArchive } from '../support/archive.ts'
import { quietWorld } from '../support/brokers.ts'
import { snapshot } from '../support/files.ts'
import type { Event, Program } from '../support/program.ts'
import { until } from '../support/until.ts'
import { isWhole, sentenceOf, statusOf, type Tls, talk } from './hostile/case.ts'
import { type HttpCase, type HttpGround, httpCases, request } from './hostile/http.ts'
import { broken, impossible, type MessageGround, unheard } from './hostile/messages.ts'
import {
  forbiddenFilters,
  forbiddenTopics,
  hello,
  packets,
  publish,
  subscribe,
  type TopicCase,
} from './hostile/packets.ts'

const archive = await makeArchive(t)
const { home, tracker } = archive
const agent = archive.pillars['pillar-1']
const programs = [tracker, agent]
const pem = (...path: string[]): string => readFileSync(join(home, ...path), 'utf8')
const config = (() => {
  const path = join(home, 'client', 'client.toml')
  changeConfig(path, { 'exchange.listen': '127.0.0.1:0', 'exchange.advertise': ['127.0.0.1'] })
  return readConfig(path, clientShape).values
})()
const exchangePort = Number(new URL(config['tracker.url']).port)
const brokerPort = Number(new URL(config['broker.url']).port)

const tlsOf = (name: string): Tls => ({
  ca: pem('archive', 'ca.pem'),
  ...(name === 'nobody' ? {} : { cert: pem(name, 'certificate.pem'), key: pem(name, 'key.pem') }),
})
const signerOf = (name: string) => nodeSigner(pem(name, 'key.pem'))
const atExchange = (by: string) => ({ port: exchangePort, tls: tlsOf(by) })
const atBroker = (by: string) => ({ port: brokerPort, tls: tlsOf(by) })

tracker.start()
await tracker.ready()
agent.start()
await agent.ready()
const world = quietWorld()
const { ground, close } = await groundOf({ world, config, pillar: 'pillar-1', timeoutMs: 30_000 })
const peer: Peer = await openPeer(ground)
t.teardown(async () => {
  await peer.close()
  await close()
})

/** Bytes of memory that are a process's own. */
function memory({ pid }: Program): number {
  const kB = /^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  return Number(kB) * 1024
}

/** All that may not change: files, index, trail, archive documents, what waits in the spool and in the ledger. */
function kept(): unknown {
  const rows = (path: string, tables: readonly string[]): unknown => {
    // Its owner has it for itself; a copy of both files is what a power cut would leave.
    const copy = join(home, 'copy.sqlite')
    for (const end of ['', '-wal']) if (existsSync(path + end)) copyFileSync(path + end, copy + end)
    const database = new DatabaseSync(copy)
    const all = tables.map((one) => database.prepare(`SELECT * FROM ${one}`).all())
    database.close()
    for (const end of ['', '-wal', '-shm']) rmSync(copy + end, { force: true })
    return JSON.stringify(all)
  }
  const volume = archive.volume('pillar-1')
  return {
    files: snapshot(join(volume, 'home', 'data')),
    index: rows(join(volume, '.index.sqlite'), [
      'files',
      'tombstones',
      'retained',
      'audit',
      'receiving',
      'accepted',
    ]),
    documents: [pem('archive', 'archive-document'), pem('tracker', 'archive-document')],
    spool: snapshot(join(home, 'tracker', 'spool')),
  }
}

const listing = async (): Promise<unknown> =>
  (await peer.ask('GetChecksumsRequest', {})).items.map(({ id, checksum, timestamp }) => [
    id,
    checksum,
    timestamp,
  ])

const claims = {
  iss: 'client',
  aud: ['tracker'],
  hld: ['pillar-2'],
  dir: 'down' as const,
  obj: [['a'.repeat(22), 100]] as [string, number][],
  exp: Math.floor(Date.now() / 1000) + 3_600,
}
const first = await peer.stored('kept.txt', 5_000)
const once = peer.putting([peer.item('once.txt', 300)])
const answer = await peer.final(once)
await deposit()
await new Promise((resolve) => setTimeout(resolve, 500))
const before = kept()
const listed = await listing()
const pids = programs.map(({ pid }) => pid)
/** Memory after each part: what is bound to grow once, as code that is compiled, has grown after the first ones. */
const grown: number[][] = [programs.map(memory)]
let tried = 0

/** An object that waits at the exchange for a pillar that is not there. */
async function deposit(): Promise<void> {
  const token = issueToken(signerOf('client'), claims)
  const headers = {
    ...{ authorization: `Bearer ${token}`, 'content-length': 100, receivers: 'pillar-2' },
    ...{ 'upload-offset': 0, 'upload-length': 100, 'upload-complete': '?1' },
  }
  const words = request('PATCH', `/objects/client/${'a'.repeat(22)}`, headers, 'x'.repeat(100))
  const { heard } = await talk(atExchange('client'), words, isWhole)
  if (statusOf(heard) !== 204) throw new Error(`the spool does not take it: ${heard}`)
}

/** In groups, so that a test takes seconds and not minutes. */
async function each<C>(
  cases: readonly C[],
  run: (one: C) => Promise<void>,
  atOnce = 8,
): Promise<void> {
  for (let at = 0; at < cases.length; at += atOnce)
    await Promise.all(cases.slice(at, at + atOnce).map(run))
  tried += cases.length
  grown.push(programs.map(memory))
}

const since = (one: Program, names: readonly string[]): Event[] =>
  one.events().filter(({ event }) => names.includes(event))

/** Gives a byte now and then, so that it is never silent; how long the other side bears with it, milliseconds. */
function dawdling(door: { port: number; tls: Tls }, words: string): Promise<number> {
  return new Promise((resolve) => {
    const began = performance.now()
    const socket = connectTls({
      ...door.tls,
      port: door.port,
      host: '127.0.0.1',
      servername: 'tracker',
    })
    socket.on('error', () => undefined).resume()
    let at = 0
    const timer = setInterval(() => socket.write(words[at++ % words.length] ?? ''), 500)
    socket.once('close', () => {
      clearInterval(timer)
      resolve(performance.now() - began)
    })
  })
}
/** Begun now, since it takes its time; looked at in the end. */
const dawdlers = Promise.all([
  dawdling(atExchange('other'), `GET / HTTP/1.1\r\nx: ${'y'.repeat(500)}`),
  dawdling(atExchange('nobody'), `GET / HTTP/1.1\r\nx: ${'y'.repeat(500)}`),
  dawdling(atBroker('other'), `\x10\x7f\x00\x04MQTT${'\x00'.repeat(100)}`),
])

t.test('[HOST-1] [TOK-2] requests to an exchange are refused by one sentence each', async (t) => {
  const document = readFileSync(join(home, 'tracker', 'archive-document'))
  const signers = {
    ...{ client: signerOf('client'), other: signerOf('other'), 'pillar-1': signerOf('pillar-1') },
    stranger: nodeSigner(makeKeyPair().privateKey),
  }
  const ground: HttpGround = { signers, object: 'a'.repeat(22), claims, document }
  await each(httpCases(ground), async ({ name, by, bytes, status, says }: HttpCase) => {
    const { heard, closed } = await talk(atExchange(by), bytes, isWhole)
    const sentence = sentenceOf(heard)
    const isRight = status === 0 ? heard === '' && closed : statusOf(heard) === status
    const isSaid = says === undefined || (says.test(sentence) && /^[^\n]{1,200}\n$/.test(sentence))
    t.ok(isRight && isSaid, `${name}: ${status}`, { heard: heard.slice(0, 300), says: `${says}` })
  })
})

t.test('[HOST-2] what is no MQTT ends its connection, with one line in the log', async (t) => {
  const lines = [
    'broker.connect.failed',
    'broker.link.failed',
    'broker.clientId.refused',
    'broker.link.refused',
  ]
  await each(
    packets(),
    async ({ name, bytes }) => {
      const ours = () =>
        since(tracker, lines).filter(({ identity }) => identity === 'pillar-2').length
      const count = ours()
      const { closed } = await talk(atBroker('pillar-2'), bytes, () => false)
      await peer.sleep(20)
      const more = ours() - count
      t.ok(closed && more === 1, name, { closed, more })
    },
    1,
  )
})

const spoken = Buffer.from('garbage')

t.test('[HOST-3] nobody speaks for another at the broker', async (t) => {
  const cases = forbiddenTopics()
  for (const by of ['pillar-2', 'client'] as const) {
    const mine = cases.filter((one) => one.by === by)
    const words = [hello(`${by}.speaks`), ...mine.map(({ topic }) => publish(topic, spoken, 0x33))]
    const { heard } = await talk(
      atBroker(by),
      Buffer.concat(words),
      (all) => all.length >= 4 + 4 * mine.length,
    )
    t.equal(
      heard.length,
      4 + 4 * mine.length,
      `${by}: all are acknowledged, so that none is repeated`,
    )
  }
  const dropped = since(tracker, ['broker.publish.dropped'])
  await each(cases, async ({ name, by, topic }: TopicCase) => {
    t.equal(dropped.filter((one) => one.identity === by && one.topic === topic).length, 1, name)
  })
})

let listeners = 0
t.test('[HOST-3] nobody listens to what is for others', async (t) => {
  await each(forbiddenFilters(), async ({ name, by, topic }: TopicCase) => {
    const words = Buffer.concat([hello(`${by}.l${++listeners}`), subscribe(topic)])
    const { heard } = await talk(atBroker(by), words, (all) => all.length >= 9)
    t.equal(
      Buffer.from(heard, 'latin1').toString('hex'),
      '20020000900300 0980'.replace(' ', ''),
      name,
    )
  })
})

t.test('[HOST-4] nothing stays at the broker but presences', async (t) => {
  const topics = [
    'alarms',
    'collections/home/requests',
    'collections/x/requests',
    'replies/client/x',
    'pillars/x/requests',
  ]
  const all = topics.map((one) => publish(`colonnade/${one}`, spoken, 0x33))
  await talk(
    atBroker('pillar-2'),
    Buffer.concat([hello('pillar-2.keeps'), ...all]),
    (heard) => heard.length >= 4 + 4 * all.length,
  )
  const heard: string[] = []
  const watcher = ground.connect({
    ...{ clientId: 'client.late', persistent: false },
    subscriptions: [
      ...['alarms', 'collections/+/requests', 'replies/client/#', 'pillars/+/state'].map(
        (one) => `colonnade/${one}`,
      ),
      'colonnade/tracker/state',
    ],
    receive: (topic, payload) => void heard.push(`${topic} ${Buffer.from(payload)}`),
    connected: () => undefined,
    closed: () => undefined,
  })
  t.teardown(() => watcher.close())
  await until('presences are there', () => heard.filter((one) => /state /.test(one)).length >= 2)
  await peer.sleep(300)
  t.same(
    heard.filter((one) => one.includes('garbage')),
    [],
  )
  tried += topics.length
})

const messages: MessageGround = { peer, other: signerOf('other'), pillar2: signerOf('pillar-2') }
const aims = ['colonnade/pillars/pillar-1/requests', 'colonnade/tracker/requests']

function speaker(t: Test): Promise<(topic: string, payload: Uint8Array) => Promise<void>> {
  return new Promise((resolve) => {
    const bus = ground.connect({
      ...{ clientId: 'client.hostile', persistent: false, subscriptions: [] },
      receive: () => undefined,
      connected: () => resolve((topic, payload) => bus.publish(topic, payload)),
      closed: () => undefined,
    })
    t.teardown(() => bus.close())
  })
}

t.test(
  '[HOST-5] messages that are broken or forged are dropped, with one line in the log',
  async (t) => {
    const say = await speaker(t)
    const cases = broken(messages)
    const had = programs.map((one) => since(one, ['post.refused']).length)
    for (const { payload } of cases) for (const topic of aims) await say(topic, payload)
    await peer.ask('GetStatusRequest', {})
    const seen = await until('all are refused', () => {
      const all = programs.map((one, n) => since(one, ['post.refused']).slice(had[n]))
      return all.every((one) => one.length >= cases.length) && all
    })
    await each(cases, async ({ name, payload, refused }) => {
      for (const [n, { name: who }] of programs.entries())
        t.ok(
          seen[n]?.some(({ bytes, why }) => bytes === payload.length && refused?.test(String(why))),
          `${name}, to ${who}: ${refused}`,
          { had: seen[n]?.filter(({ bytes }) => bytes === payload.length) },
        )
    })
    for (const all of seen) t.equal(all.length, cases.length, 'one line for each')
  },
)

t.test(
  '[HOST-5] [TOK-1] what can not be, or may not be, is answered by one sentence',
  async (t) => {
    const say = await speaker(t)
    await each(impossible(messages), async ({ name, payload, conversation = '', answer }) => {
      await say(aims[0] ?? '', payload)
      const found = await until(name, () => peer.answers(conversation).at(-1))
      const { code, text = '' } = found.responseInfo
      const files = 'files' in found ? found.files.map((one) => one.code) : []
      t.ok(answer?.test(`${code} ${text} ${files}`) && !text.includes('\n'), `${name}: ${answer}`, {
        code,
        text,
      })
    })
  },
)

t.test('[HOST-5] what is for others, or from who may not ask, is not answered', async (t) => {
  const say = await speaker(t)
  const cases = unheard(messages)
  for (const { payload } of cases) for (const topic of aims) await say(topic, payload)
  await peer.unanswered(cases)
  await each(cases, async ({ name, conversation }) => {
    t.same(peer.answers(conversation), [], name)
  })
})

t.test('[HOST-6] the same request over and over has one effect, and one answer', async (t) => {
  const say = await speaker(t)
  t.equal(answer.files[0]?.code, 'OPERATION_COMPLETED')
  const trail = async () => (await peer.ask('GetAuditTrailsRequest', {})).items.length
  const count = await trail()
  const bytes = seal(JSON.stringify(once), peer.signer)
  const had = peer.answers(once.conversation).length
  for (let n = 0; n < 20; n++) await say(aims[n % 2] ?? '', bytes)
  const again = await until('it is answered again', () =>
    peer
      .answers(once.conversation)
      .slice(had)
      .find(({ type }) => type === answer.type),
  )
  t.same({ ...again, id: '', sentAt: '' }, { ...answer, id: '', sentAt: '' }, 'the same answer')
  t.equal(await trail(), count, 'no entry more')
  tried += 1
})

t.test('[HOST-7] floods of connections keep nobody else out', async (t) => {
  for (const [what, port] of [
    ['the exchange', exchangePort],
    ['the broker', brokerPort],
  ] as const) {
    const sockets = Array.from({ length: 100 }, () =>
      connectTcp({ port, host: '127.0.0.1', localAddress: '127.0.0.9' }).on(
        'error',
        () => undefined,
      ),
    )
    await until(
      `${what} cuts who are too many`,
      () => sockets.filter(({ closed }) => closed).length >= 36,
    )
    const { heard } = await (port === exchangePort
      ? talk(atExchange('client'), request('HEAD', '/'), isWhole)
      : talk(atBroker('client'), hello('client.calm'), (one) => one.length >= 4))
    t.ok(heard.length >= 4, `${what} has an ear for members`)
    for (const socket of sockets) socket.destroy()
  }
  t.equal(since(tracker, ['door.flooded']).length, 2, 'one line for each')
  const to = { port: brokerPort, host: '127.0.0.1', servername: 'tracker', ...tlsOf('other') }
  const links = Array.from({ length: 70 }, (_, n) => {
    const socket = connectTls(to).on('error', () => undefined)
    return socket.once('secureConnect', () => socket.write(hello(`other.f${n}`)))
  })
  await until(
    'one identity has only so many',
    () => links.filter(({ closed }) => closed).length >= 6,
  )
  for (const link of links) link.destroy()
  tried += 3
})

t.test('[HOST-7] who is slow on purpose is cut', async (t) => {
  for (const ms of await dawdlers) t.ok(ms < 40_000, `after ${Math.round(ms)} ms`)
  tried += 3
})

t.test('[HOST-8] after all of it everything is as it was', async (t) => {
  t.ok(tried >= 200, `${tried} bad inputs`)
  t.same(
    programs.map(({ pid }) => pid),
    pids,
    'no process has ended',
  )
  for (const one of programs)
    t.same(
      one.events().filter((it) => it.level === 'error' && it.alarmCode === undefined),
      [],
      `${one.name} met no error`,
    )
  t.same(await listing(), listed)
  t.same(kept(), before)
  t.equal((await peer.get(first.id)).file.checksum, first.checksum)
  const [early, late] = [grown[2] ?? [], grown.at(-1) ?? []]
  for (const [n, one] of programs.entries())
    t.ok((late[n] ?? 0) - (early[n] ?? 0) < 40 * 2 ** 20, `the memory of ${one.name} stays flat`)
  t.comment(
    `${tried} bad inputs; RssAnon in MiB: ${grown.map((all) => all.map((one) => Math.round(one / 2 ** 20)).join('/')).join(' ')}`,
  )
})
