// Frames of the bay controller: vectors that another program can check itself by, and what must not be taken for one.

import fc from 'fast-check'
import t from 'tap'
import { crc16, frames, lineBytesMax, read, statesOf, written } from '../../src/bay/frames.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

/** As they stand in firmware-notes/bay-controller.md. */
const vectors: [line: string, number: number, words: string[]][] = [
  ['@01 STATE*17AB\n', 1, ['STATE']],
  ['@01 STATE OK 00*9044\n', 1, ['STATE', 'OK', '00']],
  ['@02 ON 0*8850\n', 2, ['ON', '0']],
  ['@02 ON OK S0*E5B0\n', 2, ['ON', 'OK', 'S0']],
  ['@03 ON BUSY*FD74\n', 3, ['ON', 'BUSY']],
  ['@FF OFF 1*BCE9\n', 255, ['OFF', '1']],
]

t.test('[BAY-1] the vectors', async (t) => {
  t.equal(crc16('123456789'), 0x29b1)
  for (const [line, number, words] of vectors) {
    t.equal(written({ number, words }), line)
    t.same(read(line), { number, words })
  }
})

t.test(
  '[BAY-1] every frame is read as it was written, in any pieces, among any garbage',
  async (t) => {
    const word = fc.stringMatching(/^[A-Z0-9][A-Za-z0-9.-]{0,8}$/)
    const frame = fc.record({
      number: fc.integer({ min: 1, max: 255 }),
      words: fc.array(word, { minLength: 1, maxLength: 5 }),
    })
    const garbage = fc
      .uint8Array({ maxLength: 100 })
      .map((some) => some.map((byte) => (byte === 0x40 ? 0 : byte)))
    t.doesNotThrow(() =>
      fc.assert(
        fc.property(
          fc.array(fc.tuple(garbage, frame)),
          fc.integer({ min: 1, max: 7 }),
          (all, step) => {
            const stream = Buffer.concat(
              all.flatMap(([noise, one]) => [noise, bytes(written(one))]),
            )
            const take = frames()
            const found = []
            for (let at = 0; at < stream.length; at += step)
              found.push(...take(stream.subarray(at, at + step)))
            return JSON.stringify(found) === JSON.stringify(all.map(([, one]) => one))
          },
        ),
      ),
    )
  },
)

t.test('[BAY-1] a frame in which one bit was turned over is none', async (t) => {
  const line = bytes(written({ number: 7, words: ['OFF', '1'] }))
  for (let bit = 0; bit < line.length * 8; bit++) {
    const wrong = Uint8Array.from(line)
    wrong[bit >> 3] = (wrong[bit >> 3] ?? 0) ^ (1 << (bit & 7))
    t.same(frames()(wrong), [], `bit ${bit}`)
  }
})

t.test('[BAY-1] half frames, long lines and wrong words are none', async (t) => {
  const line = written({ number: 1, words: ['OFF', '0'] })
  const take = frames()
  t.same(take(bytes(line.slice(0, -3) + line)), [{ number: 1, words: ['OFF', '0'] }])
  t.same(take(bytes(`@${'x'.repeat(10_000)}\n`)), [])
  for (const wrong of ['@01 STATE\n', '@00 STATE*AFCA\n', '@01*0000\n', '', '\n', '@\n'])
    t.equal(read(wrong), undefined, wrong)
  t.throws(() => written({ number: 1, words: ['off'] }))
  t.throws(() => written({ number: 1, words: ['X'.repeat(lineBytesMax)] }))
})

t.test('[BAY-1] states are letters, and no others', async (t) => {
  t.same(statesOf('01SF'), ['off', 'on', 'starting', 'fault'])
  t.equal(statesOf('02'), undefined)
})
