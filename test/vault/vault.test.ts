// The store of collections in fragments: what is acknowledged is safe on pillars, and comes back from them.

import t from 'tap'
import { ann, bytes, collection, distinct, fragmentBytes, kit, pillars } from './kit.ts'

const sizes = [
  ['an empty file', 0],
  ['a file of one byte', 1],
  ['a file smaller than a fragment', fragmentBytes - 1],
  ['a file of just one fragment', fragmentBytes],
  ['a file of one fragment and a byte', fragmentBytes + 1],
  ['a multiple of the fragment size', 5 * fragmentBytes],
  ['a file with a short end', 7 * fragmentBytes + 13],
] as const

for (const [what, size] of sizes)
  t.test(`[VAULT-1] ${what} leaves our disk and comes back from pillars`, async (t) => {
    const { vault, ...all } = await kit()
    const original = distinct(size)
    t.equal(await all.put('a/b.txt', original), 'stored')
    t.same(all.here(), [], 'no bytes of it are here any more')
    const file = all.offer('a/b.txt', original)
    const slices = (await all.view.slices(file)) ?? []
    t.equal(slices.length, Math.ceil(size / fragmentBytes))
    for (const { hash, size: part } of slices) {
      const held = [...all.pillars.held.values()].flatMap((some) => some.get(hash) ?? [])
      t.same(
        held.map(({ length }) => length),
        [part, part],
        'as a fragment on two pillars',
      )
    }
    t.equal(await all.read('a/b.txt'), Buffer.from(original).toString())
    t.same(await vault.standing([file]), [
      { is: 'held', file: (await vault.stored(collection, ['a/b.txt']))[0] },
    ])
    await all.stop()
  })

t.test(
  '[VAULT-1] it is acknowledged only once it is safe, and its bytes stay until then',
  async (t) => {
    const all = await kit()
    let go = (): void => undefined
    all.pillars.before = () => new Promise((resolve) => (go = resolve))
    const original = distinct(250)
    let done = false
    const putting = all.put('a', original).then((outcome) => {
      done = true
      return outcome
    })
    await all.time.advance(1)
    t.equal(done, false)
    t.same(all.here(), ['pieces/data/a'])
    const listed = async () => (await all.vault.list({ collection, limit: 9 })).files.length
    t.equal(await listed(), 0, 'nor is it listed: whoever deletes his own goes by listings')
    t.equal(
      (await all.vault.standing([all.offer('a', original)]))[0]?.is,
      'welcome',
      'not held yet',
    )
    t.equal(await all.read('a'), Buffer.from(original).toString(), 'it can be read')
    go()
    t.equal(await putting, 'stored')
    t.same(all.here(), [])
    t.equal(await listed(), 1)
    await all.stop()
  },
)

t.test('[VAULT-4] the same bytes under a second id are not brought again', async (t) => {
  const all = await kit()
  const original = distinct(250)
  await all.put('a', original)
  all.pillars.asked.length = 0
  t.equal(await all.put('b', original), 'stored')
  t.equal(all.pillars.asked.flat().length, 1, 'only the text that tells of it is spread')
  t.same(all.pillars.fetched, [], 'nor is anything read')
  t.same(all.here(), [])
  t.match(await all.told('b'), ['colonnade file 1', `collection ${collection}`, 'name b'])
  t.equal(await all.remove('a', original), 'removed')
  t.equal(await all.read('b'), Buffer.from(original).toString(), 'and it stays when the first goes')

  t.comment('not when a copy is missing, or the bytes are to take the place of others')
  const [slice] = (await all.view.slices(all.offer('b', original))) ?? []
  const [holders = []] = await all.view.holders(collection, [slice?.hash ?? ''])
  const { pillar = '' } = holders[0] ?? {}
  await all.view.change([{ do: 'lose', collection, hash: slice?.hash ?? '', pillar }])
  const third = all.offer('c', original)
  await all.accept(third)
  t.equal(await all.vault.storeTwin?.(third, ann), false)
  t.equal((await all.vault.stored(collection, ['c']))[0], undefined)
  await all.stop()
})

t.test('[VAULT-4] a second id that could not be told of is not held, and told later', async (t) => {
  const all = await kit()
  const original = distinct(250)
  await all.put('a', original)
  all.pillars.away = true
  await t.rejects(all.put('b', original), /no pillar is there/)
  t.equal((await all.vault.standing([all.offer('b', original)]))[0]?.is, 'welcome', 'not held')
  const again = await all.again()
  t.equal((await again.vault.standing([again.offer('b', original)]))[0]?.is, 'welcome', 'nor now')
  again.pillars.away = false
  t.match(await again.put('b', original), /stored|held/)
  t.equal((await again.vault.standing([again.offer('b', original)]))[0]?.is, 'held')
  t.match(await again.told('b'), ['colonnade file 1'])
  t.equal(await again.read('b'), Buffer.from(original).toString())
  await again.stop()
})

