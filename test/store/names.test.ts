import fc from 'fast-check'
import { test } from 'tap'
import { limits } from '../../src/limits.ts'
import { bytesOf, fileIdFault } from '../../src/protocol/scalars.ts'
import {
  escapeName,
  isPlain,
  partialOf,
  pathAside,
  pathOf,
  unescapeName,
} from '../../src/store/names.ts'
import { hashingInThread } from '../../src/world/hashing.ts'

const world = { hashing: hashingInThread() }

/** Letters that make trouble somewhere, and any others. */
const letters = fc.oneof(
  fc.constantFrom(
    ...'ab=%\r\n\t\\:*?"<>|. -~25é\u007f\u0085\u001f',
    'e\u0301',
    '😀',
    '=25',
    '=aside',
  ),
  fc.string({ unit: 'binary', minLength: 1, maxLength: 3 }),
)
const component = fc
  .array(letters, { minLength: 1, maxLength: 40 })
  .map((some) => some.join('').replaceAll('/', ''))
const longComponent = fc
  .tuple(component, fc.integer({ min: 60, max: 255 }))
  .map(([some, length]) => some.repeat(length).slice(0, length))
const anyId = fc
  .array(fc.oneof({ weight: 5, arbitrary: component }, longComponent), {
    minLength: 1,
    maxLength: 6,
  })
  .map((components) => components.join('/'))
const id = anyId.filter((some) => fileIdFault(some) === undefined)

test('a name can be read back from its escaped form', async () => {
  fc.assert(fc.property(component, (some) => unescapeName(escapeName(some)) === some))
})

test('[DISK-1] every file id has a path that every file system, BagIt and sha256sum can carry', async () => {
  fc.assert(
    fc.property(id, (some) => {
      for (const name of pathOf(world, some).split('/')) {
        if (bytesOf(name) > 255) throw new Error(`too long: ${name}`)
        // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these may not be there
        if (name === '' || /[\u0000-\u001f\u007f%\\:*?"<>|]|[. ]$/.test(name))
          throw new Error(JSON.stringify(name))
      }
    }),
    { numRuns: 2000 },
  )
})

test('two file ids never have the same path, nor one that is aside', async () => {
  fc.assert(
    fc.property(fc.uniqueArray(id, { minLength: 2, maxLength: 20 }), (some) => {
      const paths = some.flatMap((one) => [pathOf(world, one), pathAside(world, one)])
      if (new Set(paths).size !== 2 * some.length) throw new Error('the same')
    }),
    { numRuns: 500 },
  )
  const near = ['a', 'a.', 'a=2E', 'a ', 'a=20', 'a=3D20', '=aside', '=aside/x', '=long-x', 'A']
  const plain = new Set(near.map((one) => pathOf(world, one)))
  if (plain.size !== near.length) throw new Error([...plain].join())
})

test('a path says its id, or the list of names must', async (t) => {
  fc.assert(
    fc.property(id, (some) => {
      const path = pathOf(world, some)
      const hashed = path.split('/').some((name) => name.startsWith('=long-'))
      return isPlain(path, some) !== hashed && !isPlain(pathAside(world, some), some)
    }),
  )
  t.equal(isPlain('100=25', '100%'), true)
})

test('ordinary names stay as they are', async (t) => {
  const ordinary = ['photos/2024/IMG 001.jpg', 'Grüße.txt', '.profile', '-rf', "it's", 'a..b', '😀']
  for (const name of ordinary) t.equal(pathOf(world, name), name)
  t.equal(pathOf(world, 'a%b:c\r\n'), 'a=25b=3Ac=0D=0A')
  t.equal(pathOf(world, '\\x/y./z '), '=5Cx/y=2E/z=20')
})

test('names of 255 bytes stay, and become a digest when their escape is longer', async (t) => {
  const long = 'x'.repeat(limits.componentBytesMax)
  t.equal(pathOf(world, long), long)
  t.match(pathOf(world, `a/${long.slice(1)}:/b`), /^a\/=long-[0-9a-f]{40}\/b$/)
  t.equal(pathOf(world, 'é'.repeat(127)), 'é'.repeat(127))
  t.not(pathOf(world, `${long.slice(1)}:`), pathOf(world, `${long.slice(1)}?`))
})

test('letters that are composed differently are different names', async (t) => {
  const [composed, decomposed] = ['é'.normalize('NFC'), 'é'.normalize('NFD')]
  t.not(pathOf(world, composed), pathOf(world, decomposed))
  t.equal(pathOf(world, decomposed), decomposed)
})

test('a partial is named after what it will be', async (t) => {
  const file = { collection: 'home', id: 'a', size: 1, checksum: 'c' }
  const others = [
    file,
    { ...file, collection: 'work' },
    { ...file, id: 'b' },
    { ...file, size: 2 },
    { ...file, checksum: 'd' },
  ]
  t.equal(new Set(others.map((one) => partialOf(world, one))).size, 5)
  t.match(partialOf(world, file), /^\.incoming\/[0-9a-f]{32}$/)
})
