// What a collection is to be, as the owner says it.

import t from 'tap'
import { collectionOf } from '../../src/setup/found.ts'

const pillars = ['attic', 'cellar', 'friend']
const usual = { pillars, copiesMin: '2', copies: '2' }

t.test('whole files on every pillar, unless a size of fragments is given', async (t) => {
  const policy = { name: 'photos', pillars, copiesMin: 2, algorithm: 'sha256' }
  t.same(collectionOf('photos', usual), policy)
  const fragments = { bytes: 16 * 1024 * 1024, copies: 2 }
  t.same(collectionOf('photos', { ...usual, fragmentSize: '16MiB' }), { ...policy, fragments })
})

t.test('what can not be kept so is refused with a sentence', async (t) => {
  const refused = [
    [{ fragmentSize: 'big' }, /big is no size/],
    [{ fragmentSize: '1KiB' }, /a fragment has 64 KiB to 1 GiB/],
    [{ fragmentSize: '2GiB' }, /a fragment has 64 KiB to 1 GiB/],
    [{ fragmentSize: '1MiB', copies: '4' }, /3 pillars can not keep 4 copies/],
    [{ fragmentSize: '1MiB', copies: 'two' }, /can not keep two copies/],
    [{ fragmentSize: '1MiB', copiesMin: '3' }, /done at 3 copies, but only 2 are to be made/],
  ] as const
  for (const [options, why] of refused)
    t.throws(() => collectionOf('photos', { ...usual, ...options }), why)
})
