import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { test } from 'tap'
import { auditSubstance, noAuditHash } from '../../src/index/index.ts'
import { prefixEnd } from '../../src/index/queries.ts'
import { indexUpgrades } from '../../src/index/schema.ts'
import { openIndex } from '../../src/index/sqlite.ts'
import { store, sum } from '../contract/index.ts'
import { happened } from '../contract/trail.ts'

/** Changes the file behind the index's back. */
function tamper(path: string, sql: string): void {
  const database = new DatabaseSync(path)
  database.exec(sql)
  database.close()
}

test('what was committed is there after opening again, and time goes on from it', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  const first = openIndex(path)
  const entry = { at: 1, event: 'e', collection: 'c', id: 'i', actor: 'a', conversation: 'v' }
  first.commit([store('a', 5000), { do: 'audit', entry: { ...entry, outcome: 'ok' } }])
  const [summary, chain] = [first.summary(), first.audit(0, 9)]
  first.close()
  const second = openIndex(path)
  t.teardown(() => second.close())
  t.strictSame(second.summary(), summary)
  t.strictSame(second.audit(0, 9), chain)
  second.commit([store('b', 0), { do: 'audit', entry: { ...entry, outcome: 'ok' } }])
  t.match(second.stored('books', ['b'])[0], { timestamp: 5001, sequence: 2 })
  t.equal(second.audit(1, 9)[0]?.sequence, 2)
})

test('a second opener is refused at once, in this process and in another', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  const index = openIndex(path)
  t.teardown(() => index.close())
  index.commit([store('a', 1)])
  const busy = { code: 'busy', message: /another agent is using this volume/ }
  t.throws(() => openIndex(path), busy)
  const source = join(resolve(import.meta.dirname, '../..'), 'src/index/sqlite.ts')
  const script = `import { openIndex } from ${JSON.stringify(source)}
    try { openIndex(${JSON.stringify(path)}) } catch (error) { console.log(error.code) }`
  const { NODE_OPTIONS: _, ...env } = process.env
  const options = { env, encoding: 'utf8' } as const
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options)
  t.equal(stdout, 'busy\n')
  index.commit([store('b', 1)])
})

test('a row that was altered is in no answer, is reported, and mends when stored anew', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  const before = openIndex(path)
  before.commit(['a', 'b', 'c', 'd'].map((id) => store(id, 1)))
  before.close()
  tamper(path, `UPDATE files SET size = size + 1 WHERE id = 'b'`)
  const index = openIndex(path)
  t.teardown(() => index.close())
  const list = (limit: number) => {
    const page = index.list({ collection: 'books', limit })
    return [page.files.map(({ id }) => id).join(''), page.partial]
  }
  t.strictSame(index.damaged(), [])
  t.strictSame(list(3), ['acd', false])
  t.strictSame(list(2), ['ac', true])
  t.equal(index.stored('books', ['b'])[0], undefined)
  t.equal(index.withBytes('books', sum('b'), 4), undefined)
  t.match(index.damaged(), [{ collection: 'books', id: 'b' }])
  index.commit([{ do: 'proven', collection: 'books', id: 'b', sequence: 2, at: 9 }])
  t.equal(index.stored('books', ['b'])[0], undefined)
  index.commit([store('b', 1)])
  t.strictSame(index.damaged(), [])
  t.strictSame(list(9), ['acdb', false])
  const fresh = openIndex(':memory:')
  fresh.commit(['a', 'b', 'c', 'd'].map((id) => store(id, 1)))
  t.strictSame(index.summary(), fresh.summary())
})

for (const [column, value] of Object.entries({
  checksum: `'${sum('x')}'`,
  mtime: '1',
  path: `'x'`,
  timestamp: 'timestamp + 1',
  sequence: 'sequence + 1',
  proven_at: '1',
  id: `'x'`,
})) {
  test(`the digest of a row covers its ${column}`, async (t) => {
    const path = join(t.testdir(), 'index.sqlite')
    const before = openIndex(path)
    before.commit([store('a', 1)])
    before.close()
    tamper(path, `UPDATE files SET ${column} = ${value}`)
    const index = openIndex(path)
    t.teardown(() => index.close())
    t.strictSame(index.list({ collection: 'books', limit: 9 }).files, [])
    t.equal(index.damaged().length, 1)
  })
}

test('[AUD-1] an index of the release before is brought up, and its chain goes on', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  const [first = ''] = indexUpgrades
  const old = { sequence: 1, at: 1, event: 'ingestion', collection: 'books', id: 'a' }
  const entry = { ...old, actor: 'ann', conversation: 'v', outcome: 'stored' }
  const hash = sum(`${noAuditHash}[1,1,"ingestion","books","a","ann","v","stored"]`)
  tamper(
    path,
    `${first} PRAGMA user_version = 1;
    INSERT INTO accepted VALUES (1, 'k', 's', '{}');
    INSERT INTO audit VALUES (1, 1, 'ingestion', 'books', 'a', 'ann', 'v', 'stored', '${hash}')`,
  )
  const index = openIndex(path)
  t.teardown(() => index.close())
  t.strictSame(index.accepted(), [{ key: 'k', substance: 's', request: '{}' }])
  t.strictSame(index.audit(0, 9), [{ ...entry, hash }])
  t.equal(sum(auditSubstance(noAuditHash, entry)), hash, 'its substance is what it was')
  index.commit([happened('b', 2, { key: 'k2' })])
  t.match(index.trail({ collection: 'books', id: 'b', limit: 9 }).entries, [
    { sequence: 2, key: 'k2', previous: hash },
  ])
})

test('an index of a later release is refused, and left as it is', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  tamper(path, 'PRAGMA user_version = 900; CREATE TABLE later (x)')
  t.throws(() => openIndex(path), { code: 'tooNew' })
})

test('what is no database is refused as corrupt', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  writeFileSync(
    path,
    'bytes of something else, and more than a header of a database holds'.repeat(9),
  )
  t.throws(() => openIndex(path), { code: 'corrupt' })
})

test('a prefix ends before the first text that does not begin with it', async () => {
  const byCodePoint = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))
  const text = fc.string({
    maxLength: 3,
    unit: fc.constantFrom('a', '/', '\ud7ff', '\ue000', '\u{10ffff}'),
  })
  fc.assert(
    fc.property(text, text, (prefix, id) => {
      const end = prefixEnd(prefix)
      const inside = byCodePoint(id, prefix) >= 0 && (end === undefined || byCodePoint(id, end) < 0)
      return inside === id.startsWith(prefix)
    }),
    { numRuns: 3000 },
  )
})

test('many files under one prefix are listed as few are', async (t) => {
  const index = openIndex(':memory:')
  t.teardown(() => index.close())
  const ids = Array.from({ length: 20_002 }, (_, n) => `${n % 2 ? 'm' : 'n'}/${n}`)
  const many = Array.from({ length: 20_002 }, (_, n) => `p/${n}`)
  index.commit([...ids, ...many].map((id) => store(id, 1)))
  const page = index.list({ collection: 'books', prefix: 'p/', limit: 30_000 })
  t.strictSame(
    page.files.map(({ id }) => id),
    many,
  )
  const rest = index.list({ collection: 'books', prefix: 'm/', limit: 30_000 })
  t.strictSame(
    rest.files.map(({ id }) => id),
    ids.filter((id) => id.startsWith('m')),
  )
})
