import { test } from 'tap'
import { type Disk, DiskError } from '../../src/disk/disk.ts'
import { foldPath, type Index } from '../../src/index/index.ts'
import { openIndex } from '../../src/index/sqlite.ts'
import { partialOf, pathAside } from '../../src/store/names.ts'
import { ann, bytes, folding, type Volume, volume } from './kit.ts'

const mega = (text: string): Uint8Array => new Uint8Array(1 << 20).fill(text.charCodeAt(0))
const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => value,
    (error: Error) => error.message,
  )
const ids = async ({ store }: Volume): Promise<string[]> =>
  (await store.list({ collection: 'home', limit: 100 })).files.map(({ id }) => id).sort()

test('files come back as they were put, and are offered in vain a second time', async (t) => {
  const on = await volume()
  t.equal(await on.put('a/b', bytes('hello')), 'stored')
  t.equal(await on.put('a/b', bytes('hello')), 'held')
  t.equal(await on.put('a/b', bytes('other')), 'other')
  t.equal(await on.put('c', bytes('')), 'stored')
  t.equal(await on.read('a/b'), 'hello')
  t.equal(await on.read('c'), '')
  t.equal((await on.disk.stat('home/data/a/b'))?.mtime, 1_600_000_000_000)
})

test('files that can not stand beside each other are told so, and the volume stays well', async (t) => {
  const on = await volume()
  const offers = ['a', 'a/b', 'c/d/e', 'c', 'c/d', 'c/d/f'].map((id) => on.offer(id, bytes(id)))
  const standings = await on.accept(...offers)
  t.strictSame(
    standings.map((standing) => (standing.is === 'conflict' ? standing.with : standing.is)),
    ['welcome', 'a', 'welcome', 'c/d/e', 'c/d/e', 'welcome'],
  )
  for (const [n, file] of offers.entries())
    if (standings[n]?.is === 'welcome') t.equal(await on.bring(file, bytes(file.id)), 'stored')
  t.equal(on.store.trouble(), undefined)
})

test('of two contents for one id in one request the first is taken', async (t) => {
  const on = await volume()
  const offers = ['one', 'two', 'one'].map((text) => on.offer('a', bytes(text)))
  t.strictSame(
    (await on.accept(...offers)).map(({ is }) => is),
    ['welcome', 'other', 'welcome'],
  )
  for (const file of offers.slice(0, 1)) t.equal(await on.bring(file, bytes('one')), 'stored')
})

test('on a file system that folds names, ids that differ only in case or composition all survive', async (t) => {
  const names = ['Readme', 'README', 'readme', 'é'.normalize('NFC'), 'é'.normalize('NFD')]
  for (const together of [true, false]) {
    const on = await volume({ wrapDisk: folding })
    const files = names.map((id) => on.offer(id, bytes(`bytes of ${id}`)))
    if (together) {
      await on.accept(...files)
      const places = (await on.index.allReceiving()).map(({ path }) => foldPath(path))
      t.equal(new Set(places).size, names.length)
      await Promise.all(files.map((file) => on.bring(file, bytes(`bytes of ${file.id}`))))
    } else for (const { id } of files) t.equal(await on.put(id, bytes(`bytes of ${id}`)), 'stored')
    const after = await on.again()
    for (const id of names) t.equal(await after.read(id), `bytes of ${id}`)
    t.equal(on.store.trouble(), undefined)
  }
})

test('there, a file and a folder may differ only in case as well', async (t) => {
  for (const order of [
    ['A', 'a/b', 'A/c'],
    ['a/b', 'A', 'x/y/z', 'X/y', 'X/Y/z'],
  ]) {
    const on = await volume({ wrapDisk: folding })
    const files = order.filter((id) => id !== 'A/c').map((id) => on.offer(id, bytes(id)))
    t.ok((await on.accept(...files)).every(({ is }) => is === 'welcome'))
    for (const file of files) t.equal(await on.bring(file, bytes(file.id)), 'stored')
    for (const { id } of files) t.equal(await on.read(id), id)
    t.equal(on.store.trouble(), undefined)
  }
})

