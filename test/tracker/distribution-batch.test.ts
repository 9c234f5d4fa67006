// The state of a distribution is pure: what pillars say and the time go in, what is due comes out.

import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/limits.ts'
import { type Fragment, sparesAtFirst } from '../../src/protocol/fragments.ts'
import {
  type Batch,
  batchOf,
  due,
  type Heard,
  hear,
  isEnough,
  reconnected,
  reproach,
  stallMs,
  type Word,
  windowMsMin,
} from '../../src/tracker/distribution-batch.ts'
import { patience, type Sight } from '../../src/tracker/distribution-course.ts'
import type { Stage } from '../../src/view/view.ts'

const fragment = (n: number): Fragment => ({
  hash: n.toString(16).padStart(64, '0'),
  size: 1000,
  kind: 'slice',
})
const one = fragment(1)

/** A table with pillars around it, and the clock on the wall. */
function table(pillars: readonly string[], copies = 2, enough = copies, fragments = [one]) {
  const absent = new Set<string>()
  const gone = new Set<string>()
  const busy = new Set<string>()
  const worked = new Map<string, number>()
  const sight: Sight = {
    counts: (pillar) => pillars.includes(pillar) && !gone.has(pillar),
    isPresent: (pillar) => !absent.has(pillar) && !gone.has(pillar),
    workedAt: (pillar) => worked.get(pillar) ?? 0,
    isFree: (pillar) => !busy.has(pillar),
    candidates: (_, count) => pillars.slice(0, count),
    recommend: (_, applicants, holders) =>
      pillars.filter((id) => applicants.some((one) => one.id === id) && !holders.includes(id)),
  }
  const goals = fragments.map((fragment) => ({ fragment, copies, enough, holders: [] }))
  return { absent, gone, busy, worked, sight, ...play(batchOf(goals, 0), sight) }
}

function play(begin: Batch, sight: Sight) {
  let batch = begin
  let now = 0
  let over = false
  let wake = 0
  const words: { at: number; word: Word }[] = []
  const look = (): Word[] => {
    const found = due(batch, now, sight)
    batch = found.batch
    over = found.over
    wake = found.wake
    words.push(...found.words.map((word) => ({ at: now, word })))
    return [...found.words]
  }
  return {
    words,
    look,
    says: (pillar: string, heard: Heard): Word[] => {
      batch = hear(batch, pillar, heard, now)
      return look()
    },
    /** Lets time pass until then; what was said meanwhile. */
    until(end: number): Word[] {
      const from = words.length
      while (!over && wake <= end) {
        now = Math.max(now + 1, wake)
        look()
      }
      now = Math.max(now, end)
      return words.slice(from).map(({ word }) => word)
    },
    reconnect() {
      batch = reconnected(batch)
      return look()
    },
    at: (hash = one.hash) => batch.courses.get(hash)?.standings,
    batch: () => batch,
    now: () => now,
    over: () => over,
  }
}

const applies = (...fragments: Fragment[]): Heard => ({
  is: 'applied',
  hashes: (fragments.length > 0 ? fragments : [one]).map(({ hash }) => hash),
  room: 0,
})
const has = (stage: Stage, ...fragments: Fragment[]): Heard => ({
  is: 'obtained',
  hashes: (fragments.length > 0 ? fragments : [one]).map(({ hash }) => hash),
  stage,
})
const fails = (why = 'the disk is full'): Heard => ({
  is: 'failed',
  fragments: [{ hash: one.hash, why }],
})
const said = (words: readonly Word[], say: Word['say']) => words.filter((word) => word.say === say)
const recipients = (words: readonly Word[]): (readonly string[])[] =>
  words.flatMap((word) =>
    word.say === 'delivered' ? word.fragments.map((fragment) => fragment.recipients) : [],
  )
const endings = (words: readonly Word[]) =>
  words.flatMap((word) =>
    word.say === 'ended'
      ? word.fragments.map(({ outcome, holders }) => ({ outcome, holders }))
      : [],
  )

