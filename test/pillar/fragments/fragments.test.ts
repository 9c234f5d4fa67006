// The pillar's side of fragment distribution, by what it says on the wire and keeps on its disk.

import t from 'tap'
import { uuid7 } from '../../../src/post/compose.ts'
import { fragmentFileId } from '../../../src/protocol/fragments.ts'
import { timeText } from '../../../src/protocol/scalars.ts'
import { simSigner } from '../../../src/sim/keys.ts'
import { simWorld } from '../../../src/sim/world.ts'
import { collection, first, membershipOf, type Rig, rig } from './rig.ts'

const distribution = '00000000-0000-7000-8000-0000000000d1'
const bytesOf = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill)

const started = (at: Rig, fragments: { hash: string; size: number }[], round = 0, copies = 2) =>
  at.say('FragmentDistributionStarted', {
    conversation: distribution,
    membership: 1,
    round,
    closesAt: timeText(at.fleet.time.clock.now() + 5_000),
    fragments: fragments.map((one) => ({ kind: 'slice' as const, ...one, copies })),
  })

const ended = (
  at: Rig,
  fragment: { hash: string; size: number; kind: 'slice' | 'info' },
  outcome: 'complete' | 'aborted',
  holders: string[],
  epoch = first,
) =>
  at.say('FragmentDistributionEnded', {
    conversation: distribution,
    epoch,
    fragments: [{ ...fragment, outcome, holders }],
  })

const keptBy = async (
  at: Rig,
  hash: string,
  kind: 'slice' | 'info' = 'slice',
): Promise<string[]> => {
  const found = await Promise.all(
    at.fleet.boards.map(async ({ name, index }) => {
      const [row] = await index.stored(collection, [fragmentFileId({ hash, kind })])
      return row ? [name] : []
    }),
  )
  return found.flat()
}
const saidOf = (at: Rig, stage: 'temporary' | 'persisted'): [string, string][] =>
  at
    .heard('FragmentDistributionObtained')
    .filter((one) => one.stage === stage)
    .flatMap((one) => one.fragments.map((hash): [string, string] => [one.from, hash]))

t.test('[FRG-1] the five steps of the seed, to the letter', async (t) => {
  const at = await rig('five steps')
  await at.join()
  t.same(at.heard('ClientJoinSucceeded').length, 3)
  const fragment = at.fragment(bytesOf(64 * 1024, 7))
  await started(at, [fragment])
  await at.pass(1_000)
  const requested = at.heard('FragmentDistributionRequested')
  t.equal(requested.length, 3, 'with three pillars and two spares all apply')
  for (const one of requested) t.same(one.fragments, [fragment.hash])

  await at.deliver([{ fragment, recipients: ['pillar-1', 'pillar-3'] }], distribution)
  await at.pass(5_000)
  t.same(saidOf(at, 'temporary').sort(), [
    ['pillar-1', fragment.hash],
    ['pillar-3', fragment.hash],
  ])
  t.same(await keptBy(at, fragment.hash), ['pillar-1', 'pillar-3'])

  await ended(at, fragment, 'complete', ['pillar-1', 'pillar-3'])
  await at.pass(1_000)
  t.same(saidOf(at, 'persisted').sort(), [
    ['pillar-1', fragment.hash],
    ['pillar-3', fragment.hash],
  ])
})

t.test(
  '[FRG-8] a membership that is too long for a message is fetched, by each once',
  async (t) => {
    const at = await rig('long membership')
    const membership = membershipOf(at.fleet, 2)
    await at.join(first, { ...membership, members: [], count: 3 })
    await at.pass(20_000)
    t.ok(at.told.asked >= 3, 'it is asked for as soon as it is told of')
    const fragment = at.fragment(bytesOf(64 * 1024, 7))
    await started(at, [fragment])
    await at.pass(5_000)
    t.same(at.heard('FragmentDistributionRequested'), [], 'nobody knows yet who is a member')
    at.told.membership = membership
    await at.pass(120_000)
    const { asked } = at.told
    await started(at, [fragment])
    await at.pass(60_000)
    t.equal(at.heard('FragmentDistributionRequested').length, 3)
    t.equal(at.told.asked, asked, 'and no more')
  },
)

t.test(
  '[FRG-8] whose message was lost is fetched; what is no membership is not taken',
  async (t) => {
    const at = await rig('lost membership')
    await at.join()
    const fragment = at.fragment(bytesOf(64 * 1024, 7))
    const world = simWorld(at.fleet.time.clock, at.fleet.random.fork('test'), 'test')
    const asks = async (version: number) => {
      await at.say('FragmentDistributionStarted', {
        ...{ conversation: uuid7(world), membership: version, round: 0 },
        fragments: [{ ...fragment, copies: 2 }],
        closesAt: timeText(at.fleet.time.clock.now() + 5_000),
      })
      const before = at.told.asked
      await at.pass(30_000)
      return at.told.asked - before
    }
    t.equal(await asks(1), 0, 'that one is known')
    at.told.membership = { ...membershipOf(at.fleet, 2), collection: 'other', version: 2 }
    t.ok((await asks(2)) >= 3, 'the other is asked for')
    at.told.membership = { ...membershipOf(at.fleet, 2), version: 2 }
    await at.pass(120_000)
    t.equal(await asks(2), 0, 'it is known now')
  },
)

