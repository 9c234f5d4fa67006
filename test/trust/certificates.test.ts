import { spawnSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { issue, makeAuthority } from '../../src/trust/certificates.ts'
import { keyOfCertificate, makeKeyPair, nameOfCertificate } from '../../src/trust/keys.ts'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0

t.test('a certificate binds an identity to the key its owner made', async (t) => {
  const authority = await makeAuthority('home')
  const { publicKey } = makeKeyPair()
  const certificate = await issue(authority, { name: 'attic-1', publicKey })
  t.equal(keyOfCertificate(certificate), publicKey)
  t.equal(nameOfCertificate(certificate), 'attic-1')
  const leaf = new X509Certificate(certificate)
  const ca = new X509Certificate(authority.certificate)
  t.equal(leaf.subject, 'CN=attic-1')
  t.equal(leaf.subjectAltName, 'DNS:attic-1')
  t.strictSame(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
  t.equal(leaf.ca, false)
  t.equal(ca.ca, true)
  t.equal(leaf.checkIssued(ca), true)
  t.equal(leaf.verify(ca.publicKey), true)
  t.equal(ca.verify(ca.publicKey), true)
  t.equal(nameOfCertificate(authority.certificate), undefined)
})

t.test('a certificate is good on a board that booted in 1970', async (t) => {
  const now = Date.UTC(2026, 10, 22)
  const authority = await makeAuthority('home', now)
  const leaf = new X509Certificate(
    await issue(authority, { name: 'attic', publicKey: makeKeyPair().publicKey }, now),
  )
  const ca = new X509Certificate(authority.certificate)
  t.equal(Date.parse(leaf.validFrom), 0)
  t.equal(Date.parse(ca.validFrom), 0)
  t.equal(Date.parse(leaf.validTo), Date.UTC(2046, 10, 22))
  t.equal(Date.parse(ca.validTo), Date.UTC(2126, 10, 22))
})

t.test('a certificate issued by a machine in 1970 lasts as long', async (t) => {
  const authority = await makeAuthority('home', 0)
  const certificate = await issue(
    authority,
    { name: 'attic', publicKey: makeKeyPair().publicKey },
    0,
  )
  t.equal(Date.parse(new X509Certificate(certificate).validTo), Date.UTC(2046, 0, 1))
})

t.test('validity past 2049 is written so that it is read back', async (t) => {
  const now = Date.UTC(2040, 1, 29, 12)
  const authority = await makeAuthority('home', now)
  const certificate = await issue(authority, { name: 'a', publicKey: makeKeyPair().publicKey }, now)
  t.equal(Date.parse(new X509Certificate(certificate).validTo), Date.UTC(2060, 1, 29, 12))
})

t.test('serial numbers are positive, long and never the same', async (t) => {
  const authority = await makeAuthority('home')
  const { publicKey } = makeKeyPair()
  const serials = new Set<string>()
  for (let n = 0; n < 50; n++) {
    const serial = new X509Certificate(await issue(authority, { name: 'a', publicKey }))
      .serialNumber
    t.match(serial, /^[4-7][0-9A-F]{31}$/)
    serials.add(serial)
  }
  t.equal(serials.size, 50)
})

t.test('only names of identities are certified', async (t) => {
  const authority = await makeAuthority('home')
  const { publicKey } = makeKeyPair()
  for (const name of ['', 'A', 'a b', 'a,O=b', '*.a', 'a.b', '-a', 'x'.repeat(64)]) {
    await t.rejects(issue(authority, { name, publicKey }), { message: /is no name/ }, name)
  }
  t.equal(
    nameOfCertificate(await issue(authority, { name: 'x'.repeat(63), publicKey })),
    'x'.repeat(63),
  )
  await t.rejects(issue(authority, { name: 'a', publicKey: 'AAAA' }))
  await t.rejects(makeAuthority('Not a name'))
})

t.test(
  'openssl verifies the chain for both roles',
  { skip: !hasOpenssl && 'no openssl' },
  async (t) => {
    const folder = t.testdir()
    // The archive and one identity have the same name: still two subjects.
    const authority = await makeAuthority('home')
    const { publicKey } = makeKeyPair()
    const certificate = await issue(authority, { name: 'home', publicKey })
    const leaf = new X509Certificate(certificate)
    t.not(leaf.subject, leaf.issuer)
    writeFileSync(join(folder, 'ca.pem'), authority.certificate)
    writeFileSync(join(folder, 'leaf.pem'), certificate)
    const verify = (...more: string[]) =>
      spawnSync('openssl', ['verify', '-x509_strict', '-CAfile', 'ca.pem', ...more, 'leaf.pem'], {
        cwd: folder,
        encoding: 'utf8',
      })
    for (const purpose of ['sslserver', 'sslclient']) {
      const { status, stderr } = verify('-purpose', purpose, '-verify_hostname', 'home')
      t.equal(status, 0, stderr)
    }
    t.equal(verify('-attime', '1000').status, 0, 'in 1970')
    t.not(verify('-verify_hostname', 'attic').status, 0)
    writeFileSync(join(folder, 'ca.pem'), (await makeAuthority('home')).certificate)
    t.not(verify().status, 0, 'another authority of the same name')
  },
)