test('a file that somebody put at the place of an id is left alone, whenever it came', async (t) => {
  const on = await volume()
  const theirs = async (path: string, text = 'theirs'): Promise<void> => {
    for (const folder of ['home', 'home/data', 'home/data/dir']) await on.disk.mkdir(folder)
    await on.disk.write(path, 0, bytes(text))
    await on.disk.sync(path)
  }
  await theirs('home/data/early')
  t.equal(await on.put('early', bytes('ours')), 'stored')

  const late = on.offer('dir/late', bytes('ours'))
  await on.accept(late)
  await theirs('home/data/dir/late')
  const asides = [0, 1, 2].map((turn) => `home/data/${pathAside(on.world, 'dir/late', turn)}`)
  for (const aside of asides) await theirs(aside)
  t.match(await outcome(on.bring(late, bytes('ours'))), /something else stands at/)
  t.equal(on.store.trouble(), undefined)
  await on.disk.remove(asides[1] ?? '')
  t.equal(await on.bring(late, bytes('ours')), 'stored')

  const interrupted = on.offer('interrupted', bytes('ours!!'))
  await on.accept(interrupted)
  await (await on.open(interrupted)).write(bytes('ours!!'))
  await theirs('home/data/interrupted')
  const after = await on.again()
  t.equal(after.text('home/data/interrupted'), 'theirs')
  t.equal(await after.bring(interrupted, bytes('ours!!')), 'stored')
  const last = await after.again()
  for (const id of ['early', 'dir/late']) t.equal(await last.read(id), 'ours')
  for (const id of ['early', 'dir/late', 'interrupted'])
    t.equal(last.text(`home/data/${id}`), 'theirs')
})

test('a name that the file system refuses is stored aside', async (t) => {
  const refuse = (disk: Disk): Disk => ({
    ...disk,
    rename: async (from, to) => {
      if (to.includes('#')) throw new DiskError('EINVAL', to)
      await disk.rename(from, to)
    },
  })
  const on = await volume({ wrapDisk: refuse })
  t.equal(await on.put('c#', bytes('sharp')), 'stored')
  t.equal(await on.read('c#'), 'sharp')
  await on.store.flush()
  const path = pathAside(on.world, 'c#')
  t.equal(on.text('home/names.txt'), `data/${path}\t"c#"\n`)
})

test('a full disk ends one transfer only, and a later try goes on', async (t) => {
  const on = await volume()
  const [big, small] = [on.offer('big', mega('b')), on.offer('small', bytes('small'))]
  await on.accept(big, small)
  const incoming = await on.open(big)
  await incoming.write(mega('b').slice(0, 600_000))
  await incoming.secure()
  on.sim.faults.failNext('write', 'ENOSPC')
  await incoming.write(mega('b').slice(600_000))
  t.match(await outcome(incoming.finish(ann)), /ENOSPC/)
  // It does not know any more what stands where.
  t.match(await outcome(incoming.finish(ann)), /ENOSPC/)
  t.match(await outcome(incoming.secure()), /ENOSPC/)
  t.equal(on.store.trouble(), undefined)
  t.equal(await on.bring(small, bytes('small')), 'stored')
  const again = await on.open(big)
  t.equal(again.at(), 600_000)
  t.equal(await on.bring(big, mega('b')), 'stored')
  t.equal(await on.read('big'), Buffer.from(mega('b')).toString())
})

test('no room for the commit: the file goes back, and a later try stores it', async (t) => {
  let full = 0
  const wrapIndex = (index: Index): Index => ({
    ...index,
    commit: (changes) =>
      full-- > 0 ? Promise.reject(new DiskError('ENOSPC', 'index')) : index.commit(changes),
  })
  const on = await volume({ wrapIndex })
  const file = on.offer('a', bytes('bytes'))
  await on.accept(file)
  const incoming = await on.open(file)
  await incoming.write(bytes('by'))
  await incoming.secure()
  await incoming.write(bytes('tes'))
  full = 1
  t.match(await outcome(incoming.finish(ann)), /ENOSPC/)
  t.equal(await on.disk.stat('home/data/a'), undefined)
  full = 1
  t.match(await outcome(on.accept(on.offer('b', bytes('b')))), /ENOSPC/)
  t.equal(on.store.trouble(), undefined)
  t.equal(await on.bring(file, bytes('bytes')), 'stored')
  t.equal(await on.read('a'), 'bytes')
})

