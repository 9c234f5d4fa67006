// A pillar held to its word on the wire: the bus and the exchange are all that this test touches of it.

import t from 'tap'
import { bench } from '../../src/exchange/bench.ts'
import { exchange } from '../../src/exchange/exchange.ts'
import { uuid7 } from '../../src/post/compose.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { memoryItem, memoryLanding } from '../../src/sim/memory.ts'
import { openState } from '../../src/state/sqlite.ts'
import { issueToken } from '../../src/transfer/token.ts'
import { openDirectory } from '../../src/trust/directory.ts'
import { topics, type Wire, wire } from './wire.ts'

const url = 'https://192.168.1.10:9000'
const requests = topics.pillarRequests('pillar-1')

interface Setting {
  readonly fleet: Fleet
  readonly ann: Wire
  readonly bench: ReturnType<typeof bench>
  /** Offers files and asks the pillar to take them. */
  put(
    ids: readonly string[],
    options?: { size?: number; spoil?: boolean; conversation?: string },
  ): Promise<PutAsked>
  stored(id: string): Promise<string | undefined>
}
type PutAsked = {
  request: object & { conversation: string }
  items: ReturnType<typeof memoryItem>[]
}

async function setting(seed: number): Promise<Setting> {
  const fleet = await startFleet({ seed, pillars: 1, copiesMin: 1 })
  const ann = await wire(fleet)
  const own = bench()
  const sealed = fleet.sealed
  const directory = await openDirectory(
    {
      keys: simKeys(),
      owner: simSigner('owner').publicKey,
      archive: 'test',
      state: openState(':memory:'),
    },
    sealed,
  )
  fleet.net.serveAs(
    'ann',
    url,
    exchange({
      world: ann.world,
      identity: 'ann',
      directory,
      keys: simKeys(),
      shelf: own,
      relay: false,
    }),
  )
  await fleet.time.advance(1_000)
  return {
    fleet,
    ann,
    bench: own,
    async put(ids, { size = 1_000, spoil = false, conversation = uuid7(ann.world) } = {}) {
      const items = ids.map((id) => memoryItem(fleet.random, fleet, id, size))
      const names = items.map((_, n) => objectName(n, conversation))
      for (const [n, item] of items.entries()) own.offer(names[n] ?? '', item.offer)
      const files = items.map(({ id, checksum, mtime }) => ({
        id,
        size,
        checksum: spoil ? '0'.repeat(64) : checksum,
        mtime: timeText(mtime),
      }))
      const request = ann.make<'PutFileRequest'>({
        type: 'PutFileRequest',
        conversation,
        files,
        transmission: token(
          names.map((one) => [one, size]),
          'down',
        ),
      })
      await ann.say(requests, request)
      return { request, items }
    },
    stored: async (id) =>
      (await fleet.boards[0]?.index.stored(fleet.collection, [id]))?.[0]?.checksum,
  }
}

const objectName = (n: number, conversation: string): string =>
  `${n}-${conversation.replaceAll('-', '')}`.slice(0, 22).padEnd(22, '0')

function token(obj: [string, number][], dir: 'up' | 'down') {
  const claims = { iss: 'ann', aud: ['ann'], hld: ['pillar-1'], dir, obj, exp: 4_000_000_000 }
  return {
    exchanges: [{ identity: 'ann', urls: [url] }],
    token: issueToken(simSigner('ann'), claims),
  }
}

t.test(
  '[MSG-1] [MSG-2] what is not signed by its sender is not heard and changes nothing',
  async (t) => {
    const { ann, fleet } = await setting(1)
    const status = ann.make<'GetStatusRequest'>({ type: 'GetStatusRequest' })
    const text = JSON.stringify(status)
    const utf8 = (value: string): Uint8Array => new TextEncoder().encode(value)
    await ann.raw(requests, utf8(text))
    await ann.raw(requests, utf8(`${text}\nSIM ${simSigner('ann').keyId} AAAA`))
    await ann.say(requests, status, simSigner('bob'))
    await ann.say(requests, { ...status, from: 'bob', replyTo: topics.replies('bob', 'x') })
    await ann.say(requests, { ...status, replyTo: topics.replies('bob', 'x') })
    await ann.raw(requests, utf8(`not json\nSIM ${simSigner('ann').keyId} AAAA`))
    await ann.raw(requests, new Uint8Array(64 * 1024))
    await ann.raw(requests, new Uint8Array([0xff, 0x0a, 0xff]))
    await fleet.time.advance(60_000)
    t.same(ann.heard, [])
    await ann.say(requests, status)
    t.equal((await ann.wait('GetStatusFinalResponse')).status?.verdict, 'OK', 'and it goes on')
  },
)

