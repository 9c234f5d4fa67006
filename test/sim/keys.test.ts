import { createHash } from 'node:crypto'
import t from 'tap'
import { simKeys, simSigner } from '../../src/sim/keys.ts'

t.test(
  'simulated signatures are always the same, and good for their bytes and key only',
  async (t) => {
    const keys = simKeys()
    const attic = simSigner('attic')
    const bytes = Buffer.from('one line')
    const signature = attic.sign(bytes)
    t.strictSame(Buffer.from(simSigner('attic').sign(bytes)), Buffer.from(signature))
    t.equal(keys.verify('SIM', attic.publicKey, bytes, signature), true)
    t.equal(keys.verify('SIM', simSigner('cellar').publicKey, bytes, signature), false)
    t.equal(keys.verify('SIM', attic.publicKey, Buffer.from('another'), signature), false)
    t.equal(keys.verify('ES256', attic.publicKey, bytes, signature), false)
    t.equal(keys.verify('SIM', '', bytes, new Uint8Array(0)), false)
  },
)

t.test('the key id follows the rule of real keys', async (t) => {
  const { keyId, publicKey } = simSigner('attic')
  const digest = createHash('sha256').update(Buffer.from(publicKey, 'base64')).digest('base64url')
  t.equal(keyId, digest.slice(0, 22))
  t.equal(simKeys().keyId(publicKey), keyId)
})
