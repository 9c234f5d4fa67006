// Letting in whom the owner has invited, over HTTPS as the tracker serves it; everybody else stays outside.

import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { connect } from 'node:tls'
import t, { type Test } from 'tap'
import type { Invitation } from '../../src/protocol/enrolment.ts'
import { readDocument } from '../../src/setup/archive.ts'
import { enrol } from '../../src/setup/enrol.ts'
import { enrolment, fingerprintOf } from '../../src/setup/enrolment.ts'
import { add, init } from '../../src/setup/found.ts'
import { findInvitation, keepInvitation } from '../../src/setup/invitations.ts'
import { openState } from '../../src/state/sqlite.ts'
import { readConfig } from '../../src/system/config.ts'
import { agentShape } from '../../src/system/config-shapes.ts'
import { openMember } from '../../src/system/member.ts'
import { systemWorld } from '../../src/system/world.ts'
import { httpsDial, httpsServe } from '../../src/transfer/https.ts'
import type { Serve } from '../../src/transfer/transfer.ts'
import { codeText, readCode } from '../../src/trust/code.ts'
import { keyOfCertificate, nodeSigner } from '../../src/trust/keys.ts'
import { testAuthority } from '../transfer/authority.ts'

const hour = 3_600_000

/** A tracker as far as it lets people in; `later` moves its clock. */
async function door(t: Test) {
  const root = t.testdir({})
  const ports = { exchangePort: '8443', brokerPort: '8883' }
  await init(root, { archive: 'tried', host: '127.0.0.1', ...ports })
  const home = join(root, 'tracker')
  const system = systemWorld('tracker', 'silent')
  let offset = 0
  const world = { ...system, clock: { ...system.clock, now: () => Date.now() + offset } }
  const state = openState(join(root, 'state.sqlite'))
  const member = await openMember(
    world,
    {
      ...{ name: 'tracker', archive: 'tried', owner: ownerOf(home), ca: join(home, 'ca.pem') },
      ...{ certificate: join(home, 'certificate.pem'), key: join(home, 'key.pem') },
      ...{ 'topics.prefix': 'colonnade', 'broker.url': 'mqtts://127.0.0.1:1' },
      'broker.identity': 'tracker',
    },
    state,
  )
  const documentPath = join(home, 'archive-document')
  let announced = 0
  const ownerKey = join(root, 'archive', 'owner.key')
  const make = () =>
    enrolment({
      ...{ world, state, home, documentPath, ownerKey, directory: member.directory },
      ca: member.tls.ca,
      broker: { url: 'mqtts://127.0.0.1:8883', identity: 'tracker', prefix: 'colonnade' },
      exchangeUrl: 'https://127.0.0.1:8443',
      graceMs: 0,
      keepDocument: (sealed) => writeFileSync(documentPath, sealed),
      announce: () => void announced++,
    })
  let strangers = make()
  const serve: Serve = async (peer) => ({ status: 200, headers: { peer } })
  const served = await httpsServe({
    ...{ host: '127.0.0.1', port: 0, tls: member.tls, serve, world },
    strangers: (...asked) => strangers(...asked),
  })
  t.teardown(async () => {
    await served.close()
    member.dial.close()
    await state.close()
  })
  const address = `127.0.0.1:${served.port}`
  return {
    ...{ root, home, world, address, member, ownerKey, url: `https://${address}` },
    announced: () => announced,
    later(ms: number): void {
      offset += ms
    },
    restart(): void {
      strangers = make()
    },
    invite(name: string, more: Partial<Invitation> = {}): string {
      const secret = randomBytes(10).toString('hex')
      keepInvitation(home, secret, {
        ...{ role: 'pillar', name, replace: false, madeAt: new Date().toISOString() },
        expiresAt: new Date(Date.now() + 24 * hour).toISOString(),
        ...more,
      })
      return codeText({ address, fingerprint: fingerprintOf(member.tls.ca), secret })
    },
    enrol(code: string, folder: string, role: 'pillar' | 'client' = 'pillar') {
      const file = role === 'pillar' ? 'agent.toml' : 'client.toml'
      const values = role === 'pillar' ? { 'volume.mount': '/mnt/x' } : {}
      return enrol(code, {
        ...{ world, role, values, config: join(root, folder, file), say: () => undefined },
      })
    },
  }
}

