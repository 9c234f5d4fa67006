import { createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { makeKeyPair, nodeKeys, nodeSigner } from '../../src/trust/keys.ts'

// RFC 6979 §A.2.5: key pair, message and signature for P-256 with SHA-256.
const vector = {
  x: '60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6',
  y: '7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299',
  message: 'sample',
  r: 'efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716',
  s: 'f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8',
}

const spki = (x: string, y: string): string =>
  Buffer.from(`3059301306072a8648ce3d020106082a8648ce3d03010703420004${x}${y}`, 'hex').toString(
    'base64',
  )

t.test('a signature is good for its bytes and its key only', async (t) => {
  const keys = nodeKeys()
  const signer = nodeSigner(makeKeyPair().privateKey)
  const bytes = Buffer.from('one line of a message')
  const signature = signer.sign(bytes)
  t.equal(signature.length, 64)
  t.equal(signer.algorithm, 'ES256')
  t.equal(keys.verify('ES256', signer.publicKey, bytes, signature), true)
  t.equal(keys.verify('ES256', signer.publicKey, Buffer.from('another'), signature), false)
  t.equal(keys.verify('ES256', makeKeyPair().publicKey, bytes, signature), false)
  t.equal(keys.verify('ES384', signer.publicKey, bytes, signature), false)
  t.equal(keys.verify('none', signer.publicKey, bytes, signature), false)
})

t.test('a signature of the RFC 6979 key verifies', async (t) => {
  const signature = Buffer.from(vector.r + vector.s, 'hex')
  const key = spki(vector.x, vector.y)
  const keys = nodeKeys()
  t.equal(keys.verify('ES256', key, Buffer.from(vector.message), signature), true)
  t.equal(keys.verify('ES256', key, Buffer.from('test'), signature), false)
})

t.test('what is no key or no signature is false, never an error', async (t) => {
  const keys = nodeKeys()
  const { privateKey, publicKey } = makeKeyPair()
  const bytes = Buffer.from('x')
  const good = nodeSigner(privateKey).sign(bytes)
  for (const wrong of ['', 'AAAA', 'not base64 at all ☃', publicKey.slice(4)]) {
    t.equal(keys.verify('ES256', wrong, bytes, good), false)
    t.equal(keys.keyId(wrong).length, 22)
  }
  for (const wrong of [0, 1, 63, 64, 65, 1000]) {
    t.equal(keys.verify('ES256', publicKey, bytes, new Uint8Array(wrong)), false)
  }
})

t.test('keys of other kinds are refused', async (t) => {
  const other = generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
  const text = other.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
  const bytes = Buffer.from('x')
  const signature = sign('sha256', bytes, { key: other.privateKey, dsaEncoding: 'ieee-p1363' })
  t.equal(nodeKeys().verify('ES256', text, bytes, signature), false)
  const pem = other.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  t.throws(() => nodeSigner(pem), { message: 'the private key is not an ECDSA P-256 key' })
  t.throws(() => nodeSigner('nothing'))
})

t.test('the key id is the digest of the public key, 22 characters', async (t) => {
  const key = spki(vector.x, vector.y)
  t.equal(nodeKeys().keyId(key), 'Wnp4zKSg9CDZvGK7Zpw8J1')
  const { privateKey, publicKey } = makeKeyPair()
  t.equal(nodeSigner(privateKey).keyId, nodeKeys().keyId(publicKey))
  t.equal(nodeSigner(privateKey).publicKey, publicKey)
})

t.test('a private key is PKCS #8 and differs each time', async (t) => {
  const [one, two] = [makeKeyPair(), makeKeyPair()]
  t.match(one.privateKey, /^-----BEGIN PRIVATE KEY-----\n/)
  t.equal(createPrivateKey(one.privateKey).asymmetricKeyType, 'ec')
  t.not(one.privateKey, two.privateKey)
})

t.test('more keys than are remembered still verify', async (t) => {
  const keys = nodeKeys()
  const signer = nodeSigner(makeKeyPair().privateKey)
  const bytes = Buffer.from('x')
  const signature = signer.sign(bytes)
  t.equal(keys.verify('ES256', signer.publicKey, bytes, signature), true)
  for (let n = 0; n < 1_100; n++) keys.keyId(Buffer.from(`key ${n}`).toString('base64'))
  t.equal(keys.verify('ES256', signer.publicKey, bytes, signature), true)
})
