// What concerns every operation: who is heard, about what, and how it is answered.

import { strict as is } from 'node:assert'
import { uuid7 } from '../../../src/post/compose.ts'
import type { RequestMessage } from '../../../src/protocol/messages.ts'
import { timeText } from '../../../src/protocol/scalars.ts'
import type { Fields, Peer } from '../peer.ts'
import type { Case } from '../suite.ts'

/** One request of every type that begins an operation. */
function identifies(peer: Peer): RequestMessage[] {
  const { id, checksum, size, mtime } = peer.item('nothing')
  const offered = { id, checksum, size, mtime }
  const make = <T extends RequestMessage['type']>(type: T, fields: Fields<T>): RequestMessage =>
    peer.request(type, fields) as RequestMessage
  return [
    make('IdentifyPillarsForPutFileRequest', { files: [offered] }),
    make('IdentifyPillarsForReplaceFileRequest', {
      files: [{ ...offered, replaces: { checksum: 'a'.repeat(64) } }],
    }),
    make('IdentifyPillarsForGetFileRequest', { files: [{ id }] }),
    make('IdentifyPillarsForDeleteFileRequest', { files: [{ id, checksum }] }),
    make('IdentifyPillarsForGetFileIDsRequest', {}),
    make('IdentifyPillarsForGetChecksumsRequest', {}),
    make('IdentifyPillarsForGetFileInfosRequest', {}),
    make('IdentifyPillarsForGetTombstonesRequest', {}),
    make('IdentifyContributorsForGetStatusRequest', {}),
    make('IdentifyContributorsForGetAuditTrailsRequest', {}),
  ]
}

/** One request of every type that does something. */
function performs(peer: Peer): RequestMessage[] {
  const { id, checksum, size, mtime } = peer.item('nothing')
  const make = <T extends RequestMessage['type']>(type: T, fields: Fields<T>): RequestMessage =>
    peer.request(type, fields) as RequestMessage
  const object = peer.object()
  const down = peer.transmission({ dir: 'down', obj: [[object, size]] })
  const up = peer.transmission({ dir: 'up', obj: [[object, -1]] })
  const to = [peer.pillar]
  return [
    make('PutFileRequest', { files: [{ id, checksum, size, mtime }], transmission: down }),
    make('ReplaceFileRequest', {
      ...{ to, transmission: down },
      files: [{ id, checksum, size, mtime, replaces: { checksum: 'a'.repeat(64), version: 1 } }],
    }),
    make('GetFileRequest', { files: [{ id }], transmission: up }),
    make('DeleteFileRequest', { to, files: [{ id, checksum, version: 1 }] }),
    make('RestoreRetainedRequest', { to, files: [{ id, checksum }] }),
    make('GetFileIDsRequest', {}),
    make('GetChecksumsRequest', {}),
    make('GetFileInfosRequest', {}),
    make('GetTombstonesRequest', {}),
    make('GetStatusRequest', {}),
    make('GetAuditTrailsRequest', {}),
  ]
}

const everything = (peer: Peer): RequestMessage[] => [...identifies(peer), ...performs(peer)]

/** The collection that the pillar does not keep: another of the archive, or one that nobody has. */
const foreign = ({ directory, pillar }: Peer): string =>
  directory.document().collections.find(({ pillars }) => !pillars.includes(pillar))?.name ??
  'kept-by-nobody'

