import t from 'tap'
import { bench } from '../../src/exchange/bench.ts'
import type { Put } from '../../src/exchange/shelf.ts'
import { Cut } from '../../src/transfer/transfer.ts'
import { opening } from '../contract/bodies.ts'
import { pattern, patterned, patternOffer, patternSink } from './rig.ts'

const key = { issuer: 'ann', name: 'b' }
const never = new AbortController().signal
const put = (changed: Partial<Put> = {}): Put => ({
  peer: 'attic',
  offset: 0,
  size: 1000,
  length: 1000,
  body: pattern(0, 1000, 100),
  receivers: [],
  expiresAt: 0,
  ...changed,
})

t.test('after a withdrawal no sender touches the landing any more', async (t) => {
  const shelf = bench()
  const slow = opening()
  const place = patternSink(0, async () => {
    if (place.at === 300) await slow.open
  })
  shelf.land('b', place.sink)
  const upload = shelf.write(key, put(), never)
  await new Promise(setImmediate)
  let withdrawn = false
  const withdrawal = shelf.withdraw('b').then((usable) => {
    withdrawn = true
    return usable
  })
  await new Promise(setImmediate)
  t.equal(withdrawn, false, 'a write is under way')
  slow.pass()
  t.equal(await withdrawal, true)
  t.equal(place.at, 400)
  t.equal(place.safe, 400, 'what came is safe')
  t.strictSame(await upload, { is: 'moved', offset: 400, complete: false })
  t.strictSame(await shelf.write(key, put({ offset: 400 }), never), { is: 'elsewhere' })
  t.equal(await shelf.status(key, 'sender', never), 'elsewhere')
  t.equal(place.at, 400)
})

t.test('a withdrawal waits for the end of an upload, and tells that it is finished', async (t) => {
  const shelf = bench()
  const place = patternSink()
  const ending = opening()
  const finish = async (size: number) => {
    await ending.open
    return place.sink.finish(size)
  }
  shelf.land('b', { ...place.sink, finish })
  const upload = shelf.write(key, put(), never)
  await new Promise(setImmediate)
  const withdrawal = shelf.withdraw('b')
  ending.pass()
  t.equal(await withdrawal, false)
  t.equal(place.finished, 1)
  t.strictSame(await upload, { is: 'written', offset: 1000, complete: true })
  const status = { offset: 1000, size: 1000, complete: true }
  t.strictSame(await shelf.status(key, 'sender', never), status, 'its sender learns it, too')
  t.equal(await shelf.withdraw('unknown'), false)
})

t.test('a sender that hangs keeps neither a withdrawal nor a clearing', async (t) => {
  for (const how of ['withdraw', 'clear'] as const) {
    const shelf = bench()
    const place = patternSink()
    async function* hanging() {
      yield patterned(0, 100)
      await new Promise(() => {})
    }
    shelf.land('b', place.sink)
    const upload = shelf.write(key, put({ body: hanging() }), never)
    await new Promise(setImmediate)
    if (how === 'clear') shelf.clear(['b'])
    else t.equal(await shelf.withdraw('b'), true)
    t.match(await upload, { is: 'moved', offset: 100 })
    t.equal(place.safe, 100)
  }
})

t.test('a body that breaks off leaves what came, secured', async (t) => {
  const shelf = bench()
  const place = patternSink()
  async function* broken() {
    yield patterned(0, 123)
    throw new Cut('gone')
  }
  shelf.land('b', place.sink)
  await t.rejects(shelf.write(key, put({ body: broken() }), never), Cut)
  t.equal(place.safe, 123)
  const rest = put({ offset: 123, length: 877, body: pattern(123, 877) })
  t.match(await shelf.write(key, { ...rest, size: 1001 }, never), { is: 'refused' })
  t.match(await shelf.write(key, rest, never), { complete: true })
})

t.test('what is cleared is neither served nor taken', async (t) => {
  const shelf = bench()
  const place = patternSink()
  shelf.land('b', place.sink)
  shelf.offer('a', patternOffer(10))
  shelf.clear(['a', 'b', 'c'])
  const ask = { peer: 'attic', offset: 0, length: 1, safe: 0 }
  t.strictSame(await shelf.read({ ...key, name: 'a' }, ask, never), { is: 'gone' })
  t.match(await shelf.write(key, put(), never), { is: 'refused' })
  t.equal(await shelf.status(key, 'sender', never), undefined)
  t.equal(place.at, 0)
})
