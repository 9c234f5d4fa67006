// Surplus copies: what a pillar gives up, and what it does not, whatever trackers say.

import t from 'tap'
import { nonceMs } from '../../../src/pillar/fragments/nonces.ts'
import {
  type Doubted,
  judge,
  type TrimOrder,
} from '../../../src/pillar/fragments/trim-judgement.ts'
import { vowMs } from '../../../src/pillar/fragments/vows.ts'
import { type Confirmation, sealConfirmation } from '../../../src/protocol/confirmation.ts'
import { type Fragment, fragmentFileId } from '../../../src/protocol/fragments.ts'
import { timeText } from '../../../src/protocol/scalars.ts'
import { simSigner } from '../../../src/sim/keys.ts'
import { collection, first, type Rig, rig } from './rig.ts'

const distribution = '00000000-0000-7000-8000-0000000000d1'
const bytesOf = (size: number, fill: number): Uint8Array => new Uint8Array(size).fill(fill)
const named = ({ hash, kind }: Fragment) => [{ hash, kind }]

/** Pillars that keep one fragment for good; `temporary` ones do not yet. */
async function keeping(seed: string, pillars = 3, persisted = pillars) {
  const at = await rig(seed, { pillars })
  await at.join()
  const fragment = at.fragment(bytesOf(5_000, 7))
  const names = at.fleet.boards.map(({ name }) => name)
  await at.deliver([{ fragment, recipients: names }], distribution)
  await at.pass(5_000)
  const holders = names.slice(0, persisted)
  await at.say('FragmentDistributionEnded', {
    conversation: distribution,
    fragments: [{ ...fragment, outcome: 'complete', holders }],
  })
  await at.pass(1_000)
  const id = fragmentFileId(fragment)
  const holds = async (name: string): Promise<boolean> => {
    const board = at.fleet.boards.find((one) => one.name === name)
    return ((await board?.index.stored(collection, [id])) ?? [])[0] !== undefined
  }
  return { at, fragment, id, names, holds }
}

async function nonceOf(at: Rig, pillar: string, fragment: Fragment): Promise<string | undefined> {
  await at.ask(pillar, 'PrepareTrimRequest', { fragments: named(fragment) })
  await at.pass(1_000)
  return at.heard('PrepareTrimFinalResponse', pillar).at(-1)?.nonce
}
async function confirmation(
  at: Rig,
  by: string,
  holder: string,
  nonce: string | undefined,
  fragment: Fragment,
) {
  at.forget()
  await at.ask(by, 'ConfirmFragmentsRequest', { holder, nonce, fragments: named(fragment) })
  await at.pass(10_000)
  return at.heard('ConfirmFragmentsFinalResponse', by).at(-1)
}
async function order(
  at: Rig,
  pillar: string,
  fragment: Fragment,
  nonce: string | undefined,
  confirmations: (string | undefined)[],
  more: Record<string, unknown> = {},
) {
  at.forget()
  await at.ask(pillar, 'TrimFragmentsRequest', {
    ...{ nonce, fragments: named(fragment), confirmations },
    ...more,
  })
  await at.pass(5_000)
  return at.heard('TrimFragmentsFinalResponse', pillar).at(-1)?.files[0]
}

t.test(
  '[TRIM-1] a surplus copy goes, once as many others as there are to be have read theirs',
  async (t) => {
    const { at, fragment, id, holds } = await keeping('surplus')
    const nonce = await nonceOf(at, 'pillar-3', fragment)
    const one = await confirmation(at, 'pillar-1', 'pillar-3', nonce, fragment)
    const two = await confirmation(at, 'pillar-2', 'pillar-3', nonce, fragment)
    t.match(await order(at, 'pillar-3', fragment, nonce, [one?.confirmation]), {
      code: 'FAILURE',
      text: '1 of 2 others have confirmed that they have it',
    })
    t.ok(await holds('pillar-3'))
    const both = [one?.confirmation, two?.confirmation]
    const conversation = '00000000-0000-7000-8000-0000000000f1'
    for (const say of ['once', 'twice'])
      t.match(
        await order(at, 'pillar-3', fragment, nonce, both, { conversation }),
        { id, code: 'OPERATION_COMPLETED' },
        say,
      )
    t.notOk(await holds('pillar-3'))
    t.ok((await holds('pillar-1')) && (await holds('pillar-2')))
    const kept = at.fleet.boards[2]?.disk.snapshot() ?? new Map()
    const aside = [...kept].filter(([path, bytes]) => path.startsWith('.retained/') && bytes.length)
    t.equal(aside.length, 1, 'it is kept aside for a while')
    t.same(aside[0]?.[1], bytesOf(5_000, 7))
    t.match(await order(at, 'pillar-3', fragment, nonce, both), { code: 'FILE_NOT_FOUND_FAILURE' })
  },
)

