// Checksums that a pillar computes from its stored bytes, asked for by a peer that has nothing but the wire.

import { Buffer } from 'node:buffer'
import { createHash, createHmac } from 'node:crypto'
import t from 'tap'
import { putBatch } from '../../src/client/put.ts'
import { limits } from '../../src/limits.ts'
import type { MessageOf } from '../../src/protocol/messages.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { topics, type Wire, wire } from './wire.ts'

type SumsRequest = MessageOf<'GetChecksumsRequest'>

const requests = topics.pillarRequests('pillar-1')
const salt = '00ff10aa'
const hmac = { algorithm: 'HMAC-SHA-256', salt }

interface Setting {
  readonly fleet: Fleet
  readonly ann: Wire
  readonly bytes: ReadonlyMap<string, Uint8Array>
  request(fields: Partial<SumsRequest>): SumsRequest
  /** The answer to one request. */
  ask(fields: Partial<SumsRequest>): Promise<MessageOf<'GetChecksumsFinalResponse'>>
  progress(): MessageOf<'GetChecksumsProgressResponse'>[]
}

/** One pillar with these files on it. */
async function setting(seed: string, ids: readonly string[], size = 1_000): Promise<Setting> {
  const fleet = await startFleet({ seed, pillars: 1, copiesMin: 1, capacity: 2 ** 31 })
  const bob = await fleet.client('bob')
  await fleet.time.advance(1_000)
  const items = ids.map((id) => memoryItem(fleet.random, fleet, id, size))
  const signal = new AbortController().signal
  for (let at = 0; at < items.length; at += 50)
    await fleet.time.finish(putBatch(bob, 'home', items.slice(at, at + 50), { signal }))
  const ann = await wire(fleet)
  const request = (fields: Partial<SumsRequest>): SumsRequest =>
    ann.make<'GetChecksumsRequest'>({ type: 'GetChecksumsRequest', ...fields } as SumsRequest)
  return {
    fleet,
    ann,
    bytes: new Map(items.map(({ id, bytes }) => [id, bytes])),
    request,
    async ask(fields) {
      const count = ann.answers('GetChecksumsFinalResponse').length + 1
      await ann.say(requests, request(fields))
      return ann.wait('GetChecksumsFinalResponse', count)
    },
    progress: () => ann.answers('GetChecksumsProgressResponse'),
  }
}

/** By the algorithm's own implementation in the platform, apart from everything of ours. */
function expected(algorithm: string, bytes: Uint8Array): string {
  const name = algorithm.replace('HMAC-', '').replace('-', '').toLowerCase()
  const hasher = algorithm.startsWith('HMAC-')
    ? createHmac(name, Buffer.from(salt, 'hex'))
    : createHash(name)
  return hasher.update(bytes).digest('hex')
}

t.test('[SUM-1] what the index has is answered from it, not computed', async (t) => {
  const { ask, progress, bytes, fleet } = await setting('index', ['a.txt'])
  fleet.boards[0]?.disk.faults.failNext('read', 'EIO', { times: 9 })
  for (const spec of [{}, { checksumSpec: { algorithm: 'SHA-256' } }])
    t.match(await ask(spec), {
      items: [{ checksum: expected('SHA-256', bytes.get('a.txt') ?? new Uint8Array()) }],
      ...spec,
    })
  t.same(progress(), [])
})

t.test('[SUM-2] damaged and unreadable files get no value, and raise an alarm', async (t) => {
  const ids = ['good', 'rotten', 'unreadable']
  const { ask, ann, fleet } = await setting('rot', ids)
  const faults = fleet.boards[0]?.disk.faults
  faults?.rot('home/data/rotten', 7)
  faults?.failNext('read', 'EIO', { path: 'home/data/unreadable', times: 99 })
  const final = await ask({ checksumSpec: hmac, fileIds: [...ids, 'absent'] })
  t.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
  t.same(
    final.items.map((item) => item.id),
    ['good'],
  )
  t.same(final.missing, ['absent'])
  t.match(final.failed, [
    { id: 'rotten', code: 'FAILURE', text: 'the stored bytes are damaged' },
    { id: 'unreadable', code: 'FAILURE', text: /can not be read/ },
  ])
  t.same(
    ann.answers('Alarm').map(({ alarmCode, fileId }) => [alarmCode, fileId]),
    [
      ['CHECKSUM_ALARM', 'rotten'],
      ['CHECKSUM_ALARM', 'unreadable'],
    ],
  )
})