test('one file that can not be placed does not stop those it shares a commit with', async (t) => {
  const on = await volume()
  const files = ['a', 'b', 'c', 'd'].map((id) => on.offer(id, bytes(id)))
  await on.accept(...files)
  on.sim.faults.failNext('rename', 'ENOSPC', {
    path: partialOf(on.world, files[1] ?? on.offer('', bytes(''))),
  })
  on.sim.faults.failNext('touch', 'EPERM', { times: 4 })
  const commits = on.sim.calls()
  const ends = await Promise.all(files.map((file) => outcome(on.bring(file, bytes(file.id)))))
  t.match(ends, ['stored', /ENOSPC/, 'stored', 'stored'])
  t.strictSame(await ids(on), ['a', 'c', 'd'])
  t.ok(on.sim.calls() > commits)
  t.equal(await on.bring(on.offer('b', bytes('b')), bytes('b')), 'stored')
})

test('[DISK-3] a sync that fails ends all writing, and none is told that it is stored', async (t) => {
  const on = await volume()
  await on.put('old', bytes('old'))
  const files = ['a', 'b', 'c'].map((id) => on.offer(id, bytes(id)))
  await on.accept(...files)
  const open = await Promise.all(files.map((file) => on.open(file)))
  for (const [n, incoming] of open.entries()) await incoming.write(bytes(files[n]?.id ?? ''))
  on.sim.faults.failNext('sync', 'EIO', {
    path: partialOf(on.world, files[1] ?? on.offer('', bytes(''))),
  })
  const first = on.accept(on.offer('z', bytes('z')))
  const ends = await Promise.all(open.map((incoming) => outcome(incoming.finish(ann))))
  await outcome(first)
  const stored = await ids(on)
  t.strictSame(
    ends.map((end) => end === 'stored'),
    ['a', 'b', 'c'].map((id) => stored.includes(id)),
  )
  t.notOk(stored.includes('b'))
  t.match(on.store.trouble(), /EIO/)
  t.equal(on.alarms.length, 1)

  // The next sync would say that all is well.
  const calls = on.sim.calls()
  const [, b] = files
  for (const incoming of open) {
    t.match(await outcome(incoming.finish(ann)), /EIO/)
    t.match(await outcome(incoming.secure()), /EIO/)
  }
  t.match(await outcome(b ? on.bring(b, bytes('b')) : Promise.resolve()), /EIO/)
  t.match(await outcome(on.accept(on.offer('d', bytes('d')))), /EIO/)
  t.match(await outcome(on.store.conclude([{ do: 'forget', now: 0 }])), /EIO/)
  t.match(await outcome(on.store.evict(2e12)), /EIO/)
  await on.store.flush()
  t.equal(on.sim.calls(), calls)
  t.equal(await on.read('old'), 'old')
  await on.store.close()

  const after = await on.again()
  t.equal(after.store.trouble(), undefined)
  for (const file of files.filter(({ id }) => !stored.includes(id)))
    t.equal(await after.bring(file, bytes(file.id)), 'stored')
})

test('so does one of a page, of a folder, of a manifest', async (t) => {
  const faults: [method: 'sync' | 'syncDir', path?: string][] = [
    ['sync'],
    ['syncDir', '.incoming'],
    ['syncDir', 'home/data'],
    ['sync', 'home/manifest-sha256.txt'],
    ['sync', 'home/bag-info.txt.new'],
  ]
  for (const [method, path] of faults) {
    const on = await volume()
    const file = on.offer('a', bytes('bytes'))
    await on.accept(file)
    on.sim.faults.failNext(method, 'ENOSPC', path === undefined ? {} : { path })
    const incoming = await on.open(file)
    const work = async (): Promise<void> => {
      await incoming.write(bytes('by'))
      await incoming.secure()
      await incoming.write(bytes('tes'))
      await incoming.finish(ann)
      await on.store.flush()
    }
    t.match(await outcome(work()), /ENOSPC/, `${method} ${path}`)
    t.match(on.store.trouble(), /ENOSPC/, `${method} ${path}`)
  }
})