t.test(
  '[TRIM-2] nothing goes by what is forged, stale, of somebody else, or of oneself',
  async (t) => {
    const { at, fragment, id, holds } = await keeping('lies', 4)
    const me = 'pillar-3'
    const nonce = (await nonceOf(at, me, fragment)) ?? ''
    const said = (from: string, more: Partial<Confirmation> = {}, by = from): string =>
      sealConfirmation(
        {
          ...{ type: 'FragmentsConfirmed', from, holder: me, nonce, collection, files: [id] },
          ...more,
        },
        simSigner(by),
      )
    const right = said('pillar-1')
    const lies: Record<string, string[]> = {
      none: [],
      'said twice by one': [right, right],
      'signed by another': [right, said('pillar-2', {}, 'pillar-1')],
      'signed by the tracker': [right, said('pillar-2', {}, 'tracker')],
      'of the tracker itself': [right, said('tracker')],
      'of a client': [right, said('ann')],
      'by nobody of the archive': [right, said('mallory')],
      'altered afterwards': [right, said('pillar-2').replace('5', '6')],
      'of the one that is to trim': [right, said(me)],
      'for another pillar': [right, said('pillar-2', { holder: 'pillar-4' })],
      'by a nonce that is not ours': [right, said('pillar-2', { nonce: '0'.repeat(32) })],
      'of another collection': [right, said('pillar-2', { collection: 'home' })],
      'of another fragment': [right, said('pillar-2', { files: [id.replace(/.$/, '#')] })],
      'no confirmation at all': [right, 'nonsense', ''],
    }
    for (const [lie, confirmations] of Object.entries(lies)) {
      t.match(await order(at, me, fragment, nonce, confirmations), { code: 'FAILURE' }, lie)
      t.ok(await holds(me), lie)
    }
    const good = [right, said('pillar-2')]
    t.match(await order(at, me, fragment, '0'.repeat(32), good), { code: 'FAILURE' }, 'no nonce')
    await at.pass(nonceMs)
    t.match(await order(at, me, fragment, nonce, good), { code: 'FAILURE' }, 'an old nonce')
    t.ok(await holds(me))
  },
)

t.test('[TRIM-2] a nonce is void once the pillar has said that it has the fragment', async (t) => {
  const { at, fragment, holds } = await keeping('void')
  const me = 'pillar-3'
  const all = async () => {
    const nonce = await nonceOf(at, me, fragment)
    const one = await confirmation(at, 'pillar-1', me, nonce, fragment)
    const two = await confirmation(at, 'pillar-2', me, nonce, fragment)
    return { nonce, both: [one?.confirmation, two?.confirmation] }
  }
  const started = await all()
  await at.say('FragmentDistributionStarted', {
    conversation: distribution,
    membership: 1,
    round: 0,
    closesAt: timeText(at.fleet.time.clock.now() + 5_000),
    fragments: [{ ...fragment, copies: 2 }],
  })
  await at.pass(1_000)
  t.match(await order(at, me, fragment, started.nonce, started.both), { code: 'FAILURE' })
  const ended = await all()
  await at.say('FragmentDistributionEnded', {
    conversation: distribution,
    fragments: [{ ...fragment, outcome: 'complete', holders: [me] }],
  })
  await at.pass(1_000)
  t.match(await order(at, me, fragment, ended.nonce, ended.both), { code: 'FAILURE' })
  const restarted = await all()
  at.fleet.boards[2]?.crash()
  await at.fleet.time.finish(at.fleet.boards[2]?.start() ?? Promise.resolve())
  await at.pass(5_000)
  t.match(await order(at, me, fragment, restarted.nonce, restarted.both), { code: 'FAILURE' })
  const joined = await all()
  await at.join({ counter: 2, tracker: 'tracker' })
  t.match(
    await order(at, me, fragment, joined.nonce, joined.both, {
      epoch: { counter: 2, tracker: 'tracker' },
    }),
    { code: 'FAILURE' },
    'it told a tracker of all that it has',
  )
  const late = await all()
  at.fleet.boards[2]?.clock.setOffset(-vowMs * 1_000)
  t.match(await order(at, me, fragment, late.nonce, late.both), undefined, 'an old epoch')
  t.ok(await holds(me))
})

