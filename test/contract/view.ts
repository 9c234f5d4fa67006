import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { type Fragment, fragmentFileId } from '../../src/protocol/fragments.ts'
import { simRandom } from '../../src/sim/random.ts'
import type { Stage, View, ViewChange, ViewMember } from '../../src/view/view.ts'

type Open = (t: Test) => Promise<View>

const c = 'home'
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
const slice = (text: string, size = 10): Fragment => ({ hash: hashOf(text), size, kind: 'slice' })
const info = (text: string): Fragment => ({ hash: hashOf(text), size: text.length, kind: 'info' })
const file = (text: string) => ({ collection: c, checksum: hashOf(text), size: text.length })
const hold = (fragment: Fragment, pillar: string, stage: Stage = 'persisted'): ViewChange => ({
  do: 'hold',
  collection: c,
  fragment,
  pillar,
  stage,
})
const lose = (fragment: Fragment, pillar: string): ViewChange => ({
  do: 'lose',
  collection: c,
  hash: fragment.hash,
  pillar,
})
const filed = (text: string, slices: readonly Fragment[]): ViewChange => ({
  do: 'file',
  file: file(text),
  slices,
})
const sorted = (fragments: readonly Fragment[]): string[] =>
  fragments.map(({ hash }) => hash).sort()
const hashes = (fragments: readonly Fragment[]): string[] => fragments.map(({ hash }) => hash)
const [a, b] = [slice('a'), slice('b', 4)]

/** What every view promises; `open` gives an empty one. */
export function viewContract(t: Test, name: string, open: Open): void {
  t.test(`${name}: an empty view answers with nothing`, async (t) => {
    const view = await open(t)
    await view.change([])
    t.strictSame(await view.members(), [])
    t.equal(await view.slices(file('x')), undefined)
    t.equal(await view.entry(c, 'x'), undefined)
    t.strictSame(await view.entries(c, '', 10), [])
    t.strictSame(await view.holders(c, [a.hash]), [[]])
    t.equal(await view.fragment(c, a.hash), undefined)
    t.strictSame(await view.fragments({ collection: c, limit: 10 }), [])
    t.strictSame(await view.holding(c, 'p'), { files: 0, bytes: 0, digest: '0'.repeat(32) })
    t.strictSame(await view.histogram(c, ['p']), new Map())
    t.equal(await view.fact('x'), undefined)
    await view.change([
      lose(a, 'p'),
      { do: 'unfile', file: file('x'), at: 1 },
      { do: 'forget', collection: c, hash: a.hash },
      { do: 'leave', pillar: 'p' },
    ])
    t.strictSame(await view.fragments({ collection: c, limit: 10 }), [])
  })
  knowing(t, name, open)
  wanting(t, name, open)
  holding(t, name, open)
  model(t, name, open)
}

function knowing(t: Test, name: string, open: Open): void {
  t.test(`${name}: members and facts are as they were said last`, async (t) => {
    const view = await open(t)
    const member: ViewMember = {
      pillar: 'attic',
      session: 7,
      volumes: ['v'],
      bytesTotal: 100,
      bytesOpen: 50,
      site: 'home',
      state: 'registered',
      heardAt: 5,
    }
    await view.change([
      { do: 'member', member: { ...member, pillar: 'cellar' } },
      { do: 'member', member },
      { do: 'fact', key: 'epoch', value: '1' },
    ])
    await view.change([
      { do: 'member', member: { ...member, state: 'gone' } },
      { do: 'leave', pillar: 'cellar' },
      { do: 'fact', key: 'epoch', value: '2' },
    ])
    t.strictSame(await view.members(), [{ ...member, state: 'gone' }])
    t.equal(await view.fact('epoch'), '2')
  })

  t.test(`${name}: [VIEW-1] all changes or none`, async (t) => {
    const view = await open(t)
    await view.change([filed('x', [a]), hold(a, 'p')])
    const before = await view.holding(c, 'p')
    const bad = {
      ...hold(b, 'p'),
      fragment: { ...slice('bad'), size: {} },
    } as unknown as ViewChange
    await t.rejects(
      view.change([hold(b, 'q'), lose(a, 'p'), { do: 'unfile', file: file('x'), at: 1 }, bad]),
    )
    t.strictSame(await view.holding(c, 'p'), before)
    t.strictSame(await view.histogram(c, ['p']), new Map([[1, 1]]))
    t.strictSame(await view.holders(c, [a.hash, b.hash]), [
      [{ pillar: 'p', stage: 'persisted' }],
      [],
    ])
    await view.change([hold(b, 'q')])
    t.equal((await view.holding(c, 'q')).files, 1)
  })
}

