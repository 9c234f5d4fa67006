// Of whom which fragments are asked: by what each would take, and nothing else.

import t from 'tap'
import { nextOrder, type Source, type Waiting } from '../../src/client/fragments/plan.ts'

const mib = 1024 * 1024
const idle: Source = {
  ...{ bytesPerMs: 10_000, bytesOpen: 0, ordersOpen: 0, doubtful: false, last: false },
}
const fragment = (n: number, holders: readonly string[], size = mib): Waiting => ({
  ...{ key: `${n}`, size, holders },
})
const many = (count: number, holders: readonly string[], size = mib): Waiting[] =>
  Array.from({ length: count }, (_, n) => fragment(n, holders, size))

/** All orders until all is asked for, by pillar; nothing comes meanwhile. */
function asked(waiting: Waiting[], sources: Record<string, Partial<Source>>) {
  const state = new Map(Object.entries(sources).map(([name, one]) => [name, { ...idle, ...one }]))
  const sourceOf = (name: string): Source => state.get(name) ?? idle
  const left = new Set(waiting)
  const orders: { from: string; keys: string[] }[] = []
  for (let order = nextOrder(left, sourceOf); order; order = nextOrder(left, sourceOf)) {
    for (const one of order.wanted) left.delete(one)
    const bytes = order.wanted.reduce((sum, { size }) => sum + size, 0)
    const before = sourceOf(order.from)
    const { bytesOpen, ordersOpen } = before
    state.set(order.from, {
      ...{ ...before, bytesOpen: bytesOpen + bytes, ordersOpen: ordersOpen + 1 },
    })
    orders.push({ from: order.from, keys: order.wanted.map(({ key }) => key) })
  }
  return orders
}

t.test('[GETF-1] the quickest is asked first, a slow one for what it has as soon', async (t) => {
  const sources = { quick: { bytesPerMs: 90_000 }, slow: { bytesPerMs: 10_000 } }
  const orders = asked(many(100, ['slow', 'quick']), sources)
  t.equal(orders[0]?.from, 'quick')
  t.equal(orders[0]?.keys[0], '0')
  const slow = orders.filter(({ from }) => from === 'slow').flatMap(({ keys }) => keys)
  t.ok(slow.length > 0 && slow.length <= 11, `${slow.length} of the slow one`)
  t.same(
    asked(many(5, ['slow', 'quick']), sources).map(({ from }) => from),
    ['quick'],
  )
})

t.test(
  '[GETF-1] nobody is asked for more than two orders, of as much as it brings soon',
  async (t) => {
    const orders = asked(many(200, ['a']), { a: { bytesPerMs: 2_000 } })
    t.same(
      orders.map(({ keys }) => keys.length),
      [3, 3],
    )
    t.same(
      asked(many(3, ['a'], 1024 * mib), { a: {} }).map(({ keys }) => keys),
      [['0'], ['1']],
      'one that is larger goes alone',
    )
    const small = asked(many(200, ['a'], 1), { a: {} })
    t.same(
      small.map(({ keys }) => keys.length),
      [64, 64],
    )
  },
)

t.test(
  '[GETF-4] who is doubtful is asked for what no other has, the last resort after him',
  async (t) => {
    const sources = { good: {}, doubted: { bytesPerMs: 1e6, doubtful: true }, end: { last: true } }
    const waiting = [
      fragment(1, ['end', 'doubted', 'good']),
      fragment(2, ['end', 'doubted']),
      fragment(3, ['end']),
      fragment(4, ['end']),
      fragment(5, []),
    ]
    const by = Object.fromEntries(asked(waiting, sources).map(({ from, keys }) => [from, keys]))
    t.same(by, { good: ['1'], doubted: ['2'], end: ['3', '4'] })
    const busy = { end: { last: true, ordersOpen: 1 } }
    t.same(asked([fragment(1, ['end'])], busy), [], 'of it one thing at a time')
  },
)

t.test('[GETF-1] the same bytes are asked for once in an order', async (t) => {
  const orders = asked([fragment(1, ['a']), fragment(1, ['a']), fragment(2, ['a'])], { a: {} })
  t.same(
    orders.map(({ keys }) => keys),
    [['1', '2'], ['1']],
  )
})
