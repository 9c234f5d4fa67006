// Where the bytes of a file are: told page by page, of what is safe only.

import t from 'tap'
import { tellFragments } from '../../src/pillar/pieces.ts'
import { compose, uuid7 } from '../../src/post/compose.ts'
import type { Message, MessageOf } from '../../src/protocol/messages.ts'
import { bytes, collection, distinct, fragmentBytes, type Kit, kit } from './kit.ts'

type Final = MessageOf<'GetFragmentsFinalResponse'>
type Files = MessageOf<'GetFragmentsRequest'>['files']

async function asked({ vault, world }: Pick<Kit, 'vault' | 'world'>, files: Files, skip = 0) {
  const request = compose<'GetFragmentsRequest'>(world, 'ann', {
    ...{ type: 'GetFragmentsRequest', conversation: uuid7(world), collection, files, skip },
    ...{ replyTo: 'colonnade/replies/ann/1', expiresAt: '2026-01-02T00:00:00.000Z' },
  })
  const said: Message[] = []
  const answer = async (_: unknown, message: Message): Promise<void> => void said.push(message)
  await tellFragments({ world, name: 'tracker', store: vault, answer } as never, request)
  return said[0] as Final
}

t.test('[GETF-1] all fragments are told, in messages that are not too long', async (t) => {
  const one = await kit()
  const [large, small] = [distinct(100_050), distinct(250, 'other')]
  await one.put('large', large)
  await one.put('small', small)
  const files = [one.offer('large', large), one.offer('small', small)].map(({ id, checksum }) => ({
    ...{ id, checksum },
  }))
  const all: Final['fragments'] = []
  const pages: Final[] = []
  do {
    const page = await asked(one, files, all.length)
    pages.push(page)
    all.push(...page.fragments)
    t.ok(JSON.stringify(page).length < 50_000)
    t.ok(page.fragments.every(({ holders }) => holders.length === 2))
    t.ok(page.fragments.every(({ holders }) => holders.every((n) => page.holders[n])))
  } while (pages.at(-1)?.partialResult)
  t.ok(pages.length > 2, `${pages.length} pages`)
  t.equal(all.length, 1001 + 3)
  for (const [place, sizes] of [large, small].entries()) {
    let end = 0
    for (const { at, size } of all.filter(({ file }) => file === place)) {
      t.equal(at, end)
      end += size
    }
    t.equal(end, sizes.length)
  }
  t.match(await asked(one, files, all.length), { fragments: [], partialResult: false })
  await one.stop()
})

t.test('[GETF-2] of a range those that it needs are told', async (t) => {
  const one = await kit()
  const large = distinct(1_000)
  await one.put('large', large)
  const { id, checksum } = one.offer('large', large)
  const places = async (offset: number, length: number): Promise<number[]> => {
    const { fragments } = await asked(one, [{ id, checksum, offset, length }])
    return fragments.map(({ at }) => at)
  }
  t.same(await places(fragmentBytes, fragmentBytes), [fragmentBytes])
  t.same(await places(fragmentBytes - 1, 2), [0, fragmentBytes])
  t.same(await places(999, 1), [900])
  t.same(await places(999, 5), [900])
  t.same(await places(10, 0), [])
  await one.stop()
})

t.test('[GETF-1] nothing is told of what is not safe, not there, or other bytes', async (t) => {
  const one = await kit()
  const [old, fresh] = [distinct(300), bytes('fresh')]
  await one.put('old', old)
  const about = (id: string, some: Uint8Array) => {
    const { checksum } = one.offer(id, some)
    return { id, checksum }
  }
  one.pillars.away = true
  await one.put('fresh', fresh).catch(() => undefined)
  const files = [
    about('old', fresh),
    about('fresh', fresh),
    about('none', fresh),
    about('old', old),
  ]
  const told = await asked(one, files)
  t.same(told.unknown, [0, 1, 2])
  t.same([...new Set(told.fragments.map(({ file }) => file))], [3])
  t.match(await asked({ world: one.world, vault: {} as never }, files), {
    responseInfo: { code: 'REQUEST_NOT_SUPPORTED' },
  })
  await one.again()
})

t.test('[GETF-7] the scarcest fragment of a file says how many copies it has', async (t) => {
  const one = await kit()
  const [large, other] = [distinct(500), distinct(300, 'other')]
  for (const [id, some] of Object.entries({ large, other, empty: bytes('') }))
    await one.put(id, some)
  const rows = async () => {
    const found = await one.vault.stored(collection, ['large', 'other', 'empty'])
    return found.flatMap((row) => row ?? [])
  }
  t.same(await one.vault.copies?.(await rows()), Array(3).fill({ least: 2, wanted: 2 }))
  const [slice] = (await one.view.slices({ ...one.offer('large', large) })) ?? []
  const [holders = []] = await one.view.holders(collection, [slice?.hash ?? ''])
  const [first] = holders
  const lost = { collection, hash: slice?.hash ?? '', pillar: first?.pillar ?? '' }
  await one.view.change([{ do: 'lose', ...lost }])
  const copies = await one.vault.copies?.(await rows())
  t.same(
    copies?.map((count) => count?.least),
    [1, 2, 2],
  )
  one.pillars.away = true
  const none = await one.vault.copies?.(await rows())
  t.same(
    none?.map((count) => count?.least),
    [0, 0, 0],
    'nobody is there',
  )
  await one.stop()
})
