// What is scarce comes back to its copies, politely, and not before it is clear that it has to.

import t from 'tap'
import type { Fragment } from '../../src/protocol/fragments.ts'
import { roundMs, settleMs, startKeeper } from '../../src/tracker/keeper.ts'
import type { Fetch } from '../../src/tracker/roles.ts'
import type { ViewChange } from '../../src/view/view.ts'
import { arena, collection, type Made, made, sourceOf } from './kit.ts'

const some = (count: number): Made[] => Array.from({ length: count }, (_, n) => made(`kept ${n} `))

/** Fragments that a file consists of, already on these pillars; and a keeper. */
async function house(
  options: Parameters<typeof arena>[0],
  all: readonly Made[],
  on: readonly string[],
  isReady?: () => boolean,
) {
  const at = await arena(options)
  const tracker = at.tracker()
  const slices = all.map(({ fragment }) => fragment).filter(({ kind }) => kind === 'slice')
  const holds = all.flatMap(({ fragment }) =>
    on.map((pillar): ViewChange => {
      at.pillars.get(pillar)?.held.set(fragment.hash, 'persisted')
      return { do: 'hold', collection, fragment, pillar, stage: 'persisted' }
    }),
  )
  const checksum = made('the whole file').fragment.hash
  await at.time.finish(
    at.view.change([{ do: 'file', file: { collection, checksum, size: 1 }, slices }, ...holds]),
  )
  const fetched: string[] = []
  const open = new Set<string>()
  const lost = new Set<string>()
  let openMax = 0
  const fetch: Fetch = async (_, fragment: Fragment) => {
    fetched.push(fragment.hash)
    await at.time.clock.sleep(10)
    if (lost.has(fragment.hash)) throw new Error('nobody has it right')
    open.add(fragment.hash)
    openMax = Math.max(openMax, open.size)
    return {
      ...sourceOf(all)(fragment),
      discard: async () => void open.delete(fragment.hash),
    }
  }
  const keeper = startKeeper({
    world: tracker.world,
    directory: tracker.directory,
    view: at.view,
    members: tracker.members,
    distribution: tracker,
    fetch,
    ...(isReady ? { isReady } : {}),
  })
  const stop = async (): Promise<void> => {
    await at.time.finish(keeper.stop())
    await at.time.finish(tracker.stop())
  }
  const copies = async (): Promise<number[]> =>
    Promise.all(
      all.map(
        async ({ fragment }) =>
          (await at.persisted(fragment.hash)).filter((name) => !at.gone.has(name)).length,
      ),
    )
  return { ...at, tracker, keeper, fetched, open, lost, copies, stop, openMax: () => openMax }
}

t.test('[KEEP-1] when a pillar is gone, what it held comes back to its copies', async (t) => {
  const all = some(150)
  const at = await house({ pillars: 4, copies: 2 }, all, ['pillar-1', 'pillar-2'])
  await at.time.advance(settleMs + 120_000)
  t.same(at.fetched, [], 'all is well')
  t.same(at.keeper.keeping(collection), { done: 0, of: 0, lost: 0, surplus: 0 })
  at.gone.add('pillar-1')
  await at.time.advance(180_000)
  t.same(at.keeper.keeping(collection), { done: 150, of: 150, lost: 0, surplus: 0 })
  t.same(new Set(await at.copies()), new Set([2]))
  t.equal(at.fetched.length, 150, 'each is fetched once')
  t.equal(at.open.size, 0, 'nothing is left')
  t.ok(at.openMax() <= 64, 'a page at a time')
  at.gone.delete('pillar-1')
  await at.time.advance(120_000)
  t.same(new Set(await at.copies()), new Set([3]), 'what came back stays')
  t.equal(at.keeper.keeping(collection)?.surplus, 150, 'and is known to be surplus')
  await at.stop()
})

t.test('[KEEP-2] one that is away for less than the grace time is waited for', async (t) => {
  const all = some(3)
  const at = await house({ pillars: 4, copies: 2 }, all, ['pillar-1', 'pillar-2'])
  await at.time.advance(settleMs + 60_000)
  at.absent.add('pillar-1')
  await at.time.advance(roundMs + 60_000)
  t.same(at.fetched, [])
  await at.stop()
})

