import t from 'tap'
import { cipherOrder, cipherOrderFor } from '../../src/system/cpu.ts'

t.test('ChaCha20 goes first on a processor without AES instructions', async (t) => {
  const [aes, chacha] = ['TLS_AES_128_GCM_SHA256', 'TLS_CHACHA20_POLY1305_SHA256']
  const pi4 = 'processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n'
  const pi5 = 'processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\n'
  const pc = 'model name\t: aes lookalike\nflags\t\t: fpu sse4_2 aes avx\n'
  t.equal(cipherOrderFor(pi4), `${chacha}:${aes}`)
  t.equal(cipherOrderFor(pi5), `${aes}:${chacha}`)
  t.equal(cipherOrderFor(pc), `${aes}:${chacha}`)
  t.equal(cipherOrderFor('model name\t: aes lookalike\nflags\t\t: fpu vaes'), `${chacha}:${aes}`)
  t.match(cipherOrder(), aes)
})
