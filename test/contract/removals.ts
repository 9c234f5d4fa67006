import type { Test } from 'tap'
import { type Change, type Index, type RetainedFile, staleBag } from '../../src/index/index.ts'
import { sum } from './index.ts'

const store = (id: string, now: number, collection = 'books'): Change => ({
  do: 'store',
  now,
  file: {
    ...{ collection, id, size: id.length, checksum: sum(id), mtime: 5, path: id },
    provenAt: now,
  },
})
const remove = (id: string, now: number, collection = 'books'): Change => ({
  ...{ do: 'remove', collection, id, now },
})

/** What an index promises about files that were deleted. */
export function removalsContract(t: Test, name: string, open: (t: Test) => Promise<Index>): void {
  t.test(`${name}: a deleted file leaves a tombstone, and the sums without it`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1000), store('bb', 2000)])
    const before = await index.summary()
    await index.commit([store('ccc', 3000)])
    await index.commit([remove('ccc', 2500), remove('absent', 9000)])
    t.strictSame(await index.stored('books', ['ccc']), [undefined])
    t.strictSame(await index.summary(), before, 'as if it had never been')
    t.strictSame(await index.tombstones({ collection: 'books', limit: 9 }), {
      tombstones: [
        {
          ...{ collection: 'books', id: 'ccc', size: 3, checksum: sum('ccc'), mtime: 5 },
          ...{ version: 3, removedAt: 2500, timestamp: 3001, sequence: 4 },
        },
      ],
      partial: false,
    })
    t.equal(await index.fact(staleBag('books')), 'yes')
  })

  t.test(`${name}: bytes stored under the id again end the tombstone`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1000), remove('a', 2000)])
    await index.commit([{ do: 'fact', key: staleBag('books'), value: 'no' }])
    await index.commit([store('a', 3000)])
    t.strictSame((await index.tombstones({ collection: 'books', limit: 9 })).tombstones, [])
    t.equal(await index.fact(staleBag('books')), 'yes')
    t.equal((await index.summary())[0]?.files, 1)
  })

  t.test(`${name}: tombstones are listed in pages, by prefix, id and window`, async (t) => {
    const index = await open(t)
    const ids = ['x/1', 'x/2', 'y/1', 'y/2', 'y/3']
    await index.commit(ids.map((id) => store(id, 1000)))
    await index.commit([store('x/1', 1000, 'maps'), remove('x/1', 1, 'maps')])
    await index.commit(ids.map((id) => remove(id, 5000)))
    const some = async (more: object, limit = 9) => {
      const page = await index.tombstones({ collection: 'books', limit, ...more })
      return [page.tombstones.map(({ id }) => id).join(' '), page.partial]
    }
    t.strictSame(await some({}), ['x/1 x/2 y/1 y/2 y/3', false])
    t.strictSame(await some({}, 2), ['x/1 x/2', true])
    t.strictSame(await some({ prefix: 'y/' }), ['y/1 y/2 y/3', false])
    t.strictSame(await some({ ids: ['y/3', 'x/1', 'z'] }), ['x/1 y/3', false])
    t.strictSame(await some({ minTimestamp: 5003 }), ['y/2 y/3', false])
    t.strictSame(await some({ maxTimestamp: 5000 }), ['x/1', false])
    t.strictSame(await some({ after: { timestamp: 5001, id: 'x/2' } }, 2), ['y/1 y/2', true])
  })

  t.test(
    `${name}: a file that is confirmed has a newer version, and no other change`,
    async (t) => {
      const index = await open(t)
      await index.commit([store('a', 1000), store('bb', 2000)])
      t.strictSame(await index.versions('books', ['a', 'x', 'bb']), [1, undefined, 2])
      const before = await index.stored('books', ['a'])
      await index.commit([{ do: 'confirm', collection: 'books', id: 'a' }])
      t.strictSame(await index.versions('books', ['a', 'bb']), [3, 2])
      t.strictSame(await index.stored('books', ['a']), before)
      await index.commit([store('a', 3000)])
      t.strictSame(await index.versions('books', ['a']), [4], 'and a store is newer again')
    },
  )

  t.test(
    `${name}: what is kept aside is found by id, age and state, until it is let go`,
    async (t) => {
      const index = await open(t)
      const aside = (
        id: string,
        version: number,
        more: Partial<RetainedFile> = {},
      ): RetainedFile => ({
        ...{ collection: 'books', id, version, size: 10, checksum: sum(id), mtime: 5, path: id },
        ...{ state: 'kept', since: 1000 * version },
        ...more,
      })
      const all = [aside('a', 1), aside('a', 2), aside('b', 3, { state: 'leaving' }), aside('c', 4)]
      await index.commit(all.map((file) => ({ do: 'retain', file })))
      t.strictSame(await index.retained({ limit: 9 }), all)
      t.strictSame(await index.retained({ collection: 'books', ids: ['a'], limit: 1 }), [all[0]])
      t.strictSame(await index.retained({ collection: 'maps', limit: 9 }), [])
      t.strictSame(await index.retained({ moving: true, limit: 9 }), [all[2]])
      t.strictSame(await index.retained({ keptBefore: 4000, limit: 9 }), all.slice(0, 2))
      t.equal(await index.retainedBytes(), 40)
      const [, , b = aside('b', 3)] = all
      await index.commit([
        { do: 'retain', file: { ...b, state: 'kept' } },
        { do: 'release', collection: 'books', id: 'a', version: 2 },
      ])
      t.strictSame(await index.retained({ moving: true, limit: 9 }), [])
      t.equal(await index.retainedBytes(), 30)
    },
  )
}
