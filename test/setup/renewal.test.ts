// Certificates are renewed for whoever has the key, over HTTPS as the tracker serves it; and for nobody who was turned out.

import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { endingSoon } from '../../src/programs/renewing.ts'
import { withCertificate, withMember, withoutMember } from '../../src/protocol/document.ts'
import { readDocument } from '../../src/setup/archive.ts'
import { enrolment } from '../../src/setup/enrolment.ts'
import { add, init } from '../../src/setup/found.ts'
import { askRenewal, renewOwn } from '../../src/setup/renewal.ts'
import { writeRevoked } from '../../src/setup/revoke.ts'
import { publishNext, signingKeys } from '../../src/setup/signing.ts'
import { openState } from '../../src/state/sqlite.ts'
import { openMember } from '../../src/system/member.ts'
import { systemWorld } from '../../src/system/world.ts'
import { httpsServe } from '../../src/transfer/https.ts'
import { endOfCertificate, keyOfCertificate, nodeSigner } from '../../src/trust/keys.ts'

const year = 365.25 * 24 * 3_600_000

/** A tracker with one pillar, `attic`; `later` moves the tracker's clock. */
async function door(t: Test) {
  const root = t.testdir({})
  await init(root, {
    archive: 'tried',
    host: '127.0.0.1',
    exchangePort: '8443',
    brokerPort: '8883',
  })
  await add(root, 'pillar', 'attic', join(root, 'attic'), { 'volume.mount': '/mnt/x' })
  const home = join(root, 'tracker')
  const system = systemWorld('tracker', 'silent')
  let offset = 0
  const world = { ...system, clock: { ...system.clock, now: () => Date.now() + offset } }
  const state = openState(':memory:')
  const owner =
    /^owner = "(.*)"$/m.exec(readFileSync(join(home, 'tracker.toml'), 'utf8'))?.[1] ?? ''
  const member = await openMember(
    world,
    {
      ...{ name: 'tracker', archive: 'tried', owner, ca: join(home, 'ca.pem') },
      ...{ certificate: join(home, 'certificate.pem'), key: join(home, 'key.pem') },
      ...{ 'topics.prefix': 'colonnade', 'broker.url': 'mqtts://127.0.0.1:1' },
      'broker.identity': 'tracker',
    },
    state,
  )
  const { directory } = member
  let announced = 0
  const publishing = {
    ...{ world, directory, documentPath: join(home, 'archive-document') },
    ...{ ownerKey: join(root, 'archive', 'owner.key'), keepDocument: () => undefined },
    announce: () => void announced++,
  }
  const strangers = enrolment({
    ...{ ...publishing, state, home, ca: member.tls.ca, exchangeUrl: '', graceMs: 2 * year },
    broker: { url: 'mqtts://127.0.0.1:8883', identity: 'tracker', prefix: 'colonnade' },
  })
  const serve = async () => ({ status: 200, headers: {} })
  const served = await httpsServe({
    ...{ host: '127.0.0.1', port: 0, tls: member.tls, serve, strangers, world },
  })
  t.teardown(async () => {
    await served.close()
    member.dial.close()
    await state.close()
  })
  const pem = (file: string): string => readFileSync(join(root, 'attic', file), 'utf8')
  const addresses = [{ identity: 'tracker', url: `https://127.0.0.1:${served.port}` }]
  return {
    ...{ root, home, world, directory, publishing, served, member },
    announced: () => announced,
    first: pem('certificate.pem'),
    later(ms: number): void {
      offset += ms
    },
    ask: (name = 'attic', key = pem('key.pem')) =>
      askRenewal({ world, name, signer: nodeSigner(key), ca: member.tls.ca, addresses }),
  }
}

t.test('[RNW-1] it is renewed well before its end, for the same key, once', async (t) => {
  const on = await door(t)
  const version = () => on.directory.document().version
  const before = version()
  t.equal(await on.ask(), on.first, 'not yet')
  t.equal(version(), before)
  on.later(15.5 * year)
  const second = await on.ask()
  t.not(second, on.first)
  t.equal(keyOfCertificate(second), keyOfCertificate(on.first))
  t.ok(endOfCertificate(second) > endOfCertificate(on.first) + 14 * year)
  t.equal(version(), before + 1)
  t.equal(on.announced(), 1)
  t.match(on.directory.identity('attic'), { certificate: second, earlier: [on.first] })
  t.equal(await on.ask(), second, 'who has lost the answer gets it again')
  t.equal(version(), before + 1)
})

