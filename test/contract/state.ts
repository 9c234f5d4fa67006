import type { Test } from 'tap'
import type { State } from '../../src/state/state.ts'

/** What every state promises; `open` gives an empty one. */
export function stateContract(t: Test, name: string, open: (t: Test) => Promise<State>): void {
  t.test(`${name}: keeps what was put, forgets what was removed`, async (t) => {
    const state = await open(t)
    t.equal(await state.get('a'), undefined)
    await state.change([
      ['a', '1'],
      ['b', ''],
    ])
    t.equal(await state.get('a'), '1')
    t.equal(await state.get('b'), '')
    await state.change([
      ['a', '2'],
      ['b', undefined],
      ['absent', undefined],
    ])
    t.equal(await state.get('a'), '2')
    t.equal(await state.get('b'), undefined)
    await state.change([])
  })

  t.test(`${name}: of two changes of one key in one go, the later holds`, async (t) => {
    const state = await open(t)
    await state.change([
      ['a', '1'],
      ['a', undefined],
      ['b', undefined],
      ['b', '2'],
    ])
    t.strictSame(await state.list(''), [['b', '2']])
  })

  t.test(`${name}: lists the keys that begin so, sorted`, async (t) => {
    const state = await open(t)
    const keys = ['owed/b', 'owed/a', 'owed0', 'owed', 'owed/\u{10ffff}x', 'zoo', 'Owed/a']
    await state.change(keys.map((key) => [key, key.toUpperCase()]))
    t.strictSame(await state.list('owed/'), [
      ['owed/a', 'OWED/A'],
      ['owed/b', 'OWED/B'],
      ['owed/\u{10ffff}x', 'OWED/\u{10ffff}X'],
    ])
    t.equal((await state.list('')).length, keys.length)
    t.strictSame(await state.list('nothing'), [])
  })

  t.test(`${name}: lists page by page, and counts`, async (t) => {
    const state = await open(t)
    const keys = Array.from({ length: 7 }, (_, n) => `owed ${n}`)
    await state.change([...keys, 'other', 'owe'].map((key) => [key, '']))
    t.equal(await state.count('owed '), 7)
    t.equal(await state.count('nothing'), 0)
    const page = async (after?: string): Promise<string[]> =>
      (await state.list('owed ', { after, limit: 3 })).map(([key]) => key)
    t.same(await page(), keys.slice(0, 3))
    t.same(await page('owed 2'), keys.slice(3, 6))
    await state.change([['owed 5', undefined]])
    t.same(await page('owed 5'), keys.slice(6), 'its place is known when it is gone')
    t.same(await page('owed 6'), [])
  })
}
