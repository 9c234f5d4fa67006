import { Buffer } from 'node:buffer'
import type { Test } from 'tap'
import type { Algorithm, Hashing } from '../../src/world/world.ts'

type Sums = Partial<Record<Algorithm, string>>

const two = 'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq'

/** FIPS 180-4 by the examples of NIST; MD5 by RFC 1321. */
const plain: [text: string, sums: Sums][] = [
  [
    'abc',
    {
      md5: '900150983cd24fb0d6963f7d28e17f72',
      sha1: 'a9993e364706816aba3e25717850c26c9cd0d89d',
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
      sha384:
        'cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7',
      sha512:
        'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
    },
  ],
  [
    two,
    {
      sha1: '84983e441c3bd26ebaae4aa1f95129e5e54670f1',
      sha256: '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    },
  ],
  ['', { md5: 'd41d8cd98f00b204e9800998ecf8427e' }],
]

const long = 'Test Using Larger Than Block-Size Key - Hash Key First'
const nothing = 'what do ya want for nothing?'

/** RFC 2202 for MD5 and SHA-1, RFC 4231 for the others. */
const keyed: [name: string, key: Uint8Array, text: string, sums: Sums][] = [
  ['RFC 2202, 1', Buffer.alloc(16, 0x0b), 'Hi There', { md5: '9294727a3638bb1c13f48ef8158bfc9d' }],
  [
    'RFC 2202, 1, and RFC 4231, 1',
    Buffer.alloc(20, 0x0b),
    'Hi There',
    {
      sha1: 'b617318655057264e28bc0b6fb378c8ef146be00',
      sha256: 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
      sha384:
        'afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6',
      sha512:
        '87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854',
    },
  ],
  [
    'RFC 2202, 2, and RFC 4231, 2',
    Buffer.from('Jefe'),
    nothing,
    {
      md5: '750c783e6ab0b503eaa86e310a5db738',
      sha1: 'effcdf6ae5eb2fa2d27416d5f184df9c259a7c79',
      sha256: '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
      sha384:
        'af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649',
      sha512:
        '164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737',
    },
  ],
  [
    'RFC 2202, 6',
    Buffer.alloc(80, 0xaa),
    long,
    {
      md5: '6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd',
      sha1: 'aa4ae5e15272d00e95705637ce8a3b55ed402112',
    },
  ],
  [
    'RFC 4231, 6',
    Buffer.alloc(131, 0xaa),
    long,
    { sha256: '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54' },
  ],
]

const entries = (sums: Sums): [Algorithm, string][] => Object.entries(sums) as [Algorithm, string][]

/** What every hashing promises. */
export function hashingContract(t: Test, name: string, hashing: Hashing): void {
  t.test(`${name}: digests are those that NIST and RFC 1321 publish`, async (t) => {
    for (const [text, sums] of plain)
      for (const [algorithm, sum] of entries(sums))
        t.equal(hashing.start(algorithm).update(text).hex(), sum, `${algorithm} of '${text}'`)
  })

  t.test(`${name}: HMACs are those of RFC 2202 and RFC 4231`, async (t) => {
    for (const [about, key, text, sums] of keyed)
      for (const [algorithm, sum] of entries(sums))
        t.equal(hashing.keyed(algorithm, key).update(text).hex(), sum, `${algorithm}, ${about}`)
  })

  t.test(`${name}: bytes in pieces are as good as at once`, async (t) => {
    const bytes = Buffer.from(two)
    const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 1), bytes.subarray(1)]
    for (const start of [
      () => hashing.start('sha384'),
      () => hashing.keyed('sha384', Buffer.from('key')),
    ]) {
      const hasher = start()
      for (const piece of pieces) hasher.update(piece)
      t.equal(hasher.hex(), start().update(two).hex())
    }
  })
}