t.test(
  '[MSG-4] a request of an unknown type, or too new, is answered that it is not understood',
  async (t) => {
    const { ann } = await setting(2)
    const status = ann.make<'GetStatusRequest'>({ type: 'GetStatusRequest' })
    await ann.say(requests, { ...status, type: 'FoldFileRequest' })
    t.match(await ann.wait('NotUnderstoodResponse'), {
      about: 'FoldFileRequest',
      responseInfo: { code: 'REQUEST_NOT_UNDERSTOOD_FAILURE' },
    })
    await ann.say(requests, { ...status, min: 99 })
    t.match(await ann.wait('NotUnderstoodResponse', 2), { about: 'GetStatusRequest' })
    await ann.say(requests, {
      ...status,
      conversation: uuid7(ann.world),
      surprise: { from: 'the future' },
    })
    t.ok(await ann.wait('GetStatusFinalResponse'), 'unknown fields are ignored')
    await ann.say(topics.trackerRequests(), { ...status, type: 'FoldArchiveRequest' })
    t.match(await ann.wait('NotUnderstoodResponse', 3), {
      from: 'tracker',
      about: 'FoldArchiveRequest',
    })
  },
)

t.test(
  'a request for a collection that is not served, or for others, is not answered',
  async (t) => {
    const { ann, fleet } = await setting(3)
    await ann.say(
      requests,
      ann.make<'GetStatusRequest'>({ type: 'GetStatusRequest', collection: 'elsewhere' }),
    )
    await ann.say(
      requests,
      ann.make<'GetStatusRequest'>({ type: 'GetStatusRequest', to: ['pillar-2'] }),
    )
    await fleet.time.advance(60_000)
    t.same(ann.heard, [])
  },
)

t.test('[DEL-3] a put that is said ten times has one effect and one answer', async (t) => {
  const { ann, fleet, put, stored } = await setting(4)
  const { request, items } = await put(['a.txt', 'b/c.txt'])
  for (let n = 0; n < 9; n++) await ann.say(requests, request)
  const first = await ann.wait('PutFileFinalResponse')
  await ann.say(requests, request)
  await fleet.time.advance(30_000)
  const all = ann.answers('PutFileFinalResponse')
  t.ok(all.length >= 2)
  for (const one of all) t.same({ ...one, sentAt: '' }, { ...first, sentAt: '' })
  t.same(
    first.files.map((file) => file.code),
    ['OPERATION_COMPLETED', 'OPERATION_COMPLETED'],
  )
  t.equal(await stored('a.txt'), items[0]?.checksum)
  const entries = await fleet.boards[0]?.index.audit(0, 100)
  t.equal(entries?.filter((entry) => entry.outcome === 'stored').length, 2, 'stored once each')
})