export const messages: readonly Case[] = [
  {
    name: 'a request that names no collection is not understood, whatever it asks for',
    sources: ['theirs 1', 'theirs 13', '[MSG-4]'],
    async run(peer) {
      for (const { collection: _, ...request } of everything(peer)) {
        const answer = await peer.misunderstood(request)
        is.equal(answer.about, request.type)
        is.equal(answer.collection, undefined)
      }
    },
  },
  {
    name: 'a second collection is served as the first, and answers name it',
    sources: ['theirs 2', 'theirs 13'],
    needs: ['second'],
    async run(peer) {
      const { second: collection } = peer
      for (const type of [
        'IdentifyPillarsForGetFileIDsRequest',
        'IdentifyContributorsForGetStatusRequest',
      ] as const)
        is.equal((await peer.ask(type, { collection })).collection, collection)
      const { id, bytes } = await peer.stored('a.txt', 500, { collection })
      const got = await peer.get(id, {}, collection)
      is.equal(got.final.collection, collection)
      is.deepEqual(Buffer.from(got.bytes), Buffer.from(bytes))
      is.equal((await peer.get(id)).file.code, 'FILE_NOT_FOUND_FAILURE')
    },
  },
  {
    name: 'a request about a collection that the pillar does not keep is not answered',
    sources: ['theirs 3'],
    async run(peer) {
      const requests = everything(peer).map((one) => ({ ...one, collection: foreign(peer) }))
      for (const one of requests) await peer.say(one)
      const topic = peer.topics.collectionRequests(foreign(peer))
      for (const one of requests) await peer.say(one, { topic })
      await peer.unanswered(requests)
    },
  },
  {
    name: 'a request that goes to all pillars of a collection is answered as one that goes to this one',
    sources: ['theirs 4', 'theirs 10'],
    async run(peer) {
      const topic = peer.topics.collectionRequests(peer.collection)
      const request = peer.request('IdentifyPillarsForGetFileIDsRequest', {})
      is.equal((await peer.final(request, topic)).responseInfo.code, 'IDENTIFICATION_POSITIVE')
      const { id } = await peer.stored('a.txt')
      const listing = peer.request('GetFileIDsRequest', { fileIds: [id] })
      is.deepEqual(
        (await peer.final(listing, topic)).items.map((item) => item.id),
        [id],
      )
    },
  },
  {
    name: 'a request that names other pillars is not answered',
    sources: ['theirs 24', 'gap: unauthorised'],
    async run(peer) {
      const requests = everything(peer).map((one) => ({ ...one, to: ['somebody-else'] }))
      for (const one of requests) await peer.say(one)
      await peer.unanswered(requests)
    },
  },
  {
    name: 'what is not signed, or signed wrongly, is not heard',
    sources: ['gap: unauthorised', 'fault 6', '[MSG-1]', '[MSG-2]'],
    async run(peer) {
      const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
      const requests = everything(peer)
      for (const request of requests) {
        const text = JSON.stringify(request)
        await peer.raw(utf8(text))
        await peer.raw(utf8(`${text}\n${peer.signer.algorithm} ${peer.signer.keyId} AAAA`))
        // Right for another text.
        const signature = Buffer.from(peer.signer.sign(utf8(`${text} `))).toString('base64url')
        await peer.raw(utf8(`${text}\n${peer.signer.algorithm} ${peer.signer.keyId} ${signature}`))
      }
      await peer.unanswered(requests)
    },
  },
  {
    name: 'a signature is of the bytes: one letter altered afterwards is not heard',
    sources: ['gap: unauthorised', '[MSG-1]'],
    async run(peer) {
      const request = peer.request('GetFileIDsRequest', { prefix: 'aa' })
      const text = JSON.stringify(request)
      const signature = Buffer.from(peer.signer.sign(Buffer.from(text))).toString('base64url')
      const trailer = `\n${peer.signer.algorithm} ${peer.signer.keyId} ${signature}`
      await peer.raw(Buffer.from(text.replace('"aa"', '"ab"') + trailer))
      await peer.unanswered([request])
      await peer.raw(Buffer.from(text + trailer))
      await peer.until('the answer to what was signed', () => peer.answers(request.conversation)[0])
    },
  },
  {
    name: 'a request by a key that the archive does not know is not heard',
    sources: ['gap: unauthorised', '[MSG-3]', 'fault 6'],
    async run(peer) {
      const requests = everything(peer)
      for (const one of requests) await peer.say(one, { by: peer.stranger })
      await peer.unanswered(requests)
    },
  },
  {
    name: 'a request in the name of another client is not heard',
    sources: ['gap: unauthorised', '[MSG-2]', 'fault 6'],
    needs: ['other'],
    async run(peer) {
      const { other } = peer
      if (!other) return
      const requests = everything(peer)
      for (const one of requests) await peer.say(one, { by: other.signer })
      await peer.unanswered(requests)
    },
  },
  {
    name: 'answers go nowhere but to the sender of a request',
    sources: ['gap: unauthorised', '[MSG-2]', 'fault 6'],
    async run(peer) {
      const { topics, other } = peer
      const elsewhere = [
        topics.replies(other?.identity ?? 'somebody-else', 'x'),
        topics.pillarRequests(peer.pillar),
        topics.alarms(),
        `${topics.replies(peer.identity, 'x')}/#`,
      ]
      const requests = elsewhere.map((replyTo) => ({
        ...peer.request('GetStatusRequest', {}),
        replyTo,
      }))
      for (const one of requests) await peer.say(one)
      await peer.unanswered(requests)
    },
  },
  {
    name: 'what is no message at all disturbs nothing',
    sources: ['gap: unauthorised', '[MSG-1]'],
    async run(peer) {
      const request = peer.request('GetStatusRequest', {})
      const { signer } = peer
      const signed = (text: string): Uint8Array => {
        const signature = Buffer.from(signer.sign(Buffer.from(text))).toString('base64url')
        return Buffer.from(`${text}\n${signer.algorithm} ${signer.keyId} ${signature}`)
      }
      const deep = `${'['.repeat(5_000)}${']'.repeat(5_000)}`
      for (const text of ['', 'null', '[]', '"text"', '{}', '{"type":1}', deep, '{"v":1e999}'])
        await peer.raw(signed(text))
      for (const bytes of [[0], [10], [255, 10, 255], [123, 10, 10], Array(60_000).fill(65)])
        await peer.raw(Uint8Array.from(bytes))
      is.equal((await peer.final(request)).responseInfo.code, 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'a request of an unknown type is answered that it is not understood, and alarmed',
    sources: ['[MSG-4]', '[ALM-1]'],
    async run(peer) {
      const type = `Fold${peer.object().replaceAll(/\d/g, '')}FileRequest`
      const request = { ...peer.request('GetStatusRequest', {}), type }
      is.equal((await peer.misunderstood(request)).about, type)
      const alarm = await peer.until('the alarm', () =>
        peer.alarms().find(({ alarmText }) => alarmText.includes(type)),
      )
      is.equal(alarm.alarmCode, 'INVALID_MESSAGE')
    },
  },
  {
    name: 'a request that needs a newer protocol is answered that it is not understood, and alarmed',
    sources: ['[MSG-4]'],
    async run(peer) {
      const min = 1_000_000 + Math.floor(peer.world.random.next() * 1e9)
      const request = { ...peer.request('GetStatusRequest', {}), min }
      await peer.misunderstood(request)
      const alarm = await peer.until('the alarm', () =>
        peer.alarms().find(({ alarmText }) => alarmText.includes(`${min}`)),
      )
      is.equal(alarm.alarmCode, 'INVALID_MESSAGE_VERSION')
    },
  },
  {
    name: 'fields that the pillar does not know are passed over',
    sources: ['[MSG-4]'],
    async run(peer) {
      const request = peer.request('GetStatusRequest', {})
      const answer = await peer.final(Object.assign({ surprise: { from: 'the future' } }, request))
      is.equal(answer.responseInfo.code, 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'fields of the wrong kind are not understood',
    sources: ['[MSG-4]', 'gap: ranges'],
    async run(peer) {
      const [id, checksum] = [peer.id('a'), 'a'.repeat(64)]
      const get = peer.getting(id, peer.place())
      const list = peer.request('GetFileIDsRequest', {})
      const put = peer.request('IdentifyPillarsForPutFileRequest', { files: [peer.item('a')] })
      const bad: object[] = [
        ...[-1, 0.5, 2 ** 53, '5', null].map((offset) => ({ ...get, files: [{ id, offset }] })),
        ...[-1, 0.5, 2 ** 53, '5', null].map((length) => ({ ...get, files: [{ id, length }] })),
        ...[-1, 0.5, 2 ** 53, '5', null].map((size) => ({
          ...put,
          files: [{ id, size, checksum, mtime: timeText(0) }],
        })),
        ...['', 'A'.repeat(64), 'a'.repeat(63), 'a'.repeat(32), 7].map((one) => ({
          ...put,
          files: [{ id, size: 1, checksum: one, mtime: timeText(0) }],
        })),
        ...[
          '',
          'yesterday',
          '2026-01-01',
          '2026-01-01T00:00:00.000',
          '2026-13-01T00:00:00.000Z',
        ].map((minTimestamp) => ({ ...list, minTimestamp })),
        ...[-1, 1.5, 'all'].map((maxResults) => ({ ...list, maxResults })),
        { ...get, files: [] },
        { ...get, files: Array.from({ length: 257 }, (_, n) => ({ id: `${id}${n}` })) },
      ]
      for (const one of bad) {
        const conversation = uuid7(peer.world)
        await peer.misunderstood({ ...one, conversation })
      }
    },
  },
  {
    name: 'a put, replace, delete or restore that has expired begins nothing',
    sources: ['gap: late', '[RM-1]'],
    async run(peer) {
      const here = await peer.stored('here.txt')
      const expiresAt = timeText(peer.world.clock.now() - 3_600_000)
      const fresh = peer.item('late.txt')
      const put = { ...peer.putting([fresh]), expiresAt }
      is.equal((await peer.final(put)).files[0]?.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
      const doomed = [{ id: here.id, checksum: here.checksum }]
      const told = await peer.ask('IdentifyPillarsForDeleteFileRequest', { files: doomed })
      const version = told.files[0]?.version ?? 0
      const remove = await peer.ask('DeleteFileRequest', {
        ...{ to: [peer.pillar], expiresAt },
        files: doomed.map((file) => ({ ...file, version })),
      })
      is.equal(remove.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
      const { id, size, checksum, mtime } = peer.item('here.txt')
      const replace = await peer.ask('ReplaceFileRequest', {
        ...{ to: [peer.pillar], expiresAt },
        files: [{ id, size, checksum, mtime, replaces: { checksum: here.checksum, version } }],
        transmission: peer.transmission({ dir: 'down', obj: [[peer.object(), size]] }),
      })
      is.equal(replace.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
      is.equal((await peer.get(here.id)).file.checksum, here.checksum)
      is.equal((await peer.get(fresh.id)).file.code, 'FILE_NOT_FOUND_FAILURE')
    },
  },
  {
    name: 'presence is retained, signed by the pillar, and says that it is online',
    sources: ['[DEL-5]', 'fault 8'],
    async run(peer) {
      const presence = await peer.until('the presence', () => peer.presences().at(-1))
      is.equal(presence.state, 'online')
      is.ok(presence.session > 0)
      is.match(presence.version, /./)
    },
  },
]