test('of a hundred requests for the space of ten, ten are accepted', async (t) => {
  const size = 100_000
  const capacity = 10 * (size + 8192) + 8192 + 50_000
  const on = await volume({ capacity, reserveBytes: 50_000 })
  const some = (n: number): Uint8Array => new Uint8Array(size).fill(n)
  const files = Array.from({ length: 100 }, (_, n) => on.offer(`f${n}`, some(n)))
  const standings = await Promise.all(files.map((file) => on.accept(file)))
  const welcome = files.filter((_, n) => standings[n]?.[0]?.is === 'welcome')
  t.equal(welcome.length, 10)
  t.ok(standings.flat().every(({ is }) => is === 'welcome' || is === 'noSpace'))
  t.equal((await on.store.space()).bytesReserved, 10 * (size + 8192))

  await Promise.all(welcome.map((file) => on.bring(file, some(Number(file.id.slice(1))))))
  t.equal((await ids(on)).length, 10)
  t.equal((await on.store.space()).bytesReserved, 0)
})

test('a file asked for twice in one request is promised its space once', async (t) => {
  const size = 100_000
  const on = await volume({ capacity: 2 * (size + 8192) + 4000 })
  const files = ['a', 'a', 'b'].map((id) => on.offer(id, new Uint8Array(size)))
  t.strictSame(
    (await on.accept(...files)).map(({ is }) => is),
    ['welcome', 'welcome', 'welcome'],
  )
  t.strictSame(
    (await on.store.standing(files)).map(({ is }) => is),
    ['welcome', 'welcome', 'welcome'],
  )
})

test('other bytes wait while some are being received, and take their place once nobody is there', async (t) => {
  const on = await volume()
  const [one, two] = [on.offer('a', bytes('one')), on.offer('a', bytes('other'))]
  await on.accept(one)
  const incoming = await on.open(one)
  await incoming.write(bytes('on'))
  await incoming.secure()
  t.match(await on.accept(two), [{ is: 'other' }])
  on.store.release([one])
  t.match(await on.accept(two), [{ is: 'welcome' }])
  t.equal(await on.bring(two, bytes('other')), 'stored')
  t.strictSame(await on.disk.list('.incoming'), [])
})

test('a file that was stored while it was asked for again is complete when it is opened', async (t) => {
  const on = await volume()
  const file = on.offer('a', bytes('bytes'))
  await on.accept(file)
  const again = on.accept(file)
  await on.bring(file, bytes('bytes'))
  t.ok(['welcome', 'held'].includes((await again)[0]?.is ?? ''))
  const incoming = await on.open(file)
  t.equal(incoming.at(), 5)
  t.equal(await incoming.finish(ann), 'stored')
  t.strictSame(await ids(on), ['a'])
  await t.rejects(on.store.incoming('home', 'never'), /not accepted/)
})

test('a request that comes while its file is being stored does not ask for it anew', async (t) => {
  for (let turns = 0; turns < 60; turns++) {
    const on = await volume()
    const file = on.offer('a', bytes('bytes'))
    await on.accept(file)
    const incoming = await on.open(file)
    await incoming.write(bytes('bytes'))
    const stored = incoming.finish(ann)
    for (let n = 0; n < turns; n++) await undefined
    await on.accept(file)
    await stored
    t.strictSame(await on.index.allReceiving(), [], `${turns}`)
    t.equal(await on.bring(file, bytes('bytes')), 'stored')
    t.equal((await on.store.list({ collection: 'home', limit: 9 })).files[0]?.sequence, 1)
  }
})

