// The audit chain on a real index, altered behind its back in every way that a hand on the disk can think of.

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t from 'tap'
import { noAuditHash } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { trail } from '../../src/store/trail.ts'
import { sum } from '../contract/index.ts'
import { happened } from '../contract/trail.ts'

const world = simWorld(simClock().clock, simRandom('trail'), 'p1')
const count = 1_203

const tamperings: readonly (readonly [what: string, sql: string, brokenAt: number | undefined])[] =
  [
    ['nothing', 'SELECT 1', undefined],
    ['an outcome', `UPDATE audit SET outcome = 'x' WHERE sequence = 7`, 7],
    ['a key', 'UPDATE audit SET key = NULL WHERE sequence = 501', 501],
    ['a note', `UPDATE audit SET information = 'x' WHERE sequence = 1000`, 1000],
    ['a hash', `UPDATE audit SET hash = 'x' WHERE sequence = ${count}`, count],
    ['an entry taken out', 'DELETE FROM audit WHERE sequence = 500', 500],
    ['the first taken out', 'DELETE FROM audit WHERE sequence = 1', 1],
    [
      'an entry taken out, and the rest moved up',
      'DELETE FROM audit WHERE sequence = 4; UPDATE audit SET sequence = -sequence WHERE sequence > 4;' +
        'UPDATE audit SET sequence = -sequence - 1 WHERE sequence < 0',
      4,
    ],
    ['an entry put before all', 'UPDATE audit SET sequence = 0 WHERE sequence = 2', 1],
  ]

for (const [what, sql, brokenAt] of tamperings)
  t.test(`[AUD-3] the walk finds where the chain breaks: ${what}`, async (t) => {
    const path = join(t.testdir(), 'index.sqlite')
    const before = openIndex(path)
    before.commit(
      Array.from({ length: count }, (_, n) => happened(`${n}`, n, n % 2 ? {} : { key: 'k' })),
    )
    const head = before.audit(count - 1, 1)[0]?.hash
    before.close()
    const database = new DatabaseSync(path)
    database.exec(sql)
    database.close()
    const index = openIndex(path)
    t.teardown(() => index.close())
    const walked: number[] = []
    const [chain] = await trail(world, asyncIndex(index)).verifyTrail({
      walked: (entries) => walked.push(entries),
    })
    t.equal(chain?.brokenAt, brokenAt)
    t.equal(chain?.entries, (brokenAt ?? count + 1) - 1, 'so many hold')
    if (brokenAt === undefined) t.same([chain?.head, walked], [head, [500, 1000]])
  })

t.test('[AUD-3] a chain with a gap does not hold, though each hash is right', async (t) => {
  const path = join(t.testdir(), 'index.sqlite')
  openIndex(path).close()
  const fields = [2, 1, 'ingestion', 'books', 'a', 'ann', 'c1', 'stored']
  const hash = sum(`${noAuditHash}${JSON.stringify(fields)}`)
  const database = new DatabaseSync(path)
  database
    .prepare(
      `INSERT INTO audit (sequence, at, event, collection, id, actor, conversation, outcome, hash)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    .run(...fields, hash)
  database.close()
  const index = openIndex(path)
  t.teardown(() => index.close())
  const [chain] = await trail(world, asyncIndex(index)).verifyTrail()
  t.same(chain, { entries: 0, head: noAuditHash, brokenAt: 1 })
})

t.test('[AUD-3] a walk ends when it is told to', async (t) => {
  const index = openIndex(':memory:')
  t.teardown(() => index.close())
  index.commit([happened('a', 1)])
  const stop = new AbortController()
  stop.abort(new Error('enough'))
  const { verifyTrail } = trail(world, asyncIndex(index))
  await t.rejects(verifyTrail({ signal: stop.signal }), { message: 'enough' })
})
