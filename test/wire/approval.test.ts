// Two people must want it: what pillars make of an order and its signatures.

import t, { type Test } from 'tap'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { forgetOrders, unapproved } from '../../src/pillar/approval.ts'
import { uuid7 } from '../../src/post/compose.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { approveOrder, type ChangeOrder, openOrder, writeOrder } from '../../src/protocol/orders.ts'
import { approving, mayApprove, permitted } from '../../src/protocol/permissions.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { openState } from '../../src/state/sqlite.ts'
import { cutAt } from './cut.ts'
import { topics, type Wire, wire } from './wire.ts'

const { signal } = new AbortController()
const requests = topics.pillarRequests('pillar-1')
const day = 24 * 3_600_000
const ann = simSigner('ann')
const bob = simSigner('bob')

const guarded = (document: ArchiveDocument): ArchiveDocument => ({
  ...document,
  collections: document.collections.map((one) => ({ ...one, approvals: 2 })),
})

interface Setting {
  readonly fleet: Fleet
  readonly wire: Wire
  readonly item: PutItem
  put(): Promise<void>
  stored(): Promise<boolean>
  order(change?: Partial<ChangeOrder>): ChangeOrder
  /** Ann deletes by this order; what comes of it. */
  run(
    text: string | undefined,
    by?: 'ann' | 'bob',
  ): Promise<{ code: string; text?: string | undefined }>
}

async function setting(
  t: Test,
  change = guarded,
  seed: number | string = t.name,
): Promise<Setting> {
  const fleet = await startFleet({ seed, pillars: 1, copiesMin: 1 })
  const client = await fleet.client('bob')
  const on = await wire(fleet)
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 100)
  const put = async () =>
    void (await fleet.time.finish(putBatch(client, 'home', [item], { signal })))
  await put()
  await fleet.publish(change)
  await fleet.time.advance(5_000)
  const board = fleet.boards[0]
  return {
    ...{ fleet, wire: on, item, put },
    stored: async () => ((await board?.index.stored('home', ['a.txt'])) ?? [])[0] !== undefined,
    order: (change = {}) => ({
      ...{ type: 'ChangeOrder', archive: 'test', order: uuid7(on.world), collection: 'home' },
      ...{ operation: 'delete', from: 'ann', pillars: ['pillar-1'] },
      files: [{ id: 'a.txt', checksum: item.checksum }],
      madeAt: timeText(fleet.time.clock.now()),
      expiresAt: timeText(fleet.time.clock.now() + day),
      ...change,
    }),
    async run(text, by = 'ann') {
      const [version = 0] = (await board?.index.versions('home', ['a.txt'])) ?? []
      const type = 'DeleteFileRequest' as const
      const files = [{ id: 'a.txt', checksum: item.checksum, version }]
      const draft = {
        type,
        to: ['pillar-1'],
        files,
        ...(text === undefined ? {} : { order: text }),
      }
      const request = {
        ...on.make<typeof type>(draft),
        from: by,
        replyTo: topics.replies(by, 'wire'),
      }
      if (by === 'ann') {
        const before = on.answers('DeleteFileFinalResponse').length
        await on.say(requests, request)
        const answer = await on.wait('DeleteFileFinalResponse', before + 1)
        return answer.responseInfo
      }
      await on.say(requests, request, bob)
      await fleet.time.advance(2_000)
      return { code: 'not heard' }
    },
  }
}

const both = (order: ChangeOrder): string => approveOrder(writeOrder(order, ann), bob)

t.test('[APR-1] one alone deletes nothing, two do', async (t) => {
  const { run, order, stored } = await setting(t)
  t.match(await run(undefined), { code: 'FAILURE', text: /^two people must want this in home/ })
  const alone = writeOrder(order(), ann)
  const nobody = 'nobody who may approve it in home has signed the order yet'
  t.match(await run(alone), { code: 'FAILURE', text: nobody })
  t.match(await run(approveOrder(alone, ann)), { text: nobody }, 'twice the same is still one')
  t.match(await run(approveOrder(alone, simSigner('tracker'))), { text: nobody })
  t.match(await run(writeOrder(order(), bob)), { text: 'ann has not signed the order' })
  t.equal(await stored(), true)
  t.match(await run(approveOrder(alone, bob)), { code: 'OPERATION_COMPLETED' })
  t.equal(await stored(), false)
})

t.test('[APR-1] the second one may run it, too, if he may change', async (t) => {
  const { run, order, stored } = await setting(t)
  await run(both(order()), 'bob')
  t.equal(await stored(), false)
})

t.test('[APR-1] who approves is a curator or an approver, and a member now', async (t) => {
  const depositor = (document: ArchiveDocument) =>
    permitted(guarded(document), 'bob', '*', 'depositor')
  const { run, order, stored, fleet } = await setting(t, depositor)
  const text = both(order())
  t.match(await run(text), { text: /^nobody who may approve/ })
  await fleet.publish((document) => approving(document, 'bob', 'home', true))
  await fleet.publish((document) => ({
    ...document,
    identities: document.identities.filter(({ name }) => name !== 'bob'),
  }))
  await fleet.time.advance(5_000)
  t.match(await run(text), { text: /^nobody who may approve/ }, 'he was turned out')
  t.equal(await stored(), true)
  const member = { name: 'bob', role: 'client' as const, publicKey: bob.publicKey }
  await fleet.publish((document) => ({ ...document, identities: [...document.identities, member] }))
  await fleet.time.advance(5_000)
  await run(text, 'bob')
  t.equal(await stored(), true, 'an approver does not change anything himself')
  t.match(await run(text), { code: 'OPERATION_COMPLETED' })
})