t.test('[DIST-1] started, applied, delivered, temporary, ended, persisted', async (t) => {
  const { look, says, until, over } = table(['a', 'b', 'c', 'd', 'e'])
  t.match(look(), [{ say: 'started', round: 0, fragments: [{ hash: one.hash, copies: 2 }] }])
  for (const pillar of ['d', 'c', 'b'])
    t.same(says(pillar, applies()), [], 'applications are collected')
  t.same(recipients(until(windowMsMin)), [['b', 'c']], 'the best ranked of those that applied')
  t.same(says('b', has('temporary')), [])
  t.same(endings(says('c', has('temporary'))), [{ outcome: 'complete', holders: ['b', 'c'] }])
  says('b', has('persisted'))
  t.notOk(over(), 'one has not said that it keeps it for good')
  says('c', has('persisted'))
  t.ok(over())
})

t.test('[DIST-2] the window closes early once all that are likely have answered', async (t) => {
  const { look, says, absent } = table(['a', 'b', 'c', 'd', 'e', 'f'])
  absent.add('c')
  look()
  t.same(says('a', applies()), [])
  t.same(says('f', applies()), [], 'not one of those that are likely')
  t.same(says('b', applies()), [])
  t.same(recipients(says('d', applies())), [['a', 'b']], 'c is off: not waited for')
})

t.test('[DIST-2] when nobody applies, more are asked, with growing pauses', async (t) => {
  const { look, until, says, words } = table(['a', 'b', 'c', 'd', 'e', 'f'])
  look()
  until(60_000)
  const rounds = words.flatMap(({ at, word }) =>
    word.say === 'started' ? [{ at, round: word.round }] : [],
  )
  t.same(rounds, [
    { at: 0, round: 0 },
    { at: 2_000, round: 1 },
    { at: 6_000, round: 2 },
    { at: 14_000, round: 3 },
    { at: 30_000, round: 4 },
    { at: 60_000, round: 5 },
  ])
  t.same(recipients(says('f', applies())), [], 'the window is open again')
  t.same(recipients(until(90_000)), [['f']], 'the last one will do')
})

t.test(
  '[DIST-3] who fails is followed by the next that applied, without another round',
  async (t) => {
    const { look, says, until } = table(['a', 'b', 'c', 'd'])
    look()
    for (const pillar of ['a', 'b', 'c']) says(pillar, applies())
    t.same(recipients(says('d', applies())), [['a', 'b']])
    t.same(recipients(says('a', fails())), [['c']])
    t.same(recipients(says('a', has('temporary'))), [], 'late, and it has it after all')
    t.same(endings(says('b', has('temporary'))), [{ outcome: 'complete', holders: ['a', 'b'] }])
    t.same(recipients(until(5_000)).at(-1), ['c'], 'what was asked for is asked for')
  },
)

t.test('[DIST-3] who failed before is asked last', async (t) => {
  const { look, says, until } = table(['a', 'b', 'c'], 1)
  look()
  says('a', applies())
  t.same(recipients(until(windowMsMin)), [['a']])
  says('a', fails())
  says('a', applies())
  says('c', applies())
  t.same(recipients(until(10_000))[0], ['c'], 'although a is placed better')
})

t.test(
  '[DIST-3] what was here for the time being, and is not, is brought to another',
  async (t) => {
    const { look, says } = table(['a', 'b', 'c', 'd'])
    look()
    for (const pillar of ['a', 'b', 'c', 'd']) says(pillar, applies())
    says('a', has('temporary'))
    says('b', has('temporary'))
    t.same(recipients(says('a', fails('it is not here'))), [['c']])
  },
)

t.test('[DIST-4] one that left is not waited for', async (t) => {
  const { look, says, gone, at } = table(['a', 'b', 'c', 'd'])
  look()
  for (const pillar of ['a', 'b', 'c', 'd']) says(pillar, applies())
  gone.add('a')
  t.same(recipients(look()), [['c']])
  t.equal(at()?.get('a')?.at, 'silent')
})