test('missing bytes are missing, not wrong: what came is kept', async (t) => {
  const on = await volume()
  const file = on.offer('a', bytes('bytes'))
  await on.accept(file)
  const incoming = await on.open(file)
  await incoming.write(bytes('byt'))
  await incoming.secure()
  t.match(await outcome(incoming.finish(ann)), /2 bytes are missing/)
  t.equal((await on.open(file)).at(), 3)
  t.match(await outcome((await on.open(file)).write(bytes('too many'))), /more bytes than promised/)
  t.equal(await on.bring(file, bytes('bytes')), 'stored')
})

test('wrong bytes are removed, and asked for anew they are welcome', async (t) => {
  const on = await volume()
  const file = on.offer('a', bytes('bytes'))
  await on.accept(file)
  t.equal(await on.bring(file, bytes('bites')), 'wrongChecksum')
  t.strictSame(await on.disk.list('.incoming'), [])
  t.equal(await on.read('a'), undefined)
  t.equal(await on.put('a', bytes('bytes')), 'stored')
})

test('a partial that is longer or shorter than what was safe, or gone, does no harm', async (t) => {
  const changes: [name: string, at: number, change: (disk: Disk, path: string) => Promise<void>][] =
    [
      ['longer', 4, (disk, path) => disk.write(path, 4, bytes('xxxxxxxxxxx'))],
      ['shorter', 0, (disk, path) => disk.truncate(path, 3)],
      ['gone', 0, (disk, path) => disk.remove(path)],
    ]
  for (const [name, at, change] of changes)
    for (const restarted of [true, false]) {
      const before = await volume()
      const file = before.offer('a', bytes('ninebytes'))
      await before.accept(file)
      const incoming = await before.open(file)
      await incoming.write(bytes('nine'))
      await incoming.secure()
      await change(before.disk, partialOf(before.world, file))
      const on = restarted ? await before.again() : before
      if (restarted && name === 'longer')
        t.equal((await on.disk.stat(partialOf(on.world, file)))?.size, 4)
      if (restarted) t.match(await on.index.allReceiving(), [{ id: 'a', safe: at }], name)
      // The longer one, left by a transfer that failed, is written over.
      if (!restarted && name === 'longer') await on.disk.truncate(partialOf(on.world, file), 9)
      t.equal((await on.open(file)).at(), at, name)
      t.equal(await on.bring(file, bytes('ninebytes')), 'stored', name)
      t.equal(await on.read('a'), 'ninebytes')
    }
})

test('bytes that a lying disk has forgotten are set aside, one by one, and come anew', async (t) => {
  let on = await volume()
  for (const text of ['first', 'later']) {
    const file = on.offer('a', bytes('bytes'))
    await on.accept(file)
    // As if the rename had survived, and the commit after it not.
    for (const folder of ['home', 'home/data']) await on.disk.mkdir(folder)
    await on.disk.write('home/data/a', 0, bytes(text))
    await on.disk.touch('home/data/a', file.mtime)
    on = await on.again()
    t.equal(on.text('home/data/a'), undefined)
  }
  const kept = [...on.sim.snapshot()].filter(([path]) => path.startsWith('.retained/unproven'))
  t.strictSame(
    kept.map(([, some]) => Buffer.from(some).toString()),
    ['first', 'later'],
  )
  t.equal(await on.bring(on.offer('a', bytes('bytes')), bytes('bytes')), 'stored')
  t.equal((await on.store.stored('home', ['a']))[0]?.path, 'a')
})

test('recovery never moves what is stored, whatever a row says', async (t) => {
  const on = await volume()
  await on.put('A', bytes('bytes'))
  const other = on.offer('a', bytes('other'))
  const row = { ...other, path: 'A', safe: 0, since: 0 }
  await on.index.commit([{ do: 'receive', file: row }])
  const after = await on.again()
  t.equal(await after.read('A'), 'bytes')
  t.equal(await after.put('a', bytes('other')), 'stored')
  t.equal(await after.read('A'), 'bytes')
  t.equal(await after.read('a'), 'other')
})

