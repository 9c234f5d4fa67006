// A bit that turned over in the books costs no file: what bytes and one of the two books agree on is true.

import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import type { Disk } from '../../src/disk/disk.ts'
import { nodeDisk } from '../../src/disk/node.ts'
import type { Index } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { adoptVolume, readIdentity } from '../../src/store/identity.ts'
import { rebuildIndex } from '../../src/store/rebuild.ts'
import { openSoundIndex } from '../../src/store/sound-index.ts'
import type { News, Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { digestOf } from '../../src/world/world.ts'
import { asyncDisk } from '../support/in-thread.ts'
import { ann, bytes, owner } from './kit.ts'

const ids = ['letters/ann.txt', 'letters/bob.txt', '100%', 'empty', `${'long'.repeat(70)}.txt`]
const contentOf = (id: string): Uint8Array => bytes(id === 'empty' ? '' : `bytes of ${id}`)

interface Real {
  readonly root: string
  readonly store: Store
  readonly disk: Disk
  readonly news: News[]
  readonly index: ReturnType<typeof asyncIndex>
  put(id: string): Promise<string>
  /** The program ends and comes again; meanwhile something happens. */
  again(meanwhile: () => void): Promise<Real>
}

async function real(t: Test, root = t.testdir(), isNew = true): Promise<Real> {
  const world = simWorld(simClock(1_700_000_000_000).clock, simRandom('mending'), 'p1')
  const disk = asyncDisk(nodeDisk(root))
  if (isNew) await adoptVolume(world, disk, { ...owner, volume: 'v1' })
  const index = asyncIndex(openIndex(join(root, '.index.sqlite')))
  const store = await openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
  const news: News[] = []
  store.watch((one) => news.push(one))
  t.teardown(() => store.close().catch(() => undefined))
  return {
    ...{ root, store, disk, news, index },
    async put(id) {
      const content = contentOf(id)
      const about = { collection: 'home', id, size: content.length, mtime: 1_500_000_000_000 }
      const file = { ...about, checksum: digestOf(world, content) }
      const [standing] = await store.accept({ key: id, substance: id, request: id }, [file])
      if (standing?.is !== 'welcome') return standing?.is ?? ''
      const incoming = await store.incoming('home', id)
      await incoming.write(content.subarray(incoming.at()))
      return incoming.finish(ann).finally(() => store.release([file]))
    },
    async again(meanwhile) {
      await store.close()
      meanwhile()
      return real(t, root, false)
    },
  }
}

async function filled(t: Test): Promise<Real> {
  const on = await real(t)
  for (const id of ids) await on.put(id)
  await on.store.flush()
  return on
}

/** Every place at which the file has these bytes. */
function places(path: string, text: string): number[] {
  const [all, wanted] = [readFileSync(path), Buffer.from(text)]
  const found: number[] = []
  for (let at = all.indexOf(wanted); at >= 0; at = all.indexOf(wanted, at + 1)) found.push(at)
  return found
}

function flip(path: string, at: number): void {
  const all = readFileSync(path)
  all[at] = (all[at] ?? 0) ^ 1
  writeFileSync(path, all)
}

/** All that is stored, as its owner put it; what was mended is not left to the next question. */
async function whole(t: Test, { store, root }: Real, what: string): Promise<void> {
  await store.list({ collection: 'home', limit: 99 })
  await store.stored('home', ids)
  await store.flush()
  const { files } = await store.list({ collection: 'home', limit: 99 })
  t.same(files.map(({ id }) => id).sort(), [...ids].sort(), `${what}: all ids`)
  for (const { id, path, checksum, size, mtime } of files) {
    const content = readFileSync(join(root, 'home/data', path))
    t.ok(content.equals(contentOf(id)), `${what}: bytes of ${id}`)
    t.equal(size, content.length)
    t.equal(mtime, 1_500_000_000_000)
    t.equal(checksum, digestOf(simWorld(simClock().clock, simRandom('x'), 'p'), content))
  }
  const lines = readFileSync(join(root, 'home/manifest-sha256.txt'), 'utf8').trimEnd().split('\n')
  const expected = files.map(({ checksum, path }) => `${checksum}  data/${path}`)
  t.same(lines.sort(), expected.sort(), `${what}: the manifest`)
}

const checksumOf = (id: string): string =>
  digestOf(simWorld(simClock().clock, simRandom('x'), 'p'), contentOf(id))

test('[MEND-1] a digit of a stored checksum, an id, a path: wherever it is flipped in the index', async (t) => {
  const on = await filled(t)
  let now = on
  const path = join(on.root, '.index.sqlite')
  let [flips, told] = [0, 0]
  for (const text of [checksumOf('letters/bob.txt'), 'letters/ann.txt', '100=25'])
    for (let n = 0; n < 9; n++) {
      let did = false
      now = await now.again(() => {
        const at = places(path, text)[n]
        if (at === undefined) return
        flip(path, at + 3)
        did = true
      })
      if (!did) break
      flips++
      await now.store.inspect()
      await whole(t, now, `${text.slice(0, 9)} at its place ${n}`)
      if (now.news.length > 0) told++
      t.ok(now.news.every(({ code }) => code === 'INTEGRITY_ISSUE'))
      t.equal(now.store.trouble(), undefined)
    }
  t.comment(`${flips} flips, of ${told} of them people were told`)
  t.ok(flips >= 6)
  t.ok(told >= 6, 'else it was what SQLite does not use any more')
})

test('[MEND-2] a line of any list that was altered is written anew, and costs no file', async (t) => {
  let on = await filled(t)
  for (const name of [
    'manifest-sha256.txt',
    'mtimes.txt',
    'names.txt',
    'bag-info.txt',
    'bagit.txt',
  ])
    for (const at of [3, 40]) {
      const path = join(on.root, 'home', name)
      const before = readFileSync(path, 'utf8')
      on = await on.again(() => flip(path, at))
      t.not(readFileSync(path, 'utf8'), before)
      await on.store.inspect()
      await whole(t, on, `${name} at ${at}`)
      t.same(readFileSync(path, 'utf8').split('\n').sort(), before.split('\n').sort())
      t.match(on.news, [{ code: 'INTEGRITY_ISSUE', text: new RegExp(name) }])
      t.same(await on.index.retained({ limit: 9 }), [], 'nothing was put aside')
    }
  await on.store.inspect()
  t.equal(on.news.length, 1, 'and that was all')
})

/** A checksum that is wrong in the index, with a digest of the row that is right. */
async function mistaken(on: Real, id: string): Promise<void> {
  const [file] = await on.store.stored('home', [id])
  if (!file) throw new Error(id)
  const wrong = {
    ...file,
    checksum: file.checksum.replace(/.$/, (end) => (end === '0' ? '1' : '0')),
  }
  await on.index.commit([
    { do: 'store', file: wrong, now: 0 },
    { do: 'fact', key: 'stale home', value: 'no' },
  ])
}

test('[MEND-3] where bytes and manifest agree, the index is put right and nothing aside', async (t) => {
  const on = await filled(t)
  await mistaken(on, 'letters/ann.txt')
  const [file] = await on.store.stored('home', ['letters/ann.txt'])
  t.ok(file && (await on.store.contradicted(file, ann)))
  await whole(t, on, 'afterwards')
  t.match(on.news, [{ code: 'INTEGRITY_ISSUE', fileId: 'letters/ann.txt' }])
  const { entries } = await on.store.auditTrail({ collection: 'home', limit: 99 })
  t.match(entries.at(-1), { event: 'metadata modification', id: 'letters/ann.txt', actor: 'ann' })
})

test('[MEND-4] what nobody here can decide leaves the bytes in place, and is asked of others', async (t) => {
  const on = await filled(t)
  const path = join(on.root, 'home/data/letters/ann.txt')
  await mistaken(on, 'letters/ann.txt')
  flip(path, 2)
  const [file] = await on.store.stored('home', ['letters/ann.txt'])
  if (!file) throw new Error('no file')
  t.notOk(await on.store.contradicted(file, ann))
  t.ok(await on.store.quarantine(file, 'damaged', ann))
  t.same(await on.index.retained({ limit: 9 }), [])
  t.ok(existsSync(path), 'it stays')
  t.equal((await on.store.stored('home', ['letters/ann.txt']))[0], undefined, 'and is not served')
  flip(path, 2)
  t.equal(await on.put('letters/ann.txt'), 'stored', 'the right ones are there after all')
  await whole(t, on, 'afterwards')
})

test('[MEND-5] what stands there without a row is told once, left alone, and never served', async (t) => {
  const on = await filled(t)
  const path = join(on.root, 'home/data/letters/by-hand.txt')
  writeFileSync(path, 'by hand')
  await on.store.inspect()
  await on.store.inspect()
  t.match(on.news, [{ code: 'INTEGRITY_ISSUE', text: /letters\/by-hand\.txt/ }])
  t.equal(on.news.length, 1)
  t.equal(readFileSync(path, 'utf8'), 'by hand')
  await whole(t, on, 'the others')
  rmSync(path)
  await on.store.inspect()
  writeFileSync(path, 'again')
  await on.store.inspect()
  t.equal(on.news.length, 2, 'another time is another matter')
})

/** Opens as the agent does: an index that is lost is made anew. */
async function sound(t: Test, root: string): Promise<{ store: Store; told: string[] }> {
  const world = simWorld(simClock(1_700_000_000_000).clock, simRandom('anew'), 'p1')
  const disk = asyncDisk(nodeDisk(root))
  const told: string[] = []
  const index = await openSoundIndex({
    ...{ world, disk, identity: await readIdentity(disk, owner) },
    open: async (path) => asyncIndex(openIndex(join(root, path))),
    lost: (text) => void told.push(text),
  })
  const store = await openVolume(world, disk, index, { ...owner, reserveBytes: 0 })
  t.teardown(() => store.close().catch(() => undefined))
  return { store, told }
}

const damages: Record<string, (path: string) => void> = {
  'is gone': (path) => rmSync(path),
  'is empty': (path) => writeFileSync(path, ''),
  'is no database': (path) => writeFileSync(path, 'x'.repeat(9_000)),
  'is a new one': (path) => {
    rmSync(path)
    openIndex(path).close()
  },
}
for (const [what, damage] of Object.entries(damages))
  test(`[REB-1] an index that ${what} is made anew from the bags, and nothing is deleted`, async (t) => {
    const on = await filled(t)
    const [doomed] = await on.store.stored('home', ['100%'])
    if (!doomed) throw new Error('no file')
    await on.store.remove({ ...doomed, version: doomed.sequence }, ann)
    await on.store.close()
    const gone = join(on.root, 'home/data/letters/bob.txt')
    rmSync(gone)
    const before = filesBelow(on.root)
    damage(join(on.root, '.index.sqlite'))
    const { store, told } = await sound(t, on.root)
    t.match(told, [/is lost/, /3 files are listed again, 1 were listed and are not there/])
    const { files } = await store.list({ collection: 'home', limit: 99 })
    const left = ids.filter((id) => id !== '100%' && id !== 'letters/bob.txt')
    t.same(files.map(({ id }) => id).sort(), left.sort())
    t.ok(files.every(({ mtime, provenAt }) => mtime === 1_500_000_000_000 && provenAt === 0))
    t.ok(
      files.every(({ sequence }) => sequence > doomed.sequence + 1_000),
      'old versions are old',
    )
    const { tombstones } = await store.tombstones({ collection: 'home', limit: 9 })
    t.match(tombstones, [{ id: '100%', checksum: checksumOf('100%') }])
    t.same(
      before.filter((path) => !existsSync(path) && !path.includes('.index')),
      [],
    )
    await store.flush()
    await store.close()
    const second = await sound(t, on.root)
    t.same(second.told, [], 'once')
    t.equal((await second.store.list({ collection: 'home', limit: 99 })).files.length, 3)
  })

test('[REB-2] what had no line yet is kept, and is stored when the same bytes are offered', async (t) => {
  const on = await filled(t)
  await on.store.close()
  const path = join(on.root, 'home/manifest-sha256.txt')
  const lines = readFileSync(path, 'utf8').split(/(?<=\n)/)
  writeFileSync(path, lines.filter((line) => !line.includes('letters/')).join(''))
  rmSync(join(on.root, '.index.sqlite'))
  const first = await sound(t, on.root)
  t.match(first.told[1], /3 files .* 2 are there without a line/)
  await first.store.close()
  const now = await real(t, on.root, false)
  t.equal((await now.store.stored('home', ['letters/ann.txt']))[0], undefined)
  writeFileSync(join(on.root, 'home/data/letters/bob.txt'), 'bytes of letters/bxb.txt')
  const size = contentOf('letters/ann.txt').length
  const file = { collection: 'home', id: 'letters/ann.txt', size, mtime: 1_500_000_000_000 }
  const offer = { ...file, checksum: checksumOf(file.id) }
  await now.store.accept({ key: 'k', substance: 'k', request: 'k' }, [offer])
  const incoming = await now.store.incoming('home', file.id)
  t.equal(incoming.at(), size, 'not a byte has to come')
  t.equal(await incoming.finish(ann), 'stored')
  t.equal(await now.put('letters/bob.txt'), 'stored', 'bytes that are others are brought')
  t.equal(
    readFileSync(join(on.root, 'home/data/letters/bob.txt'), 'utf8'),
    'bytes of letters/bxb.txt',
    'and what stood there is left alone',
  )
  const [stored] = await now.store.stored('home', ['letters/ann.txt'])
  t.equal(stored?.path, 'letters/ann.txt')
})

test('[REB-1] a rebuild that is cut at any of its commits goes on, and ends the same', async (t) => {
  const on = await real(t)
  for (const id of ids) await on.put(id)
  await on.store.flush()
  const [doomed] = await on.store.stored('home', ['100%'])
  if (doomed) await on.store.remove({ ...doomed, version: doomed.sequence }, ann)
  await on.store.close()
  const lines = Array.from({ length: 2_500 }, (_, n) => `${'a'.repeat(64)}  data/many/${n}\n`)
  mkdirSync(join(on.root, 'many/data/many'), { recursive: true })
  for (const [n] of lines.entries()) writeFileSync(join(on.root, `many/data/many/${n}`), '')
  writeFileSync(join(on.root, 'many/manifest-sha256.txt'), lines.join(''))
  const world = simWorld(simClock(1_700_000_000_000).clock, simRandom('cut'), 'p1')
  const disk = asyncDisk(nodeDisk(on.root))
  const identity = await readIdentity(disk, owner)
  const outcomeOf = async (index: Index) => {
    const { files } = await index.list({ collection: 'home', limit: 9 })
    const { tombstones } = await index.tombstones({ collection: 'home', limit: 9 })
    return JSON.stringify([
      await index.summary(),
      files.map(({ id, timestamp }) => [id, timestamp]),
      tombstones.map(({ id }) => id),
    ])
  }
  const fresh = asyncIndex(openIndex(':memory:'))
  let commits = 0
  const counted = (index: Index, last = Number.POSITIVE_INFINITY): Index => ({
    ...index,
    async commit(changes) {
      if (++commits > last) throw new Error('cut')
      await index.commit(changes)
    },
  })
  await rebuildIndex({ world, disk, identity, index: counted(fresh) })
  const [all, right] = [commits, await outcomeOf(fresh)]
  t.ok(all > 6)
  for (let cut = 0; cut < all; cut++) {
    commits = 0
    const index = asyncIndex(openIndex(':memory:'))
    await t.rejects(rebuildIndex({ world, disk, identity, index: counted(index, cut) }), /cut/)
    await rebuildIndex({ world, disk, identity, index })
    t.equal(await outcomeOf(index), right, `cut after ${cut} of ${all} commits`)
  }
})

function filesBelow(root: string): string[] {
  return (readdirSync(root, { recursive: true }) as string[]).map((path) => join(root, path))
}