t.test('[FRG-5] only candidates apply, and more of them in each round', async (t) => {
  const at = await rig('candidates', { pillars: 9 })
  await at.join()
  const fragment = at.fragment(bytesOf(1_000, 3))
  const counts: number[] = []
  for (const round of [0, 1, 2]) {
    at.forget()
    await started(at, [fragment], round)
    await at.pass(1_000)
    counts.push(new Set(at.heard('FragmentDistributionRequested').map(({ from }) => from)).size)
  }
  t.same(counts, [4, 6, 9], 'copies and 2, 4, 8 spares')
})

t.test(
  '[FRG-5] who has no room does not apply, also for what it has applied for already',
  async (t) => {
    const at = await rig('room', { capacity: 300_000 })
    await at.join()
    const all = [1, 2, 3, 4].map((fill) => at.fragment(bytesOf(100_000, fill)))
    await started(at, all)
    await at.pass(1_000)
    for (const one of at.heard('FragmentDistributionRequested')) t.equal(one.fragments.length, 2)
    at.forget()
    const more = at.fragment(bytesOf(100_000, 5))
    await started(at, [more])
    await at.pass(1_000)
    t.same(at.heard('FragmentDistributionRequested'), [])
    await at.pass(180_000)
    await started(at, [more])
    await at.pass(1_000)
    t.equal(at.heard('FragmentDistributionRequested').length, 3, 'nobody decided for so long')
  },
)

t.test('[FRG-5] what is here already is said at once, and not applied for', async (t) => {
  const at = await rig('repeated')
  await at.join()
  const fragment = at.fragment(bytesOf(2_000, 1))
  await at.deliver([{ fragment, recipients: ['pillar-2'] }], distribution)
  await at.pass(5_000)
  at.forget()
  await started(at, [fragment])
  await at.pass(1_000)
  t.same(saidOf(at, 'temporary'), [['pillar-2', fragment.hash]])
  t.notOk(at.heard('FragmentDistributionRequested').some(({ from }) => from === 'pillar-2'))
  await ended(at, fragment, 'complete', ['pillar-2'])
  await at.pass(1_000)
  at.forget()
  await started(at, [fragment])
  await at.pass(1_000)
  t.same(saidOf(at, 'persisted'), [['pillar-2', fragment.hash]])
})

t.test('[FRG-5] nobody applies who is not registered', async (t) => {
  const at = await rig('stranger')
  await at.say('TrackerHello', {})
  await at.pass(1_000)
  await started(at, [at.fragment(bytesOf(10, 1))])
  await at.pass(1_000)
  t.same(at.heard('FragmentDistributionRequested'), [])
})

t.test(
  '[FRG-6] an order is gone on with after a power cut, and answered once more when said again',
  async (t) => {
    const at = await rig('power')
    await at.join()
    const fragment = at.fragment(bytesOf(50_000, 9))
    const parts = [{ fragment, recipients: ['pillar-1'] }]
    await at.deliver(parts, distribution, { offer: 'slow' })
    await at.pass(2_000)
    at.fleet.boards[0]?.crash()
    await at.pass(1_000)
    t.same(await keptBy(at, fragment.hash), [])
    await at.fleet.time.finish(at.fleet.boards[0]?.start() ?? Promise.resolve())
    await at.pass(60_000)
    t.same(saidOf(at, 'temporary'), [['pillar-1', fragment.hash]])
    at.forget()
    await at.deliver(parts, distribution)
    await at.pass(1_000)
    t.same(saidOf(at, 'temporary'), [['pillar-1', fragment.hash]])
  },
)

t.test('[FRG-6] wrong bytes are not kept, and who delivered them is told', async (t) => {
  const at = await rig('wrong bytes')
  await at.join()
  const right = at.fragment(bytesOf(5_000, 1))
  const wrong = at.fragment(bytesOf(5_000, 2))
  await at.deliver([{ fragment: wrong, recipients: [] }], distribution)
  // The object of one, under the name of the other.
  await at.deliver(
    [{ fragment: { ...wrong, hash: right.hash }, recipients: ['pillar-1'] }],
    distribution,
    { page: 1, offer: false },
  )
  await at.pass(700_000)
  const [failed] = at.heard('FragmentDistributionFailed', 'pillar-1')
  t.equal(failed?.fragments[0]?.hash, right.hash)
  t.same(await keptBy(at, right.hash), [])
})

