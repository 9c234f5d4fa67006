// GetFile: the whole of a file, or exactly the part that is asked for.

import { strict as is } from 'node:assert'
import { createHash } from 'node:crypto'
import type { Peer, Slice } from '../peer.ts'
import type { Case } from '../suite.ts'

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** What was asked for did not come, and nothing was delivered. */
async function refused(peer: Peer, id: string, slice: Slice, code: string): Promise<void> {
  const { file, bytes } = await peer.get(id, slice)
  is.equal(file.code, code, JSON.stringify(slice))
  is.equal(bytes.length, 0, 'nothing is delivered')
}

/** Takes a range, and holds every byte and every word about it to what it should be. */
async function delivered(
  peer: Peer,
  { id, bytes }: { id: string; bytes: Uint8Array },
  slice: Slice,
): Promise<void> {
  const { offset = 0, length = bytes.length - offset } = slice
  const got = await peer.get(id, slice)
  const expected = bytes.slice(offset, offset + length)
  is.equal(got.file.code, 'OPERATION_COMPLETED', JSON.stringify(slice))
  is.ok(Buffer.from(expected).equals(got.bytes), `exactly these bytes: ${JSON.stringify(slice)}`)
  is.deepEqual(
    [got.file.offset, got.file.length, got.file.size, got.file.checksum, got.file.partChecksum],
    [offset, length, bytes.length, sha256(bytes), sha256(expected)],
  )
}

