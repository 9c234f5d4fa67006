// Tracker and pillars as processes of their own: what is put comes back, and lies readable on every disk.

import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import type { Bus } from '../../src/bus/bus.ts'
import { mqttBus } from '../../src/bus/mqtt.ts'
import { limits } from '../../src/limits.ts'
import { compose, expiryText, uuid7 } from '../../src/post/compose.ts'
import { seal } from '../../src/protocol/envelope.ts'
import { httpsDial } from '../../src/transfer/https.ts'
import { issueToken } from '../../src/transfer/token.ts'
import { makeKeyPair, nodeSigner } from '../../src/trust/keys.ts'
import { changeConfig, collection, makeArchive, partials, pillarNames } from '../support/archive.ts'
import { quietWorld } from '../support/brokers.ts'
import { checkBag, sha256, snapshot, writeNoise } from '../support/files.ts'
import { type Credentials, makePki } from '../support/pki.ts'
import type { Program } from '../support/program.ts'
import { until } from '../support/until.ts'

const archive = await makeArchive(t)
const { home, pillars } = archive
const source = join(home, 'source')
const names = [
  'photo.jpg',
  'empty',
  'deep/er/and/deeper/letter.txt',
  'umlaut ä, ünd spaces',
  '📷/snap.raw',
  'line\nbreak',
  '100%=done',
  `${'long '.repeat(48)}name`,
  'Case',
  'case',
]

await archive.start()

t.test('a folder is put, and every byte and time of it comes back', async (t) => {
  for (const [n, name] of names.entries())
    writeNoise(join(source, name), name === 'empty' ? 0 : 10_000 * n * n + n, n + 1)
  const put = await (
    await archive.colonnade(['put', collection, source, '--as', 'source', '--wait', 'all'])
  ).ended
  t.equal(put.code, 0, put.errors)
  t.match(put.output, `${names.length} files stored`)
  const to = join(home, 'back')
  const get = await (await archive.colonnade(['get', collection, '--all', '-o', `${to}/`])).ended
  t.equal(get.code, 0, get.errors)
  t.same(snapshot(join(to, 'source')), snapshot(source))
})

t.test('put again: nothing is sent', async (t) => {
  const run = await archive.colonnade(['put', collection, source, '--as', 'source'])
  const { code, output } = await run.ended
  t.equal(code, 0)
  t.match(output, `0 files stored (0 B), ${names.length} known`)
  t.equal(run.line.connections, 0, 'no pillar came for bytes')
})

t.test('get again: what is there is left alone', async (t) => {
  const to = join(home, 'back')
  const run = await archive.colonnade(['get', collection, '--all', '-o', `${to}/`])
  const { code, output } = await run.ended
  t.equal(code, 0)
  t.match(output, `${names.length} were there already`)
  t.equal(run.line.connections, 0, 'no pillar came with bytes')
})

t.test('put while a pillar is off: done, and the tracker brings it the rest', async (t) => {
  await pillars['pillar-3'].kill('SIGTERM')
  const late = join(home, 'late')
  for (let n = 0; n < 20; n++) writeNoise(join(late, `file-${n}`), 100_000 * n, 100 + n)
  const put = await (await archive.colonnade(['put', collection, late, '--as', 'late'])).ended
  t.equal(put.code, 0, put.errors)
  t.match(put.output, 'pillar-3 is owed 20 of them; the tracker brings them when it returns')
  pillars['pillar-3'].start()
  await until(
    'the tracker has delivered',
    () =>
      archive.tracker.events('owed.delivered').reduce((sum, { files }) => sum + Number(files), 0) >=
      20,
  )
  t.same(
    snapshot(join(archive.volume('pillar-3'), collection, 'data', 'late')),
    snapshot(late),
    'the same bytes and times as at the source',
  )
})

t.test('a client keeps the document that tells it of the collections', async (t) => {
  const document = readFileSync(join(home, 'client', 'archive-document'), 'utf8')
  t.match(document, `"name":"${collection}"`, 'it was added before there was one')
})

t.test('a second agent on the same volume is refused', async (t) => {
  const second = archive.agent('second', join(home, 'pillar-1', 'agent.toml'))
  second.start()
  t.equal(await second.ended(), 1)
  t.match(sentences(second), [/^colonnade-agent: error: .*another agent is using this volume$/])
  t.same(pillars['pillar-1'].events('bus.closed'), [], 'the first one is not disturbed')
})

t.test('an agent whose disk is not there refuses and writes nothing', async (t) => {
  const mount = join(home, 'empty')
  mkdirSync(mount)
  const config = join(home, 'pillar-1', 'unplugged.toml')
  changeConfig(join(home, 'pillar-1', 'agent.toml'), { 'volume.mount': mount }, config)
  const lost = archive.agent('unplugged', config)
  lost.start()
  t.equal(await lost.ended(), 1)
  t.match(sentences(lost), [
    /^colonnade-agent: error: there is no volume at .*: the disk is not plugged in/,
  ])
  t.same(readdirSync(mount), [])
})

