import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import {
  auditSubstance,
  type Change,
  foldPath,
  type Index,
  type ListQuery,
  noAuditHash,
  type ReceivingFile,
  type StoredFile,
} from '../../src/index/index.ts'

/** What every index promises; `open` gives an empty one. */
export function indexContract(t: Test, name: string, open: (t: Test) => Promise<Index>): void {
  t.test(`${name}: an empty index answers with nothing`, async (t) => {
    const index = await open(t)
    t.strictSame(await index.stored('books', ['a', 'b']), [undefined, undefined])
    t.strictSame(await index.receiving('books', ['a']), [undefined])
    t.strictSame(await index.allReceiving(), [])
    t.strictSame(await index.list({ collection: 'books', limit: 10 }), {
      files: [],
      partial: false,
    })
    t.strictSame(await index.summary(), [])
    t.equal(await index.answer('k'), undefined)
    t.strictSame(await index.accepted(), [])
    t.equal(await index.fact('k'), undefined)
    t.strictSame(await index.audit(0, 10), [])
    t.strictSame(await index.damaged(), [])
    t.equal(await index.withBytes('books', sum('a'), 1), undefined)
    await index.commit([])
  })
  storing(t, name, open)
  receiving(t, name, open)
  listing(t, name, open)
  naming(t, name, open)
  summing(t, name, open)
  requests(t, name, open)
}

type Open = (t: Test) => Promise<Index>