t.test(
  '[VAULT-2] what could not be brought to pillars is tried again, by itself and by who asks',
  async (t) => {
    const all = await kit()
    all.pillars.away = true
    const original = distinct(250)
    await t.rejects(all.put('a', original), /no pillar is there/)
    t.same(all.here(), ['pieces/data/a'])
    await t.rejects(all.put('a', original), /no pillar is there/, 'said again, it is not held')
    all.pillars.away = false
    await all.time.advance(60_000)
    t.same(all.here(), [], 'by itself')
    t.equal(await all.put('a', original), 'held')
    await all.stop()
  },
)

t.test('[VAULT-2] a start goes on with what the last one had not brought', async (t) => {
  const before = await kit()
  before.pillars.away = true
  for (const id of ['a', 'b/c', 'b/d'])
    await t.rejects(before.put(id, distinct(250, id)), /no pillar/)
  before.pillars.away = false
  const all = await before.again()
  await all.time.advance(1)
  t.same(all.here(), [])
  t.equal(await all.read('b/c'), Buffer.from(distinct(250, 'b/c')).toString())
  await all.stop()
})

t.test('[VAULT-3] a range fetches the fragments that it needs, and no other', async (t) => {
  const all = await kit()
  const original = distinct(10 * fragmentBytes)
  await all.put('a', original)
  const slices = (await all.view.slices(all.offer('a', original)))?.map(({ hash }) => hash) ?? []
  const text = Buffer.from(original).toString()
  const ranges = [
    [0, 1],
    [99, 2],
    [100, 100],
    [250, 300],
    [999, 1],
    [1000, 0],
  ] as const
  for (const [offset, length] of ranges) {
    all.pillars.fetched.length = 0
    t.equal(await all.read('a', offset, length), text.slice(offset, offset + length))
    const from = Math.floor(offset / fragmentBytes)
    const to = Math.ceil((offset + length) / fragmentBytes)
    t.same(all.pillars.fetched, length === 0 ? [] : slices.slice(from, to), `${offset}+${length}`)
  }
  await all.stop()
})

t.test('[VAULT-3] several fragments are fetched at a time, and given in their order', async (t) => {
  const all = await kit()
  const original = distinct(10 * fragmentBytes)
  await all.put('a', original)
  let open = 0
  let most = 0
  const again = await all.again()
  const { fetch } = again.pillars
  again.pillars.fetch = (world) => async (name, fragment, signal) => {
    most = Math.max(most, ++open)
    // The first is the slowest.
    await world.clock.sleep(1000 - open)
    const fetched = await fetch(world)(name, fragment, signal)
    return { ...fetched, discard: async () => void open-- }
  }
  const slow = await again.again()
  const text = await slow.time.finish(slow.read('a'))
  t.equal(text, Buffer.from(original).toString())
  t.equal(most, 4)
  t.equal(open, 0, 'each is discarded')
  await slow.stop()
})

t.test('[VAULT-3] a reader who stops early leaves nothing behind', async (t) => {
  const all = await kit()
  await all.put('a', distinct(10 * fragmentBytes))
  const { fetch } = all.pillars
  let open = 0
  all.pillars.fetch =
    (world) =>
    async (...args) => {
      const fetched = await fetch(world)(...args)
      open++
      return { ...fetched, discard: async () => void open-- }
    }
  const again = await all.again()
  const [row] = await again.vault.stored(collection, ['a'])
  if (!row) throw new Error('it is stored')
  for await (const some of again.vault.read(row, 0, row.size)) {
    t.equal(some.length, fragmentBytes)
    break
  }
  t.equal(open, 0)
  await again.stop()
})

t.test('[VAULT-3] a file of which a fragment is nowhere to be had can not be read', async (t) => {
  const all = await kit()
  await all.put('a', distinct(300))
  for (const some of all.pillars.held.values()) some.clear()
  await t.rejects(all.read('a'), /nobody has/)
  await all.stop()
})

t.test(
  '[VAULT-4] the same bytes under two ids are kept once, until both are given up',
  async (t) => {
    const all = await kit()
    const original = distinct(300)
    await all.put('a', original)
    t.equal(await all.put('b', original), 'stored')
    const file = all.offer('a', original)
    const wanted = async () => {
      const [slice] = (await all.view.slices(file)) ?? []
      return slice && (await all.view.fragment(collection, slice.hash))?.wanted
    }
    t.equal(await wanted(), 1)
    t.equal(await all.remove('a', original), 'removed')
    const later = all.time.clock.now() + 1
    await all.vault.purge(later)
    t.equal(await wanted(), 1, 'b has them')
    t.equal(await all.remove('b', original), 'removed')
    t.equal(await wanted(), 1, 'they are kept aside')
    await all.vault.purge(later)
    t.equal(await all.view.slices(file), undefined)
    await all.stop()
  },
)