function wanting(t: Test, name: string, open: Open): void {
  const entry = (id: string, version: number, text: string): ViewChange => ({
    do: 'entry',
    entry: { collection: c, id, version, text, fragment: info(text) },
    at: version * 100,
  })

  t.test(`${name}: [VIEW-1] a fragment is wanted once by each file that needs it`, async (t) => {
    const view = await open(t)
    await view.change([filed('x', [a, b, a])])
    await view.change([filed('x', [b]), filed('y', [a])])
    t.strictSame(await view.slices(file('x')), [a, b, a], 'the first that was said stands')
    t.match(await view.fragment(c, a.hash), { ...a, wanted: 2, unwantedSince: undefined })
    t.match(await view.fragment(c, b.hash), { ...b, wanted: 1 })
    await view.change([{ do: 'unfile', file: file('x'), at: 500 }])
    await view.change([{ do: 'unfile', file: file('x'), at: 600 }])
    t.equal(await view.slices(file('x')), undefined)
    t.match(await view.fragment(c, a.hash), { wanted: 1, unwantedSince: undefined })
    t.match(await view.fragment(c, b.hash), { wanted: 0, unwantedSince: 500 })
    const unwanted = (unwantedBefore: number) =>
      view.fragments({ collection: c, limit: 10, unwantedBefore })
    t.strictSame(hashes(await unwanted(501)), [b.hash])
    t.strictSame(await unwanted(500), [])
    await view.change([filed('z', [b])])
    t.strictSame(await unwanted(501), [])
    t.match(await view.fragment(c, b.hash), { wanted: 1, unwantedSince: undefined })
  })

  t.test(`${name}: a file without bytes is known, and needs nothing`, async (t) => {
    const view = await open(t)
    await view.change([filed('', [])])
    t.strictSame(await view.slices(file('')), [])
    t.equal(await view.slices({ ...file(''), size: 1 }), undefined)
  })

  t.test(`${name}: the text of an id is wanted until another takes its place`, async (t) => {
    const view = await open(t)
    await view.change([entry('a/1', 1, 'one'), entry('b', 1, 'other'), entry('a', 1, 'first')])
    await view.change([entry('a/1', 2, 'two')])
    await view.change([entry('a/1', 3, 'two')])
    t.strictSame(await view.entry(c, 'a/1'), {
      collection: c,
      id: 'a/1',
      version: 3,
      text: 'two',
      fragment: info('two'),
    })
    t.match(await view.fragment(c, info('one').hash), { wanted: 0, unwantedSince: 200 })
    t.match(await view.fragment(c, info('two').hash), { wanted: 1, kind: 'info' })
    const ids = async (after: string, limit: number) =>
      (await view.entries(c, after, limit)).map(({ id }) => id)
    t.strictSame(await ids('', 2), ['a', 'a/1'])
    t.strictSame(await ids('a/1', 2), ['b'])
    t.strictSame(await view.entries('other', '', 2), [])
  })

  t.test(
    `${name}: [VIEW-4] of one hash there is one fragment, of the kind that was first`,
    async (t) => {
      const view = await open(t)
      await view.change([entry('a', 1, 'text'), filed('text', [slice('text', 4)])])
      t.strictSame(await view.slices(file('text')), [info('text')])
      t.match(await view.fragment(c, hashOf('text')), { kind: 'info', wanted: 2 })
    },
  )

  t.test(`${name}: [VIEW-1] only what nobody holds or needs is forgotten`, async (t) => {
    const view = await open(t)
    const forget = async () => {
      await view.change([{ do: 'forget', collection: c, hash: a.hash }])
      return (await view.fragment(c, a.hash)) === undefined
    }
    await view.change([filed('x', [a]), hold(a, 'p')])
    t.equal(await forget(), false)
    await view.change([{ do: 'unfile', file: file('x'), at: 1 }])
    t.equal(await forget(), false)
    await view.change([lose(a, 'p')])
    t.equal(await forget(), true)
  })
}

