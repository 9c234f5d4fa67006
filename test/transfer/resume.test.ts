import fc from 'fast-check'
import t from 'tap'
import { parseCount, parseRange } from '../../src/transfer/objects.ts'
import { Cut, type Dial, type Request, type Response } from '../../src/transfer/transfer.ts'
import { pattern, patternSink, pulling, pushing, rig } from '../exchange/rig.ts'

/** After how many bytes each connection breaks; those after the last one do not. */
const breaks = fc.array(fc.nat(300), { maxLength: 40 })
const sizes = fc.record({ size: fc.nat(2000), pageBytes: fc.integer({ min: 1, max: 300 }) })

async function* upTo(body: AsyncIterable<Uint8Array>, bytes: number): AsyncGenerator<Uint8Array> {
  let left = bytes
  for await (const chunk of body) {
    if (chunk.length > left) {
      if (left > 0) yield chunk.subarray(0, left)
      throw new Cut('broke')
    }
    left -= chunk.length
    yield chunk
  }
}

t.test('a pull asks for what follows, at most a page beyond what is secured', async (t) => {
  const ground = await rig()
  const property = fc.asyncProperty(
    sizes,
    breaks,
    fc.nat(),
    async ({ size, pageBytes }, cuts, n) => {
      const place = patternSink(n % (size + 1))
      let left = 0
      const dial: Dial = async (_, { headers }) => {
        const { first = -1, last = 0 } = parseRange(headers.range ?? '') ?? {}
        const safe = parseCount(headers['safe-offset'])
        if (first !== place.at || safe !== place.safe) throw new Error(`asks for ${first}`)
        if (last >= size || last >= place.safe + pageBytes) throw new Error(`asks up to ${last}`)
        left = cuts.shift() ?? Number.POSITIVE_INFINITY
        const head = { 'content-range': `bytes ${first}-${last}/${size}` }
        return {
          status: 206,
          headers: head,
          body: upTo(pattern(first, last - first + 1, 70), left),
        }
      }
      const work = pulling(ground, { peer: 'attic', size }, place.sink, { pageBytes, dial })
      return (await ground.time.finish(work)) === size && place.written === size - (n % (size + 1))
    },
  )
  await t.resolves(fc.assert(property, { numRuns: 200 }))
})

t.test('a push sends what follows, a page at a time, and ends with the last one', async (t) => {
  const ground = await rig()
  const property = fc.asyncProperty(sizes, breaks, async ({ size, pageBytes }, cuts) => {
    const place = patternSink()
    let complete = false
    const status = (code: number): Response => ({
      status: code,
      headers: { 'upload-offset': `${place.at}`, 'upload-complete': complete ? '?1' : '?0' },
    })
    const take = async ({ headers, body }: Request): Promise<Response> => {
      const length = parseCount(headers['content-length']) ?? -1
      if (length < 0 || length > pageBytes || !body) throw new Error(`sends ${length}`)
      if (parseCount(headers['upload-offset']) !== place.at) throw new Error('did not ask')
      const end = place.at + length
      for await (const bytes of upTo(body, cuts.shift() ?? length)) await place.sink.write(bytes)
      if (place.at !== end) throw new Error('another number of bytes than it said')
      complete = headers['upload-complete'] === '?1'
      if (complete !== (end === size)) throw new Error('ends elsewhere')
      return status(204)
    }
    const dial: Dial = async (_, request) =>
      request.method === 'HEAD' ? status(200) : take(request)
    const open = (offset: number) => pattern(offset, size - offset, 1 + ((size * 7 + offset) % 90))
    await ground.time.finish(pushing(ground, { peer: 'ann', size }, { pageBytes, dial, open }))
    return complete && place.at === size && place.written === size
  })
  await t.resolves(fc.assert(property, { numRuns: 200 }))
})

t.test(
  'an answer that is not what was asked for is an error, and is not read to its end',
  async (t) => {
    const ground = await rig()
    let taken = 0
    async function* endless() {
      for (;;) {
        taken += 10_000
        yield new Uint8Array(10_000)
      }
    }
    const wrong: [status: number, range?: string][] = [
      [200],
      [206],
      [206, 'bytes 1-10/1000'],
      [206, 'bytes 0-10/999'],
      [206, 'bytes 0-100/1000'],
      [206, 'bytes 0-10/*'],
      [404],
      [416, 'bytes */0'],
    ]
    for (const [status, range] of wrong) {
      const headers = range === undefined ? {} : { 'content-range': range }
      const dial: Dial = async () => ({ status, headers, body: endless() })
      const place = patternSink()
      const work = pulling(ground, { peer: 'attic', size: 1000 }, place.sink, {
        pageBytes: 100,
        dial,
      })
      await t.rejects(ground.time.finish(work), { name: 'TransferFailed' }, `${status} ${range}`)
      t.equal(place.at, 0)
      t.ok(taken < 200_000)
      taken = 0
    }
    const beyond: Dial = async () => ({
      status: 206,
      headers: { 'content-range': 'bytes 0-100/1000' },
      body: pattern(0, 101),
    })
    const none = patternSink()
    const asked = pulling(ground, { peer: 'attic', size: 1000 }, none.sink, {
      pageBytes: 100,
      dial: beyond,
    })
    await t.rejects(ground.time.finish(asked), { message: /206/ }, 'more than was asked for')
    t.equal(none.at, 0)
    const more: Dial = async () => ({
      status: 206,
      headers: { 'content-range': 'bytes 0-9/1000' },
      body: pattern(0, 1000, 3),
    })
    const place = patternSink()
    const work = pulling(ground, { peer: 'attic', size: 1000 }, place.sink, { dial: more })
    await t.rejects(ground.time.finish(work), { message: /more bytes/ })
    t.ok(place.at <= 10)
  },
)

t.test('a source that ends early, or fails, completes nothing', async (t) => {
  const ground = await rig()
  for (const open of [
    () => pattern(0, 50),
    async function* failing() {
      yield* pattern(0, 50)
      throw new Error('rotten')
    },
  ]) {
    let completed = false
    const dial: Dial = async (_, { method, body, headers }) => {
      if (method === 'HEAD') return { status: 404, headers: {} }
      for await (const _bytes of body ?? []);
      completed = true
      return { status: 204, headers: { 'upload-offset': headers['upload-length'] ?? '' } }
    }
    const work = pushing(ground, { peer: 'ann', size: 100 }, { dial, open })
    await t.rejects(ground.time.finish(work), { message: /ended early|rotten/ })
    t.equal(completed, false)
  }
})