function storing(t: Test, name: string, open: Open): void {
  t.test(`${name}: a file being received becomes a stored one in one commit`, async (t) => {
    const index = await open(t)
    await index.commit([{ do: 'receive', file: arriving('a') }])
    t.strictSame(await index.receiving('books', ['x', 'a']), [undefined, arriving('a')])
    await index.commit([store('a', 1000)])
    t.strictSame(await index.receiving('books', ['a']), [undefined])
    const expected: StoredFile = { ...kept('a'), timestamp: 1000, sequence: 1 }
    t.strictSame(await index.stored('books', ['a', 'x', 'a']), [expected, undefined, expected])
  })

  t.test(`${name}: index time never goes back nor repeats, whatever the clock says`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1000.7), store('b', 1000)])
    await index.commit([store('c', 0)])
    await index.commit([store('d', 5000), store('a', 4000)])
    const files = await index.stored('books', ['a', 'b', 'c', 'd'])
    t.strictSame(
      files.map((file) => [file?.timestamp, file?.sequence]),
      [
        [5001, 5],
        [1001, 2],
        [1002, 3],
        [5000, 4],
      ],
    )
  })

  t.test(`${name}: a commit that fails changes nothing`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1)])
    const bad: Change = { do: 'receive', file: { ...arriving('c'), size: 0.5 } }
    const entry = happened('stored', 'b')
    await t.rejects(index.commit([store('b', 2), { do: 'audit', entry }, bad]))
    t.strictSame(await index.stored('books', ['b']), [undefined])
    t.equal((await index.summary())[0]?.files, 1)
    await index.commit([store('c', 2), { do: 'audit', entry }])
    const [c] = await index.stored('books', ['c'])
    t.strictSame([c?.timestamp, c?.sequence], [2, 2])
    t.strictSame(
      (await index.audit(0, 10)).map(({ sequence }) => sequence),
      [1],
    )
  })

  t.test(`${name}: hashing a file again moves only when it was proven`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1000)])
    await index.commit([
      { do: 'proven', collection: 'books', id: 'a', sequence: 1, at: 7000 },
      { do: 'proven', collection: 'books', id: 'absent', sequence: 1, at: 7000 },
    ])
    const expected = { ...kept('a'), timestamp: 1000, sequence: 1, provenAt: 7000 }
    t.strictSame(await index.stored('books', ['a', 'absent']), [expected, undefined])
    t.strictSame(await index.damaged(), [])
  })

  t.test(
    `${name}: a proof of other bytes than those that are there counts for nothing`,
    async (t) => {
      const index = await open(t)
      await index.commit([store('a', 1000)])
      await index.commit([store('a', 2000, { checksum: sum('other') })])
      const late = { do: 'proven', collection: 'books', id: 'a', sequence: 1, at: 9000 } as const
      await index.commit([late])
      const [before] = await index.stored('books', ['a'])
      t.not(before?.provenAt, 9000)
      await index.commit([{ ...late, sequence: 2 }])
      await index.commit([{ ...late, sequence: 2, at: 8000 }])
      t.equal((await index.stored('books', ['a']))[0]?.provenAt, 9000, 'and it never goes back')
    },
  )

  t.test(`${name}: the oldest proof is that of the file proven the longest ago`, async (t) => {
    const index = await open(t)
    t.equal(await index.oldestProof('books'), undefined)
    await index.commit([store('a', 1, { provenAt: 1000 }), store('b', 1, { provenAt: 3000 })])
    t.equal(await index.oldestProof('books'), 1000)
    await index.commit([{ do: 'proven', collection: 'books', id: 'a', sequence: 1, at: 5000 }])
    t.equal(await index.oldestProof('books'), 3000)
    t.equal(await index.oldestProof('maps'), undefined)
  })

  t.test(`${name}: the least proven come first, and are counted by age`, async (t) => {
    const index = await open(t)
    const times = { a: 3000, b: 1000, c: 2000 }
    await index.commit(Object.entries(times).map(([id, provenAt]) => store(id, 1, { provenAt })))
    const ids = async (limit: number) =>
      (await index.leastProven('books', limit)).map(({ id }) => id)
    t.strictSame(await ids(9), ['b', 'c', 'a'])
    t.strictSame(await ids(1), ['b'])
    await index.commit([{ do: 'proven', collection: 'books', id: 'b', sequence: 2, at: 4000 }])
    t.strictSame(await ids(2), ['c', 'a'])
    t.strictSame(await index.proofAges('books', [2000, 2001, 4000, 4001]), [0, 1, 2, 3])
    t.strictSame(await index.leastProven('maps', 9), [])
  })

  t.test(`${name}: what is lost is not there, and nothing says it was deleted`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1000), store('b', 2000)])
    const [before] = await index.summary()
    await index.commit([{ do: 'lose', collection: 'books', id: 'b', now: 3000 }])
    await index.commit([{ do: 'lose', collection: 'books', id: 'b', now: 3001 }])
    t.strictSame(await index.stored('books', ['b']), [undefined])
    t.strictSame((await index.tombstones({ collection: 'books', limit: 9 })).tombstones, [])
    const [after] = await index.summary()
    t.match(after, { files: 1 })
    await index.commit([store('b', 4000)])
    t.equal((await index.summary())[0]?.digest, before?.digest)
  })

  t.test(
    `${name}: damage is written to the audit trail once, until it is right again`,
    async (t) => {
      const index = await open(t)
      await index.commit([store('a', 1000)])
      const about = { collection: 'books', id: 'a' }
      const by = { actor: 'ann', conversation: 'c', outcome: 'damaged' }
      const entry = { at: 1, event: 'fixity check', ...about, ...by }
      const found = { do: 'damaged', ...about, sequence: 1, entry } as const
      await index.commit([found, found])
      await index.commit([found, { ...found, sequence: 7 }, { ...found, id: 'absent' }])
      t.equal((await index.audit(0, 9)).length, 1)
      await index.commit([{ do: 'proven', ...about, sequence: 1, at: 7000 }])
      await index.commit([found])
      t.strictSame(
        (await index.audit(0, 9)).map(({ event }) => event),
        ['fixity check', 'fixity check'],
      )
    },
  )

  t.test(`${name}: a file is found by its bytes, under whatever id`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1, { checksum: sum('same'), size: 4 })])
    await index.commit([store('b', 1, { checksum: sum('other'), size: 4 })])
    t.equal((await index.withBytes('books', sum('same'), 4))?.id, 'a')
    t.equal(await index.withBytes('books', sum('same'), 5), undefined)
    t.equal(await index.withBytes('maps', sum('same'), 4), undefined)
  })

  t.test(
    `${name}: names of any script, sizes and times beyond 32 bits come back equal`,
    async (t) => {
      const index = await open(t)
      const odd = [
        'ключ/été',
        'e\u0301té',
        '日本/😀',
        "it's",
        'a"b',
        'new\nline',
        '%_*',
        ' ',
        '=25',
      ]
      const more = { size: 2 ** 53 - 1, mtime: -86_400_000 }
      await index.commit(odd.map((id) => store(id, 2 ** 45, more)))
      const files = await index.stored('books', odd)
      t.strictSame(
        files.map((file) => file?.id),
        odd,
      )
      t.match(files[0], more)
      const listed = await index.list({ collection: 'books', ids: odd, limit: 100 })
      t.equal(listed.files.length, odd.length)
    },
  )
}