t.test(
  '[DIST-4] each order has a page of its own, fits a message, and is repeated as it was',
  async (t) => {
    const many = Array.from({ length: 64 }, (_, n) => fragment(n))
    const pillars = Array.from({ length: 6 }, (_, n) => `${n}${'x'.repeat(60)}`)
    const { look, says, until, words } = table(pillars, 4, 4, many)
    look()
    for (const pillar of pillars) says(pillar, applies(...many))
    says(pillars[0] ?? '', { is: 'failed', fragments: [{ hash: many[3]?.hash ?? '', why: 'no' }] })
    until(60_000)
    const texts = new Map<number, Set<string>>()
    for (const { word } of words) {
      if (word.say !== 'delivered') continue
      const text = JSON.stringify(word.fragments)
      t.ok(text.length < limits.pageBytesMax / 2 + 1_000)
      texts.set(word.page, new Set(texts.get(word.page)).add(text))
    }
    t.ok(texts.size >= 3)
    for (const [page, said] of texts) t.equal(said.size, 1, `page ${page}`)
  },
)

t.test(
  '[DIST-3] when all fail they are asked again, and it is given up with what they said',
  async (t) => {
    const { look, says, until, over, batch, sight, now } = table(['a', 'b'])
    look()
    while (!over() && now() < 3_600_000) {
      for (const pillar of ['a', 'b']) says(pillar, applies())
      until(now() + 1_000)
      for (const pillar of ['a', 'b']) says(pillar, fails())
      until(now() + 1_000)
    }
    t.ok(now() >= stallMs && now() < stallMs + 60_000)
    t.equal(
      reproach(batch(), ['a', 'b'], sight),
      '1 of 1 fragments did not get enough copies: a failed (the disk is full); b failed (the disk is full)',
    )
  },
)

t.test(
  '[DIST-4] an asked pillar hears it again, is seconded when slow, and given up',
  async (t) => {
    const { look, says, until, at } = table(['a', 'b', 'c', 'd', 'e'])
    look()
    for (const pillar of ['e', 'a', 'b', 'c', 'd']) says(pillar, applies())
    says('b', has('temporary'))
    const heard = recipients(until(patience.slowMs - 1))
    t.ok(
      heard.length >= 3 && heard.every((names) => String(names) === 'a,b'),
      'the whole order, as it was',
    )
    t.same(recipients(until(patience.slowMs)), [['c']], 'a spare one is asked beside it')
    until(patience.slowMs * 2 + 1)
    t.same(at()?.get('d')?.at, 'asked')
    until(patience.idleMs - 1)
    t.same(at()?.get('e')?.at, 'applied', 'and no more than two')
    until(patience.idleMs)
    t.equal(at()?.get('a')?.at, 'silent')
  },
)

t.test('[DIST-4] who works is waited for, who is off is not', async (t) => {
  const busyOne = table(['a', 'b'])
  busyOne.look()
  busyOne.says('a', applies())
  busyOne.says('b', applies())
  busyOne.says('b', has('temporary'))
  for (let now = 10_000; now < 400_000; now += 10_000) {
    busyOne.worked.set('a', now)
    busyOne.until(now)
  }
  t.equal(busyOne.at()?.get('a')?.at, 'asked')
  const { look, says, until, absent } = table(['a', 'b', 'c', 'd'])
  look()
  for (const pillar of ['a', 'b', 'c', 'd']) says(pillar, applies())
  absent.add('a')
  t.same(recipients(until(patience.offlineMs)).at(-1), ['c'])
})

