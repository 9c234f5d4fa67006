// Bytes that were right once, and are not any more: by a seed, so that what was found is found again.

import type { SimRandom } from '../../src/sim/random.ts'

/** What programs have stumbled over. */
const words = [
  ...[
    '../',
    '..',
    '%2e%2e%2f',
    '\0',
    '\r\n',
    '\n',
    '\r',
    ' ',
    '"',
    "'",
    '\\',
    '`',
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '.',
  ],
  ...[
    '__proto__',
    'constructor',
    'toString',
    'null',
    'true',
    '-1',
    '0',
    '1e999',
    '1e-999',
    '-0',
    '9007199254740993',
  ],
  ...[
    '0x10',
    'NaN',
    'undefined',
    '\ud800',
    '\ufeff',
    '\u202e',
    'ä',
    '💣',
    '$',
    '#',
    '+',
    '*',
    '?',
    '=',
    '|',
    '@',
  ],
  ...[
    '[[[[[[[[',
    '{"a":',
    '"":"",',
    'A'.repeat(300),
    '/'.repeat(80),
    '-',
    ';',
    '1970-01-01T00:00:00.000Z',
  ],
].map((one) => Buffer.from(one))

type Change = (bytes: Buffer, at: number, random: SimRandom) => Buffer

const changes: readonly Change[] = [
  (bytes, at, random) => {
    const other = Buffer.from(bytes)
    if (at < other.length) other[at] = (other[at] ?? 0) ^ (1 << random.int(8))
    return other
  },
  (bytes, at, random) => {
    const other = Buffer.from(bytes)
    if (at < other.length) other[at] = random.int(256)
    return other
  },
  (bytes, at, random) =>
    Buffer.concat([bytes.subarray(0, at), random.pick(words), bytes.subarray(at)]),
  (bytes, at, random) =>
    Buffer.concat([bytes.subarray(0, at), random.pick(words), bytes.subarray(at + random.int(8))]),
  (bytes, at, random) =>
    Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(20))]),
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at, random) => {
    const part = bytes.subarray(at, at + 1 + random.int(40))
    return Buffer.concat([bytes.subarray(0, at), part, part, bytes.subarray(at)])
  },
  (bytes, at, random) =>
    Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.int(16)), bytes.subarray(at)]),
  // Another number in the place of one.
  (bytes, at, random) => {
    const text = bytes.toString('latin1')
    const found = /\d+/g
    found.lastIndex = at
    const number = found.exec(text)
    if (!number) return bytes
    const value = random.pick([
      '0',
      '-1',
      '0.5',
      '1e999',
      '4294967296',
      '9007199254740992',
      '""',
      'null',
      '[]',
    ])
    return Buffer.from(text.slice(0, number.index) + value + text.slice(found.lastIndex), 'latin1')
  },
]

/** One to three changes. */
export function mutated(sample: Uint8Array, random: SimRandom): Buffer {
  let bytes = Buffer.from(sample)
  for (let n = 1 + random.int(3); n > 0; n--)
    bytes = Buffer.from(random.pick(changes)(bytes, random.int(bytes.length + 1), random))
  return bytes
}