function receiving(t: Test, name: string, open: Open): void {
  t.test(`${name}: notes how far a partial is safe, and forgets what was given up`, async (t) => {
    const index = await open(t)
    await index.commit([
      { do: 'receive', file: arriving('b') },
      { do: 'receive', file: { ...arriving('a'), since: 1 } },
    ])
    await index.commit([{ do: 'safe', collection: 'books', id: 'b', safe: 4096 }])
    await index.commit([{ do: 'safe', collection: 'books', id: 'absent', safe: 4096 }])
    t.strictSame(await index.allReceiving(), [
      { ...arriving('a'), since: 1 },
      { ...arriving('b'), safe: 4096 },
    ])
    await index.commit([{ do: 'drop', collection: 'books', id: 'b' }])
    t.strictSame(await index.receiving('books', ['b']), [undefined])
    t.strictSame(await index.stored('books', ['b']), [undefined])
  })

  t.test(`${name}: a stored file stays as it is while another version arrives`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1)])
    await index.commit([{ do: 'receive', file: { ...arriving('a'), checksum: sum('new') } }])
    t.equal((await index.stored('books', ['a']))[0]?.checksum, sum('a'))
    t.equal((await index.receiving('books', ['a']))[0]?.checksum, sum('new'))
  })
}

function listing(t: Test, name: string, open: Open): void {
  const opened = async (t: Test): Promise<Index> => {
    const index = await open(t)
    const ids = ['b/2', 'a/1', 'b/1', 'c', 'a/2', 'b0', 'a/\u{10ffff}z']
    for (const [n, id] of ids.entries()) await index.commit([store(id, 10 * (n + 1))])
    await index.commit([store('other', 35, { collection: 'maps' })])
    return index
  }
  const ids = async (index: Index, query: Partial<ListQuery>): Promise<[string, boolean]> => {
    const page = await index.list({ collection: 'books', limit: 100, ...query })
    return [page.files.map(({ id }) => id).join(' '), page.partial]
  }

  t.test(`${name}: lists one collection, oldest first`, async (t) => {
    const index = await opened(t)
    t.strictSame(await ids(index, {}), ['b/2 a/1 b/1 c a/2 b0 a/\u{10ffff}z', false])
    await index.commit([store('b/2', 0)])
    t.strictSame(await ids(index, {}), ['a/1 b/1 c a/2 b0 a/\u{10ffff}z b/2', false])
  })

  t.test(`${name}: windows of time are inclusive at both ends`, async (t) => {
    const index = await opened(t)
    t.strictSame(await ids(index, { minTimestamp: 20, maxTimestamp: 40 }), ['a/1 b/1 c', false])
    t.strictSame(await ids(index, { minTimestamp: 21, maxTimestamp: 39 }), ['b/1', false])
  })

  t.test(
    `${name}: a page says exactly whether there is more, and the next goes on after it`,
    async (t) => {
      const index = await opened(t)
      t.strictSame(await ids(index, { limit: 6 }), ['b/2 a/1 b/1 c a/2 b0', true])
      t.strictSame(await ids(index, { limit: 7 }), ['b/2 a/1 b/1 c a/2 b0 a/\u{10ffff}z', false])
      t.strictSame(await ids(index, { limit: 0 }), ['', true])
      const after = { timestamp: 40, id: 'c' }
      t.strictSame(await ids(index, { after, limit: 2 }), ['a/2 b0', true])
      t.strictSame(await ids(index, { after, limit: 3 }), ['a/2 b0 a/\u{10ffff}z', false])
    },
  )

  t.test(`${name}: a prefix means exactly the ids that begin so`, async (t) => {
    const index = await opened(t)
    t.strictSame(await ids(index, { prefix: 'b/' }), ['b/2 b/1', false])
    t.strictSame(await ids(index, { prefix: 'b' }), ['b/2 b/1 b0', false])
    t.strictSame(await ids(index, { prefix: 'a/' }), ['a/1 a/2 a/\u{10ffff}z', false])
    t.strictSame(await ids(index, { prefix: 'a/\u{10ffff}' }), ['a/\u{10ffff}z', false])
    t.strictSame(await ids(index, { prefix: '' }), await ids(index, {}))
    t.strictSame(await ids(index, { prefix: 'b', minTimestamp: 11, limit: 1 }), ['b/1', true])
  })

  t.test(`${name}: a list of some thousand ids is one question`, async (t) => {
    const index = await opened(t)
    const many = Array.from({ length: 5000 }, (_, n) => `absent/${n}`)
    t.strictSame(await ids(index, { ids: [...many, 'c', 'b/2', 'c'] }), ['b/2 c', false])
    t.strictSame(await ids(index, { ids: [] }), ['', false])
    t.strictSame(await ids(index, { ids: ['c', 'b/2'], limit: 1 }), ['b/2', true])
  })

  t.test(`${name}: what was stored after a sequence number, in its order`, async (t) => {
    const index = await opened(t)
    t.strictSame(await ids(index, { afterSequence: 5 }), ['b0 a/\u{10ffff}z', false])
    t.strictSame(await ids(index, { afterSequence: 0, limit: 2 }), ['b/2 a/1', true])
    t.strictSame(await ids(index, { afterSequence: 2, prefix: 'b/' }), ['b/1', false])
    t.strictSame(await ids(index, { collection: 'maps', afterSequence: 0 }), ['other', false])
  })
}