export const get: readonly Case[] = [
  {
    name: 'identify for a stored file is positive and tells its size, checksum and time; for another it is not found',
    sources: ['theirs 10', 'gap: values'],
    async run(peer) {
      const item = await peer.stored('a.txt', 1_234)
      const files = [{ id: item.id }, { id: peer.id('nothing') }]
      const answer = await peer.ask('IdentifyPillarsForGetFileRequest', { files })
      is.equal(answer.responseInfo.code, 'IDENTIFICATION_POSITIVE')
      const { id, size, checksum, mtime } = item
      is.deepEqual(answer.files, [
        { id, code: 'IDENTIFICATION_POSITIVE', size, checksum, mtime },
        { id: peer.id('nothing'), code: 'FILE_NOT_FOUND_FAILURE' },
      ])
      const none = await peer.ask('IdentifyPillarsForGetFileRequest', { files: files.slice(1) })
      is.equal(none.responseInfo.code, 'FILE_NOT_FOUND_FAILURE')
    },
  },
  {
    name: 'a whole file is delivered as it was put, and the answer says what it is',
    sources: ['theirs 11', 'gap: values', '[GET-1]'],
    async run(peer) {
      const item = await peer.stored('a.bin', 300_000)
      await delivered(peer, item, {})
      const got = await peer.get(item.id, { checksum: item.checksum })
      is.equal(got.file.mtime, item.mtime)
      is.equal(got.final.responseInfo.code, 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'a part of a file is exactly these bytes, with its own checksum',
    sources: ['theirs 12', 'fault 3', '[GET-2]'],
    async run(peer) {
      const item = await peer.stored('a.bin', 100)
      await delivered(peer, item, { offset: 5, length: 5 })
    },
  },
  {
    name: 'what is not there is not found, and nothing is delivered',
    sources: ['theirs 13'],
    async run(peer) {
      const place = peer.place()
      const final = await peer.final(peer.getting(peer.id('nothing'), place))
      is.equal(final.responseInfo.code, 'FILE_NOT_FOUND_FAILURE')
      is.equal(final.files[0]?.code, 'FILE_NOT_FOUND_FAILURE')
      is.equal(place.bytes().length, 0)
    },
  },
  {
    name: 'ranges are exact up to both edges of the file, and may be empty',
    sources: ['gap: ranges', 'fault 3', '[GET-2]'],
    async run(peer) {
      const item = await peer.stored('a.bin', 1_000)
      for (const slice of [
        { offset: 0, length: 1 },
        { offset: 999, length: 1 },
        { offset: 0, length: 1_000 },
        { length: 0 },
        { offset: 500, length: 0 },
        { offset: 1_000, length: 0 },
        { offset: 1_000 },
        { offset: 990 },
        { length: 10 },
      ])
        await delivered(peer, item, slice)
      const empty = await peer.stored('empty', 0)
      await delivered(peer, empty, { offset: 0, length: 0 })
    },
  },
  {
    name: 'a range beyond the end delivers nothing, also beyond 2^31 and up to 2^53',
    sources: ['gap: ranges', 'fault 3', '[GET-2]'],
    async run(peer) {
      const { id } = await peer.stored('a.bin', 1_000)
      const edge = 2 ** 53 - 1
      for (const slice of [
        { offset: 1_001 },
        { offset: 1_001, length: 0 },
        { offset: 999, length: 2 },
        { length: 1_001 },
        { offset: 2 ** 31, length: 1 },
        { offset: 2 ** 31 - 1, length: 5 },
        { offset: 2 ** 32, length: 5 },
        { offset: 2 ** 32 + 5, length: 5 },
        { offset: 2 ** 52, length: 2 ** 52 - 1 },
        { offset: edge },
        { offset: edge, length: edge },
        { offset: 5, length: edge },
        { length: edge },
      ])
        await refused(peer, id, slice, 'FAILURE')
    },
  },
  {
    name: 'a part that spans pages of a transfer is exact',
    sources: ['gap: ranges', '[XFER-5]'],
    async run(peer) {
      const item = await peer.stored('big.bin', 9 * 1024 * 1024)
      await delivered(peer, item, { offset: 1_001, length: 8 * 1024 * 1024 + 7 })
    },
  },
  {
    name: 'a file that has not the checksum that is asked for is not delivered',
    sources: ['gap: values'],
    async run(peer) {
      const { id } = await peer.stored('a.bin')
      const checksum = 'f'.repeat(64)
      await refused(peer, id, { checksum }, 'EXISTING_FILE_CHECKSUM_FAILURE')
    },
  },
  {
    name: 'a batch is delivered file by file, each to its place',
    sources: ['theirs 11'],
    async run(peer) {
      const items = [await peer.stored('one', 3_000), await peer.stored('two', 4_000)]
      const places = items.map(() => peer.place())
      const request = peer.request('GetFileRequest', {
        files: [...items.map(({ id }) => ({ id })), { id: peer.id('nothing') }],
        transmission: peer.transmission({
          dir: 'up',
          obj: [...places.map(({ name }): [string, number] => [name, -1]), [peer.object(), -1]],
        }),
      })
      const final = await peer.final(request)
      is.equal(final.responseInfo.code, 'FILE_NOT_FOUND_FAILURE', 'the worst of them')
      is.deepEqual(
        final.files.map(({ id, code }) => [id, code]),
        [
          ...items.map(({ id }) => [id, 'OPERATION_COMPLETED']),
          [peer.id('nothing'), 'FILE_NOT_FOUND_FAILURE'],
        ],
      )
      for (const [n, { bytes }] of items.entries())
        is.ok(Buffer.from(bytes).equals(places[n]?.bytes() ?? new Uint8Array()))
    },
  },
  {
    name: 'bytes are delivered nowhere but to the exchange of their client',
    sources: ['theirs 18', 'fault 6', '[XFER-3]', 'gap: unauthorised'],
    async run(peer) {
      const { id } = await peer.stored('secret')
      for (const url of ['file:///tmp/stolen', 'http://10.0.0.1:80', 'https://198.51.100.7:443']) {
        const began = peer.world.clock.monotonic()
        const final = await peer.ask('GetFileRequest', {
          files: [{ id }],
          transmission: peer.transmission({ dir: 'up', obj: [[peer.object(), -1]] }, [url]),
        })
        is.equal(final.files[0]?.code, 'FILE_TRANSFER_FAILURE', url)
        // Whoever has tried it says so late.
        is.ok(peer.world.clock.monotonic() - began < 4_000, `at once: ${url}`)
      }
    },
  },
  {
    name: 'a token that does not fit its request has nothing delivered',
    sources: ['theirs 18', 'fault 6', '[XFER-2]', 'gap: unauthorised'],
    async run(peer) {
      const { id } = await peer.stored('a.bin')
      const past = Math.floor(peer.world.clock.now() / 1000) - 3_600
      const place = peer.place()
      const obj: [string, number][] = [[place.name, -1]]
      for (const transmission of [
        peer.transmission({ dir: 'up', obj: [] }),
        peer.transmission({ dir: 'up', obj, iss: 'somebody-else' }),
        peer.transmission({ dir: 'up', obj, hld: ['somebody-else'] }),
        peer.transmission({ dir: 'up', obj, exp: past }),
        peer.transmission({ dir: 'up', obj: [[peer.object(), -1]] }),
        { ...peer.transmission({ dir: 'up', obj }), token: 'none' },
      ]) {
        const final = await peer.ask('GetFileRequest', { files: [{ id }], transmission })
        is.equal(final.files[0]?.code, 'FILE_TRANSFER_FAILURE')
      }
      is.equal(place.bytes().length, 0)
    },
  },
  {
    name: 'a delivery that is cut goes on where it stopped',
    sources: ['gap: restart', '[XFER-5]', '[XFER-4]'],
    async run(peer) {
      const item = await peer.stored('cut.bin', 12 * 1024 * 1024)
      let cuts = 0
      const place = peer.place({
        writing(at) {
          if (cuts > 0 || at < 9 * 1024 * 1024) return
          cuts++
          throw new Error('the line is cut')
        },
      })
      const final = await peer.final(peer.getting(item.id, place))
      is.equal(final.files[0]?.code, 'OPERATION_COMPLETED')
      is.equal(cuts, 1)
      is.ok(Buffer.from(item.bytes).equals(place.bytes()))
    },
  },
  {
    name: 'a get that is said again gets its answer again, and delivers nothing twice',
    sources: ['gap: repeated', '[DEL-3]'],
    async run(peer) {
      const item = await peer.stored('a.bin', 5_000)
      const place = peer.place()
      const request = peer.getting(item.id, place)
      const first = await peer.final(request)
      const again = await peer.final(request)
      is.deepEqual({ ...again, sentAt: '' }, { ...first, sentAt: '' })
      is.ok(Buffer.from(item.bytes).equals(place.bytes()))
      const other = await peer.final({ ...request, files: [{ id: item.id, offset: 1 }] })
      is.equal(other.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
    },
  },
  {
    name: 'a damaged file is never delivered whole, and alarmed',
    sources: ['gap: rot', 'fault 4', '[GET-1]'],
    needs: ['flip'],
    async run(peer) {
      const item = await peer.stored('rotten.bin', 200_000)
      await peer.hands?.flip?.(peer.collection, item.id, 77)
      const { file, bytes } = await peer.get(item.id)
      is.equal(file.code, 'FAILURE')
      is.ok(bytes.length < item.size, 'its last bytes are held back')
      const alarm = await peer.until('the alarm', () =>
        peer.alarms().find(({ fileId }) => fileId === item.id),
      )
      is.equal(alarm.alarmCode, 'CHECKSUM_ALARM')
    },
  },
]
