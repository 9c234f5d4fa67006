// Words about pillars: what they make of collections, and how it is told.

import t from 'tap'
import { farewell, unusableLine, verdictsOf } from '../../src/cli/leaving.ts'
import { fit } from '../../src/placement/fit.ts'
import type { Status } from '../../src/protocol/messages.ts'
import type { Leaving } from '../../src/protocol/words.ts'
import { openState } from '../../src/state/sqlite.ts'
import { reweigh } from '../../src/tracker/members-weights.ts'
import { openWords, scarceWithout } from '../../src/tracker/words.ts'

t.test('[LEAVE-1] words are durable, and taken back', async (t) => {
  const state = openState(':memory:')
  const words = await openWords(state)
  await words.say('a', 'retired')
  await words.say('b', 'lost')
  const again = await openWords(state)
  t.same(again.leaving(), ['a', 'b'])
  t.same([again.of('a'), again.of('b'), again.of('c')], ['retired', 'lost', undefined])
  await again.say('a', undefined)
  t.same((await openWords(state)).leaving(), ['b'])
})

t.test('[LEAVE-4] what a collection would be left with', async (t) => {
  const pillar = (name: string, kind?: 'checksum') => ({
    ...{ name, role: 'pillar' as const, publicKey: '' },
    ...(kind ? { kind } : {}),
  })
  const rules = { algorithm: 'sha256' as const }
  const document = {
    identities: [pillar('a'), pillar('b'), pillar('c'), pillar('d', 'checksum')],
    collections: [
      { ...rules, name: 'whole', pillars: ['a', 'b', 'd'], copiesMin: 2 },
      {
        ...{ ...rules, name: 'pieces', pillars: ['a', 'b', 'c'], copiesMin: 1 },
        fragments: { bytes: 65_536, copies: 2 },
      },
    ],
  }
  t.same(scarceWithout(document, 'a', []), [{ collection: 'whole', pillars: 1, needed: 2 }])
  t.same(scarceWithout(document, 'c', []), [])
  t.same(scarceWithout(document, 'c', ['b']), [{ collection: 'pieces', pillars: 1, needed: 2 }])
  t.same(scarceWithout(document, 'd', []), [], 'it has no copies')
})

t.test('[LEAVE-2] when it can be switched off', async (t) => {
  const status = (files: number, digest: string, more: Partial<Status> = {}) =>
    ({ files, digest, ...more }) as Status
  const whole: Leaving = { pillar: 'a', word: 'retired', collection: 'whole' }
  const about = (others: Record<string, Status | undefined>, leaving = ['a']) => ({
    ...{ leaving, copiesMin: 2 },
    statuses: new Map(Object.entries({ a: status(3, 'x'), ...others })),
  })
  const same = status(3, 'x')
  t.match(farewell(whole, about({ b: same, c: same })), {
    isDone: true,
    line: 'a is being retired: 3 files on 2 others',
  })
  t.match(farewell(whole, about({ b: same, c: status(3, 'y') })), {
    isDone: false,
    line: 'a is being retired: only 1 of 2 others have all its files yet',
  })
  t.equal(farewell(whole, about({ b: same, c: same }, ['a', 'c'])).isDone, false)
  t.equal(
    farewell(whole, about({ b: same, c: status(3, 'x', { kind: 'checksum' }) })).isDone,
    false,
  )
  t.equal(farewell(whole, about({ a: undefined, b: same, c: same })).isDone, false)
  const empty = { a: status(0, ''), b: status(0, '0'), c: status(0, '') }
  t.equal(farewell(whole, about(empty)).isDone, true)
  const pieces: Leaving = { ...whole, collection: 'pieces', fragments: 300, fragmentsLeft: 120 }
  t.match(farewell(pieces, about({})), {
    isDone: false,
    line: 'a is being retired: 180 of 300 fragments have their copies elsewhere',
  })
  t.equal(farewell({ ...pieces, fragmentsLeft: 0 }, about({})).isDone, true)
  t.same(
    verdictsOf([whole, pieces], (one) => one === whole),
    ['a must stay on: its copies are being moved away'],
  )
  t.same(
    verdictsOf([whole, pieces], () => true),
    ['a can be switched off'],
  )
  t.same(
    verdictsOf([{ ...whole, word: 'lost' }], () => true),
    [],
  )
})

t.test('[LEAVE-5] room that no fragment can use', async (t) => {
  const tera = 1e12
  const candidates = [8, 2, 1].map((size, n) => ({
    ...{ id: `pillar-${n + 1}`, usable: size * tera, open: size * tera },
  }))
  const weighing = reweigh(undefined, 'pieces', { bytes: 1 << 20, copies: 2 }, candidates)
  t.same(Object.keys(weighing?.fair?.unusable ?? {}), ['pillar-1'])
  t.ok(Math.abs((weighing?.fair?.unusable['pillar-1'] ?? 0) - 5 * tera) < 0.05 * tera)
  const line = unusableLine({ collection: 'pieces', pillar: 'pillar-1', bytes: 5 * tera })
  t.match(line, /^4.5 TiB of pillar-1 can not be used: the other copies would find no room/)
  const full = candidates.map((one) => (one.id === 'pillar-2' ? { ...one, open: 0 } : one))
  const next = reweigh(weighing, 'pieces', { bytes: 1 << 20, copies: 2 }, full)
  t.equal(next?.membership.members.find(({ id }) => id === 'pillar-2')?.weight, 0)
  t.same(
    next?.fair?.membership.members,
    fit(
      2,
      2,
      candidates.map(({ id, usable }) => ({ id, capacity: usable })),
    ).membership.members,
    'who is full keeps its share',
  )
  t.equal(reweigh(next, 'pieces', { bytes: 1 << 20, copies: 2 }, full), undefined)
})
