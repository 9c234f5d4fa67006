// Who may do what: closed by default, enforced by each pillar from the archive document.

import t, { type Test } from 'tap'
import { putBatch } from '../../src/client/put.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { withMember, withoutMember } from '../../src/protocol/document.ts'
import type { MessageType } from '../../src/protocol/messages.ts'
import { forbidden, permitted, rightFor } from '../../src/protocol/permissions.ts'
import { startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { replyTo, topics, wire } from './wire.ts'

const { signal } = new AbortController()
const requests = topics.pillarRequests('pillar-1')
const files = [{ id: 'a.txt' }]

async function setting(t: Test, change: (document: ArchiveDocument) => ArchiveDocument) {
  const fleet = await startFleet({ seed: t.name, pillars: 1, copiesMin: 1 })
  const bob = await fleet.client('bob')
  const ann = await wire(fleet)
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 100)
  await fleet.time.finish(putBatch(bob, 'home', [item], { signal }))
  await fleet.publish(change)
  await fleet.time.advance(5_000)
  const { checksum } = item
  const [board] = fleet.boards
  const [version = 0] = (await board?.index.versions('home', ['a.txt'])) ?? []
  const stored = async () => ((await board?.index.stored('home', ['a.txt'])) ?? [])[0] !== undefined
  const exact = [{ id: 'a.txt', checksum, version }]
  const perform = async (by = 'ann') => {
    const type = 'DeleteFileRequest' as const
    const to = ['pillar-1']
    const reply = topics.replies(by, 'wire')
    const made = ann.make<typeof type>({ type, to, files: exact, replyTo: reply })
    const request = { ...made, from: by }
    await ann.say(requests, request, simSigner(by))
  }
  const asks = async (type: 'GetFileIDsRequest' | 'GetStatusRequest') =>
    ann.say(requests, ann.make<typeof type>({ type, replyTo }))
  return { fleet, ann, exact, checksum, stored, perform, asks }
}

const code = (answer: { responseInfo: object }) => answer.responseInfo

t.test('[ROL-1] a depositor puts and gets; what destroys is refused in one sentence', async (t) => {
  const on = await setting(t, (document) => permitted(document, 'ann', 'home', 'depositor'))
  // Of all others she is a curator, as everybody was before anything was said.
  const why = 'ann is depositor of home: puts and gets, no more'
  await on.perform()
  const refused = await on.ann.wait('DeleteFileFinalResponse')
  t.match(code(refused), { code: 'FAILURE', text: why })
  t.match(refused.files, [{ id: 'a.txt', code: 'FAILURE', text: why }])
  const identify = 'IdentifyPillarsForDeleteFileRequest' as const
  await on.ann.say(requests, on.ann.make<typeof identify>({ type: identify, files: on.exact }))
  const negative = await on.ann.wait('IdentifyPillarsForDeleteFileResponse')
  t.match(code(negative), { code: 'IDENTIFICATION_NEGATIVE', text: why })
  t.notOk(negative.files[0]?.version)
  const restore = 'RestoreRetainedRequest' as const
  const back = on.ann.make<typeof restore>({ type: restore, to: ['pillar-1'], files: on.exact })
  await on.ann.say(requests, back)
  t.match(code(await on.ann.wait('RestoreRetainedFinalResponse')), { text: why })
  t.equal(await on.stored(), true)
  await on.asks('GetFileIDsRequest')
  t.equal((await on.ann.wait('GetFileIDsFinalResponse')).items.length, 1)
  const get = 'IdentifyPillarsForGetFileRequest' as const
  await on.ann.say(requests, on.ann.make<typeof get>({ type: get, files }))
  const found = await on.ann.wait('IdentifyPillarsForGetFileResponse')
  t.match(code(found), { code: 'IDENTIFICATION_POSITIVE' })
  // And what the owner gives counts at once.
  await on.fleet.publish((document) => permitted(document, 'ann', 'home', 'curator'))
  await on.fleet.time.advance(5_000)
  await on.perform()
  t.match(code(await on.ann.wait('DeleteFileFinalResponse', 2)), { code: 'OPERATION_COMPLETED' })
})