t.test('[SUM-2] a file that another takes the place of meanwhile is no damage', async (t) => {
  const { request, ann, fleet } = await setting('changed', ['a.txt'])
  const board = fleet.boards[0]
  const [row] = (await board?.index.stored('home', ['a.txt'])) ?? []
  if (!board || !row) return t.fail('nothing is stored')
  board.disk.faults.hang(20_000)
  await ann.say(requests, request({ checksumSpec: hmac }))
  await fleet.time.advance(6_000)
  const { timestamp: _timestamp, sequence: _sequence, ...file } = row
  const now = fleet.time.clock.now()
  const other = { ...file, checksum: 'e'.repeat(64) }
  await board.index.commit([{ do: 'store', file: other, now }])
  board.disk.faults.rot('home/data/a.txt', 1)
  const final = await ann.wait('GetChecksumsFinalResponse')
  t.match(final, { items: [], failed: [{ id: 'a.txt', code: 'FAILURE' }] })
  t.same(ann.answers('Alarm'), [])
})

t.test('[SUM-3] a repeat gets progress, then the same answer, and nothing twice', async (t) => {
  const { request, ann, fleet, progress } = await setting('repeat', ['a.bin'], 3 * 1024 * 1024)
  const board = fleet.boards[0]
  board?.disk.faults.hang(18_000)
  const asked = request({ checksumSpec: hmac })
  await ann.say(requests, asked)
  await fleet.time.advance(12_000)
  t.same(
    progress().map(({ responseInfo, filesDone }) => [responseInfo.code, filesDone]),
    [
      ['OPERATION_ACCEPTED_PROGRESS', 0],
      ['OPERATION_PROGRESS', 0],
      ['OPERATION_PROGRESS', 0],
    ],
    'told every five seconds',
  )
  await ann.say(requests, asked)
  await fleet.time.advance(500)
  t.equal(progress().length, 4, 'a repeat is told that it goes on')
  const final = await ann.wait('GetChecksumsFinalResponse')
  await fleet.time.advance(60_000)
  t.equal(ann.answers('GetChecksumsFinalResponse').length, 1, 'computed once')
  // From memory: the bytes are not asked for again.
  board?.disk.faults.rot('home/data/a.bin', 5)
  await ann.say(requests, asked)
  const again = await ann.wait('GetChecksumsFinalResponse', 2)
  t.same(again, final)
  await ann.say(requests, { ...asked, checksumSpec: { algorithm: 'MD5' } })
  t.match((await ann.wait('GetChecksumsFinalResponse', 3)).responseInfo, {
    code: 'REQUEST_NOT_UNDERSTOOD_FAILURE',
    text: /another request/,
  })
  const { checksumSpec: _spec, ...plain } = asked
  await ann.say(requests, plain)
  t.match((await ann.wait('GetChecksumsFinalResponse', 4)).responseInfo, {
    code: 'REQUEST_NOT_UNDERSTOOD_FAILURE',
  })
})

t.test('[SUM-3] one is computed at a time, and too many are refused', async (t) => {
  const { request, ann, fleet, progress } = await setting('many', ['a.bin'])
  fleet.boards[0]?.disk.faults.hang(10_000)
  const count = limits.computationsMax
  for (let n = 0; n <= count; n++) await ann.say(requests, request({ checksumSpec: hmac }))
  await fleet.time.advance(4_000)
  t.equal(progress().length, count)
  t.match(ann.answers('GetChecksumsFinalResponse'), [
    { responseInfo: { code: 'FAILURE', text: /too many/ } },
  ])
  await ann.wait('GetChecksumsFinalResponse', count + 1)
  t.equal(ann.answers('GetChecksumsFinalResponse')[count]?.items.length, 1)
})

