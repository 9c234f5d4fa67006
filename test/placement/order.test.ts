// Everybody who knows the membership finds the same order; who comes and goes moves no others.

import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import {
  candidates,
  order,
  rank,
  shouldStore,
  shouldStoreInEither,
} from '../../src/placement/order.ts'
import { type Membership, type Weighed, weightMax } from '../../src/placement/placement.ts'
import { digestOf, digestOfKey, draw, wait } from '../../src/placement/score.ts'

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
const membership = (members: readonly Weighed[], copies = 2): Membership => ({
  version: 1,
  copies,
  members,
})

const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,8}$/)
const members = fc.uniqueArray(
  fc.record(
    {
      id: name,
      weight: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 1, max: weightMax })),
      site: fc.constantFrom('north', 'south', 'west'),
    },
    { requiredKeys: ['id', 'weight'] },
  ),
  { selector: ({ id }) => id, maxLength: 14 },
)
const key = fc.string().map(sha256)

/** Said plainly: sorted by score, dealt out site by site. */
const levels = (ids: readonly string[], of: readonly Weighed[]): number[] => {
  const seen = new Map<string, number>()
  return ids.map((id) => {
    const site = of.find((member) => member.id === id)?.site ?? ''
    const level = seen.get(site) ?? 0
    seen.set(site, level + 1)
    return level
  })
}

t.test(
  '[PLC-1] the order is that of the vectors, computed apart by exact arithmetic',
  async (t) => {
    const lines = readFileSync(join(import.meta.dirname, 'vectors.txt'), 'utf8').split('\n')
    const lists = new Map<string, Membership>()
    let cases = 0
    for (const line of lines.filter((text) => text !== '' && !text.startsWith('#'))) {
      const [what, first = '', ...rest] = line.split(' ')
      cases++
      if (what === 'table') t.equal(digestOfTable(), first, 'table')
      else if (what === 'wait') t.equal(wait(Number(first)), Number(rest[0]), line)
      else if (what === 'digest') {
        const bytes = Buffer.from(first === '-' ? '' : first, 'hex')
        const halves = rest.map((half) => Number(half) | 0)
        t.same(digestOf(bytes), halves, line)
        t.same(digestOfKey(bytes.toString('hex')), halves, `${line}: as text`)
      } else if (what === 'members')
        lists.set(
          first,
          membership(
            rest.map((text) => {
              const [id = '', weight, site = ''] = text.split(':')
              return { id, weight: Number(weight), ...(site === '-' ? {} : { site }) }
            }),
          ),
        )
      else {
        const [hash = '', ...wanted] = rest
        const list = lists.get(first) ?? membership([])
        t.same(order(hash, list), wanted, line)
        t.same(order(Buffer.from(hash, 'hex'), list), wanted, `${line}: as bytes`)
      }
    }
    t.equal(cases, 119)
  },
)

/** A draw whose digits after the eleventh are 0 1 shows the number in the table. */
function digestOfTable(): string {
  const bytes = Buffer.alloc(4 * 1024)
  for (let i = 0; i < 1024; i++)
    bytes.writeInt32BE(2 ** 26 - wait((((1024 + i) << 21) | 1) >>> 0), 4 * i)
  return createHash('sha256').update(bytes).digest('hex')
}

t.test('[PLC-1] what is no hash is refused', async (t) => {
  const list = membership([{ id: 'a', weight: 1 }])
  for (const bad of ['abc', 'ABCD', 'xy', 'a b1'])
    t.throws(() => order(bad, list), /not hexadecimal/, bad)
})

t.test('[PLC-1] a wait falls as its draw grows', async (t) => {
  const draws = fc.integer({ min: 0, max: 2 ** 32 - 1 })
  fc.assert(fc.property(draws, draws, (a, b) => wait(Math.min(a, b)) >= wait(Math.max(a, b))))
  t.equal(wait(0), 2 ** 31)
  t.equal(wait(2 ** 32 - 1), 1)
})

t.test('[PLC-1] the order of the list does not matter', async () => {
  fc.assert(
    fc.property(members, key, (list, hash) => {
      const plain = order(hash, membership(list))
      const other = order(hash, membership([...list].reverse()))
      return plain.join() === other.join()
    }),
  )
})

t.test(
  '[PLC-1] members that can not be told apart by their scores are ordered by name',
  async () => {
    fc.assert(
      fc.property(members, key, (list, hash) => {
        const digest = digestOfKey(hash)
        const waitOf = (id: string): number => wait(draw(digest, ...digestOf(Buffer.from(id))))
        // Whose weight is its wait has the score 1.
        const same = list.map(({ id }) => ({ id, weight: waitOf(id) }))
        const names = same.map(({ id }) => id)
        return order(hash, membership(same)).join() === names.sort().join()
      }),
    )
  },
)

