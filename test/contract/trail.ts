// What every index promises of its audit chain; `open` gives an empty one.

import type { Test } from 'tap'
import {
  type AuditEntry,
  auditSubstance,
  type Change,
  type Index,
  noAuditHash,
  type TrailQuery,
} from '../../src/index/index.ts'
import { sum } from './index.ts'

type Open = (t: Test) => Promise<Index>

/** The change that writes an entry about this file. */
export const happened = (id: string, at: number, more: Partial<AuditEntry> = {}): Change => ({
  do: 'audit',
  entry: {
    ...{ at, event: 'ingestion', collection: 'books', id },
    ...{ actor: 'ann', conversation: 'c1', outcome: 'stored', ...more },
  },
})

export function trailContract(t: Test, name: string, open: Open): void {
  t.test(
    `${name}: [AUD-2] the trail is asked by file, sequence and time, window included`,
    async (t) => {
      const index = await open(t)
      const ids = ['a', 'b', 'a', 'c', 'a', 'b']
      await index.commit(ids.map((id, n) => happened(id, 1000 * (n + 1))))
      await index.commit([happened('a', 100, { collection: 'maps' }), happened('d', 2500)])
      const found = async (query: Omit<TrailQuery, 'collection' | 'limit'>, limit = 100) => {
        const page = await index.trail({ collection: 'books', limit, ...query })
        return [page.entries.map(({ sequence }) => sequence).join(' '), page.partial]
      }
      t.strictSame(await found({}), ['1 2 3 4 5 6 8', false])
      t.strictSame(await found({ id: 'a' }), ['1 3 5', false])
      t.strictSame(await found({ id: 'nothing' }), ['', false])
      t.strictSame(await found({ minSequence: 3, maxSequence: 5 }), ['3 4 5', false])
      t.strictSame(await found({ minSequence: 3, after: 4 }), ['5 6 8', false])
      t.strictSame(await found({ minSequence: 5, after: 2 }), ['5 6 8', false])
      t.strictSame(await found({ minAt: 2000, maxAt: 4000 }), ['2 3 4 8', false])
      t.strictSame(await found({ id: 'a', minAt: 1001, maxSequence: 4 }), ['3', false])
      t.strictSame(await found({}, 3), ['1 2 3', true])
      t.strictSame(await found({ after: 3 }, 4), ['4 5 6 8', false], 'exactly full is all')
      t.strictSame(await found({ id: 'a' }, 2), ['1 3', true])
      t.strictSame(await found({}, 0), ['', true])
      t.strictSame(await found({ after: 8 }, 0), ['', false])
      t.strictSame(await index.trail({ collection: 'none', limit: 9 }), {
        entries: [],
        partial: false,
      })
    },
  )

  t.test(`${name}: [AUD-2] each entry of the trail can be verified by itself`, async (t) => {
    const index = await open(t)
    await index.commit([
      happened('a', 1),
      happened('m', 2, { collection: 'maps', key: 'k2' }),
      happened('a', 3, { key: 'k3', information: 'because' }),
      happened('a', 4, { information: 'no key' }),
    ])
    const chain = await index.audit(0, 9)
    const { entries } = await index.trail({ collection: 'books', limit: 9 })
    t.same(
      entries.map(({ previous }) => previous),
      [noAuditHash, chain[1]?.hash, chain[2]?.hash],
      'also over what is not shown',
    )
    for (const { previous, hash, ...entry } of entries)
      t.equal(hash, sum(auditSubstance(previous, entry)))
    t.match(entries[1], { key: 'k3', information: 'because' })
    t.notOk('key' in (entries[2] ?? {}))
  })

  t.test(`${name}: [AUD-1] the hash covers every field, in its own place`, async (t) => {
    const base: Omit<AuditEntry, 'hash'> = {
      ...{ sequence: 1, at: 2, event: 'e', collection: 'c', id: 'i' },
      ...{ actor: 'a', conversation: 'v', outcome: 'o' },
    }
    const forms = [
      base,
      ...Object.keys(base).map((field) => ({ ...base, [field]: 'other' })),
      { ...base, key: 'x' },
      { ...base, information: 'x' },
      { ...base, key: 'x', information: 'y' },
      { ...base, key: 'y', information: 'x' },
    ]
    const substances = forms.map((form) => auditSubstance(noAuditHash, form))
    t.equal(new Set(substances).size, forms.length)
    t.equal(
      substances[0],
      `${noAuditHash}[1,2,"e","c","i","a","v","o"]`,
      'an entry without them has the hash that it always had',
    )
    const index = await open(t)
    await index.commit([
      {
        do: 'accept',
        request: { key: 'k', substance: 's', request: '{}', signer: 'key of ann' },
      },
    ])
    t.match(await index.accepted(), [{ signer: 'key of ann' }], 'who signed outlives a restart')
  })
}