function holding(t: Test, name: string, open: Open): void {
  t.test(`${name}: [VIEW-2] what a pillar holds has the digest of its own index`, async (t) => {
    const view = await open(t)
    const index = asyncIndex(openIndex(':memory:'))
    t.teardown(() => index.close())
    const text = info('entry')
    const gone = slice('gone')
    await view.change([
      ...[a, b, text, gone].map((fragment) => hold(fragment, 'p', 'temporary')),
      hold(a, 'p'),
      hold(a, 'p'),
      hold(a, 'q'),
      lose(gone, 'p'),
      lose(gone, 'p'),
    ])
    await index.commit(
      [a, b, text].map((fragment) => {
        const id = fragmentFileId(fragment)
        const { size, hash: checksum } = fragment
        const about = { collection: c, id, size, checksum, mtime: 0, path: id, provenAt: 0 }
        return { do: 'store', file: about, now: 1 }
      }),
    )
    const [summary] = await index.summary()
    const { files, bytes, digest } = await view.holding(c, 'p')
    t.strictSame({ collection: c, files, bytes, digest }, summary)
    t.equal((await view.holding('other', 'p')).files, 0)
  })

  t.test(`${name}: [VIEW-3] what a pillar holds is found by beginnings of hashes`, async (t) => {
    const view = await open(t)
    t.strictSame(await view.held(c, 'p', ''), [])
    const all = Array.from({ length: 40 }, (_, n) => slice(`${n}`))
    await view.change([
      filed('x', all.slice(0, 20)),
      ...all.map((one) => hold(one, 'p')),
      ...all.slice(10).map((one) => hold(one, 'q', 'temporary')),
      ...all.slice(0, 5).map((one) => lose(one, 'p')),
    ])
    const of = async (pillar: string, part: string) => (await view.held(c, pillar, part)).sort()
    t.strictSame(await of('p', ''), sorted(all.slice(5)))
    t.strictSame(await of('q', ''), sorted(all.slice(10)), 'also for the time being')
    t.strictSame(await of('r', ''), [])
    t.strictSame(await view.held('other', 'p', ''), [])
    const first = sorted(all.slice(5))[0] ?? ''
    const last = sorted(all.slice(5)).at(-1) ?? ''
    for (const part of [first.slice(0, 2), last.slice(0, 3), first])
      t.strictSame(
        await of('p', part),
        sorted(all.slice(5)).filter((hash) => hash.startsWith(part)),
      )
  })

  t.test(`${name}: [VIEW-1] what is persisted stays so, whatever comes late`, async (t) => {
    const view = await open(t)
    await view.change([hold(a, 'q', 'temporary'), hold(a, 'p'), hold(a, 'p', 'temporary')])
    t.strictSame(await view.holders(c, [b.hash, a.hash]), [
      [],
      [
        { pillar: 'p', stage: 'persisted' },
        { pillar: 'q', stage: 'temporary' },
      ],
    ])
    await view.change([hold(a, 'q'), lose(a, 'p')])
    t.strictSame(await view.holders(c, [a.hash]), [[{ pillar: 'q', stage: 'persisted' }]])
  })

  t.test(`${name}: what is held and was never needed has an age, if one was said`, async (t) => {
    const view = await open(t)
    await view.change([
      { ...hold(a, 'p'), at: 5 } as ViewChange,
      { ...hold(a, 'q'), at: 9 } as ViewChange,
      hold(b, 'p'),
    ])
    const found = await view.fragments({ collection: c, limit: 10, unwantedBefore: 1e15 })
    t.strictSame(hashes(found), [a.hash])
    t.equal(found[0]?.unwantedSince, 5)
  })

  t.test(
    `${name}: [VIEW-3] copies count only when wanted, persisted and with these pillars`,
    async (t) => {
      const view = await open(t)
      const [d, e, f] = [slice('d'), slice('e'), slice('f')]
      await view.change([
        filed('x', [a, b, d, e]),
        ...[hold(a, 'p'), hold(a, 'q')],
        ...[hold(b, 'p'), hold(b, 'q', 'temporary')],
        hold(d, 'r'),
        hold(f, 'p'),
      ])
      t.strictSame(
        await view.histogram(c, ['p', 'q']),
        new Map([
          [2, 1],
          [1, 1],
          [0, 2],
        ]),
      )
      const scarce = async (below: number, pillars = ['p', 'q']) =>
        hashes(await view.fragments({ collection: c, limit: 10, scarce: { pillars, below } }))
      t.strictSame(await scarce(1), sorted([d, e]))
      t.strictSame(await scarce(2), sorted([b, d, e]))
      t.strictSame(await scarce(3), sorted([a, b, d, e]))
      t.strictSame(await scarce(0), [])
      t.strictSame(await scarce(1, ['r']), sorted([a, b, e]))
    },
  )
}

