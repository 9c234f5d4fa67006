import fc from 'fast-check'
import t from 'tap'
import {
  flag,
  objectName,
  objectPath,
  parseContentRange,
  parseCount,
  parseObjectPath,
  parseRange,
  parseUnsatisfied,
} from '../../src/transfer/objects.ts'
import { hashingInThread } from '../../src/world/hashing.ts'

const count = fc.maxSafeNat()
const always = <T>(property: fc.IProperty<T>): void => fc.assert(property, { numRuns: 1000 })

t.test('numbers and ranges are read as they were written', async (t) => {
  t.doesNotThrow(() => {
    always(fc.property(count, (n) => parseCount(`${n}`) === n))
    always(fc.property(count, (n) => parseUnsatisfied(`bytes */${n}`) === n))
    always(
      fc.property(count, count, (a, b) => {
        const [first, last] = a < b ? [a, b] : [b, a]
        const range = parseRange(`bytes=${first}-${last}`)
        const open = parseRange(`bytes=${first}-`)
        return range?.first === first && range.last === last && open?.last === undefined
      }),
    )
    always(
      fc.property(count, count, count, (a, b, c) => {
        const [first = 0, last = 0, size = 0] = [a, b, c].sort((x, y) => x - y)
        const range = parseContentRange(`bytes ${first}-${last}/${size}`)
        return last < size ? range?.size === size && range.first === first : range === undefined
      }),
    )
  })
})

t.test('what is not exactly a number or a range is neither', async (t) => {
  const parsers = [parseCount, parseRange, parseContentRange, parseUnsatisfied]
  const wrong = [
    '',
    ' ',
    '-1',
    '+1',
    '1.0',
    '1e3',
    '0x1',
    '١',
    '1 ',
    ' 1',
    '1,2',
    'NaN',
    'Infinity',
  ]
  const ranges = [
    'bytes=',
    'bytes=-',
    'bytes=-1',
    'bytes=2-1',
    'bytes=1-2,3-4',
    'Bytes=1-2',
    'bytes 2-1/3',
    'bytes 1-3/3',
    'bytes 1-2/*',
    'bytes */*',
    'bytes=1-2\n',
    '9007199254740992',
    '99999999999999999999',
  ]
  for (const text of [...wrong, ...ranges])
    for (const parse of parsers) t.equal(parse(text), undefined, `${parse.name} ${text}`)
  t.equal(parseCount(undefined), undefined)
  t.equal(parseContentRange(undefined), undefined)
  t.equal(parseUnsatisfied(undefined), undefined)
  t.doesNotThrow(() =>
    always(
      fc.property(fc.string(), (text) => {
        for (const parse of parsers) parse(text)
        parseObjectPath(text)
      }),
    ),
  )
})

t.test('the same bytes on the same way have the same name, and others another', async (t) => {
  const world = { hashing: hashingInThread() }
  const name = objectName(world, 'put', 'home', 'a', 5, 'x')
  t.match(name, /^[0-9a-f]{22}$/)
  t.equal(objectName(world, 'put', 'home', 'a', 5, 'x'), name)
  const others: (string | number)[][] = [
    ['get', 'home', 'a', 5, 'x'],
    ['put', 'home', 'a5', 'x'],
    ['put', 'homea', 5, 'x'],
    ['put', 'home', 'a', 5],
  ]
  for (const parts of others) t.not(objectName(world, ...parts), name)
  t.strictSame(parseObjectPath(objectPath({ issuer: 'ann', name })), { issuer: 'ann', name })
  t.equal(parseObjectPath(`/objects/ann/${name}\n`), undefined)
  t.strictSame([flag(true), flag(false)], ['?1', '?0'])
})