t.test('[PLC-1] weight 0 is never chosen, every other weight is somewhere', async () => {
  fc.assert(
    fc.property(members, key, (list, hash) => {
      const chosen = list.filter(({ weight }) => weight > 0).map(({ id }) => id)
      return order(hash, membership(list)).sort().join() === chosen.sort().join()
    }),
  )
})

t.test(
  '[PLC-1] the rank is the place in the order, the first candidates are its beginning',
  async () => {
    fc.assert(
      fc.property(members, key, fc.nat(16), (list, hash, count) => {
        const now = membership(list)
        const all = order(hash, now)
        const places = list.map(({ id }) => rank(hash, now, id))
        const wanted = list.map(({ id }) => (all.includes(id) ? all.indexOf(id) : Infinity))
        return (
          places.join() === wanted.join() &&
          candidates(hash, now, count).join() === all.slice(0, count).join()
        )
      }),
      { numRuns: 500 },
    )
  },
)

t.test('[PLC-2] each site has its first before any has its second', async () => {
  fc.assert(
    fc.property(members, key, (list, hash) => {
      const dealt = levels(order(hash, membership(list)), list)
      return dealt.every((level, i) => level >= (dealt[i - 1] ?? 0))
    }),
    { numRuns: 500 },
  )
})

t.test(
  '[PLC-2] within a level, and where there are no sites, the order is that of the scores',
  async () => {
    fc.assert(
      fc.property(members, key, (list, hash) => {
        const now = order(hash, membership(list))
        const plain = order(hash, membership(list.map(({ id, weight }) => ({ id, weight }))))
        const dealt = levels(plain, list)
        const wanted = plain
          .map((id, i) => ({ id, level: dealt[i] ?? 0, i }))
          .sort((a, b) => a.level - b.level || a.i - b.i)
        return now.join() === wanted.map(({ id }) => id).join()
      }),
      { numRuns: 500 },
    )
  },
)

t.test(
  '[PLC-3] who leaves moves only what he held, who comes takes only what he gets',
  async () => {
    fc.assert(
      fc.property(
        members,
        key,
        fc.nat(13),
        fc.integer({ min: 1, max: 4 }),
        (list, hash, at, copies) => {
          const gone = list[at % Math.max(1, list.length)]
          const before = candidates(hash, membership(list), copies)
          const after = candidates(hash, membership(list.filter((m) => m !== gone)), copies)
          return before.every((id) => id === gone?.id || after.includes(id))
        },
      ),
      { numRuns: 1_000 },
    )
  },
)

t.test('[PLC-3] a greater weight of one never costs him a fragment', async () => {
  fc.assert(
    fc.property(members, key, fc.nat(13), (list, hash, at) => {
      const one = list[at % Math.max(1, list.length)]
      if (one === undefined || one.weight === 0 || one.weight > 2 ** 25) return true
      const more = list.map((m) => (m === one ? { ...m, weight: 2 * m.weight } : m))
      return rank(hash, membership(more), one.id) <= rank(hash, membership(list), one.id)
    }),
    { numRuns: 500 },
  )
})

t.test(
  '[PLC-4] a pillar should store what it is among the first of, more of them each round',
  async (t) => {
    const list = membership(
      Array.from({ length: 30 }, (_, i) => ({ id: `pillar-${i}`, weight: 5 })),
    )
    const hash = sha256('a fragment')
    const who = (spares: number, round: number): string[] =>
      list.members
        .map(({ id }) => id)
        .filter((id) => shouldStore(hash, list, { spares, round }, id))
        .sort()
    const first = (count: number): string[] => candidates(hash, list, count).sort()
    t.same(who(0, 0), first(2))
    t.same(who(1, 0), first(3))
    t.same(who(3, 0), first(5))
    t.same(who(3, 1), first(8))
    t.same(who(3, 3), first(26))
    t.same(who(3, 4).length, 30)
    t.same(who(3, 1e15).length, 30, 'rounds do not end')
    t.same(who(0, 1e15), first(2), 'nor without spares')
    t.notOk(shouldStore(hash, list, { spares: 3, round: 2_000 }, 'a stranger'))
  },
)

t.test('[PLC-4] while two versions are about, either decides', async () => {
  const call = { spares: 1, round: 0 }
  fc.assert(
    fc.property(members, members, key, (before, after, hash) => {
      const versions = [membership(before), { ...membership(after), version: 2 }]
      const held = versions.flatMap((version) => candidates(hash, version, 3))
      return [...before, ...after].every(
        ({ id }) => shouldStoreInEither(hash, versions, call, id) === held.includes(id),
      )
    }),
  )
})
