// A tracker without a memory learns the catalogue from what pillars have.

import t from 'tap'
import { fragmentFileId } from '../../src/protocol/fragments.ts'
import { type Listed, textsFolder } from '../../src/vault/learning.ts'
import { collection, distinct, type Kit, kit, type Pillars } from './kit.ts'

/** What a pillar lists below the folder of texts. */
async function* listing(held: ReadonlyMap<string, Uint8Array>): AsyncGenerator<Listed> {
  for (const [hash, bytes] of held) {
    const isText = Buffer.from(bytes).toString().startsWith('colonnade file')
    const id = fragmentFileId({ hash, kind: isText ? 'info' : 'slice' })
    if (id.startsWith(textsFolder)) yield { id, size: bytes.length, checksum: hash }
  }
}

async function learn(
  { vault }: Kit,
  { held }: Pillars,
  pillar: string,
  fetching: (hashes: readonly string[]) => void = () => undefined,
): Promise<void> {
  const some = held.get(pillar) ?? new Map<string, Uint8Array>()
  await vault.learning.learn(collection, pillar, listing(some), async (fragments) => {
    fetching(fragments.map(({ hash }) => hash))
    const texts = fragments.map(({ hash }): [string, string] => [
      hash,
      Buffer.from(some.get(hash) ?? '').toString(),
    ])
    return new Map(texts)
  })
}

async function rows({ vault }: Kit) {
  const { files } = await vault.list({ collection, limit: 1_000 })
  return files
    .map(({ id, size, checksum, mtime }) => ({ id, size, checksum, mtime }))
    .sort((a, b) => (a.id < b.id ? -1 : 1))
}

t.test('[VAULT-9] names, sizes, times, versions and deletions are learnt again', async (t) => {
  const old = await kit()
  const [a, b, c] = ['a', 'b', 'c'].map((salt) => distinct(250, salt)) as [
    Uint8Array,
    Uint8Array,
    Uint8Array,
  ]
  await old.put('a', a)
  await old.put('folder/b\n', b)
  await old.put('gone', c)
  await old.remove('gone', c)
  await old.replace('a', a, b)
  const fresh = await kit(old.pillars)
  t.same(await rows(fresh), [])
  for (const pillar of ['p3', 'p1', 'p2']) await learn(fresh, old.pillars, pillar)
  t.same(await rows(fresh), await rows(old))
  t.equal(await fresh.read('folder/b\n'), Buffer.from(b).toString())
  t.equal(await fresh.read('a'), Buffer.from(b).toString(), 'the newer version')
  const { tombstones } = await fresh.vault.tombstones({ collection, limit: 9 })
  t.same(
    tombstones.map(({ id, checksum }) => ({ id, checksum })),
    [{ id: 'gone', checksum: old.offer('', c).checksum }],
  )
  for (const id of ['a', 'gone'])
    t.same(await fresh.view.entry(collection, id), await old.view.entry(collection, id))
  t.same(fresh.here(), [])
})

t.test('[VAULT-9] learnt twice, or in another order, it is the same', async (t) => {
  const old = await kit()
  await old.put('a', distinct(250, 'a'))
  await old.replace('a', distinct(250, 'a'), distinct(99, 'b'))
  await old.remove('a', distinct(99, 'b'))
  for (const order of [
    ['p1', 'p2', 'p3'],
    ['p3', 'p2', 'p1', 'p3'],
  ]) {
    const fresh = await kit(old.pillars)
    for (const pillar of order) await learn(fresh, old.pillars, pillar)
    t.same(await rows(fresh), [])
    t.same(
      await fresh.view.entries(collection, '', 9),
      await old.view.entries(collection, '', 9),
      order.join(),
    )
  }
})

t.test('[VAULT-9] what was put here since is not undone by what is older', async (t) => {
  const old = await kit()
  await old.put('a', distinct(250, 'a'))
  const fresh = await kit(old.pillars)
  await fresh.time.advance(1000)
  await fresh.put('a', distinct(120, 'new'))
  for (const pillar of ['p1', 'p2', 'p3']) await learn(fresh, old.pillars, pillar)
  t.equal(await fresh.read('a'), Buffer.from(distinct(120, 'new')).toString())
})

t.test(
  '[VAULT-9] a text that is not what its name says, or of nobody, teaches nothing',
  async (t) => {
    const fresh = await kit()
    const held = fresh.pillars.held.get('p1')
    held?.set('0'.repeat(64), Buffer.from('colonnade file 1\nend\n'))
    await learn(fresh, fresh.pillars, 'p1')
    t.same(await rows(fresh), [])
    t.equal(fresh.vault.learning.learntAt(), undefined)
  },
)

t.test('[VAULT-9] puts wait until enough pillars were read that no file is unknown', async (t) => {
  const old = await kit()
  for (const id of ['a', 'b', 'c', 'd']) await old.put(id, distinct(50, id))
  const fresh = await kit(old.pillars)
  t.equal(fresh.vault.trouble(), undefined, 'a new archive has nothing to learn')
  await learn(fresh, old.pillars, 'p1')
  t.same(fresh.vault.learning.missing(), ['p2', 'p3'], 'a file may be on these two only')
  t.match(fresh.vault.trouble(), /read from the pillars again; p2, p3 must come/)
  await learn(fresh, old.pillars, 'p3')
  t.same(fresh.vault.learning.missing(), [])
  t.equal(fresh.vault.trouble(), undefined)
  const again = await fresh.again()
  await again.time.advance(1)
  t.same(again.vault.learning.missing(), [])
  t.equal(again.vault.learning.learntAt(), fresh.vault.learning.learntAt())
})

t.test(
  '[VAULT-9] many texts: some at a time, none twice, and puts wait from the first on',
  async (t) => {
    const old = await kit()
    const ids = Array.from({ length: 150 }, (_, n) => `file ${n}`)
    // Two of them under names that fold to the same place on the disk.
    for (const id of [...ids, 'FILE 1', 'FILE 2']) await old.put(id, distinct(40, id))
    const fresh = await kit(old.pillars)
    const seen: string[] = []
    const troubles = new Set<string | undefined>()
    for (const pillar of ['p1', 'p2', 'p3'])
      await learn(fresh, old.pillars, pillar, (hashes) => {
        seen.push(...hashes)
        troubles.add(fresh.vault.trouble())
      })
    t.same(await rows(fresh), await rows(old))
    t.equal(seen.length, 152, 'each text is fetched')
    t.equal(new Set(seen).size, 152, 'once')
    t.ok(troubles.size >= 3, 'while the second page is read, too, it is said who must come')
    t.equal(await fresh.read('FILE 2'), Buffer.from(distinct(40, 'FILE 2')).toString())
    t.equal(await fresh.read('file 2'), Buffer.from(distinct(40, 'file 2')).toString())
  },
)