/** The same as the view, without any thought of speed. */
interface Plain {
  wanted: number
  readonly holders: Map<string, Stage>
}

function model(t: Test, name: string, open: Open): void {
  t.test(`${name}: [VIEW-3] pages of scarce fragments are as if each was looked at`, async (t) => {
    const random = simRandom('view')
    const view = await open(t)
    const pillars = ['p', 'q', 'r', 's', 't']
    const all = Array.from({ length: 300 }, (_, n) => slice(`${n}`, n))
    const plain = new Map<string, Plain>(
      all.map(({ hash }) => [hash, { wanted: 0, holders: new Map() }]),
    )
    const of = (fragment: Fragment): Plain => plain.get(fragment.hash) as Plain
    const step = (): ViewChange => {
      const fragment = random.pick(all)
      const pillar = random.pick(pillars)
      const { holders } = of(fragment)
      if (random.chance(0.25)) {
        holders.delete(pillar)
        return lose(fragment, pillar)
      }
      const stage = random.chance(0.3) ? 'temporary' : 'persisted'
      if (holders.get(pillar) !== 'persisted') holders.set(pillar, stage)
      return hold(fragment, pillar, stage)
    }
    await view.change(
      all.slice(0, 250).map((fragment, n) => {
        of(fragment).wanted = 1
        return filed(`${n}`, [fragment])
      }),
    )
    for (let round = 0; round < 40; round++) {
      await view.change(Array.from({ length: 60 }, step))
      const counting = pillars.filter(() => random.chance(0.7))
      const copies = ({ holders }: Plain): number =>
        counting.filter((pillar) => holders.get(pillar) === 'persisted').length
      const below = random.int(4)
      const expected = [...plain]
        .filter(([, one]) => one.wanted > 0 && copies(one) < below)
        .map(([hash]) => hash)
        .sort()
      const limit = random.pick([1, 7, 100])
      const found: string[] = []
      for (;;) {
        const query = { collection: c, limit, scarce: { pillars: counting, below } }
        const page = await view.fragments({ ...query, after: found.at(-1) ?? '' })
        found.push(...hashes(page))
        if (page.length < limit) break
      }
      t.strictSame(found, expected)
      const histogram = await view.histogram(c, counting)
      const wanted = [...plain.values()].filter((one) => one.wanted > 0)
      for (let n = 0; n <= counting.length; n++)
        t.equal(histogram.get(n) ?? 0, wanted.filter((one) => copies(one) === n).length)
    }
    t.strictSame(hashes(await view.fragments({ collection: c, limit: 1_000 })), sorted(all))
  })
}