t.test('[SUM-3] a disk that hangs for good is not told as progress for ever', async (t) => {
  const { request, ann, fleet, progress } = await setting('hangs', ['a.bin'])
  fleet.boards[0]?.disk.faults.hang(24 * 3_600_000)
  const asked = request({ checksumSpec: hmac })
  await ann.say(requests, asked)
  await fleet.time.advance(limits.transferStallMs + 60_000)
  const count = progress().length
  t.ok(count > 100)
  await ann.say(requests, asked)
  await fleet.time.advance(600_000)
  t.equal(progress().length, count, 'nor to a repeat')
})

t.test('[SUM-3] a pillar that stops leaves a computation where it is', async (t) => {
  const { request, ann, fleet } = await setting('stops', ['a.bin', 'b.bin'], 2 * 1024 * 1024)
  const board = fleet.boards[0]
  // Whoever reads to the end of one of them raises an alarm.
  for (const id of ['a.bin', 'b.bin']) board?.disk.faults.rot(`home/data/${id}`, 0)
  board?.disk.faults.hang(10_000)
  await ann.say(requests, request({ checksumSpec: hmac }))
  await ann.say(requests, request({ checksumSpec: { algorithm: 'MD5' } }))
  await fleet.time.advance(2_000)
  await fleet.time.finish(board?.stop() ?? Promise.resolve(), 60_000)
  t.same(ann.answers('GetChecksumsFinalResponse'), [])
  t.notMatch(fleet.lines().join('\n'), 'CHECKSUM_ALARM')
})

t.test('[SUM-3] the disk is read for one request after the other', async (t) => {
  const { request, ann, fleet } = await setting('in turn', ['a.bin'], 2 * 1024 * 1024)
  const disk = fleet.boards[0]?.disk.disk
  if (!disk) return t.fail('no disk')
  const offsets: number[] = []
  const { readInto } = disk
  Object.assign(disk, {
    readInto(path: string, offset: number, into: Uint8Array) {
      offsets.push(offset)
      return readInto(path, offset, into)
    },
  })
  fleet.boards[0]?.disk.faults.hang(5_000)
  for (let n = 0; n < 3; n++) await ann.say(requests, request({ checksumSpec: hmac }))
  await ann.wait('GetChecksumsFinalResponse', 3)
  const once = [0, 1, 2, 3].map((n) => (n * limits.chunkBytes) / 2)
  t.same(offsets, [...once, ...once, ...once])
})

t.test('[SUM-3] a page ends before it reads too much, but for a single file', async (t) => {
  const { ask, fleet } = await setting('budget', ['a', 'b'])
  const index = fleet.boards[0]?.index
  const [row] = (await index?.stored('home', ['a'])) ?? []
  if (!index || !row) return t.fail('nothing is stored')
  const { timestamp: _timestamp, sequence: _sequence, ...file } = row
  const now = fleet.time.clock.now()
  for (const id of ['huge', 'huge too']) {
    const huge = { ...file, id, path: id, size: limits.computedBytesMax - 500 }
    await index.commit([{ do: 'store', file: huge, now }])
  }
  const first = await ask({ checksumSpec: hmac })
  t.match(first, { items: [{ id: 'a' }, { id: 'b' }], partialResult: true, after: { id: 'b' } })
  const { after } = first
  const second = await ask({ checksumSpec: hmac, ...(after ? { after } : {}) })
  // There is nothing behind these rows, so that they cost no time.
  t.match(second, { items: [], failed: [{ id: 'huge' }, { id: 'huge too' }], partialResult: false })
})