t.test('[RNW-2] after its end for two years; and never for who was turned out', async (t) => {
  const on = await door(t)
  on.later(21 * year)
  const aside = join(on.root, 'archive.away')
  renameSync(join(on.root, 'archive'), aside)
  await t.rejects(
    on.ask(),
    /the keys of the archive are not on the tracker: nothing can be renewed/,
  )
  renameSync(aside, join(on.root, 'archive'))
  const strange = readFileSync(join(on.home, 'key.pem'), 'utf8')
  await t.rejects(on.ask('attic', strange), /attic is no member with this key/)
  const second = await on.ask()
  t.ok(endOfCertificate(second) > Date.now() + 40 * year)
  on.later(23 * year)
  await t.rejects(on.ask(), /has ended on .*, too long ago: `invite pillar attic --replace`/)
  on.later(-23 * year)
  const keys = signingKeys(on.publishing.ownerKey)
  if (!keys) return t.fail('no keys')
  const at = new Date().toISOString()
  const next = await publishNext(on.publishing, keys, at, (document) =>
    withoutMember(document, 'attic', at),
  )
  await t.rejects(on.ask(), /attic is no member with this key: it was revoked/)
  // A broker that knows nothing of documents has to refuse each certificate that the key ever had.
  t.match(next.revoked, [{ certificate: second, earlier: [on.first] }])
  await writeRevoked(on.home, keys, next)
  t.ok(existsSync(join(on.home, 'revoked.crl')))
  const one = { ...next, revoked: next.revoked?.map(({ earlier: _, ...rest }) => rest) }
  const both = readFileSync(join(on.home, 'revoked.crl'), 'utf8').length
  await writeRevoked(on.home, keys, one)
  t.ok(both > readFileSync(join(on.home, 'revoked.crl'), 'utf8').length)
})

t.test('[RNW-1] the tracker renews its own, and shows it at once', async (t) => {
  const on = await door(t)
  const path = join(on.home, 'certificate.pem')
  t.equal(await renewOwn(on.publishing, 'tracker', path), undefined, 'not yet')
  on.later(16 * year)
  const first = readFileSync(path, 'utf8')
  const second = await renewOwn(on.publishing, 'tracker', path)
  t.equal(readFileSync(path, 'utf8'), second)
  t.not(second, first)
  t.equal(on.directory.identity('tracker')?.certificate, second)
  t.equal(await renewOwn(on.publishing, 'tracker', path), undefined)
  on.served.certify(second ?? '')
  t.ok(await on.ask(), 'it is still the tracker')
})

t.test('[RNW-3] a certificate that nobody renews is told a year before', async (t) => {
  const on = await door(t)
  const { document } = readDocument(join(on.root, 'archive'))
  const ends = endOfCertificate(on.first)
  t.same(endingSoon(document, ends - 1.1 * year), [])
  const told = endingSoon(document, ends - 0.9 * year)
  t.equal(told.length, 2)
  t.match(told[1], /^the certificate of attic ends on 20\d\d-/)
})

t.test('[RNW-1] another key of that name meanwhile stays as it is', async (t) => {
  const at = '2026-11-23T00:00:00.000Z'
  const member = { name: 'attic', role: 'pillar' as const, publicKey: 'B', certificate: 'b' }
  const empty = { archive: 'x', version: 1, issuedAt: at, identities: [], collections: [] }
  const document = withMember({ ...empty, exchanges: [] }, member, { replace: false, at })
  t.same(withCertificate(document, { name: 'attic', publicKey: 'A' }, 'new'), document)
  const renewed = withCertificate(document, member, 'new')
  t.same(renewed.identities, [{ ...member, certificate: 'new', earlier: ['b'] }])
})