function naming(t: Test, name: string, open: Open): void {
  t.test(
    `${name}: an id conflicts where one would have to be file and folder at once`,
    async (t) => {
      const index = await open(t)
      await index.commit([store('a', 1), store('b/c/d', 1), store('e-f', 1), store('e1', 1)])
      await index.commit([{ do: 'receive', file: arriving('r/s') }])
      t.equal(await index.conflict('books', 'a/b'), 'a')
      t.equal(await index.conflict('books', 'a/b/c'), 'a')
      t.equal(await index.conflict('books', 'b'), 'b/c/d')
      t.equal(await index.conflict('books', 'b/c'), 'b/c/d')
      t.equal(await index.conflict('books', 'r'), 'r/s')
      t.equal(await index.conflict('books', 'r/s/t'), 'r/s')
      for (const id of ['a', 'b/c/d', 'b/c/e', 'b/cc', 'ab', 'a0', 'e', 'a-/b', 'b/c/d2']) {
        t.equal(await index.conflict('books', id), undefined, id)
      }
      t.equal(await index.conflict('maps', 'a/b'), undefined)
    },
  )

  t.test(`${name}: a path is taken, however its letters are written`, async (t) => {
    const index = await open(t)
    await index.commit([store('Été', 1, { path: 'data/Été' })])
    await index.commit([{ do: 'receive', file: { ...arriving('New'), path: 'data/New' } }])
    const at = (path: string) => index.atPath('books', foldPath(path))
    t.equal(await at('DATA/e\u0301te\u0301'), 'Été')
    t.equal(await at('data/NEW'), 'New')
    t.equal(await at('data/ete'), undefined)
    t.equal(await index.atPath('maps', foldPath('data/New')), undefined)
  })
}

function summing(t: Test, name: string, open: Open): void {
  t.test(`${name}: the summary of a collection follows each change`, async (t) => {
    const index = await open(t)
    await index.commit([store('a', 1, { size: 10 }), store('b', 1, { size: 5 })])
    await index.commit([store('m', 1, { collection: 'maps', size: 7 })])
    const digest = xored([
      ['a', sum('a')],
      ['b', sum('b')],
    ])
    const maps = { collection: 'maps', files: 1, bytes: 7, digest: xored([['m', sum('m')]]) }
    t.strictSame(await index.summary(), [
      { collection: 'books', files: 2, bytes: 15, digest },
      maps,
    ])
    await index.commit([store('a', 2, { size: 100, checksum: sum('new') })])
    const changed = xored([
      ['a', sum('new')],
      ['b', sum('b')],
    ])
    t.strictSame((await index.summary())[0], {
      collection: 'books',
      files: 2,
      bytes: 105,
      digest: changed,
    })
    await index.commit([{ do: 'receive', file: arriving('c') }])
    t.equal((await index.summary())[0]?.files, 2)
  })

  t.test(`${name}: equal sets have equal digests, whatever the order`, async (t) => {
    const [one, two] = [await open(t), await open(t)]
    await one.commit([store('a', 1), store('b', 1), store('c', 1)])
    for (const id of ['c', 'a', 'b', 'a']) await two.commit([store(id, 900)])
    t.equal((await one.summary())[0]?.digest, (await two.summary())[0]?.digest)
    await two.commit([store('d', 1)])
    t.not((await one.summary())[0]?.digest, (await two.summary())[0]?.digest)
  })
}