t.test('[ROL-1] an operator sees that all is well, and no contents', async (t) => {
  const on = await setting(t, (document) => ({
    ...permitted(document, 'ann', '*', 'operator'),
  }))
  await on.asks('GetStatusRequest')
  t.match(code(await on.ann.wait('GetStatusFinalResponse')), { code: 'OPERATION_COMPLETED' })
  const get = 'IdentifyPillarsForGetFileRequest' as const
  await on.ann.say(requests, on.ann.make<typeof get>({ type: get, files }))
  const refused = await on.ann.wait('IdentifyPillarsForGetFileResponse')
  t.match(code(refused), { code: 'IDENTIFICATION_NEGATIVE', text: /lists and verifies/ })
  t.notOk(refused.files[0]?.checksum)
})

t.test('[ROL-1] who has no permission learns nothing, not even names', async (t) => {
  const on = await setting(t, (document) => ({ ...document, permissions: [] }))
  for (const [n, type] of (['GetFileIDsRequest', 'GetStatusRequest'] as const).entries()) {
    await on.asks(type)
    const answered = n === 0 ? 'GetFileIDsFinalResponse' : 'GetStatusFinalResponse'
    const answer = await on.ann.wait(answered as 'GetStatusFinalResponse')
    t.match(code(answer), { code: 'FAILURE', text: 'ann has no permission for home' })
    t.notOk(answer.status)
    t.same((answer as { items?: object[] }).items ?? [], [])
  }
  const owed = 'DeliverOwedCopiesRequest' as const
  const offered = [{ id: 'x', size: 1, checksum: on.checksum, mtime: '2026-01-01T00:00:00.000Z' }]
  const lists = { files: offered, holders: ['pillar-1'], owed: ['pillar-1'] }
  await on.ann.say(topics.trackerRequests(), on.ann.make<typeof owed>({ type: owed, ...lists }))
  t.match(code(await on.ann.wait('DeliverOwedCopiesFinalResponse')), { code: 'FAILURE' })
  t.same(await on.fleet.tracker.running()?.owed(), [])
})

t.test(
  '[ROL-2] nobody destroys in a collection that is only added to, nor the tracker anywhere',
  async (t) => {
    const on = await setting(t, (document) => document)
    await on.perform('tracker')
    await on.fleet.time.advance(5_000)
    t.equal(await on.stored(), true)
    await on.fleet.publish((document) => ({
      ...document,
      collections: document.collections.map((one) => ({ ...one, appendOnly: true })),
    }))
    await on.fleet.time.advance(5_000)
    await on.perform()
    const refused = await on.ann.wait('DeleteFileFinalResponse')
    t.match(code(refused), { code: 'FAILURE', text: /^to home files are only added/ })
    t.equal(await on.stored(), true)
  },
)

t.test(
  '[ROL-1] every request needs a right, and a document without roles is as ever',
  async (t) => {
    const document: ArchiveDocument = {
      ...{ archive: 'test', version: 1, issuedAt: '2026-01-01T00:00:00.000Z', exchanges: [] },
      identities: ['ann', 'bob'].map((name) => ({ name, role: 'client', publicKey: name })),
      collections: [{ name: 'home', pillars: ['p'], copiesMin: 1, algorithm: 'sha256' }],
    }
    const destroys = ['DeleteFileRequest', 'ReplaceFileRequest', 'RestoreRetainedRequest'] as const
    for (const type of destroys) {
      t.equal(rightFor(type), 'change')
      t.equal(forbidden(document, 'ann', 'home', type), undefined)
      t.ok(forbidden(document, 'eve', 'home', type))
    }
    const types: MessageType[] = ['PutFileRequest', 'GetFileRequest', 'GetChecksumsRequest']
    t.same(
      types.map((type) => rightFor(type as 'PutFileRequest')),
      ['put', 'get', 'list'],
    )
    const next = permitted(document, 'ann', 'home', 'operator')
    t.same(next.permissions, [
      { identity: 'ann', collection: '*', role: 'curator' },
      { identity: 'bob', collection: '*', role: 'curator' },
      { identity: 'ann', collection: 'home', role: 'operator' },
    ])
    const eve = { name: 'eve', role: 'client' as const, publicKey: 'eve' }
    const more = withMember(next, eve, { replace: false, at: document.issuedAt })
    t.match(forbidden(more, 'eve', 'home', 'GetFileRequest'), /no permission/)
    t.notOk(
      withoutMember(next, 'ann', document.issuedAt).permissions?.some((p) => p.identity === 'ann'),
    )
  },
)