t.test('exchange and broker talk to nobody without a certificate of this archive', async (t) => {
  const ours = credentials('client')
  const stranger = await (await makePki()).credentialsOf('client')
  const { port: exchange } = new URL(exchangeUrl())
  const { port: broker } = new URL(brokerUrl())
  for (const [what, port, words, answer, refusal] of [
    [
      'the exchange',
      exchange,
      'GET /archive-document HTTP/1.1\r\nHost: tracker\r\n\r\n',
      'HTTP/1.1 200 OK',
      // Whoever was invited has none yet; this is all that he hears.
      /^(HTTP\/1.1 403 Forbidden\r\n[\s\S]{1,300})?$/,
    ],
    ['the broker', broker, connectPacket('client.probe'), '\x20\x02\x00\x00', /^$/],
  ] as const) {
    t.match(await talk(port, ours, words), answer, `${what} answers a member`)
    for (const [who, tls] of [
      ['no certificate', { ca: ours.ca }],
      ['another authority', { ...stranger, ca: ours.ca }],
    ] as const)
      t.match(await talk(port, tls, words), refusal, `${what}: ${who}`)
  }
})

t.test('messages that are not what they should be change nothing', async (t) => {
  const before = await listing()
  const world = quietWorld()
  const signer = nodeSigner(credentials('client').key)
  const request = compose<'PutFileRequest'>(world, 'client', {
    type: 'PutFileRequest',
    conversation: uuid7(world),
    collection,
    replyTo: 'colonnade/replies/client/forged',
    expiresAt: expiryText(world, 60_000),
    files: [{ id: 'forged', size: 1, checksum: 'a'.repeat(64), mtime: '2026-01-01T00:00:00.000Z' }],
    transmission: { exchanges: [], token: 'none' },
  })
  const line = JSON.stringify(request)
  const altered = Buffer.from(seal(line, signer))
  altered.set(Buffer.from('fOrged'), altered.indexOf('forged'))
  const bad: [payload: Uint8Array, why: string][] = [
    [Buffer.from(line), 'not two lines, or too long'],
    [altered, 'a wrong signature'],
    [world.random.bytes(5_000), 'not two lines, or too long'],
    [seal('{"not": "a message"}', signer), ''],
    [seal(line, nodeSigner(makeKeyPair().privateKey)), 'an unknown key'],
    [
      seal(JSON.stringify({ ...request, from: 'other' }), signer),
      'signed by client in the name of other',
    ],
    [
      seal(JSON.stringify({ ...request, replyTo: 'colonnade/replies/other/x' }), signer),
      'a reply topic of another',
    ],
  ]
  const bus = await connected('client')
  for (const [payload] of bad)
    await bus.publish(`colonnade/collections/${collection}/requests`, payload)
  await bus.publish('colonnade/pillars/pillar-1/state', seal(line, signer), true)
  for (const name of pillarNames)
    for (const [, why] of bad)
      await until(`${name} refuses ${why}`, () =>
        pillars[name].events('post.refused').some((one) => String(one.why).includes(why)),
      )
  await bus.close()
  const oversized = publishPacket(
    `colonnade/collections/${collection}/requests`,
    Buffer.alloc(100_000, 'x'),
  )
  const { port } = new URL(brokerUrl())
  const answer = await talk(
    port,
    credentials('client'),
    Buffer.concat([connectPacket('client.big'), oversized]),
    8,
  )
  t.match(
    Buffer.from(answer, 'latin1').toString('hex'),
    '40020001',
    'what is too long is acknowledged, so that it is not repeated',
  )
  t.ok(archive.tracker.events('broker.publish.dropped').some((one) => one.fits === false))
  t.ok(archive.tracker.events('broker.forbidden').length > 0, 'nobody speaks as a pillar')
  t.equal(await listing(), before, 'nothing has changed')
  for (const name of pillarNames)
    t.same(pillars[name].events('bus.closed'), [], `${name} is not disturbed`)
})