function requests(t: Test, name: string, open: Open): void {
  t.test(`${name}: an accepted request waits until its final answer`, async (t) => {
    const index = await open(t)
    const request = (key: string) => ({ key, substance: `s-${key}`, request: `{"key":"${key}"}` })
    await index.commit([
      { do: 'accept', request: request('z') },
      { do: 'accept', request: request('a') },
    ])
    await index.commit([{ do: 'accept', request: request('z') }])
    t.strictSame(await index.accepted(), [request('z'), request('a')])
    const answer = { substance: 's-z', answer: '{"ok":1}', keepUntil: 5000 }
    await index.commit([{ do: 'answer', key: 'z', answer }])
    t.strictSame(await index.accepted(), [request('a')])
    t.strictSame(await index.answer('z'), answer)
  })

  t.test(`${name}: an answer is kept until its time has passed`, async (t) => {
    const index = await open(t)
    const answer = { substance: 's', answer: '{}', keepUntil: 5000 }
    await index.commit([{ do: 'answer', key: 'k', answer }])
    await index.commit([{ do: 'forget', now: 5000 }])
    t.strictSame(await index.answer('k'), answer)
    await index.commit([{ do: 'forget', now: 5001 }])
    t.equal(await index.answer('k'), undefined)
  })

  t.test(`${name}: facts are replaced`, async (t) => {
    const index = await open(t)
    await index.commit([{ do: 'fact', key: 'manifest', value: '1' }])
    await index.commit([{ do: 'fact', key: 'manifest', value: '2' }])
    t.equal(await index.fact('manifest'), '2')
  })

  t.test(`${name}: each audit entry is chained to the one before`, async (t) => {
    const index = await open(t)
    const entries = ['a', 'b', 'c', 'd'].map((id) => happened('stored', id))
    for (const entry of entries) await index.commit([{ do: 'audit', entry }])
    const chain = await index.audit(0, 100)
    let previous = noAuditHash
    for (const [n, { hash, ...entry }] of chain.entries()) {
      t.strictSame(entry, { ...entries[n], sequence: n + 1 })
      t.equal(hash, sum(auditSubstance(previous, entry)))
      previous = hash
    }
    t.strictSame(await index.audit(1, 2), chain.slice(1, 3))
  })
}

export const sum = (text: string): string => createHash('sha256').update(text).digest('hex')

function kept(id: string): Omit<StoredFile, 'timestamp' | 'sequence'> {
  const checksum = sum(id)
  return { collection: 'books', id, size: 3, checksum, mtime: 1111, path: id, provenAt: 2222 }
}

/** The change that stores a file of this name. */
export const store = (id: string, now: number, more: Partial<StoredFile> = {}): Change => {
  const { timestamp, sequence, ...file } = { ...kept(id), ...more }
  return { do: 'store', file, now }
}

export function arriving(id: string): ReceivingFile {
  const { collection, size, checksum, mtime, path } = kept(id)
  return { collection, id, size, checksum, mtime, path, safe: 0, since: 3333 }
}

const happened = (event: string, id: string) => ({
  at: 1,
  event,
  collection: 'books',
  id,
  actor: 'owner',
  conversation: 'c1',
  outcome: 'ok',
})

/** The collection digest, computed by bytes instead of by big numbers. */
function xored(files: readonly (readonly [id: string, checksum: string])[]): string {
  const all = new Uint8Array(16)
  for (const [id, checksum] of files) {
    const mark = createHash('sha256').update(`${id}\0${checksum}`).digest()
    for (let at = 0; at < 16; at++) all[at] = (all[at] ?? 0) ^ (mark[at] ?? 0)
  }
  return Buffer.from(all).toString('hex')
}
