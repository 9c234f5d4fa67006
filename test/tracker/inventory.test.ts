// What a pillar holds, fetched from a real one over the simulated bus and compared with the view.

import { createHash } from 'node:crypto'
import t, { type Test } from 'tap'
import { type Fragment, fragmentFileId } from '../../src/protocol/fragments.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { inventory } from '../../src/tracker/members-inventory.ts'
import { surveys } from '../../src/tracker/members-surveys.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { ViewChange } from '../../src/view/view.ts'

const collection = 'home'
const pillar = 'pillar-1'
const fragment = (n: number): Fragment => ({
  hash: createHash('sha256').update(`${n}`).digest('hex'),
  size: n + 1,
  kind: n % 10 === 0 ? 'info' : 'slice',
})

async function begin(t: Test, held: readonly Fragment[], strangers: readonly string[] = []) {
  const fleet = await startFleet({ seed: 'inventory', pillars: 1, copiesMin: 1 })
  const client = await fleet.client('ann')
  const board = fleet.boards[0]
  const view = openView(':memory:')
  t.teardown(() => view.close())
  const store = (id: string, size: number, checksum: string) => ({
    do: 'store' as const,
    file: { collection, id, size, checksum, mtime: 0, path: id, provenAt: 0 },
    now: fleet.time.clock.now(),
  })
  await board?.index.commit([
    ...held.map((one) => store(fragmentFileId(one), one.size, one.hash)),
    ...strangers.map((id) => store(id, 1, 'a'.repeat(64))),
  ])
  const hold = (one: Fragment, who = pillar): ViewChange => ({
    ...{ do: 'hold', collection, fragment: one, pillar: who, stage: 'temporary' },
  })
  const ask = inventory(client, view)
  const { signal } = new AbortController()
  return {
    fleet,
    client,
    view,
    hold,
    ask,
    signal,
    digest: async () => (await view.holding(collection, pillar)).digest,
    compare: () => fleet.time.finish(ask(collection, pillar, signal)),
  }
}

t.test('[VIEW-5] a view that was lost is had again from the pillar', async (t) => {
  const all = Array.from({ length: 2_500 }, (_, n) => fragment(n))
  const { view, compare, digest } = await begin(t, all)
  const { said, held, lost, strangers } = await compare()
  t.strictSame([held, lost, strangers], [2_500, 0, 0])
  t.equal(said.digest, await digest())
  t.match(await view.fragment(collection, fragment(10).hash), {
    ...fragment(10),
    wanted: 0,
    unwantedSince: Number,
    holders: [{ pillar, stage: 'persisted' }],
  })
})

t.test(
  '[VIEW-5] what it does not have any more is lost, what it has is held, and no more',
  async (t) => {
    const { view, hold, compare, digest } = await begin(t, [1, 2, 3].map(fragment), [
      'letters/ann.txt',
      fragmentFileId(fragment(9)),
    ])
    await view.change([hold(fragment(2)), hold(fragment(4)), hold(fragment(4), 'other')])
    // Of another size than we know: not what its name says.
    await view.change([{ ...hold({ ...fragment(3), size: 77 }, 'other') }])
    const { said, held, lost, strangers } = await compare()
    t.strictSame([held, lost, strangers], [1, 1, 3])
    t.strictSame(
      await view.holders(
        collection,
        [1, 2, 3, 4, 9].map((n) => fragment(n).hash),
      ),
      [
        [{ pillar, stage: 'persisted' }],
        [{ pillar, stage: 'temporary' }],
        [{ pillar: 'other', stage: 'temporary' }],
        [{ pillar: 'other', stage: 'temporary' }],
        [],
      ],
    )
    t.not(said.digest, await digest(), 'strangers are told apart by the digest')
  },
)

t.test('[VIEW-5] many are fetched part by part', async (t) => {
  const all = Array.from({ length: 17_000 }, (_, n) => fragment(n))
  const { view, hold, compare, digest } = await begin(t, all)
  await view.change([...all.slice(0, 300), fragment(20_000)].map((one) => hold(one)))
  const { said, held, lost } = await compare()
  t.strictSame([held, lost], [16_700, 1])
  t.equal(said.digest, await digest())
})

t.test('[VIEW-5] a pillar that does not answer loses nothing', async (t) => {
  const { fleet, view, hold, compare } = await begin(t, [fragment(1)])
  await view.change([hold(fragment(1)), hold(fragment(2))])
  fleet.boards[0]?.crash()
  await t.rejects(compare(), { name: 'Unable' })
  t.equal((await view.holding(collection, pillar)).files, 2)
})

t.test('[VIEW-5] a join compares digests, and fetches only what differs', async (t) => {
  const { fleet, client, view, ask, digest } = await begin(t, [fragment(1)], ['letters/ann.txt'])
  let asked = 0
  const stop = new AbortController()
  const counted: typeof ask = (...args) => {
    asked++
    return ask(...args)
  }
  const compared = surveys(client.world, view, counted, stop.signal, () => undefined)
  const join = async (said: string): Promise<boolean> => {
    compared.begin(pillar, new Map([[collection, { files: 1, bytes: 1, digest: said }]]))
    await fleet.time.advance(120_000)
    return compared.isRight(collection, pillar)
  }
  const [summary] = (await fleet.boards[0]?.index.summary()) ?? []
  const said = summary?.digest ?? ''
  t.equal(await join(said), true)
  const first = asked
  t.ok(first > 0 && first < 4, 'it has strangers: compared until nothing differs but they')
  t.equal(await join(said), true)
  t.equal(asked, first, 'both sides are as they were when they were compared')
  t.equal(await join(await digest()), true)
  t.equal(asked, first, 'equal')
  await view.change([{ do: 'lose', collection, hash: fragment(1).hash, pillar }])
  t.equal(await join(said), true)
  t.ok(asked > first, 'the view has changed')
  t.equal((await view.holding(collection, pillar)).files, 1)

  fleet.boards[0]?.crash()
  compared.begin(pillar, new Map([[collection, { files: 0, bytes: 0, digest: 'another' }]]))
  await fleet.time.advance(30_000)
  t.equal(compared.isRight(collection, pillar), false)
  stop.abort()
  await fleet.time.finish(compared.idle())
})

t.test(
  '[VIEW-6] who has what the view does not know is compared again, once an hour',
  async (t) => {
    const { fleet, client, view, ask } = await begin(t, [fragment(1)])
    let asked = 0
    const stop = new AbortController()
    const counted: typeof ask = (...args) => {
      asked++
      return ask(...args)
    }
    const compared = surveys(client.world, view, counted, stop.signal, () => undefined)
    compared.again(collection, pillar)
    t.equal(compared.isRight(collection, pillar), false)
    compared.again(collection, pillar)
    await fleet.time.advance(60_000)
    t.equal((await view.holding(collection, pillar)).files, 1)
    t.equal(compared.isRight(collection, pillar), true)
    t.equal(asked, 1)
    compared.again(collection, pillar)
    await fleet.time.advance(60_000)
    t.equal(asked, 1, 'not so soon')
    await fleet.time.advance(3_600_000)
    compared.again(collection, pillar)
    await fleet.time.advance(60_000)
    t.equal(asked, 2)
    stop.abort()
    await fleet.time.finish(compared.idle())
  },
)