t.test(
  '[DIST-5] the end is said until each holder keeps it for good, or is replaced',
  async (t) => {
    const { look, says, until, gone, over, absent } = table(['a', 'b', 'c', 'd'])
    look()
    for (const pillar of ['a', 'b', 'c', 'd']) says(pillar, applies())
    says('a', has('temporary'))
    says('b', has('temporary'))
    const again = endings(until(30_000))
    t.ok(again.length >= 4)
    says('a', has('persisted'))
    gone.add('b')
    t.same(recipients(look()), [['c']], 'one that left between temporary and persisted')
    t.same(endings(says('c', has('temporary'))), [{ outcome: 'complete', holders: ['a', 'c'] }])
    absent.add('c')
    t.same(recipients(until(30_000 + patience.offlineKeepingMs + 10)), [['d']], 'one that went off')
    says('d', has('temporary'))
    says('d', has('persisted'))
    t.ok(over())
  },
)

t.test('[DIST-5] too few are kept all the same, and the rest is looked for', async (t) => {
  const { look, says, until, words, over } = table(['a', 'b', 'c'], 3, 1)
  look()
  says('b', applies())
  until(windowMsMin)
  t.same(endings(says('b', has('temporary'))), [], 'not before it is clear that nobody comes')
  t.same(endings(until(6_000)), [{ outcome: 'partial', holders: ['b'] }])
  says('b', has('persisted'))
  t.ok(
    said(
      words.map(({ word }) => word),
      'started',
    ).length >= 2,
  )
  t.notOk(over())
  says('a', applies())
  says('c', applies())
  t.same(recipients(until(15_000))[0], ['a', 'c'])
  says('a', has('temporary'))
  t.same(endings(says('c', has('temporary'))), [{ outcome: 'complete', holders: ['a', 'b', 'c'] }])
})

t.test('[DIST-5] enough does not wait for the slow', async (t) => {
  const { look, says, until } = table(['a', 'b'], 2, 1)
  look()
  says('a', applies())
  says('b', applies())
  says('a', has('temporary'))
  t.same(endings(until(patience.restMs - 1)), [])
  t.same(endings(until(patience.restMs)), [{ outcome: 'partial', holders: ['a'] }])
})

t.test('[DIST-6] what a pillar has already counts at once', async (t) => {
  const { look, says, over } = table(['a', 'b', 'c'])
  look()
  says('c', has('persisted'))
  t.same(recipients(says('a', applies())), [])
  t.same(recipients(says('b', applies())), [['a']])
  t.same(endings(says('a', has('temporary'))), [{ outcome: 'complete', holders: ['a', 'c'] }])
  says('a', has('persisted'))
  t.ok(over())
})

t.test('[DIST-7] said twice, late or about something else it changes nothing', async (t) => {
  const { look, says, batch, until } = table(['a', 'b', 'c', 'd'])
  look()
  for (const pillar of ['a', 'b', 'c', 'd']) says(pillar, applies())
  says('a', has('temporary'))
  says('a', has('persisted'))
  until(1)
  const before = batch()
  for (const heard of [has('persisted'), has('temporary'), applies(), fails()]) says('a', heard)
  says('a', has('persisted', fragment(9)))
  says('b', applies())
  t.same(batch(), before)
})

t.test(
  '[DIST-8] a machine that is rebuilt from the view at any step goes on to the end',
  async (t) => {
    const stages: ([string, Stage] | undefined)[][] = [
      [],
      [['a', 'temporary']],
      [
        ['a', 'temporary'],
        ['b', 'temporary'],
      ],
      [
        ['a', 'persisted'],
        ['b', 'temporary'],
      ],
      [
        ['a', 'persisted'],
        ['b', 'persisted'],
      ],
    ]
    for (const known of stages) {
      const { sight } = table(['a', 'b', 'c'])
      const holders = known.flatMap((one) => (one ? [{ pillar: one[0], stage: one[1] }] : []))
      const game = play(batchOf([{ fragment: one, copies: 2, enough: 2, holders }], 0), sight)
      game.look()
      for (let n = 0; n < 40 && !game.over(); n++) {
        for (const pillar of ['a', 'b', 'c']) obey(game, pillar)
        game.until(game.now() + 1_000)
      }
      t.ok(game.over(), JSON.stringify(known))
      const course = game.batch().courses.get(one.hash)
      t.ok(course && isEnough(course, 2, sight))
    }
  },
)