t.test(
  '[KEEP-2] nothing is repaired soon after the start, nor while the view is rebuilt',
  async (t) => {
    const all = some(3)
    let ready = false
    const at = await house({ pillars: 4, copies: 2 }, all, ['pillar-1'], () => ready)
    await at.time.advance(settleMs + 3_600_000)
    t.same(at.fetched, [])
    ready = true
    await at.time.advance(120_000)
    t.same(await at.copies(), [2, 2, 2])
    await at.stop()
    const early = await house({ pillars: 4, copies: 2 }, all, ['pillar-1'])
    await early.time.advance(settleMs - 1_000)
    t.same(early.fetched, [])
    await early.stop()
  },
)

t.test(
  '[KEEP-3] while nobody has room it tries again with growing pauses, and at once for a new member',
  async (t) => {
    const all = some(3)
    const at = await house({ pillars: 3, copies: 2 }, all, ['pillar-1'])
    at.gone.add('pillar-3')
    const manner = at.pillars.get('pillar-2')?.manner
    if (manner) manner.full = true
    await at.time.advance(24 * 3600_000)
    t.ok(at.fetched.length <= 3 * 32, `${at.fetched.length}`)
    t.ok(at.fetched.length >= 3 * 10)
    at.gone.delete('pillar-3')
    await at.time.advance(200_000)
    t.same(await at.copies(), [2, 2, 2])
    await at.stop()
  },
)

t.test('[KEEP-4] what nobody has is counted as lost, and does not keep the rest', async (t) => {
  const all = some(5)
  const at = await house({ pillars: 3, copies: 2 }, all, ['pillar-1'])
  at.lost.add(all[2]?.fragment.hash ?? '')
  await at.time.advance(settleMs + 60_000)
  t.same(await at.copies(), [2, 2, 1, 2, 2])
  t.same(at.keeper.keeping(collection), { done: 4, of: 5, lost: 1, surplus: 0 })
  await at.stop()
})

t.test('[KEEP-5] texts have one more copy; what nobody wants has none to look after', async (t) => {
  const [slice, text, unwanted] = [made('slice'), made('text', 'info'), made('unwanted')]
  const at = await house({ pillars: 4, copies: 2 }, [slice, text], ['pillar-1', 'pillar-2'])
  await at.time.finish(
    at.view.change([
      {
        do: 'entry',
        entry: { collection, id: 'a.txt', version: 1, text: 'text', fragment: text.fragment },
        at: 1,
      },
      {
        do: 'hold',
        collection,
        fragment: unwanted.fragment,
        pillar: 'pillar-1',
        stage: 'persisted',
      },
    ]),
  )
  await at.time.advance(settleMs + 60_000)
  t.same(await at.copies(), [2, 3])
  t.same(at.fetched, [text.fragment.hash])
  at.keeper.look(collection)
  await at.time.advance(1_000)
  t.equal(at.keeper.keeping(collection)?.surplus, 0)
  await at.stop()
})

t.test(
  '[KEEP-6] fewer pillars than copies: each has one, and that is all that can be',
  async (t) => {
    for (const copies of [2, 3]) {
      const text = made('text', 'info')
      const at = await house({ pillars: 2, copies }, [...some(3), text], ['pillar-1', 'pillar-2'])
      const entry = { collection, id: 'a.txt', version: 1, text: 'text', fragment: text.fragment }
      await at.time.finish(at.view.change([{ do: 'entry', entry, at: 1 }]))
      await at.time.advance(settleMs + roundMs)
      t.same(at.fetched, [])
      await at.stop()
    }
  },
)

t.test('[KEEP-1] what is on its way already is left to it', async (t) => {
  const all = some(3)
  const at = await house({ pillars: 3, copies: 2 }, all, ['pillar-1'])
  for (const { manner } of at.pillars.values()) manner.slowMs = 10_000
  await at.time.advance(settleMs - 10_000)
  const spread = at.tracker.spread(
    collection,
    all.map(({ fragment }) => fragment),
    sourceOf(all),
    {
      enough: 2,
      signal: new AbortController().signal,
    },
  )
  await at.time.advance(30_000)
  t.same(at.fetched, [])
  await at.time.finish(spread)
  await at.time.advance(100_000)
  t.same(at.fetched, [])
  t.same(await at.copies(), [2, 2, 2])
  await at.stop()
})