t.test('a token is good for those it names only', async (t) => {
  const world = quietWorld()
  const name = 'a'.repeat(22)
  const token = issueToken(nodeSigner(credentials('client').key), {
    iss: 'client',
    aud: ['tracker'],
    hld: ['pillar-1'],
    dir: 'down',
    obj: [[name, 5]],
    exp: Math.floor(Date.now() / 1000) + 600,
  })
  const ask = async (identity: string, as: string, bearer: string): Promise<number> => {
    const dial = httpsDial({ tls: credentials(as), world })
    const response = await dial(
      { identity, url: exchangeUrl() },
      {
        method: 'HEAD',
        path: `/objects/client/${name}`,
        headers: { authorization: `Bearer ${bearer}` },
      },
      { connectMs: 10_000, idleMs: 10_000 },
    )
    dial.close()
    return response.status
  }
  t.equal(await ask('tracker', 'pillar-1', token), 404, 'named: nothing is there yet')
  t.equal(await ask('tracker', 'pillar-2', token), 403, 'not named')
  t.equal(await ask('tracker', 'other', token), 403, 'another client')
  t.equal(await ask('tracker', 'pillar-1', `${token.slice(0, -4)}AAAA`), 403, 'altered')
  await t.rejects(
    ask('pillar-1', 'pillar-1', token),
    { message: /tracker|altname|cert/i },
    'an exchange proves its name',
  )
})

t.test('sha256sum accepts the bags while the archive runs and is idle', async (t) => {
  const all = names.length + 20
  for (const name of pillarNames) {
    const bag = join(archive.volume(name), collection)
    const manifest = join(bag, 'manifest-sha256.txt')
    await until(
      `the manifest of ${name} is up to date`,
      () =>
        existsSync(manifest) && readFileSync(manifest, 'utf8').trimEnd().split('\n').length === all,
      limits.manifestIdleMs * 4,
    )
    t.equal(checkBag(bag), all, name)
  }
})

t.test('sha256sum accepts the bags once the archive has been stopped', async (t) => {
  const last = join(home, 'last')
  writeNoise(last, 123_456, 7)
  const put = await (await archive.colonnade(['put', collection, last, '--wait', 'all'])).ended
  t.equal(put.code, 0, put.errors)
  for (const name of pillarNames) await pillars[name].kill('SIGTERM')
  for (const name of pillarNames) {
    const bag = join(archive.volume(name), collection)
    t.equal(await pillars[name].ended(), 0, `${name} ends in order`)
    t.equal(checkBag(bag), names.length + 21, name)
    t.equal(sha256(join(bag, 'data', 'last')), sha256(last))
    t.same(partials(join(archive.volume(name), '.incoming')), [])
  }
})

/** What a program said that is no event: errors for people. */
const sentences = (one: Program): string[] =>
  one
    .said()
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('{'))

const read = (...path: string[]): string => readFileSync(join(...path), 'utf8')
const address = (scheme: string): string =>
  new RegExp(`"(${scheme}://127[^"]+)"`).exec(read(home, 'client', 'client.toml'))?.[1] ?? ''
const brokerUrl = (): string => address('mqtts')
const exchangeUrl = (): string => address('https')

function credentials(member: string): Credentials {
  const pem = (name: string): string => read(home, member, name)
  return { ca: pem('ca.pem'), cert: pem('certificate.pem'), key: pem('key.pem') }
}

async function listing(): Promise<string> {
  const { code, output, errors } = await (await archive.colonnade(['ls', collection, '--json']))
    .ended
  if (code !== 0) throw new Error(errors)
  return output
}

function connected(member: string): Promise<Bus> {
  const connect = mqttBus({
    url: brokerUrl(),
    identity: 'tracker',
    tls: credentials(member),
    world: quietWorld(),
  })
  return new Promise((resolve) => {
    const bus = connect({
      clientId: `${member}.test`,
      persistent: false,
      subscriptions: [],
      receive: () => undefined,
      connected: () => resolve(bus),
      closed: () => undefined,
    })
  })
}

/** Says something over TLS: what comes back until there are so many bytes, or the other side ends. */
function talk(
  port: string,
  tls: { ca: string; cert?: string; key?: string },
  words: string | Uint8Array,
  enough = 4,
): Promise<string> {
  return new Promise((resolve) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port: Number(port),
      servername: 'tracker',
      ...tls,
    })
    let heard = ''
    const end = (): void => {
      socket.destroy()
      resolve(heard)
    }
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard += text
      if (heard.length >= enough) end()
    })
    socket.on('secureConnect', () => socket.write(words))
    socket.on('error', end).on('close', end)
  })
}

const field = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)])

/** CONNECT of MQTT 3.1.1, clean session. */
function connectPacket(clientId: string): Buffer {
  const body = Buffer.concat([field('MQTT'), Buffer.from([4, 2, 0, 60]), field(clientId)])
  return Buffer.concat([Buffer.from([0x10, body.length]), body])
}

/** PUBLISH of MQTT 3.1.1, QoS 1, packet 1. */
function publishPacket(topic: string, payload: Buffer): Buffer {
  const body = Buffer.concat([field(topic), Buffer.from([0, 1]), payload])
  const length: number[] = []
  for (let left = body.length; left > 0; left >>= 7)
    length.push((left & 127) | (left > 127 ? 128 : 0))
  return Buffer.concat([Buffer.from([0x32, ...length]), body])
}