test('a file that had to stand elsewhere is found there after the power was cut', async (t) => {
  let cut = false
  const wrapIndex = (index: Index): Index => ({
    ...index,
    commit: (changes) =>
      cut && changes.some((change) => change.do === 'store')
        ? new Promise(() => undefined)
        : index.commit(changes),
  })
  const on = await volume({ wrapIndex })
  const file = on.offer('a', bytes('bytes'))
  await on.accept(file)
  for (const folder of ['home', 'home/data']) await on.disk.mkdir(folder)
  await on.disk.write('home/data/a', 0, bytes('theirs'))
  cut = true
  void on.bring(file, bytes('bytes'))
  await on.time.advance(1000)
  cut = false
  const after = await on.again()
  t.equal(await after.read('a'), 'bytes')
  t.equal(after.text('home/data/a'), 'theirs')
})

test('a sector that can not be read does not keep the volume closed', async (t) => {
  const on = await volume()
  const file = on.offer('a', bytes('bytes'))
  await on.accept(file)
  await on.disk.mkdir('home')
  await on.disk.mkdir('home/data')
  await on.disk.write('home/data/a', 0, bytes('bytes'))
  on.sim.crash((among) => among - 1)
  on.sim.faults.failNext('read', 'EIO', { path: 'home/data/a' })
  const after = await on.again()
  t.equal(await after.bring(file, bytes('bytes')), 'stored')
})

test('partials that nobody came back for go, others stay', async (t) => {
  const on = await volume()
  const [old, renewed, busy] = ['old', 'renewed', 'busy'].map((id) => on.offer(id, bytes(id)))
  if (!old || !renewed || !busy) throw new Error('three')
  await on.accept(old, renewed, busy)
  for (const file of [old, renewed, busy]) {
    const incoming = await on.open(file)
    await incoming.write(bytes(file.id.slice(0, 2)))
    await incoming.secure()
  }
  on.store.release([old, renewed])
  await on.time.advance(1000)
  const now = on.world.clock.now()
  await on.accept(renewed)
  on.store.release([renewed])
  // Its row belongs to who is bringing it.
  const [row] = await on.index.receiving('home', ['busy'])
  await on.accept(busy)
  t.strictSame(await on.index.receiving('home', ['busy']), [row])
  t.equal(await on.store.evict(now), 1)
  t.strictSame((await on.index.allReceiving()).map(({ id }) => id).sort(), ['busy', 'renewed'])
  t.equal((await on.disk.list('.incoming')).length, 2)
  t.equal(await on.bring(renewed, bytes('renewed')), 'stored')
  t.match((await on.index.audit(0, 10))[0], { event: 'deletion', id: 'old', actor: 'eviction' })
})

test('closing waits for what is being committed', async (t) => {
  let open = true
  const wrapIndex = (index: Index): Index => ({
    ...index,
    async commit(changes) {
      await on.time.clock.sleep(1000)
      if (!open) throw new DiskError('EBADF', 'closed')
      await index.commit(changes)
    },
    async close() {
      open = false
    },
  })
  const on: Volume = await volume({ wrapIndex })
  const concluded = on.store.conclude([{ do: 'fact', key: 'k', value: 'v' }])
  await on.time.finish(on.store.close())
  await concluded
  t.equal(await on.index.fact('k'), 'v')
  t.equal(on.store.trouble(), undefined)
})

test('a volume closes also when its manifest can not be written', async (t) => {
  let closed = 0
  const wrapDisk = (disk: Disk): Disk => ({ ...disk, close: async () => void closed++ })
  const on = await volume({ wrapDisk })
  await on.put('a', bytes('a'))
  on.sim.faults.failNext('sync', 'EIO', { path: 'home/manifest-sha256.txt' })
  await t.rejects(on.store.close(), /EIO/)
  t.equal(closed, 1)
})

test('[DISK-6] an index that another agent has open is busy', async (t) => {
  const path = `${t.testdir()}/.index.sqlite`
  const first = openIndex(path)
  t.throws(() => openIndex(path), { code: 'busy' })
  first.close()
  openIndex(path).close()
})