t.test(
  '[FRG-7] what has not ended stays, is offered again, and only an abortion discards it',
  async (t) => {
    const at = await rig('leftover')
    await at.join()
    const fragment = at.fragment(bytesOf(5_000, 4))
    await at.deliver([{ fragment, recipients: ['pillar-1', 'pillar-2', 'pillar-3'] }], distribution)
    await at.pass(5_000)
    at.forget()
    await at.pass(11 * 60_000)
    t.equal(saidOf(at, 'temporary').length, 3, 'offered again')
    await ended(at, fragment, 'complete', ['pillar-1'])
    await at.pass(1_000)
    t.equal((await keptBy(at, fragment.hash)).length, 3, 'not to be named is no order to discard')
    await ended(at, fragment, 'aborted', [], { counter: 0, tracker: 'tracker' })
    await at.pass(1_000)
    t.equal((await keptBy(at, fragment.hash)).length, 3, 'an older tracker orders nothing')
    await ended(at, fragment, 'aborted', [])
    await at.pass(1_000)
    t.same(await keptBy(at, fragment.hash), ['pillar-1'], 'what was persisted stays')
    const gone = at.heard('FragmentDistributionFailed').filter((one) => one.gone)
    t.same(gone.map(({ from }) => from).sort(), ['pillar-2', 'pillar-3'], 'the others say so')
  },
)

t.test('[FRG-7] what is still on its way is not offered as if it were here', async (t) => {
  const at = await rig('on its way')
  await at.join()
  const [here, coming] = [4, 5].map((fill) => at.fragment(bytesOf(5_000, fill)))
  if (!here || !coming) throw new Error('there are two')
  await at.deliver([{ fragment: here, recipients: ['pillar-1'] }], distribution)
  await at.pass(5_000)
  at.fleet.net.partition('pillar-1')
  const other = `${distribution.slice(0, -1)}2`
  await at.deliver([{ fragment: coming, recipients: ['pillar-1'] }], other)
  at.forget()
  await at.pass(594_000)
  t.same(at.heard('FragmentDistributionFailed'), [], 'it is still tried')
  t.same(saidOf(at, 'temporary'), [['pillar-1', here.hash]])
})

t.test('[FRG-7] a holder that has lost it says so', async (t) => {
  const at = await rig('lost')
  await at.join()
  const fragment = at.fragment(bytesOf(5_000, 4))
  await ended(at, fragment, 'complete', ['pillar-2'])
  await at.pass(1_000)
  t.same(
    at.heard('FragmentDistributionFailed').map(({ from }) => from),
    ['pillar-2'],
  )
})

t.test('[FRG-3] an older epoch, and a member that is no tracker, order nothing', async (t) => {
  const at = await rig('epochs')
  await at.join({ counter: 5, tracker: 'tracker' })
  const fragment = at.fragment(bytesOf(5_000, 4))
  await at.deliver([{ fragment, recipients: ['pillar-1'] }], distribution)
  await at.pass(5_000)
  t.same(await keptBy(at, fragment.hash), [], 'of the first epoch')
  const forged = { epoch: { counter: 9, tracker: 'ann' }, fragments: [], from: 'ann' }
  await at.say('TrackerHello', forged as never, simSigner('ann'))
  await at.pass(2_000)
  await at.deliver([{ fragment, recipients: ['pillar-1'] }], distribution, {
    epoch: { counter: 5, tracker: 'tracker' },
  })
  await at.pass(5_000)
  t.same(await keptBy(at, fragment.hash), ['pillar-1'])
})

t.test('[FRG-5] weights decide, in either of two versions of the membership', async (t) => {
  const at = await rig('versions', { pillars: 6, copies: 1 })
  await at.join()
  const of = (version: number, weights: number[]) => ({
    ...membershipOf(at.fleet, 1),
    version,
    members: weights.map((weight, n) => ({ id: `pillar-${n + 1}`, weight })),
  })
  const change = (version: number, weights: number[]) =>
    at.say('ClientRegistered', { pillar: 'pillar-1', memberships: [of(version, weights)] })
  await change(2, [1, 1, 1, 0, 0, 0])
  await at.pass(1_000)
  await change(3, [0, 0, 0, 1, 1, 1])
  await at.pass(1_000)
  await started(at, [at.fragment(bytesOf(10, 1))], 0, 1)
  await at.pass(1_000)
  t.equal(at.heard('FragmentDistributionRequested').length, 6, 'three by each')
  await change(4, [0, 0, 0, 1, 1, 1])
  await at.pass(1_000)
  at.forget()
  await started(at, [at.fragment(bytesOf(10, 2))], 0, 1)
  await at.pass(1_000)
  t.same(
    at
      .heard('FragmentDistributionRequested')
      .map(({ from }) => from)
      .sort(),
    ['pillar-4', 'pillar-5', 'pillar-6'],
  )
})