t.test('[APR-2] an order is for these bytes, on these pillars, until then', async (t) => {
  const { run, order, stored, fleet, item } = await setting(t)
  const other = 'f'.repeat(64)
  const replacement = { size: 1, checksum: other }
  const wrong: [Partial<ChangeOrder>, RegExp][] = [
    [{ files: [{ id: 'b.txt', checksum: item.checksum }] }, /for other files/],
    [{ files: [{ id: 'a.txt', checksum: other }] }, /for other files/],
    [{ files: [{ id: 'a.txt', checksum: item.checksum, replacement }] }, /for other files/],
    [{ operation: 'replace' }, /for something else/],
    [{ collection: 'other' }, /for something else/],
    [{ archive: 'other' }, /for something else/],
    [{ pillars: ['pillar-2'] }, /for something else/],
    [{ expiresAt: timeText(fleet.time.clock.now() - 1) }, /the order was good until/],
    [{ expiresAt: timeText(fleet.time.clock.now() + 9 * day) }, /for longer than/],
  ]
  for (const [change, text] of wrong)
    t.match(await run(both(order(change))), { code: 'FAILURE', text })
  const text = both(order())
  t.match(await run(text.replace('a.txt', 'b.txt')), { text: /damaged, or signed by nobody/ })
  t.match(await run('{}\n'), { text: /damaged/ })
  t.equal(await stored(), true)
  await fleet.time.advance(day + 1)
  t.match(await run(text), { text: /the order was good until/ })
})

t.test('[APR-3] an order is run once, also over a restart', async (t) => {
  const { run, order, stored, fleet, put } = await setting(t)
  const [board] = fleet.boards
  const text = both(order())
  t.match(await run(text), { code: 'OPERATION_COMPLETED' })
  await put()
  t.match(await run(text), { code: 'FAILURE', text: 'the order was run here already' })
  board?.crash()
  await fleet.time.finish(board?.start() ?? Promise.resolve())
  await fleet.time.advance(5_000)
  t.match(await run(text), { code: 'FAILURE', text: 'the order was run here already' })
  t.equal(await stored(), true)
  t.match(await run(both(order())), { code: 'OPERATION_COMPLETED' }, 'another order is another')
})

t.test('[APR-3] the power goes at any moment, and the order is run once', async (t) => {
  let cuts = 0
  for (let n = 1; n < 30; n++) {
    const { run, order, stored, fleet, put, wire, item } = await setting(t, guarded, n)
    const [board] = fleet.boards
    if (!board) throw new Error('no board')
    const text = both(order())
    const [version = 0] = await board.index.versions('home', ['a.txt'])
    const type = 'DeleteFileRequest' as const
    const files = [{ id: 'a.txt', checksum: item.checksum, version }]
    const isCut = await cutAt(fleet, board, n, async () => {
      const draft = { type, to: ['pillar-1'], files, order: text }
      await wire.say(requests, wire.make<typeof type>(draft))
      await fleet.time.advance(5_000)
    })
    if (await stored()) t.match(await run(text), { code: 'OPERATION_COMPLETED' }, `cut at ${n}`)
    t.equal(await stored(), false)
    await put()
    t.match(await run(text), { text: 'the order was run here already' }, `cut at ${n}`)
    t.equal(await stored(), true)
    if (!isCut) break
    cuts++
  }
  t.ok(cuts > 3, `${cuts} cuts`)
})

t.test('[APR-3] what a power cut broke off is run when it is said again', async (t) => {
  const { order, item, wire } = await setting(t)
  const state = openState(':memory:')
  const keys = simKeys()
  const identities = ['ann', 'bob'].map((name) => ({
    name,
    role: 'client' as const,
    publicKey: simSigner(name).publicKey,
  }))
  const policy = {
    name: 'home',
    pillars: ['pillar-1'],
    copiesMin: 1,
    algorithm: 'sha256' as const,
    approvals: 2,
  }
  const document = { archive: 'test', identities, collections: [policy] }
  let version = 7
  const parts = {
    ...{ keys, state, name: 'pillar-1', world: wire.world },
    store: { versions: async () => [version] },
    directory: {
      document: () => document,
      collection: () => policy,
      keyOwner: (id: string) => identities.find(({ publicKey }) => keys.keyId(publicKey) === id),
    },
  } as unknown as Parameters<typeof unapproved>[0]
  const asked = (
    seen: number,
    text = both(order({ order: '00000000-0000-7000-8000-000000000001' })),
  ) => {
    const files = [{ id: 'a.txt', checksum: item.checksum, version: seen }]
    const type = 'DeleteFileRequest' as const
    return unapproved(parts, wire.make<typeof type>({ type, to: ['pillar-1'], files, order: text }))
  }
  t.equal(await asked(6), undefined, 'another version than there is: the removal refuses it')
  t.equal(await asked(7), undefined)
  t.equal(await asked(7), undefined, 'it is still there: nothing was done')
  version = 9
  t.equal(await asked(9), 'the order was run here already')
  t.equal((await state.list('order ')).length, 1)
  await forgetOrders(state, wire.world.clock.now() + 30 * day)
  t.equal((await state.list('order ')).length, 1)
  await forgetOrders(state, wire.world.clock.now() + 32 * day)
  t.equal((await state.list('order ')).length, 0)
})