t.test(
  '[DEL-3] the same key with another substance is refused, before and after the end',
  async (t) => {
    const { ann, fleet, put, stored } = await setting(5)
    const { request } = await put(['a.txt'])
    await ann.wait('PutFileFinalResponse')
    await put(['other.txt'], { conversation: request.conversation })
    const second = await ann.wait('PutFileFinalResponse', 2)
    t.equal(second.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
    await fleet.time.advance(60_000)
    t.equal(await stored('other.txt'), undefined)
  },
)

t.test('an expired put begins nothing', async (t) => {
  const { ann, put, stored, fleet } = await setting(6)
  const { request } = await put(['later.txt'])
  await ann.wait('PutFileFinalResponse')
  const old = {
    ...request,
    conversation: uuid7(ann.world),
    expiresAt: timeText(fleet.time.clock.now() - 1),
    files: [{ id: 'old.txt', size: 1, checksum: '1'.repeat(64), mtime: timeText(0) }],
  }
  await ann.say(requests, old)
  const answer = await ann.wait('PutFileFinalResponse', 2)
  t.match(answer.responseInfo, { code: 'REQUEST_NOT_UNDERSTOOD_FAILURE', text: /expired/ })
  t.equal(await stored('old.txt'), undefined)
})

t.test('bytes that are not those announced are refused, and leave nothing behind', async (t) => {
  const { ann, fleet, put, stored } = await setting(7)
  await put(['bad.bin'], { spoil: true })
  const answer = await ann.wait('PutFileFinalResponse')
  t.equal(answer.files[0]?.code, 'NEW_FILE_CHECKSUM_FAILURE')
  t.equal(await stored('bad.bin'), undefined)
  await fleet.time.advance(60_000)
  const left = [...(fleet.boards[0]?.disk.snapshot().keys() ?? [])].filter((path) =>
    /^\.incoming\/.|^home\/data\/./.test(path),
  )
  t.same(left, [])
  t.match(ann.answers('Alarm')[0], { alarmCode: 'CHECKSUM_ALARM', fileId: 'bad.bin' })
})

t.test(
  '[PUT-1] [PUT-2] other bytes under a known id are a duplicate, equal ones are success, folders are no files',
  async (t) => {
    const { ann, put } = await setting(8)
    const { items } = await put(['a/b.txt'])
    await ann.wait('PutFileFinalResponse')
    const offer = (id: string, checksum: string, size = 1_000) => ({
      id,
      size,
      checksum,
      mtime: timeText(0),
    })
    const files = [
      offer('a/b.txt', 'f'.repeat(64)),
      offer('a/b.txt/c', 'e'.repeat(64)),
      offer('a', 'd'.repeat(64)),
      offer('huge', 'c'.repeat(64), 2 ** 50),
    ]
    await ann.say(
      requests,
      ann.make<'IdentifyPillarsForPutFileRequest'>({
        type: 'IdentifyPillarsForPutFileRequest',
        files,
      }),
    )
    const answer = await ann.wait('IdentifyPillarsForPutFileResponse')
    t.same(
      answer.files.map((file) => file.code),
      [
        'DUPLICATE_FILE_FAILURE',
        'IDENTIFICATION_NEGATIVE',
        'IDENTIFICATION_NEGATIVE',
        'IDENTIFICATION_NEGATIVE',
      ],
    )
    const same = [offer('a/b.txt', items[0]?.checksum ?? '')]
    await ann.say(
      requests,
      ann.make<'IdentifyPillarsForPutFileRequest'>({
        type: 'IdentifyPillarsForPutFileRequest',
        files: same,
      }),
    )
    t.match((await ann.wait('IdentifyPillarsForPutFileResponse', 2)).files, [
      { code: 'OPERATION_COMPLETED', provenAt: String },
    ])
    for (const [n, checksum] of ['1', '2'].entries()) {
      await ann.say(
        requests,
        ann.make<'IdentifyPillarsForPutFileRequest'>({
          type: 'IdentifyPillarsForPutFileRequest',
          files: [offer('promised', checksum.repeat(64))],
        }),
      )
      const code = (await ann.wait('IdentifyPillarsForPutFileResponse', 3 + n)).files[0]?.code
      t.equal(
        code,
        n === 0 ? 'IDENTIFICATION_POSITIVE' : 'DUPLICATE_FILE_FAILURE',
        'what was promised keeps other bytes away',
      )
    }
  },
)

t.test('file ids that can not be kept are not understood', async (t) => {
  const { ann } = await setting(9)
  const bad = [
    '',
    '/a',
    'a//b',
    'a/../b',
    '.',
    'a/',
    'a\0b',
    'x'.repeat(256),
    `${'long/'.repeat(205)}x`,
  ]
  for (const [n, id] of bad.entries()) {
    const files = [{ id, size: 1, checksum: '1'.repeat(64), mtime: timeText(0) }]
    await ann.say(
      requests,
      ann.make<'IdentifyPillarsForPutFileRequest'>({
        type: 'IdentifyPillarsForPutFileRequest',
        files,
      }),
    )
    t.match(
      await ann.wait('NotUnderstoodResponse', n + 1),
      { about: 'IdentifyPillarsForPutFileRequest' },
      JSON.stringify(id.slice(0, 20)),
    )
  }
})

t.test('[PUT-3] a pillar that loses its power after accepting goes on by itself', async (t) => {
  const { ann, fleet, put, stored } = await setting(10)
  fleet.net.partition(url)
  const { items } = await put(['kept.bin'], { size: 300_000 })
  await ann.wait('PutFileProgressResponse')
  const board = fleet.boards[0]
  board?.crash()
  fleet.net.heal()
  await fleet.time.finish(board?.start() ?? Promise.resolve())
  const answer = await ann.wait('PutFileFinalResponse')
  t.equal(answer.files[0]?.code, 'OPERATION_COMPLETED')
  const [entry] = (await board?.index.audit(0, 9)) ?? []
  t.match(entry, { actor: 'ann', key: simSigner('ann').keyId }, '[AUD-1] it knows who had signed')
  t.equal(await stored('kept.bin'), items[0]?.checksum)
})

async function getSlice(
  s: Setting,
  id: string,
  slice: { offset?: number; length?: number },
  count: number,
) {
  const name = objectName(count, uuid7(s.ann.world))
  const landing = memoryLanding(s.fleet)
  s.bench.land(name, landing)
  await s.ann.say(
    requests,
    s.ann.make<'GetFileRequest'>({
      type: 'GetFileRequest',
      files: [{ id, ...slice }],
      transmission: token([[name, -1]], 'up'),
    }),
  )
  const final = await s.ann.wait('GetFileFinalResponse', count)
  return { file: final.files[0], bytes: landing.bytes() }
}

t.test(
  '[GET-2] a slice is exactly these bytes, and a range beyond the end delivers nothing',
  async (t) => {
    const s = await setting(11)
    const { items } = await s.put(['a.bin'], { size: 1_000 })
    await s.ann.wait('PutFileFinalResponse')
    const bytes = items[0]?.bytes ?? new Uint8Array()
    const good = [
      {},
      { offset: 5, length: 5 },
      { offset: 999, length: 1 },
      { length: 0 },
      { offset: 1_000, length: 0 },
      { offset: 990 },
    ]
    for (const [n, slice] of good.entries()) {
      const { file, bytes: came } = await getSlice(s, 'a.bin', slice, n + 1)
      const offset = slice.offset ?? 0
      t.equal(file?.code, 'OPERATION_COMPLETED', JSON.stringify(slice))
      t.same(
        came,
        bytes.subarray(offset, slice.length === undefined ? undefined : offset + slice.length),
      )
    }
    const beyond = [
      { offset: 1_001 },
      { offset: 999, length: 2 },
      { length: 1_001 },
      { offset: 2 ** 52, length: 1 },
    ]
    for (const [n, slice] of beyond.entries()) {
      const { file, bytes: came } = await getSlice(s, 'a.bin', slice, good.length + n + 1)
      t.match(file, { code: 'FAILURE', text: /beyond/ }, JSON.stringify(slice))
      t.equal(came.length, 0)
    }
    t.equal((await getSlice(s, 'nothing', {}, 11)).file?.code, 'FILE_NOT_FOUND_FAILURE')
  },
)

t.test('[GET-1] a damaged file is never delivered whole, and alarmed', async (t) => {
  const s = await setting(12)
  await s.put(['a.bin'], { size: 200_000 })
  await s.ann.wait('PutFileFinalResponse')
  s.fleet.boards[0]?.disk.faults.rot('home/data/a.bin', 77)
  const { file, bytes } = await getSlice(s, 'a.bin', {}, 1)
  t.match(file, { code: 'FAILURE', text: /damaged/ })
  t.ok(bytes.length < 200_000)
  t.match(s.ann.answers('Alarm')[0], { alarmCode: 'CHECKSUM_ALARM', fileId: 'a.bin' })
})

t.test('listings page exactly, oldest first, by ids, prefix and window', async (t) => {
  const { ann, put } = await setting(13)
  const ids = Array.from(
    { length: 60 },
    (_, n) => `${n % 2 ? 'odd' : 'even'}/${'x'.repeat(150)}${n}`,
  )
  for (let at = 0; at < ids.length; at += 20) {
    await put(ids.slice(at, at + 20), { size: 10 })
    await ann.wait('PutFileFinalResponse', at / 20 + 1)
  }
  const seen: string[] = []
  let after: { timestamp: string; id: string } | undefined
  for (let page = 1; page === 1 || after; page++) {
    await ann.say(
      requests,
      ann.make<'GetFileIDsRequest'>({
        type: 'GetFileIDsRequest',
        maxResults: 7,
        ...(after ? { after } : {}),
      }),
    )
    const answer = await ann.wait('GetFileIDsFinalResponse', page)
    seen.push(...answer.items.map((item) => item.id))
    t.equal(answer.partialResult, seen.length < ids.length)
    after = answer.after
  }
  t.equal(seen.length, ids.length)
  t.same([...seen].sort(), [...ids].sort())
  await ann.say(
    requests,
    ann.make<'GetChecksumsRequest'>({ type: 'GetChecksumsRequest', prefix: 'odd/' }),
  )
  t.equal((await ann.wait('GetChecksumsFinalResponse')).items.length, 30)
  await ann.say(
    requests,
    ann.make<'GetFileInfosRequest'>({
      type: 'GetFileInfosRequest',
      fileIds: [ids[3] ?? '', 'absent'],
    }),
  )
  const infos = await ann.wait('GetFileInfosFinalResponse')
  t.same(
    [infos.items.map((item) => item.id), infos.missing, infos.responseInfo.code],
    [[ids[3]], ['absent'], 'OPERATION_COMPLETED'],
  )
  await ann.say(
    requests,
    ann.make<'GetFileInfosRequest'>({ type: 'GetFileInfosRequest', fileIds: ['absent'] }),
  )
  t.equal(
    (await ann.wait('GetFileInfosFinalResponse', 2)).responseInfo.code,
    'FILE_NOT_FOUND_FAILURE',
  )
  const time = infos.items[0]?.timestamp ?? ''
  await ann.say(
    requests,
    ann.make<'GetFileIDsRequest'>({
      type: 'GetFileIDsRequest',
      minTimestamp: time,
      maxTimestamp: time,
    }),
  )
  t.same(
    (await ann.wait('GetFileIDsFinalResponse', 10)).items.map((item) => item.id),
    [ids[3]],
  )
})
