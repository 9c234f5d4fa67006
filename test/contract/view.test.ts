import { join } from 'node:path'
import t from 'tap'
import { openView } from '../../src/view/sqlite.ts'
import type { ViewChange } from '../../src/view/view.ts'
import { viewContract } from './view.ts'

viewContract(t, 'in memory', async (t) => {
  const view = openView(':memory:')
  t.teardown(() => view.close())
  return view
})

viewContract(t, 'file', async (t) => {
  const view = openView(join(t.testdir(), 'view.sqlite'))
  t.teardown(() => view.close())
  return view
})

const hash = (digit: string): string => digit.repeat(64)
const hold = (digit: string, pillar: string): ViewChange => ({
  do: 'hold',
  collection: 'home',
  fragment: { hash: hash(digit), size: 10, kind: 'slice' },
  pillar,
  stage: 'persisted',
})

t.test(
  '[VIEW-2] the counts are there after opening again, and nobody else has it open',
  async (t) => {
    const path = join(t.testdir(), 'view.sqlite')
    const first = openView(path)
    const file = { collection: 'home', checksum: hash('f'), size: 20 }
    const slices = ['a', 'b'].map((digit) => ({
      hash: hash(digit),
      size: 10,
      kind: 'slice' as const,
    }))
    await first.change([
      { do: 'file', file, slices },
      hold('a', 'p'),
      hold('a', 'q'),
      hold('c', 'p'),
    ])
    const holding = await first.holding('home', 'p')
    t.throws(() => openView(path), { code: 'busy' })
    await first.close()
    await first.close()
    const second = openView(path)
    t.teardown(() => second.close())
    t.strictSame(await second.holding('home', 'p'), holding)
    const counts = new Map([
      [2, 1],
      [0, 1],
    ])
    t.strictSame(await second.histogram('home', ['p', 'q']), counts)
    await second.change([hold('b', 'p')])
    t.strictSame(
      await second.histogram('home', ['p', 'q']),
      new Map([
        [2, 1],
        [1, 1],
      ]),
    )
  },
)