t.test(
  '[TRIM-3] who has confirmed a fragment does not trim it, also after a power cut in 1970',
  async (t) => {
    const { at, fragment, holds } = await keeping('vows', 4)
    const theirs = await nonceOf(at, 'pillar-3', fragment)
    t.ok((await confirmation(at, 'pillar-1', 'pillar-3', theirs, fragment))?.confirmation)
    const attempt = async () => {
      const nonce = await nonceOf(at, 'pillar-1', fragment)
      const two = await confirmation(at, 'pillar-2', 'pillar-1', nonce, fragment)
      const four = await confirmation(at, 'pillar-4', 'pillar-1', nonce, fragment)
      return order(at, 'pillar-1', fragment, nonce, [two?.confirmation, four?.confirmation])
    }
    t.match(await attempt(), { code: 'FAILURE', text: 'I have confirmed it to another' })
    await at.pass(vowMs / 2)
    const [board] = at.fleet.boards
    board?.crash()
    board?.clock.setOffset(-at.fleet.time.clock.now())
    await at.fleet.time.finish(board?.start() ?? Promise.resolve())
    await at.pass(vowMs / 2 + 60_000)
    t.match(
      await attempt(),
      { text: 'I have confirmed it to another' },
      'nobody knows for how long it was off',
    )
    await at.pass(vowMs)
    t.match(await attempt(), { code: 'OPERATION_COMPLETED' })
    t.notOk(await holds('pillar-1'))
  },
)

t.test('[TRIM-3] what is damaged, or here for the time being only, is not confirmed', async (t) => {
  const { at, fragment, id, holds } = await keeping('damaged', 4, 3)
  t.equal(await nonceOf(at, 'pillar-4', fragment), undefined, 'nor is it trimmed')
  const nonce = await nonceOf(at, 'pillar-3', fragment)
  const temporary = await confirmation(at, 'pillar-4', 'pillar-3', nonce, fragment)
  t.match(temporary, { confirmation: undefined, absent: [id] })
  const disk = at.fleet.boards[1]?.disk
  disk?.faults.rot(`${collection}/data/${id}`, 17)
  const damaged = await confirmation(at, 'pillar-2', 'pillar-3', nonce, fragment)
  t.match(damaged, { confirmation: undefined, absent: [id] })
  const self = await confirmation(at, 'pillar-3', 'pillar-3', nonce, fragment)
  t.equal(self, undefined, 'nobody confirms for himself')
  t.ok(await holds('pillar-3'))
})

t.test(
  '[TRIM-5] what nobody needs goes by an order of the newest epoch, and a nonce of its own',
  async (t) => {
    const { at, fragment, holds } = await keeping('unwanted')
    const newer = { counter: 2, tracker: 'tracker' }
    const unwanted = { unwanted: true }
    t.match(
      await order(at, 'pillar-3', fragment, '0'.repeat(32), [], unwanted),
      { code: 'FAILURE' },
      'it may have waited in the broker since it was needed again',
    )
    const nonce = await nonceOf(at, 'pillar-3', fragment)
    await at.say('TrackerGoodbye', { epoch: newer })
    t.equal(await order(at, 'pillar-3', fragment, nonce, [], unwanted), undefined, 'an old epoch')
    t.equal(
      await order(at, 'pillar-3', fragment, nonce, [], { ...unwanted, epoch: newer, from: 'ann' }),
      undefined,
    )
    t.ok(await holds('pillar-3'))
    const now = { ...unwanted, epoch: newer }
    t.match(await order(at, 'pillar-3', fragment, nonce, [], now), { code: 'OPERATION_COMPLETED' })
    t.notOk(await holds('pillar-3'))
  },
)

t.test('[TRIM-6] fragments are neither deleted nor replaced by request', async (t) => {
  const { at, fragment, id, holds } = await keeping('deleted')
  const file = { id, checksum: fragment.hash, version: 1 }
  await at.ask('pillar-1', 'IdentifyPillarsForDeleteFileRequest', { files: [file] })
  for (let version = 1; version < 6; version++)
    await at.ask('pillar-1', 'DeleteFileRequest', { files: [{ ...file, version }] })
  await at.pass(5_000)
  t.same(at.heard('DeleteFileFinalResponse'), [])
  t.ok(await holds('pillar-1'))
})

t.test('[TRIM-4] the judgement', async (t) => {
  const said = (from: string): Confirmation => ({
    ...{ type: 'FragmentsConfirmed', from, holder: 'me', nonce: 'n', collection },
    files: ['id'],
  })
  const order: TrimOrder = {
    ...{ me: 'me', collection, nonce: 'n', unwanted: false },
    confirmations: [said('a'), said('b')],
  }
  const fine: Doubted = { id: 'id', is: 'persisted', isVowed: false, isFresh: true, needed: 2 }
  t.same(judge(order, fine), { is: 'trim' })
  t.same(judge(order, { ...fine, needed: 3 }).is, 'refused', 'a text has a copy more')
  t.same(judge(order, { ...fine, isVowed: true }).is, 'refused')
  t.same(judge({ ...order, unwanted: true }, { ...fine, isVowed: true }).is, 'refused')
  t.same(judge({ ...order, unwanted: true }, { ...fine, isFresh: false }).is, 'refused')
  t.same(judge(order, { ...fine, is: 'temporary' }).is, 'refused')
  t.same(judge(order, { ...fine, is: 'absent' }), { is: 'absent' })
  t.same(judge({ ...order, unwanted: true, confirmations: [] }, fine), { is: 'trim' })
  t.ok(first)
})