const ownerOf = (home: string): string =>
  /^owner = "(.*)"$/m.exec(readFileSync(join(home, 'tracker.toml'), 'utf8'))?.[1] ?? ''

t.test('[ENR-2] who brings a code is a member, with a key that never left him', async (t) => {
  const tracker = await door(t)
  const before = tracker.member.directory.document().version
  const { name } = await tracker.enrol(tracker.invite('attic', { site: 'home' }), 'board')
  t.equal(name, 'attic')
  const folder = join(tracker.root, 'board')
  const all = ['agent.toml', 'archive-document', 'ca.pem', 'certificate.pem', 'key.pem']
  t.same(readdirSync(folder).sort(), all)
  const config = readConfig(join(folder, 'agent.toml'), agentShape).values
  t.match(config, { name: 'attic', archive: 'tried', site: 'home', 'volume.mount': '/mnt/x' })
  t.equal(config['tracker.url'], 'https://127.0.0.1:8443')
  const identity = tracker.member.directory.identity('attic')
  const key = readFileSync(join(folder, 'key.pem'), 'utf8')
  t.equal(identity?.publicKey, nodeSigner(key).publicKey)
  t.equal(identity?.site, 'home')
  t.equal(keyOfCertificate(readFileSync(config.certificate, 'utf8')), identity?.publicKey)
  t.equal(tracker.member.directory.document().version, before + 1)
  t.equal(tracker.announced(), 1, 'all are told')
  // What came is enough to be let in, by both sides' certificates.
  const read = (path: string): string => readFileSync(path, 'utf8')
  const tls = { ca: read(config.ca), cert: read(config.certificate), key }
  const dial = httpsDial({ tls, world: tracker.world })
  t.teardown(() => dial.close())
  const answer = await dial(
    { identity: 'tracker', url: tracker.url },
    { method: 'GET', path: '/', headers: {} },
    { connectMs: 5_000, idleMs: 5_000 },
  )
  t.equal(answer.headers.peer, 'attic')
})

t.test('[ENR-3] a code works once; the same key gets the same answer again', async (t) => {
  const tracker = await door(t)
  const code = tracker.invite('attic')
  await tracker.enrol(code, 'board')
  const version = tracker.member.directory.document().version
  await t.rejects(tracker.enrol(code, 'other'), /^this code was used on .*: ask for a new one$/)
  // The answer was lost, or the board lost power before it had written it down.
  for (const name of ['agent.toml', 'certificate.pem', 'ca.pem'])
    rmSync(join(tracker.root, 'board', name))
  tracker.later(48 * hour)
  tracker.restart()
  t.equal((await tracker.enrol(code, 'board')).name, 'attic')
  t.equal(tracker.member.directory.document().version, version, 'nothing was signed again')
  await t.rejects(tracker.enrol(code, 'board'), /is there already: this machine is a member/)
  // Power was cut after the use was noted, before anything was signed.
  const cut = tracker.invite('cellar')
  mkdirSync(join(tracker.root, 'cellar'))
  renameSync(join(tracker.root, 'other/key.pem'), join(tracker.root, 'cellar/key.pem'))
  const publicKey = nodeSigner(readFileSync(join(tracker.root, 'cellar/key.pem'), 'utf8')).publicKey
  const { secret } = readCode(cut)
  const kept = findInvitation(tracker.home, secret)
  if (!kept) return t.fail('no invitation')
  const expiresAt = new Date(Date.now() + 96 * hour).toISOString()
  keepInvitation(tracker.home, secret, { ...kept, expiresAt, used: { publicKey, at: kept.madeAt } })
  await t.rejects(tracker.enrol(cut, 'thief'), /was used on/)
  t.equal((await tracker.enrol(cut, 'cellar')).name, 'cellar')
  t.equal(tracker.member.directory.identity('cellar')?.publicKey, publicKey)
})