/** What an honest pillar says to all that it has heard. */
function obey(game: Pick<ReturnType<typeof play>, 'words' | 'says' | 'at'>, pillar: string): void {
  const at = game.at()?.get(pillar)?.at
  for (const { word } of [...game.words]) {
    if (word.say === 'started' && at === undefined) game.says(pillar, applies())
    if (word.say === 'delivered' && at === 'asked') game.says(pillar, has('temporary'))
    if (word.say === 'ended' && endings([word]).some(({ holders }) => holders.includes(pillar)))
      game.says(pillar, has('persisted'))
  }
}

t.test(
  '[DIST-9] a pillar with enough to do is left out, and does not hold up the rest',
  async (t) => {
    const { look, says, busy } = table(['a', 'b', 'c', 'd', 'e'])
    busy.add('a')
    look()
    for (const pillar of ['a', 'b', 'c']) says(pillar, applies())
    t.same(recipients(says('d', applies())), [['b', 'c']])
  },
)

t.test('a new connection has everything said again that is not answered', async (t) => {
  const { look, says, reconnect } = table(['a', 'b'])
  look()
  says('a', applies())
  says('b', applies())
  t.same(recipients(reconnect()), [['a', 'b']])
  says('a', has('temporary'))
  says('b', has('temporary'))
  t.equal(endings(reconnect()).length, 1)
})

// ---- Whatever happens --------------------------------------------------------------------------------------

const names = ['a', 'b', 'c', 'd', 'e']
const event = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      pillar: fc.nat(4),
      what: fc.nat(4),
      of: fc.nat(2),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.integer({ min: 1, max: 40_000 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('turn' as const), pillar: fc.nat(4), what: fc.nat(2) }),
  },
)

t.test(
  '[DIST-10] it always ends, names only holders that said so, and asks no more than are missing and the spares',
  async () => {
    const fragments = [1, 2, 3].map(fragment)
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.array(event, { maxLength: 60 }),
        (copies, events) => {
          const game = table(names, copies, 1, fragments)
          const held = new Set<string>()
          const check = (words: readonly Word[]): void => {
            for (const word of words) {
              if (word.say === 'ended')
                for (const { hash, holders } of word.fragments)
                  for (const pillar of holders)
                    if (!held.has(`${pillar} ${hash}`))
                      throw new Error(`${pillar} has said nothing`)
              if (word.say === 'delivered')
                for (const { recipients } of word.fragments)
                  if (recipients.length > copies + sparesAtFirst) throw new Error('asks too many')
              for (const { standings } of game.batch().courses.values()) {
                const asked = [...standings.values()].filter(({ at }) => at === 'asked')
                if (asked.length > copies + sparesAtFirst) throw new Error('asks too many')
              }
            }
          }
          check(game.look())
          for (const one of events) {
            const pillar = names['pillar' in one ? one.pillar : 0] ?? ''
            if (one.do === 'wait') check(game.until(game.now() + one.ms))
            if (one.do === 'turn') {
              const set = [game.absent, game.gone, game.busy][one.what]
              if (!set?.delete(pillar)) set?.add(pillar)
              check(game.look())
            }
            if (one.do !== 'say') continue
            const about = fragments[one.of] ?? fragment(1)
            const heard: Heard[] = [
              applies(about),
              applies(...fragments),
              has('temporary', about),
              has('persisted', about),
              { is: 'failed', fragments: [{ hash: about.hash, why: 'no' }] },
            ]
            const what = heard[one.what] ?? applies(about)
            if (what.is === 'obtained') held.add(`${pillar} ${about.hash}`)
            check(game.says(pillar, what))
          }
          check(game.until(game.now() + 2 * stallMs))
          if (!game.over()) throw new Error('it does not end')
        },
      ),
      { numRuns: 500, seed: 4711 },
    )
  },
)
