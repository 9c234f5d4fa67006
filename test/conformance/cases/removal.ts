// DeleteFile, RestoreRetained, GetTombstones, ReplaceFile: only what is named by its checksum and version.

import { strict as is } from 'node:assert'
import { createHmac } from 'node:crypto'
import { uuid7 } from '../../../src/post/compose.ts'
import type { MessageOf } from '../../../src/protocol/messages.ts'
import type { Item, Peer } from '../peer.ts'
import type { Case } from '../suite.ts'

async function identified(peer: Peer, id: string, checksum: string, collection?: string) {
  const answer = await peer.ask('IdentifyPillarsForDeleteFileRequest', {
    files: [{ id, checksum }],
    ...(collection === undefined ? {} : { collection }),
  })
  const [file] = answer.files
  if (!file) throw new Error('one answer for each file')
  return file
}

async function deleting(
  peer: Peer,
  { id, checksum }: Item,
  collection?: string,
): Promise<MessageOf<'DeleteFileRequest'>> {
  const { version } = await identified(peer, id, checksum, collection)
  if (version === undefined) throw new Error('the version is told')
  return peer.request('DeleteFileRequest', {
    ...{ to: [peer.pillar], files: [{ id, checksum, version }] },
    ...(collection === undefined ? {} : { collection }),
  })
}

const codeOf = async (peer: Peer, id: string, collection?: string): Promise<string> =>
  (await peer.get(id, {}, collection)).file.code

const restoring = (peer: Peer, { id, checksum }: Item) =>
  peer.request('RestoreRetainedRequest', { to: [peer.pillar], files: [{ id, checksum }] })

/** Other bytes in the place of these. */
function replacing(
  peer: Peer,
  fresh: Item,
  replaces: { checksum: string; version: number },
): MessageOf<'ReplaceFileRequest'> {
  const { id, size, checksum, mtime } = fresh
  const object = peer.object()
  peer.offer(object, fresh.bytes)
  return peer.request('ReplaceFileRequest', {
    to: [peer.pillar],
    files: [{ id, size, checksum, mtime, replaces }],
    transmission: peer.transmission({ dir: 'down', obj: [[object, size]] }),
  })
}

async function replaceable(peer: Peer, { id, size, checksum, mtime }: Item, old: string) {
  const answer = await peer.ask('IdentifyPillarsForReplaceFileRequest', {
    files: [{ id, size, checksum, mtime, replaces: { checksum: old } }],
  })
  const [file] = answer.files
  if (!file) throw new Error('one answer for each file')
  return file
}