t.test('[APR-1] a replace, and a file in fragments, want two as well', async (t) => {
  const fragments = { bytes: 64 * 1024, copies: 1 }
  const fleet = await startFleet({ seed: 11, pillars: 2, copiesMin: 1, fragments })
  const client = await fleet.client('ann')
  await fleet.time.advance(60_000)
  const [old, fresh] = ['a.txt', 'a.txt'].map((id) => memoryItem(fleet.random, fleet, id, 100))
  if (!old || !fresh) throw new Error('no items')
  for (const collection of ['home', 'pieces'])
    await fleet.time.finish(putBatch(client, collection, [old], { signal }))
  await fleet.publish(guarded)
  await fleet.time.advance(5_000)
  const replacement = { size: fresh.size, checksum: fresh.checksum }
  const order = (change: Partial<ChangeOrder>): string =>
    both({
      ...{ type: 'ChangeOrder', archive: 'test', order: uuid7(client.world), collection: 'home' },
      ...{ operation: 'replace', from: 'ann', pillars: ['pillar-1'] },
      files: [{ id: 'a.txt', checksum: old.checksum, replacement }],
      madeAt: timeText(fleet.time.clock.now()),
      expiresAt: timeText(fleet.time.clock.now() + day),
      ...change,
    })
  const replace = (text?: string) =>
    fleet.time.finish(
      replaceFile(client, 'home', old.checksum, fresh, ['pillar-1'], {
        signal,
        ...(text === undefined ? {} : { order: text }),
      }),
    )
  t.match(await replace(), [{ is: 'refused', why: /two people/ }])
  const others = { size: 100, checksum: 'e'.repeat(64) }
  const files = [{ id: 'a.txt', checksum: old.checksum, replacement: others }]
  t.match(await replace(order({ files })), [{ is: 'refused', why: /for other files/ }])
  t.match(await replace(order({})), [{ is: 'done' }])
  const doomed = { id: 'a.txt', checksum: old.checksum }
  const gone = (text?: string) =>
    fleet.time.finish(remove(client, 'pieces', doomed, ['tracker'], signal, text))
  t.match(await gone(), [{ is: 'refused', why: /two people/ }])
  const whole = {
    collection: 'pieces',
    operation: 'delete',
    pillars: ['tracker'],
    files: [doomed],
  } as const
  t.match(await gone(order({ ...whole, pillars: ['tracker'], files: [doomed] })), [{ is: 'done' }])
})

t.test(
  '[APR-2] what is signed are bytes, and who is an approver is said by the document',
  async (t) => {
    const { order } = await setting(t)
    const people = new Map(['ann', 'bob'].map((name) => [simSigner(name).keyId, name]))
    const directory = {
      keyOwner(id: string) {
        const name = people.get(id)
        return name === undefined
          ? undefined
          : { name, role: 'client' as const, publicKey: simSigner(name).publicKey }
      },
    }
    const text = both(order())
    const names = (some: string) =>
      openOrder(some, directory, simKeys())?.signers.map(({ name }) => name)
    t.same(names(text), ['ann', 'bob'])
    t.same(names(text.replace('{', '{ ')), undefined)
    t.same(names(text.slice(0, -10)), ['ann'])
    t.same(names(writeOrder(order({ files: [] }), ann)), undefined)
    t.same(names(''), undefined)
    const base: ArchiveDocument = {
      ...{ archive: 'test', version: 1, issuedAt: '', exchanges: [], collections: [] },
      identities: [
        { name: 'ann', role: 'client', publicKey: '' },
        { name: 'attic', role: 'pillar', publicKey: '' },
      ],
    }
    t.equal(mayApprove(base, 'ann', 'home'), true, 'older documents: all are curators')
    const none = { ...base, permissions: [] }
    t.equal(mayApprove(none, 'ann', 'home'), false)
    t.equal(mayApprove(base, 'attic', 'home'), false)
    t.equal(mayApprove(base, 'eve', 'home'), false)
    t.equal(mayApprove(approving(none, 'ann', 'home', true), 'ann', 'home'), true)
    t.equal(mayApprove(approving(none, 'ann', 'home', true), 'ann', 'other'), false)
    t.equal(mayApprove(approving(none, 'ann', '*', true), 'ann', 'other'), true)
    t.same(approving(approving(none, 'ann', '*', true), 'ann', '*', false).approvers, [])
  },
)
