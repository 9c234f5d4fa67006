// What an answer says of itself, and where its body ends, however it was cut on its way.

import fc from 'fast-check'
import t from 'tap'
import { dechunking, framingOf, parseHead } from '../../src/transfer/answer-text.ts'

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (parts: readonly Uint8Array[]): string => Buffer.concat(parts).toString()

t.test('a head is read, and what is none is not', async (t) => {
  const head = parseHead('HTTP/1.1 206 Partial Content\r\nContent-Length: 3\r\nX-A: 1 \r\nx-a:2')
  t.equal(head?.status, 206)
  t.same(Object.entries(head?.headers ?? {}), [
    ['content-length', '3'],
    ['x-a', '1, 2'],
  ])
  t.equal(parseHead('HTTP/1.1 200')?.status, 200)
  t.equal(parseHead('HTTP/1.1 200 OK\r\n__proto__: x')?.headers.toString, undefined)
  const wrong = [
    '',
    'HTTP/1.0 200 OK',
    'HTTP/1.1 20 OK',
    'HTTP/1.1 600 OK',
    'HTTP/2 200',
    'GET / HTTP/1.1',
  ]
  for (const one of wrong) t.equal(parseHead(one), undefined, one)
  for (const line of ['a b: c', ': c', 'a', ' a: b', 'a: b\nc: d', 'a: b\0'])
    t.equal(parseHead(`HTTP/1.1 200 OK\r\n${line}`), undefined, JSON.stringify(line))
})

t.test('where a body ends is said in one way, or not believed', async (t) => {
  const framing = (headers: Record<string, string>, method = 'GET', status = 200) =>
    framingOf(method, { status, headers })
  t.equal(framing({ 'content-length': '12' }), 12)
  t.equal(framing({ 'transfer-encoding': 'Chunked' }), 'chunked')
  t.equal(framing({}), 'close')
  t.equal(framing({ 'content-length': '12' }, 'HEAD'), 0)
  t.equal(framing({ 'content-length': '12' }, 'GET', 204), 0)
  t.equal(framing({ 'content-length': '12' }, 'GET', 304), 0)
  // RFC 9112 §6.3: the beginning of smuggling.
  t.equal(framing({ 'content-length': '12', 'transfer-encoding': 'chunked' }), undefined)
  t.equal(framing({ 'transfer-encoding': 'gzip, chunked' }), undefined)
  for (const length of ['', '-1', '+1', '1, 1', '1, 2', '0x10', '1e3', '9'.repeat(16)])
    t.equal(framing({ 'content-length': length }), undefined, length)
})

t.test('chunks are put together, wherever the network cut them', async (t) => {
  const whole = bytes(
    '4\r\nWiki\r\n6;name=value\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nA: b\r\n\r\n',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat({ max: whole.length }), { maxLength: 12 }), async (cuts) => {
      const chunks = dechunking()
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length]
      const parts = places.flatMap((from, n) => chunks.parts(whole.subarray(from, places[n + 1])))
      t.equal(text(parts), 'Wikipedia in \r\n\r\nchunks.')
      t.ok(chunks.isOver())
    }),
    { numRuns: 50 },
  )
})

t.test('what is not chunked is not taken for it', async (t) => {
  const wrong = [
    'hello\r\n',
    '\r\n',
    '-1\r\n',
    '4\r\nWikipedia\r\n',
    `${'f'.repeat(13)}\r\n`,
    `1;${'x'.repeat(2_000)}`,
    '0\r\n\r\nmore',
  ]
  for (const one of wrong) t.throws(() => dechunking().parts(bytes(one)), one.slice(0, 20))
  const open = dechunking()
  open.parts(bytes('3\r\nabc\r\n'))
  t.notOk(open.isOver(), 'without its last chunk it has not ended')
})