export const removal: readonly Case[] = [
  {
    name: 'identify for deletion is positive with a version; a wrong checksum is refused, and the right one not told',
    sources: ['theirs 20', '[RM-1]'],
    async run(peer) {
      const { id, checksum } = await peer.stored('a')
      const file = await identified(peer, id, checksum)
      is.equal(file.code, 'IDENTIFICATION_POSITIVE')
      is.ok((file.version ?? -1) >= 0)
      const wrong = await identified(peer, id, '0'.repeat(64))
      is.equal(wrong.code, 'EXISTING_FILE_CHECKSUM_FAILURE')
      is.equal(wrong.version, undefined)
      is.ok(!JSON.stringify(wrong).includes(checksum), 'the right one is not told')
      const nothing = await identified(peer, peer.id('nothing'), checksum)
      is.equal(nothing.code, 'FILE_NOT_FOUND_FAILURE')
    },
  },
  {
    name: 'a deleted file is gone from gets and listings, and has a tombstone',
    sources: ['theirs 21', '[RM-2]', '[RM-3]'],
    async run(peer) {
      const item = await peer.stored('a', 700)
      const request = await deleting(peer, item)
      const final = await peer.final(request)
      is.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
      is.deepEqual(final.files, [{ id: item.id, code: 'OPERATION_COMPLETED' }])
      const [first] = peer.answers(request.conversation)
      is.equal(first?.responseInfo.code, 'OPERATION_ACCEPTED_PROGRESS')
      is.equal(await codeOf(peer, item.id), 'FILE_NOT_FOUND_FAILURE')
      is.deepEqual((await peer.ask('GetFileIDsRequest', { prefix: peer.prefix })).items, [])
      const { items } = await peer.ask('GetTombstonesRequest', { prefix: peer.prefix })
      const [stone] = items
      is.deepEqual(
        [items.length, stone?.id, stone?.checksum, stone?.size, stone?.mtime],
        [1, item.id, item.checksum, 700, item.mtime],
      )
      is.ok((stone?.keptUntil ?? '') > (stone?.removedAt ?? ''), 'and can be brought back')
    },
  },
  {
    name: 'before a file is deleted its pillar proves by a salt that it has the bytes',
    sources: ['theirs 21', 'gap: values'],
    async run(peer) {
      const item = await peer.stored('a', 900)
      const salt = 'c0ffee'
      const { items } = await peer.ask('GetChecksumsRequest', {
        ...{ fileIds: [item.id], checksumSpec: { algorithm: 'HMAC-SHA-1', salt } },
      })
      is.equal(
        items[0]?.checksum,
        createHmac('sha1', Buffer.from(salt, 'hex')).update(item.bytes).digest('hex'),
      )
      is.equal(
        (await peer.final(await deleting(peer, item))).responseInfo.code,
        'OPERATION_COMPLETED',
      )
    },
  },
  {
    name: 'a delete is refused, and nothing changes, unless all that it names is so',
    sources: ['[RM-1]', 'gap: unauthorised'],
    async run(peer) {
      const item = await peer.stored('a')
      const good = await deleting(peer, item)
      const [file = { id: '', checksum: '', version: 0 }] = good.files
      const { to: _, ...unnamed } = good
      const cases: [object, string][] = [
        [unnamed, 'REQUEST_NOT_UNDERSTOOD_FAILURE'],
        [
          { ...good, files: [{ ...file, checksum: '0'.repeat(64) }] },
          'EXISTING_FILE_CHECKSUM_FAILURE',
        ],
        [{ ...good, files: [{ ...file, version: file.version + 1 }] }, 'FAILURE'],
        [{ ...good, files: [{ ...file, version: file.version - 1 }] }, 'FAILURE'],
        [{ ...good, files: [{ ...file, id: peer.id('nothing') }] }, 'FILE_NOT_FOUND_FAILURE'],
      ]
      for (const [one, code] of cases) {
        const request = { ...(one as typeof good), conversation: uuid7(peer.world) }
        const final = await peer.final(request)
        is.equal(final.files[0]?.code, code)
        is.ok(!JSON.stringify(final).includes(item.checksum), 'the right checksum is not told')
      }
      is.equal(await codeOf(peer, item.id), 'OPERATION_COMPLETED')
      const { items } = await peer.ask('GetTombstonesRequest', { prefix: peer.prefix })
      is.deepEqual(items, [])
    },
  },
  {
    name: 'a delete that is said ten times has one effect and one answer, whatever was put since',
    sources: ['gap: repeated', 'gap: late', '[RM-2]'],
    async run(peer) {
      const item = await peer.stored('a')
      const request = await deleting(peer, item)
      for (let n = 0; n < 9; n++) await peer.say(request)
      const first = await peer.final(request)
      is.equal(first.responseInfo.code, 'OPERATION_COMPLETED')
      is.equal((await peer.put([item])).responseInfo.code, 'OPERATION_COMPLETED')
      is.deepEqual({ ...(await peer.final(request)), sentAt: '' }, { ...first, sentAt: '' })
      is.equal(await codeOf(peer, item.id), 'OPERATION_COMPLETED', 'what was put since stays')
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: item.id })
      is.equal(items.filter(({ event }) => event === 'deletion').length, 1)
      const other = { ...request, files: request.files.map((one) => ({ ...one, version: 1e9 })) }
      is.equal((await peer.final(other)).responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
    },
  },
  {
    name: 'a delete that comes late does not reach what was put after it was made',
    sources: ['gap: late', '[RM-1]'],
    async run(peer) {
      const item = await peer.stored('a')
      const late = await deleting(peer, item)
      await peer.final(await deleting(peer, item))
      await peer.put([item])
      is.equal((await peer.final(late)).files[0]?.code, 'FAILURE')
      is.equal(await codeOf(peer, item.id), 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'a delete of what was confirmed meanwhile does nothing',
    sources: ['[RM-1]', 'gap: late'],
    async run(peer) {
      const item = await peer.stored('a')
      const late = await deleting(peer, item)
      is.equal((await peer.put([item])).files[0]?.code, 'OPERATION_COMPLETED')
      is.equal((await peer.final(late)).files[0]?.code, 'FAILURE')
      is.equal(await codeOf(peer, item.id), 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'deleted bytes are brought back once, as they were, and their tombstone goes',
    sources: ['[RM-3]', 'gap: repeated', 'gap: values'],
    async run(peer) {
      const item = await peer.stored('a', 4_000)
      await peer.final(await deleting(peer, item))
      const request = restoring(peer, item)
      for (let n = 0; n < 3; n++) await peer.say(request)
      is.equal((await peer.final(request)).responseInfo.code, 'OPERATION_COMPLETED')
      const got = await peer.get(item.id)
      is.ok(Buffer.from(item.bytes).equals(got.bytes))
      is.equal(got.file.mtime, item.mtime)
      is.deepEqual((await peer.ask('GetTombstonesRequest', { prefix: peer.prefix })).items, [])
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: item.id })
      is.equal(items.filter(({ event }) => event === 'recovery').length, 1)
      const other = { ...item, checksum: '1'.repeat(64) }
      const refused = await peer.final(restoring(peer, other))
      is.notEqual(refused.responseInfo.code, 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'deleted bytes are not brought back over others that stand there now',
    sources: ['[RM-3]'],
    async run(peer) {
      const item = await peer.stored('a')
      await peer.final(await deleting(peer, item))
      const other = await peer.stored('a', 222)
      is.equal((await peer.final(restoring(peer, item))).files[0]?.code, 'DUPLICATE_FILE_FAILURE')
      is.equal((await peer.get(item.id)).file.checksum, other.checksum)
    },
  },
  {
    name: 'deletions are listed oldest first, in exact pages',
    sources: ['theirs 19', 'gap: partial', '[RM-2]'],
    async run(peer) {
      const items = ['a', 'b', 'c'].map((name) => peer.item(name))
      await peer.put(items)
      for (const item of items) await peer.final(await deleting(peer, item))
      const ask = async (maxResults: number) => {
        const page = await peer.ask('GetTombstonesRequest', { prefix: peer.prefix, maxResults })
        return [page.items.map(({ id }) => id), page.partialResult]
      }
      const ids = items.map(({ id }) => id)
      is.deepEqual(await ask(2), [ids.slice(0, 2), true])
      is.deepEqual(await ask(3), [ids, false])
      is.deepEqual(await ask(4), [ids, false])
    },
  },
  {
    name: 'identify for replacement is positive with a version, and refused as a deletion is',
    sources: ['theirs 22', '[RM-6]'],
    async run(peer) {
      const old = await peer.stored('a')
      const fresh = peer.item('a', 2_000)
      const file = await replaceable(peer, fresh, old.checksum)
      is.equal(file.code, 'IDENTIFICATION_POSITIVE')
      is.ok((file.version ?? -1) >= 0)
      const wrong = await replaceable(peer, fresh, '0'.repeat(64))
      is.equal(wrong.code, 'EXISTING_FILE_CHECKSUM_FAILURE')
      is.ok(!JSON.stringify(wrong).includes(old.checksum), 'the right one is not told')
      const nothing = await replaceable(peer, peer.item('nothing'), old.checksum)
      is.equal(nothing.code, 'FILE_NOT_FOUND_FAILURE')
    },
  },
  {
    name: 'a replaced file has the other bytes, and the trail says so',
    sources: ['theirs 22', 'gap: values', '[RM-6]'],
    async run(peer) {
      const old = await peer.stored('a')
      const fresh = peer.item('a', 50_000)
      const { version = 0 } = await replaceable(peer, fresh, old.checksum)
      const request = replacing(peer, fresh, { checksum: old.checksum, version })
      const final = await peer.final(request)
      is.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
      const got = await peer.get(old.id)
      is.equal(got.file.checksum, fresh.checksum)
      is.ok(Buffer.from(fresh.bytes).equals(got.bytes))
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: old.id })
      is.deepEqual(
        items.map(({ event }) => event),
        ['ingestion', 'replacement'],
      )
      await peer.final(await deleting(peer, fresh))
    },
  },
  {
    name: 'a replacement by wrong checksum, wrong version or wrong bytes changes nothing',
    sources: ['theirs 22', '[RM-6]', 'gap: values'],
    async run(peer) {
      const old = await peer.stored('a', 3_000)
      const fresh = peer.item('a', 3_000)
      const { version = 0 } = await replaceable(peer, fresh, old.checksum)
      const { checksum } = old
      const spoilt = { ...fresh, checksum: '2'.repeat(64) }
      const named = replacing(peer, fresh, { checksum, version })
      const { to: _, ...unnamed } = named
      const cases: [object, string][] = [
        [
          replacing(peer, fresh, { checksum: '0'.repeat(64), version }),
          'EXISTING_FILE_CHECKSUM_FAILURE',
        ],
        [replacing(peer, fresh, { checksum, version: version + 1 }), 'FAILURE'],
        [replacing(peer, spoilt, { checksum, version }), 'NEW_FILE_CHECKSUM_FAILURE'],
        [unnamed, 'REQUEST_NOT_UNDERSTOOD_FAILURE'],
      ]
      for (const [request, code] of cases) {
        is.equal((await peer.final(request as typeof named)).files[0]?.code, code)
        is.equal((await peer.get(old.id)).file.checksum, checksum)
      }
    },
  },
  {
    name: 'a replacement that is said again, or comes late, does not reach what was stored since',
    sources: ['gap: repeated', 'gap: late', '[RM-6]'],
    async run(peer) {
      const one = await peer.stored('a', 500)
      const two = peer.item('a', 600)
      const forth = { checksum: one.checksum, version: 0 }
      forth.version = (await replaceable(peer, two, one.checksum)).version ?? 0
      const request = replacing(peer, two, forth)
      const late = replacing(peer, two, forth)
      const first = await peer.final(request)
      const back = (await replaceable(peer, one, two.checksum)).version ?? 0
      await peer.final(replacing(peer, one, { checksum: two.checksum, version: back }))
      is.deepEqual({ ...(await peer.final(request)), sentAt: '' }, { ...first, sentAt: '' })
      is.equal((await peer.get(one.id)).file.checksum, one.checksum)
      is.equal((await peer.final(late)).files[0]?.code, 'FAILURE')
      is.equal((await peer.get(one.id)).file.checksum, one.checksum)
    },
  },
  {
    name: 'the same id in two collections is two files: put, replaced, deleted each by itself',
    sources: ['theirs 25'],
    needs: ['second'],
    async run(peer) {
      const { second } = peer
      const [here, there] = [await peer.stored('a', 111), peer.item('a', 222)]
      is.equal(
        (await peer.put([there], { collection: second })).responseInfo.code,
        'OPERATION_COMPLETED',
      )
      is.equal((await peer.get(here.id)).file.checksum, here.checksum)
      is.equal((await peer.get(there.id, {}, second)).file.checksum, there.checksum)
      for (const [collection, item] of [
        [peer.collection, here],
        [second, there],
      ] as const) {
        const { items } = await peer.ask('GetChecksumsRequest', { collection, fileIds: [item.id] })
        is.deepEqual(
          items.map(({ checksum }) => checksum),
          [item.checksum],
        )
      }
      await peer.final(await deleting(peer, here))
      is.equal(await codeOf(peer, here.id), 'FILE_NOT_FOUND_FAILURE')
      is.equal(await codeOf(peer, there.id, second), 'OPERATION_COMPLETED')
      const stones = { collection: second, prefix: peer.prefix }
      is.deepEqual((await peer.ask('GetTombstonesRequest', stones)).items, [])
      await peer.final(await deleting(peer, there, second))
    },
  },
]