t.test('[ENR-3] two that come at once with one code: one is let in', async (t) => {
  const tracker = await door(t)
  const code = tracker.invite('attic')
  const ends = await Promise.allSettled(
    ['a', 'b', 'c'].map((folder) => tracker.enrol(code, folder)),
  )
  t.equal(ends.filter(({ status }) => status === 'fulfilled').length, 1)
  // Somebody was impatient, and asked again before he was answered.
  const { ask, asking } = asker(t, tracker)
  const { secret } = readCode(tracker.invite('cellar'))
  t.same(await Promise.all([ask(asking(secret)), ask(asking(secret))]), [200, 200])
})

t.test('[ENR-4] a code that is over, strange or of another archive: one sentence', async (t) => {
  const tracker = await door(t)
  const code = tracker.invite('attic', { expiresAt: new Date(Date.now() + hour).toISOString() })
  await t.rejects(tracker.enrol(code, 'b', 'client'), /this code is for a pillar/)
  tracker.later(2 * hour)
  await t.rejects(tracker.enrol(code, 'b'), /^this code was valid until .*: ask for a new one$/)
  const { fingerprint } = readCode(code)
  const strange = codeText({ address: tracker.address, fingerprint, secret: '00'.repeat(10) })
  await t.rejects(tracker.enrol(strange, 'b'), /^the tracker knows no such code$/)
  const foreign = codeText({ ...readCode(code), fingerprint: '00'.repeat(10) })
  await t.rejects(tracker.enrol(foreign, 'b'), /is not the archive that this code is for/)
  const last = code.at(-1) === 'Z' ? 'Y' : 'Z'
  await t.rejects(tracker.enrol(code.slice(0, -1) + last, 'b'), /the code is mistyped/)
  t.notOk(existsSync(join(tracker.root, 'b/agent.toml')))
  t.equal(tracker.member.directory.identity('attic'), undefined)
})

t.test('[ENR-4] without the keys of the archive nobody is let in', async (t) => {
  const tracker = await door(t)
  const code = tracker.invite('attic')
  renameSync(tracker.ownerKey, `${tracker.ownerKey}.away`)
  await t.rejects(tracker.enrol(code, 'b'), /the keys of the archive are not on the tracker/)
  renameSync(`${tracker.ownerKey}.away`, tracker.ownerKey)
  t.equal((await tracker.enrol(code, 'b')).name, 'attic', 'the code was not used up')
})

t.test('[ENR-5] a new board takes the place of an old one, whose key counts no more', async (t) => {
  const tracker = await door(t)
  await tracker.enrol(tracker.invite('attic', { site: 'home' }), 'old')
  const old = tracker.member.directory.identity('attic')
  await t.rejects(tracker.enrol(tracker.invite('attic'), 'new'), /there is a member attic already/)
  await tracker.enrol(tracker.invite('attic', { replace: true }), 'newer')
  const { directory } = tracker.member
  t.not(directory.identity('attic')?.publicKey, old?.publicKey)
  t.equal(directory.identity('attic')?.site, 'home', 'what was not said stays')
  t.match(directory.document().revoked, [{ name: 'attic', publicKey: old?.publicKey }])
  t.equal(directory.document().identities.filter(({ name }) => name === 'attic').length, 1)
  const tracked = tracker.invite('tracker', { replace: true })
  await t.rejects(tracker.enrol(tracked, 'evil'), /tracker is a tracker, and no pillar can take/)
})

