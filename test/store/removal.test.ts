import { test } from 'tap'
import { retainedPath } from '../../src/store/removal.ts'
import { ann, bytes, type Volume, volume } from './kit.ts'

const day = 24 * 3_600_000

async function remove(on: Volume, id: string, text: string): Promise<string> {
  const { checksum } = on.offer(id, bytes(text))
  const [version = 0] = await on.store.versions('home', [id])
  return on.store.remove({ collection: 'home', id, checksum, version }, ann)
}
const restore = (on: Volume, id: string, text: string): Promise<string> =>
  on.store.restore('home', id, on.offer(id, bytes(text)).checksum, ann)
const aside = (on: Volume): string[] =>
  [...on.sim.snapshot().keys()].filter((path) => /^\.retained\/./.test(path))

test('[RM-2] a deleted file is gone from its place, kept aside, and comes back as it was', async (t) => {
  const on = await volume()
  await on.put('a/b', bytes('hello'))
  t.equal(await remove(on, 'a/b', 'hello'), 'removed')
  t.equal(await on.read('a/b'), undefined)
  t.equal(on.text('home/data/a/b'), undefined)
  t.equal(aside(on).length, 1)
  t.equal((await on.store.space()).bytesRetained, 5)
  t.equal(await remove(on, 'a/b', 'hello'), 'removed', 'said again')
  t.equal(await restore(on, 'a/b', 'hello'), 'stored')
  t.equal(await on.read('a/b'), 'hello')
  t.equal((await on.disk.stat('home/data/a/b'))?.mtime, 1_600_000_000_000)
  t.equal(await restore(on, 'a/b', 'hello'), 'stored', 'said again')
  t.strictSame(aside(on), [])
  t.equal((await on.store.space()).bytesRetained, 0)
})

test('[RM-1] only the very bytes and the very version that were seen are deleted', async (t) => {
  const on = await volume()
  await on.put('a', bytes('hello'))
  const { checksum } = on.offer('a', bytes('hello'))
  const [seen = 0] = await on.store.versions('home', ['a'])
  t.equal(await remove(on, 'a', 'other'), 'otherBytes')
  t.equal(await remove(on, 'b', 'hello'), 'absent')
  t.equal(await on.put('a', bytes('hello')), 'held', 'confirmed to somebody meanwhile')
  const late = { collection: 'home', id: 'a', checksum, version: seen }
  t.equal(await on.store.remove(late, ann), 'newer')
  t.equal(await remove(on, 'a', 'hello'), 'removed')
  await on.put('a', bytes('hello'))
  t.equal(await on.store.remove(late, ann), 'newer', 'nor is what was put after a deletion')
  t.equal(await on.read('a'), 'hello')
})

test('what can not stand in its place again stays aside, and other bytes stay', async (t) => {
  const on = await volume()
  await on.put('a', bytes('old'))
  await remove(on, 'a', 'old')
  await on.put('a', bytes('new'))
  t.equal(await restore(on, 'a', 'old'), 'otherBytes')
  t.equal(await on.read('a'), 'new')
  await remove(on, 'a', 'new')
  await on.put('a/b', bytes('deep'))
  t.equal(await restore(on, 'a', 'old'), 'otherBytes', 'it is a folder now')
  t.equal(aside(on).length, 2)
  await remove(on, 'a/b', 'deep')
  t.equal(await restore(on, 'a', 'old'), 'stored')
  t.equal(on.text('home/data/a'), 'old', 'the emptied folder is not in its way')
})

test('bytes that are coming keep deleted ones away, bytes that nobody brings any more do not', async (t) => {
  const on = await volume()
  await on.put('a', bytes('old'))
  await remove(on, 'a', 'old')
  const file = on.offer('a', bytes('others'))
  await on.accept(file)
  const incoming = await on.open(file)
  await incoming.write(bytes('oth'))
  await incoming.secure()
  t.equal(await restore(on, 'a', 'old'), 'otherBytes')
  on.store.release([file])
  t.equal(await restore(on, 'a', 'old'), 'stored')
  t.equal(await on.read('a'), 'old')
  t.strictSame(await on.index.allReceiving(), [])
  t.strictSame(await on.disk.list('.incoming'), [])
})

test('bytes that have rotted while they were aside are not brought back', async (t) => {
  const on = await volume()
  await on.put('a', bytes('hello'))
  const [{ sequence: version } = { sequence: 0 }] = await on.store
    .list({
      ...{ collection: 'home', limit: 1 },
    })
    .then(({ files }) => files)
  await remove(on, 'a', 'hello')
  await on.disk.write(
    retainedPath(on.world, { collection: 'home', id: 'a', version }),
    0,
    bytes('j'),
  )
  t.equal(await restore(on, 'a', 'hello'), 'damaged')
  t.equal(await on.read('a'), undefined)
  t.equal(aside(on).length, 1, 'and are still there for whoever wants to look')
})

test('a file whose bytes are gone already can be deleted', async (t) => {
  const on = await volume()
  await on.put('a', bytes('hello'))
  await on.disk.remove('home/data/a')
  t.equal(await remove(on, 'a', 'hello'), 'removed')
  t.strictSame(await on.store.restorable('home', ['a']), [])
})

test('[RM-3] what was aside for long enough is removed for good, its tombstone stays', async (t) => {
  const on = await volume()
  await on.put('a', bytes('old'))
  await on.put('b', bytes('young'))
  await remove(on, 'a', 'old')
  const cut = on.world.clock.now() + day
  await on.time.advance(2 * day)
  await remove(on, 'b', 'young')
  t.equal(await on.store.purge(cut), 1)
  t.equal(aside(on).length, 1)
  t.equal(await restore(on, 'a', 'old'), 'absent')
  const { tombstones } = await on.store.tombstones({ collection: 'home', limit: 9 })
  t.strictSame(
    tombstones.map(({ id }) => id),
    ['a', 'b'],
  )
  const last = (await on.index.audit(0, 99)).findLast(({ id }) => id === 'a')
  t.match(last, { event: 'deletion', actor: 'retention' })
})

test('[RM-4] the lists of the bag are without what was deleted, and name it', async (t) => {
  const on = await volume()
  for (const id of ['a', 'b', 'line\nbreak']) await on.put(id, bytes(id))
  await on.store.flush()
  await remove(on, 'b', 'b')
  await remove(on, 'line\nbreak', 'line\nbreak')
  await on.store.flush()
  const manifest = on.text('home/manifest-sha256.txt') ?? ''
  t.match(manifest, /^[0-9a-f]{64} {2}data\/a\n$/)
  t.equal(on.text('home/names.txt'), undefined, 'nothing needs a line in it any more')
  t.match(
    on.text('home/tombstones.txt'),
    /^\S+Z {2}[0-9a-f]{64} {2}"b"\n\S+ {2}\S+ {2}"line\\nbreak"\n$/,
  )
  t.match(on.text('home/bag-info.txt'), /Payload-Oxum: 1\.1\n/)
  await on.put('c', bytes('c'))
  await on.store.flush()
  t.match(on.text('home/manifest-sha256.txt'), /data\/a\n.*data\/c\n$/)
  await restore(on, 'b', 'b')
  await on.store.flush()
  t.match(on.text('home/manifest-sha256.txt'), /data\/b\n/)
  t.notMatch(on.text('home/tombstones.txt'), /"b"/)
})
