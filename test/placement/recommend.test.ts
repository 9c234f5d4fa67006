// The tracker chooses among those that applied: by rank, on distinct sites, sound ones, that have room.

import { createHash } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { candidates, order } from '../../src/placement/order.ts'
import type { Membership } from '../../src/placement/placement.ts'
import { type Applicant, recommend } from '../../src/placement/recommend.ts'

const key = createHash('sha256').update('a fragment').digest('hex')
const pillars = (sites: readonly string[], copies = 2): Membership => ({
  version: 1,
  copies,
  members: sites.map((site, i) => ({ id: `pillar-${i}`, weight: 10, ...(site && { site }) })),
})
const apply = (ids: readonly string[]): Applicant[] => ids.map((id) => ({ id, free: 1000 }))

t.test(
  '[PLC-6] when all apply, the first candidates are chosen, and the rest is next',
  async (t) => {
    for (const sites of [
      Array(6).fill(''),
      ['a', 'a', 'a', 'a', 'b', 'c'],
      ['a', 'b', 'a', 'b', 'a'],
    ])
      for (const copies of [1, 2, 3, 4]) {
        const now = pillars(sites, copies)
        const all = order(key, now)
        t.same(recommend(apply([...all].reverse()), key, now, { size: 1000 }), {
          chosen: all.slice(0, copies),
          next: all.slice(copies),
        })
        t.same(all.slice(0, copies), candidates(key, now, copies))
      }
  },
)

t.test('[PLC-6] when some apply, it is as if there were no others', async () => {
  const places = fc.array(fc.constantFrom('', 'a', 'b', 'c'), { minLength: 1, maxLength: 9 })
  const some = fc.array(fc.boolean(), { minLength: 9, maxLength: 9 })
  fc.assert(
    fc.property(places, some, (sites, applies) => {
      const now = pillars(sites)
      const members = now.members.filter((_, i) => applies[i])
      const { chosen, next } = recommend(apply(members.map(({ id }) => id)), key, now, { size: 0 })
      return [...chosen, ...next].join() === order(key, { ...now, members }).join()
    }),
  )
})

t.test('[PLC-6] who is failing, full, no member or a holder is not recommended', async (t) => {
  const now = pillars(['', '', '', '', '', '', ''], 2)
  const [a = '', b = '', c = '', d = '', e = ''] = order(key, now)
  const applicants: Applicant[] = [
    { id: a, free: 1000, failing: true },
    { id: b, free: 99 },
    { id: 'stranger', free: 1000 },
    { id: c, free: 100 },
    { id: d, free: 1000 },
    { id: e, free: 1000 },
  ]
  t.same(recommend(applicants, key, now, { size: 100 }), { chosen: [c, d], next: [e] })
  t.same(recommend(applicants, key, now, { size: 100, holders: [d] }), { chosen: [c], next: [e] })
  t.same(recommend(applicants, key, now, { size: 100, holders: [c, d, a] }), {
    chosen: [],
    next: [e],
  })
  const weightless = {
    ...now,
    members: now.members.map((m) => (m.id === c ? { ...m, weight: 0 } : m)),
  }
  t.same(recommend(applicants, key, weightless, { size: 100 }), { chosen: [d, e], next: [] })
})

t.test('[PLC-6] who is suspect is asked after all others', async (t) => {
  const now = pillars(['', '', '', ''], 2)
  const [a = '', b = '', c = '', d = ''] = order(key, now)
  const applicants = [{ id: a, free: 9, suspect: true }, ...apply([b, c, d])]
  t.same(recommend(applicants, key, now, { size: 9 }), { chosen: [b, c], next: [d, a] })
  t.same(recommend(applicants.slice(0, 2), key, now, { size: 9 }), { chosen: [b], next: [a] })
})

t.test('[PLC-6] a copy that is missing goes to a site that has none', async (t) => {
  const now = pillars(['a', 'a', 'a', 'b', 'b', 'c'], 3)
  const siteOf = (id = ''): string => now.members.find((m) => m.id === id)?.site ?? ''
  const all = order(key, now)
  for (const first of all)
    for (const second of all.filter((id) => siteOf(id) !== siteOf(first))) {
      const rest = all.filter((id) => id !== first && id !== second)
      const { chosen } = recommend(apply(rest), key, now, { size: 1, holders: [first, second] })
      t.equal(chosen.length, 1)
      t.equal(new Set([first, second, ...chosen].map(siteOf)).size, 3)
    }
})

t.test(
  '[PLC-6] whoever applied and may hold it is named once, in the same way for any order',
  async () => {
    const sites = fc.array(fc.constantFrom('', 'a', 'b'), { minLength: 1, maxLength: 9 })
    const facts = fc.record({ free: fc.nat(3), suspect: fc.boolean(), failing: fc.boolean() })
    fc.assert(
      fc.property(sites, fc.array(facts, { minLength: 9, maxLength: 9 }), (places, list) => {
        const now = pillars(places)
        const applicants = now.members.map(({ id }, i) => ({ id, free: 0, ...list[i] }))
        const one = recommend(applicants, key, now, { size: 2 })
        const other = recommend([...applicants].reverse(), key, now, { size: 2 })
        const able = applicants.filter((a) => a.free >= 2 && !a.failing)
        const sound = able.filter((a) => !a.suspect)
        return (
          JSON.stringify(one) === JSON.stringify(other) &&
          one.chosen.length === Math.min(2, sound.length) &&
          [...one.chosen, ...one.next].sort().join() ===
            able
              .map(({ id }) => id)
              .sort()
              .join()
        )
      }),
    )
  },
)