/** Asks without the command; with the tracker's own key, as any will do. */
function asker(t: Test, tracker: Awaited<ReturnType<typeof door>>) {
  const dial = httpsDial({ tls: { ca: tracker.member.tls.ca }, world: tracker.world })
  t.teardown(() => dial.close())
  const key = nodeSigner(readFileSync(join(tracker.home, 'key.pem'), 'utf8'))
  const ask = async (body: string, path = '/enrolment'): Promise<number> => {
    const bytes = Buffer.from(body)
    const { status } = await dial(
      { identity: 'tracker', url: tracker.url },
      {
        ...{ method: 'PATCH', path, headers: { 'content-length': `${bytes.length}` } },
        body: (async function* () {
          yield bytes
        })(),
      },
      { connectMs: 5_000, idleMs: 5_000 },
    )
    return status
  }
  const asking = (secret: string): string => {
    const proven = key.sign(Buffer.from(`colonnade enrolment\n${secret}\n${key.publicKey}`))
    const proof = `${key.algorithm} ${Buffer.from(proven).toString('base64url')}`
    return JSON.stringify({ role: 'pillar', secret, publicKey: key.publicKey, proof })
  }
  return { ask, asking, key }
}

t.test('[ENR-6] wrong codes are counted, and after a while not even looked at', async (t) => {
  const tracker = await door(t)
  const { fingerprint } = readCode(tracker.invite('attic'))
  const { ask, asking, key } = asker(t, tracker)
  const wrong = (): Promise<number> => ask(asking(randomBytes(10).toString('hex')))
  t.equal(await ask('{'), 400)
  t.equal(await ask('x'.repeat(5_000)), 400)
  t.equal(await ask('{}', '/archive-document'), 403, 'the document is not for strangers')
  t.equal(await ask('{}', '/objects/tracker/x'), 403)
  const said = await Promise.all(Array.from({ length: 12 }, wrong))
  t.same(said.sort(), [...Array(10).fill(403), 429, 429], 'also when they come at once')
  tracker.later(60_000)
  t.equal(await wrong(), 403, 'the next minute')
  t.equal(fingerprint.length, 20)
  const thief = { role: 'pillar', secret: '00'.repeat(10), publicKey: key.publicKey }
  t.equal(await ask(JSON.stringify({ ...thief, proof: 'ES256 AAAA' })), 400, 'a key of another')
})

t.test('[ENR-6] a wrong certificate is not taken for none', async (t) => {
  const tracker = await door(t)
  const other = await (await testAuthority('other')).credentials('attic')
  const heard = await new Promise<string>((resolve) => {
    const [host = '', port] = tracker.address.split(':')
    const { ca } = tracker.member.tls
    const socket = connect({ ...other, ca, host, port: Number(port), servername: 'tracker' })
    let text = ''
    socket.on('secureConnect', () =>
      socket.write('GET /enrolment/authority HTTP/1.1\r\nhost: x\r\n\r\n'),
    )
    socket.on('data', (more) => (text += more))
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(text))
  })
  t.equal(heard, '')
})

t.test('[ENR-2] who changes the document at the same time waits his turn', async (t) => {
  const tracker = await door(t)
  const boards = ['a', 'b', 'c', 'd']
  const others = Array.from({ length: 20 }, (_, n) => `client-${n}`)
  await Promise.all([
    ...boards.map((name) => tracker.enrol(tracker.invite(name), name)),
    (async () => {
      for (const name of others) await add(tracker.root, 'client', name, join(tracker.root, name))
    })(),
  ])
  await add(tracker.root, 'client', 'last', join(tracker.root, 'last'))
  const { document } = readDocument(join(tracker.root, 'archive'))
  const names = document.identities.map(({ name }) => name)
  t.same(names.sort(), [...boards, ...others, 'last', 'tracker'].sort())
  // Somebody was killed while he did it.
  const lock = join(tracker.home, 'archive-document.lock')
  writeFileSync(lock, '')
  utimesSync(lock, new Date(0), new Date(0))
  await add(tracker.root, 'client', 'after', join(tracker.root, 'after'))
  t.notOk(existsSync(lock))
  t.equal(dirname(lock), tracker.home)
})
