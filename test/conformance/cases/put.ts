// PutFile: identify, accept, fetch, store, answer.

import { strict as is } from 'node:assert'
import { createHash } from 'node:crypto'
import { uuid7 } from '../../../src/post/compose.ts'
import { chunk, type Item, type Peer } from '../peer.ts'
import type { Case } from '../suite.ts'

const offered = ({ id, size, checksum, mtime }: Item) => ({ id, size, checksum, mtime })

const identify = (peer: Peer, items: readonly Item[]) =>
  peer.ask('IdentifyPillarsForPutFileRequest', { files: items.map(offered) })

async function absent(peer: Peer, id: string): Promise<void> {
  is.equal((await peer.get(id)).file.code, 'FILE_NOT_FOUND_FAILURE', `${id} is not stored`)
}

async function holds(peer: Peer, { id, bytes, checksum }: Item): Promise<void> {
  const got = await peer.get(id)
  is.equal(got.file.code, 'OPERATION_COMPLETED')
  is.equal(got.file.checksum, checksum)
  is.ok(Buffer.from(bytes).equals(got.bytes), `${id} has its bytes`)
}

export const put: readonly Case[] = [
  {
    name: 'identify for a new file is positive, and tells nothing of an existing one',
    sources: ['theirs 4'],
    async run(peer) {
      const item = peer.item('new.txt')
      const answer = await identify(peer, [item])
      is.equal(answer.responseInfo.code, 'IDENTIFICATION_POSITIVE')
      is.deepEqual(answer.files, [{ id: item.id, code: 'IDENTIFICATION_POSITIVE' }])
      is.ok((answer.timeToDeliver ?? 0) >= 0)
    },
  },
  {
    name: 'identify for other bytes under a known id says duplicate, for the same bytes that they are held',
    sources: ['theirs 6', '[PUT-1]', '[PUT-2]'],
    async run(peer) {
      const item = await peer.stored('a.txt')
      const other = { ...peer.item('a.txt'), id: item.id }
      is.equal((await identify(peer, [other])).files[0]?.code, 'DUPLICATE_FILE_FAILURE')
      const [same] = (await identify(peer, [item])).files
      is.equal(same?.code, 'OPERATION_COMPLETED')
      is.match(same?.provenAt ?? '', /^\d{4}-.*Z$/, 'and since when')
    },
  },
  {
    name: 'a put file is answered as completed, and is there with its bytes, size, checksum and time',
    sources: ['theirs 7', 'gap: values'],
    async run(peer) {
      const item = peer.item('a.txt', 70_000)
      const final = await peer.put([item])
      is.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
      is.deepEqual(final.files, [{ id: item.id, code: 'OPERATION_COMPLETED' }], 'nothing unasked')
      await holds(peer, item)
      const { items } = await peer.ask('GetFileInfosRequest', { fileIds: [item.id] })
      const [info] = items
      is.equal(items.length, 1)
      is.deepEqual(
        [info?.id, info?.size, info?.checksum, info?.mtime],
        [item.id, item.size, createHash('sha256').update(item.bytes).digest('hex'), item.mtime],
      )
    },
  },
  {
    name: 'the MD5 of a file that was just put is that of its bytes',
    sources: ['theirs 8', 'gap: values'],
    async run(peer) {
      const { id, bytes } = await peer.stored('a.txt', 3_333)
      const checksumSpec = { algorithm: 'MD5' }
      const { items } = await peer.ask('GetChecksumsRequest', { fileIds: [id], checksumSpec })
      is.deepEqual(
        items.map(({ checksum }) => checksum),
        [createHash('md5').update(bytes).digest('hex')],
      )
    },
  },
  {
    name: 'a put is accepted before it is completed, in the same conversation',
    sources: ['theirs 9', '[PUT-3]'],
    async run(peer) {
      const { conversation } = await peer.put([peer.item('a.txt')])
      const codes = peer.answers(conversation).map(({ responseInfo }) => responseInfo.code)
      is.equal(codes[0], 'OPERATION_ACCEPTED_PROGRESS')
      is.equal(codes.at(-1), 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'bytes that are not those announced are refused, alarmed, and leave nothing behind',
    sources: ['gap: values', '[DISK-2]'],
    async run(peer) {
      const item = { ...peer.item('bad.bin'), checksum: '0'.repeat(64) }
      const final = await peer.final(peer.putting([item]))
      is.equal(final.files[0]?.code, 'NEW_FILE_CHECKSUM_FAILURE')
      is.equal(final.responseInfo.code, 'NEW_FILE_CHECKSUM_FAILURE')
      await absent(peer, item.id)
      const alarm = await peer.until('the alarm', () =>
        peer.alarms().find(({ fileId }) => fileId === item.id),
      )
      is.equal(alarm.alarmCode, 'CHECKSUM_ALARM')
      await peer.stored('bad.bin', 50)
    },
  },
  {
    name: 'fewer or more bytes than announced are no file',
    sources: ['gap: values', 'fault 3'],
    async run(peer) {
      for (const by of [-10, 10]) {
        const item = peer.item(`by ${by}`, 1_000)
        const size = item.size + by
        const final = await peer.final(peer.putting([{ ...item, size }]))
        is.notEqual(final.files[0]?.code, 'OPERATION_COMPLETED')
        await absent(peer, item.id)
      }
    },
  },
  {
    name: 'other bytes under a stored id are refused when they are put, and change nothing',
    sources: ['theirs 6', '[PUT-1]'],
    async run(peer) {
      const item = await peer.stored('a.txt', 2_000)
      const other = peer.item('a.txt', 2_000)
      const final = await peer.final(peer.putting([other]))
      is.equal(final.files[0]?.code, 'DUPLICATE_FILE_FAILURE')
      await holds(peer, item)
    },
  },
  {
    name: 'the same bytes put again are a success, and are not fetched again',
    sources: ['[PUT-2]', 'gap: repeated'],
    async run(peer) {
      const item = await peer.stored('a.txt', 2_000)
      let reads = 0
      async function* read(): AsyncGenerator<Uint8Array> {
        reads++
        yield item.bytes
      }
      const final = await peer.put([item], { offer: read })
      is.equal(final.files[0]?.code, 'OPERATION_COMPLETED')
      is.match(final.files[0]?.provenAt ?? '', /Z$/)
      is.equal(reads, 0)
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: item.id })
      is.equal(items.filter(({ event }) => event === 'ingestion').length, 1, 'one ingestion')
    },
  },
  {
    name: 'an empty file, one byte, and a file of more than a page come back as they went',
    sources: ['theirs 7', 'gap: ranges', '[XFER-5]'],
    async run(peer) {
      for (const size of [0, 1, 9 * 1024 * 1024 + 1]) {
        const item = await peer.stored(`of ${size}`, size)
        await holds(peer, item)
      }
    },
  },
  {
    name: 'a batch is answered file by file: one that fails takes no other with it',
    sources: ['theirs 7'],
    async run(peer) {
      const good = Array.from({ length: 63 }, (_, n) => peer.item(`${n}.txt`, 50 + n))
      const bad = { ...peer.item('bad.txt'), checksum: '1'.repeat(64) }
      const all = [...good.slice(0, 30), bad, ...good.slice(30)]
      const final = await peer.put(all)
      is.equal(final.responseInfo.code, 'NEW_FILE_CHECKSUM_FAILURE', 'the worst of them')
      is.deepEqual(
        final.files.map(({ id, code }) => [id, code]),
        all.map(({ id }) => [
          id,
          id === bad.id ? 'NEW_FILE_CHECKSUM_FAILURE' : 'OPERATION_COMPLETED',
        ]),
        'in the order of the request',
      )
    },
  },
  {
    name: 'a file that no disk has room for is refused when identified and when put',
    sources: ['gap: full', 'gap: ranges'],
    async run(peer) {
      for (const size of [2 ** 50, 2 ** 53 - 1]) {
        const item = { ...peer.item(`of ${size}`), size }
        const told = await identify(peer, [item])
        is.equal(told.files[0]?.code, 'IDENTIFICATION_NEGATIVE')
        is.match(told.files[0]?.text ?? '', /room/)
        const final = await peer.ask('PutFileRequest', {
          files: [offered(item)],
          transmission: peer.transmission({ dir: 'down', obj: [[peer.object(), size]] }),
        })
        is.equal(final.files[0]?.code, 'FAILURE')
        await absent(peer, item.id)
      }
      await peer.stored('small.txt')
    },
  },
  {
    name: 'many that are too much together are not promised room one by one',
    sources: ['gap: full'],
    async run(peer) {
      const { status } = await peer.ask('GetStatusRequest', {})
      const free = status?.volumes[0]?.bytesFree ?? 0
      is.ok(free > 0)
      const size = Math.floor(free * 0.6)
      const items = ['one', 'two'].map((name) => ({ ...peer.item(name), size }))
      const told = await identify(peer, items)
      const codes = told.files.map(({ code }) => code)
      is.ok(codes.includes('IDENTIFICATION_NEGATIVE'), `both were promised room: ${codes}`)
    },
  },
  {
    name: 'ids that look like paths out of the archive, or can not be kept, are not understood',
    sources: ['gap: ids'],
    async run(peer) {
      const bad = [
        '',
        '/',
        '/root',
        '/etc/passwd',
        '..',
        '.',
        '../up',
        'a/../../b',
        'a/..',
        './a',
        'a/./b',
        'a//b',
        'a/',
        'a\0b',
        'x'.repeat(256),
        `${'long/'.repeat(205)}x`,
        '\ud800',
      ]
      const { checksum, size, mtime } = peer.item('x')
      for (const id of bad) {
        const down = peer.transmission({ dir: 'down', obj: [[peer.object(), size]] })
        const list = peer.request('GetFileIDsRequest', {})
        for (const request of [
          peer.request('IdentifyPillarsForPutFileRequest', {
            files: [{ id, size, checksum, mtime }],
          }),
          peer.request('PutFileRequest', {
            files: [{ id, size, checksum, mtime }],
            transmission: down,
          }),
          peer.getting(id, peer.place()),
          peer.request('DeleteFileRequest', {
            ...{ to: [peer.pillar], files: [{ id, checksum, version: 1 }] },
          }),
          { ...list, fileIds: [id] },
        ])
          await peer.misunderstood(request)
      }
    },
  },
  {
    name: 'ids as nasty as may be are kept whole: put, listed, fetched',
    sources: ['gap: ids', 'fault 2', '[DISK-1]'],
    async run(peer) {
      const names = [
        'a/b/c.txt',
        'a/b.txt',
        'b.txt',
        '%2e%2e%2fup',
        '..\\..\\up',
        'C:\\x',
        '$HOME',
        '~',
        '-rf *',
        ' leading and trailing ',
        '.hidden',
        '...',
        'line\nfeed\r',
        'tab\tand "quotes"',
        '<>:|?*',
        'CON',
        'grüße/日本語/🗿',
        'e\u0301 and \u00e9',
        'é'.repeat(127),
        `deep/${'d/'.repeat(100)}end`,
        '=41=',
      ]
      const items = names.map((name, n) => peer.item(`nasty/${name}`, 100 + n))
      const final = await peer.put(items)
      is.deepEqual(
        final.files.map(({ id, code }) => [id, code]),
        items.map(({ id }) => [id, 'OPERATION_COMPLETED']),
      )
      const listed = await peer.ask('GetFileInfosRequest', { prefix: peer.id('nasty/') })
      is.deepEqual(
        new Map(listed.items.map((item) => [item.id, item.checksum])),
        new Map(items.map((item) => [item.id, item.checksum])),
      )
      for (const item of items) await holds(peer, item)
    },
  },
  {
    name: 'ids that differ only in case are different files',
    sources: ['gap: ids'],
    async run(peer) {
      const items = ['Photo.JPG', 'photo.jpg', 'PHOTO.JPG'].map((name) => peer.item(name, 64))
      await peer.put(items)
      for (const item of items) await holds(peer, item)
    },
  },
  {
    name: 'a file is not put where another has a folder, nor below another file',
    sources: ['gap: ids'],
    async run(peer) {
      await peer.stored('folder/file')
      for (const name of ['folder', 'folder/file/below']) {
        const item = peer.item(name)
        is.equal((await identify(peer, [item])).files[0]?.code, 'IDENTIFICATION_NEGATIVE')
        is.equal((await peer.final(peer.putting([item]))).files[0]?.code, 'FAILURE')
        await absent(peer, item.id)
      }
    },
  },
  {
    name: 'what was promised to one sender is for a while not promised to another',
    sources: ['[PUT-1]', 'fault 7'],
    async run(peer) {
      const [one, two] = [peer.item('promised'), peer.item('promised')]
      is.equal((await identify(peer, [one])).files[0]?.code, 'IDENTIFICATION_POSITIVE')
      is.equal((await identify(peer, [two])).files[0]?.code, 'DUPLICATE_FILE_FAILURE')
      is.equal((await identify(peer, [one])).files[0]?.code, 'IDENTIFICATION_POSITIVE')
    },
  },
  {
    name: 'of two senders that put different bytes under one id at once, one succeeds and its bytes stay',
    sources: ['fault 7', '[PUT-1]'],
    async run(peer) {
      const both = [peer.item('same', 40_000), peer.item('same', 40_000)]
      const finals = await Promise.all(both.map((item) => peer.put([item])))
      const codes = finals.map(({ files }) => files[0]?.code)
      is.deepEqual(codes.toSorted(), ['DUPLICATE_FILE_FAILURE', 'OPERATION_COMPLETED'])
      const winner = both[codes.indexOf('OPERATION_COMPLETED')]
      if (winner) await holds(peer, winner)
    },
  },
  {
    name: 'a put whose bytes do not come does not hold up the puts of others',
    sources: ['fault 7'],
    async run(peer) {
      const over = new AbortController()
      async function* stuck(): AsyncGenerator<Uint8Array> {
        await peer.world.clock.sleep(20_000, over.signal)
        yield* []
      }
      const slow = Array.from({ length: 6 }, (_, n) => peer.item(`slow ${n}`, 5_000))
      const request = peer.putting(slow, { offer: stuck })
      await peer.say(request)
      const before = peer.world.clock.monotonic()
      await peer.stored('fast.txt')
      is.ok(peer.world.clock.monotonic() - before < 10_000, 'it waits for nobody')
      over.abort()
      // Offered again under the same names, they are gone on with.
      for (const [n, { bytes }] of slow.entries()) peer.offer(objectOf(request, n), bytes)
      const final = await peer.final(request)
      is.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
      for (const item of slow) await holds(peer, item)
    },
  },
  {
    name: 'a transfer that is cut goes on where it stopped: no more than a page comes twice',
    sources: ['gap: restart', '[XFER-5]', '[XFER-4]'],
    async run(peer) {
      const item = peer.item('cut.bin', 12 * 1024 * 1024)
      let read = 0
      let cuts = 0
      async function* cut(offset: number, length: number): AsyncGenerator<Uint8Array> {
        for (let at = offset; at < offset + length; at += chunk) {
          const part = item.bytes.slice(at, Math.min(at + chunk, offset + length))
          read += part.length
          if (cuts < 1 && read > 9 * 1024 * 1024) {
            cuts++
            throw new Error('the line is cut')
          }
          yield part
        }
      }
      const final = await peer.put([item], { offer: cut })
      is.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
      is.equal(cuts, 1)
      is.ok(read <= item.size + 8 * 1024 * 1024 + chunk, `${read} bytes for ${item.size}`)
      await holds(peer, item)
    },
  },
  {
    name: 'bytes are fetched from nowhere but the exchange of their client',
    sources: ['fault 6', '[XFER-3]'],
    async run(peer) {
      const item = peer.item('elsewhere', 100)
      for (const url of [
        'file:///etc/passwd',
        'http://192.168.1.1:80',
        'https://198.51.100.7:443',
        'https://localhost:443',
        'ftp://127.0.0.1:21',
        'https://127.0.0.1:443/path',
      ]) {
        const began = peer.world.clock.monotonic()
        const object = peer.object()
        peer.offer(object, item.bytes)
        const final = await peer.ask('PutFileRequest', {
          files: [offered(item)],
          transmission: peer.transmission({ dir: 'down', obj: [[object, item.size]] }, [url]),
        })
        is.equal(final.files[0]?.code, 'FILE_TRANSFER_FAILURE', url)
        // Whoever has tried it says so late.
        is.ok(peer.world.clock.monotonic() - began < 4_000, `at once: ${url}`)
      }
      await absent(peer, item.id)
    },
  },
  {
    name: 'a token that does not fit its request moves nothing',
    sources: ['fault 6', '[XFER-2]', 'gap: unauthorised'],
    async run(peer) {
      const item = peer.item('misfit', 100)
      const object = peer.object()
      peer.offer(object, item.bytes)
      const obj: [string, number][] = [[object, item.size]]
      const past = Math.floor(peer.world.clock.now() / 1000) - 3_600
      for (const transmission of [
        peer.transmission({ dir: 'down', obj: [] }),
        peer.transmission({ dir: 'down', obj: [[object, item.size + 1]] }),
        peer.transmission({ dir: 'down', obj, iss: 'somebody-else' }),
        peer.transmission({ dir: 'down', obj, hld: ['somebody-else'] }),
        peer.transmission({ dir: 'down', obj, exp: past }),
        peer.transmission({ dir: 'up', obj }),
        { ...peer.transmission({ dir: 'down', obj }), token: 'none' },
      ]) {
        const final = await peer.ask('PutFileRequest', { files: [offered(item)], transmission })
        is.equal(final.files[0]?.code, 'FILE_TRANSFER_FAILURE', JSON.stringify(transmission))
      }
      await absent(peer, item.id)
    },
  },
  {
    name: 'a put that is said ten times has one effect and one answer',
    sources: ['gap: repeated', '[DEL-3]'],
    async run(peer) {
      const items = [peer.item('a.txt'), peer.item('b/c.txt')]
      const request = peer.putting(items)
      for (let n = 0; n < 9; n++) await peer.say(request)
      const first = await peer.final(request)
      await peer.say(request)
      await peer.sleep(peer.graceMs)
      const finals = peer
        .answers(request.conversation)
        .filter(({ type }) => type === 'PutFileFinalResponse')
      is.ok(finals.length > 1, 'a repeat after the end is answered')
      for (const one of finals) is.deepEqual({ ...one, sentAt: '' }, { ...first, sentAt: '' })
      for (const { id } of items) {
        const trail = await peer.ask('GetAuditTrailsRequest', { fileId: id })
        is.equal(trail.items.length, 1, 'one entry in the trail')
      }
    },
  },
  {
    name: 'a known conversation with another content is refused, before its end and after it',
    sources: ['gap: repeated', '[DEL-3]'],
    async run(peer) {
      const conversation = uuid7(peer.world)
      const first = peer.item('a.txt', 300_000)
      const other = peer.item('other.txt')
      const over = new AbortController()
      async function* slowly(offset: number, length: number): AsyncGenerator<Uint8Array> {
        await peer.world.clock.sleep(20_000, over.signal)
        yield first.bytes.slice(offset, offset + length)
      }
      const request = peer.putting([first], { conversation, offer: slowly })
      await peer.say(request)
      await peer.until('its acceptance', () => peer.answers(conversation)[0])
      const during = await peer.final(peer.putting([other], { conversation }))
      is.equal(during.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
      over.abort()
      await peer.until('its end', () =>
        peer
          .answers(conversation)
          .find(({ responseInfo }) => responseInfo.code === 'OPERATION_COMPLETED'),
      )
      const after = await peer.final(peer.putting([other], { conversation }))
      is.equal(after.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
      await absent(peer, other.id)
      await holds(peer, first)
    },
  },
]

const objectOf = ({ transmission }: { transmission: { token: string } }, place: number): string => {
  const claims = Buffer.from(transmission.token.split('.')[1] ?? '', 'base64url').toString()
  return (JSON.parse(claims) as { obj: [string, number][] }).obj[place]?.[0] ?? ''
}