t.test(
  '[VAULT-4] fragments that a file has several times are brought and fetched once',
  async (t) => {
    const all = await kit()
    const original = bytes('x'.repeat(10 * fragmentBytes))
    await all.put('a', original)
    t.same(
      all.pillars.asked.map(({ length }) => length),
      [2],
      'one fragment, and the text',
    )
    t.equal(await all.read('a'), 'x'.repeat(1000))
    t.ok(all.pillars.fetched.length <= 3, `${all.pillars.fetched.length} fetched`)
    await all.stop()
  },
)

t.test(
  '[VAULT-5] a deleted file is told of as deleted, and comes back while it is kept aside',
  async (t) => {
    const all = await kit()
    const original = distinct(300)
    await all.put('a', original)
    const stored = await all.told('a')
    t.ok(stored.includes('state stored'))
    t.equal(await all.remove('a', original), 'removed')
    t.equal(await all.read('a'), undefined)
    const deleted = await all.told('a')
    t.ok(deleted.includes('state deleted'))
    t.notSame(deleted[3], stored[3], 'by another version')
    const { fragment } = (await all.view.entry(collection, 'a')) ?? {}
    const [holders] = await all.view.holders(collection, [fragment?.hash ?? ''])
    t.equal(holders?.length, 2, 'pillars have been told')
    t.equal(await all.remove('a', original), 'removed', 'said again')
    t.equal(await all.restore('a', original), 'stored')
    t.ok((await all.told('a')).includes('state stored'))
    t.equal(await all.read('a'), Buffer.from(original).toString())
    await all.remove('a', original)
    await all.vault.purge(all.time.clock.now() + 1)
    t.equal(await all.restore('a', original), 'absent')
    await all.stop()
  },
)

t.test('[VAULT-5] what is deleted before it was safe comes back from our disk', async (t) => {
  const all = await kit()
  all.pillars.away = true
  const original = distinct(300)
  await t.rejects(all.put('a', original))
  await t.rejects(all.remove('a', original), /no pillar/, 'pillars have not been told')
  all.pillars.away = false
  t.equal(await all.remove('a', original), 'removed')
  t.same(all.here(), [])
  t.equal(await all.restore('a', original), 'stored')
  t.same(all.here(), [], 'and is brought to pillars')
  t.equal(await all.read('a'), Buffer.from(original).toString())
  await all.stop()
})

t.test('[VAULT-1] what was not stored after all leaves a safe file listed', async (t) => {
  const all = await kit()
  const [old, other] = [distinct(250), distinct(250, 'other ')]
  await all.put('a', old)
  const listed = async () => (await all.vault.list({ collection, limit: 9 })).files.length
  t.equal(await all.restore('a', other), 'otherBytes')
  t.equal(await listed(), 1)
  const [version = 0] = await all.vault.versions(collection, ['a'])
  const replaces = { checksum: all.offer('a', old).checksum, version }
  const file = { ...all.offer('a', other), replaces }
  await all.accept(file)
  const incoming = await all.vault.incoming(collection, 'a', replaces)
  await incoming.write(old.slice())
  t.equal(await incoming.finish(ann), 'wrongChecksum')
  t.equal(await listed(), 1)
  t.equal(await all.read('a'), Buffer.from(old).toString())
  await all.stop()
})

t.test('[VAULT-5] a replaced file keeps its old fragments for the time of grace', async (t) => {
  const all = await kit()
  const [old, fresh] = [distinct(300, 'old'), distinct(450, 'fresh')]
  await all.put('a', old)
  t.equal(await all.replace('a', old, fresh), 'stored')
  t.equal(await all.read('a'), Buffer.from(fresh).toString())
  t.same(all.here(), [])
  const file = all.offer('a', old)
  t.ok(await all.view.slices(file), 'the old ones are wanted')
  t.equal(await all.restore('a', old), 'otherBytes')
  await all.vault.purge(all.time.clock.now() + 1)
  t.notOk(await all.view.slices(file))
  t.equal(await all.read('a'), Buffer.from(fresh).toString())
  await all.stop()
})

t.test('[VAULT-6] room is what pillars have for all copies', async (t) => {
  const all = await kit(pillars())
  const { bytesOpen, bytesTotal } = await all.vault.space()
  t.same({ bytesOpen, bytesTotal }, { bytesOpen: 1_350_000, bytesTotal: 1_500_000 })
  const file = { ...all.offer('big', bytes('x')), size: 1_400_000 }
  const why = 'the pillars have room for 1350000 bytes'
  t.same(await all.vault.standing([file]), [{ is: 'noSpace', bytesFree: 1_350_000, why }])
  await all.stop()
})
