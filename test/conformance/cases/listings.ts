// GetFileIDs, GetChecksums, GetFileInfos: what is there, in exact pages.

import { strict as is } from 'node:assert'
import { createHash, createHmac } from 'node:crypto'
import { timeText, timeValue } from '../../../src/protocol/scalars.ts'
import type { Item, Peer } from '../peer.ts'
import type { Case } from '../suite.ts'

const kinds = ['GetFileIDs', 'GetChecksums', 'GetFileInfos'] as const
type Kind = (typeof kinds)[number]
interface Query {
  readonly fileIds?: string[]
  readonly prefix?: string
  readonly minTimestamp?: string
  readonly maxTimestamp?: string
  readonly maxResults?: number
  readonly after?: { timestamp: string; id: string }
  readonly checksumSpec?: { algorithm: string; salt?: string }
}
interface Listed {
  readonly items: readonly { id: string; timestamp: string; checksum?: string; size?: number }[]
  readonly partialResult: boolean
  readonly after?: { timestamp: string; id: string } | undefined
  readonly missing?: string[] | undefined
  readonly failed?: readonly { id: string }[] | undefined
  readonly responseInfo: { code: string }
}

const list = (peer: Peer, kind: Kind, query: Query): Promise<Listed> =>
  peer.ask(`${kind}Request`, query)

const ids = ({ items }: Listed): string[] => items.map(({ id }) => id)

/** Follows the cursor to the end, and holds each page to what it says of itself. */
async function all(peer: Peer, kind: Kind, query: Query, total?: number): Promise<string[]> {
  const seen: string[] = []
  let after: Query['after']
  let last = ''
  do {
    const page: Listed = await list(peer, kind, { ...query, ...(after ? { after } : {}) })
    for (const { id, timestamp } of page.items) {
      const key = `${timestamp} ${id}`
      is.ok(timestamp >= last.slice(0, timestamp.length), 'oldest first')
      last = key
      seen.push(id)
    }
    if (query.maxResults) is.ok(page.items.length <= query.maxResults, 'never more than asked for')
    is.equal(
      page.partialResult,
      page.after !== undefined,
      'a cursor when, and only when, more come',
    )
    if (total !== undefined) is.equal(page.partialResult, seen.length < total, 'exact')
    if (page.after) is.ok(page.items.length > 0, 'the cursor moves')
    after = page.after
  } while (after)
  is.equal(new Set(seen).size, seen.length, 'none twice')
  return seen
}

/** Some files, stored one after the other, with the times the pillar gave them. */
async function some(peer: Peer, count: number): Promise<{ items: Item[]; times: number[] }> {
  const items: Item[] = []
  for (let n = 0; n < count; n++) {
    items.push(await peer.stored(`${n}.txt`, 20 + n))
    await peer.sleep(5)
  }
  const listed = await list(peer, 'GetFileIDs', { prefix: peer.prefix })
  is.deepEqual(
    ids(listed),
    items.map(({ id }) => id),
    'oldest first',
  )
  return { items, times: listed.items.map(({ timestamp }) => timeValue(timestamp)) }
}

const computed = [
  { kind: 'GetFileIDs' as const, query: {} },
  { kind: 'GetChecksums' as const, query: {} },
  { kind: 'GetFileInfos' as const, query: {} },
  {
    kind: 'GetChecksums' as const,
    query: { checksumSpec: { algorithm: 'HMAC-SHA-256', salt: '00ff10aa' } },
  },
]

/** By the platform, apart from everything of ours. */
function expected({ algorithm, salt }: { algorithm: string; salt?: string }, bytes: Uint8Array) {
  const name = algorithm.replace('HMAC-', '').replace('-', '').toLowerCase()
  const hasher = salt === undefined ? createHash(name) : createHmac(name, Buffer.from(salt, 'hex'))
  return hasher.update(bytes).digest('hex')
}

const plain = ['MD5', 'SHA-1', 'SHA-256', 'SHA-384', 'SHA-512']
const specs = [
  ...plain.map((algorithm) => ({ algorithm })),
  ...plain.map((algorithm) => ({ algorithm: `HMAC-${algorithm}`, salt: '00ff10aa' })),
]

export const listings: readonly Case[] = [
  {
    name: 'identify for checksums is positive, for any algorithm that there is, by file or for all',
    sources: ['theirs 5', 'theirs 14', '[SUM-1]'],
    async run(peer) {
      for (const query of [{}, ...specs.map((checksumSpec) => ({ checksumSpec }))]) {
        const answer = await peer.ask('IdentifyPillarsForGetChecksumsRequest', query)
        is.equal(answer.responseInfo.code, 'IDENTIFICATION_POSITIVE', JSON.stringify(query))
      }
    },
  },
  {
    name: 'identify for listings is positive',
    sources: ['theirs 17'],
    async run(peer) {
      for (const what of ['FileIDs', 'FileInfos', 'Tombstones'] as const) {
        const answer = await peer.ask(`IdentifyPillarsForGet${what}Request`, {})
        is.equal(answer.responseInfo.code, 'IDENTIFICATION_POSITIVE')
      }
    },
  },
  {
    name: 'checksums by every algorithm, with a salt and without, are those of the bytes',
    sources: ['theirs 15', 'gap: values', '[SUM-1]'],
    async run(peer) {
      const items = [await peer.stored('a', 0), await peer.stored('b/c', 100_000)]
      for (const checksumSpec of specs) {
        const want = items.map(({ id, bytes }) => [id, expected(checksumSpec, bytes)])
        const one = await peer.ask('GetChecksumsRequest', {
          checksumSpec,
          fileIds: items.map(({ id }) => id),
        })
        is.deepEqual(one.checksumSpec, checksumSpec, 'the answer says how')
        is.deepEqual(
          new Map(one.items.map(({ id, checksum }) => [id, checksum])),
          new Map(want as never),
        )
        const whole = await peer.ask('GetChecksumsRequest', { checksumSpec, prefix: peer.prefix })
        is.deepEqual(
          new Map(whole.items.map(({ id, checksum }) => [id, checksum])),
          new Map(want as never),
        )
      }
    },
  },
  {
    name: 'algorithm and salt must fit, when identified and when asked',
    sources: ['gap: values', '[SUM-1]'],
    async run(peer) {
      const not = 'REQUEST_NOT_UNDERSTOOD_FAILURE'
      const bad: [checksumSpec: { algorithm: string; salt?: string }, code: string][] = [
        [{ algorithm: 'HMAC-SHA-256' }, not],
        [{ algorithm: 'SHA-256', salt: '00' }, not],
        [{ algorithm: 'MD5', salt: '' }, not],
        [{ algorithm: 'HMAC-MD5', salt: '' }, not],
        [{ algorithm: 'HMAC-MD5', salt: 'abc' }, not],
        [{ algorithm: 'HMAC-MD5', salt: 'xy' }, not],
        [{ algorithm: 'HMAC-MD5', salt: '00'.repeat(257) }, not],
        [{ algorithm: 'CRC-32' }, 'REQUEST_NOT_SUPPORTED'],
        [{ algorithm: 'sha256' }, 'REQUEST_NOT_SUPPORTED'],
      ]
      await peer.stored('a')
      for (const [checksumSpec, code] of bad) {
        const told = await peer.ask('IdentifyPillarsForGetChecksumsRequest', { checksumSpec })
        is.equal(told.responseInfo.code, code, JSON.stringify(checksumSpec))
        const final = await peer.ask('GetChecksumsRequest', { checksumSpec, prefix: peer.prefix })
        is.equal(final.responseInfo.code, code, JSON.stringify(checksumSpec))
        is.deepEqual(final.items, [])
      }
      const checksumSpec = { algorithm: 'HMAC-MD5', salt: 'ab'.repeat(256) }
      const longest = await peer.ask('GetChecksumsRequest', { checksumSpec, prefix: peer.prefix })
      is.equal(longest.items.length, 1, 'the longest salt')
    },
  },
  ...computed.map(({ kind, query }): Case => {
    const name = 'checksumSpec' in query ? 'salted GetChecksums' : kind
    const row = kind === 'GetFileIDs' ? 'theirs 19' : 'theirs 16'
    return {
      name: `${name} is oldest first, by an inclusive window and never more than asked for`,
      sources: [row, 'fault 5', 'gap: partial'],
      async run(peer) {
        const { items, times } = await some(peer, 4)
        const names = items.map(({ id }) => id)
        const [oldest = 0, , , newest = 0] = times
        const [second = 0, third = 0] = times.slice(1)
        const ask = async (more: Query): Promise<[string[], boolean]> => {
          const page = await list(peer, kind, { ...query, prefix: peer.prefix, ...more })
          return [ids(page), page.partialResult]
        }
        is.deepEqual(await ask({}), [names, false])
        is.deepEqual(await ask({ maxResults: 1 }), [names.slice(0, 1), true])
        is.deepEqual(await ask({ maxResults: 3 }), [names.slice(0, 3), true])
        is.deepEqual(await ask({ maxResults: 4 }), [names, false], 'as many as are left')
        is.deepEqual(await ask({ maxResults: 5 }), [names, false])
        const at = (ms: number): string => timeText(ms)
        is.deepEqual(await ask({ minTimestamp: at(oldest) }), [names, false])
        is.deepEqual(await ask({ minTimestamp: at(newest) }), [names.slice(3), false])
        is.deepEqual(await ask({ minTimestamp: at(newest + 10) }), [[], false])
        is.deepEqual(await ask({ maxTimestamp: at(newest) }), [names, false])
        is.deepEqual(await ask({ maxTimestamp: at(oldest) }), [names.slice(0, 1), false])
        is.deepEqual(await ask({ maxTimestamp: at(oldest - 10) }), [[], false])
        const window = { minTimestamp: at(second), maxTimestamp: at(third) }
        is.deepEqual(await ask(window), [names.slice(1, 3), false])
        is.deepEqual(await ask({ ...window, maxResults: 1 }), [names.slice(1, 2), true])
        is.deepEqual(await ask({ ...window, maxResults: 2 }), [names.slice(1, 3), false])
      },
    }
  }),
  {
    name: 'a listing is of the files that are named, and names those that are not there',
    sources: ['theirs 18', 'theirs 14', 'theirs 17'],
    async run(peer) {
      const { id } = await peer.stored('a')
      const nothing = peer.id('nothing')
      for (const { kind, query } of computed) {
        const both = await list(peer, kind, { ...query, fileIds: [id, nothing] })
        is.deepEqual([ids(both), both.missing], [[id], [nothing]])
        is.equal(both.responseInfo.code, 'OPERATION_COMPLETED')
        const none = await list(peer, kind, { ...query, fileIds: [nothing] })
        is.deepEqual([ids(none), none.missing], [[], [nothing]])
        is.equal(none.responseInfo.code, 'FILE_NOT_FOUND_FAILURE')
        is.equal(none.partialResult, false)
      }
    },
  },
  {
    name: 'a listing of everything has each file once, and ends',
    sources: ['theirs 15', 'theirs 18', 'fault 1'],
    async run(peer) {
      const items = [await peer.stored('a'), await peer.stored('b/c')]
      const seen = await all(peer, 'GetFileIDs', {})
      for (const { id } of items) is.ok(seen.includes(id))
      const { status } = await peer.ask('GetStatusRequest', {})
      is.equal(seen.length, status?.files)
    },
  },
  {
    name: 'a listing of nothing is empty and complete',
    sources: ['theirs 14'],
    async run(peer) {
      for (const { kind, query } of computed) {
        const page = await list(peer, kind, { ...query, prefix: peer.id('nothing here') })
        is.deepEqual([page.items, page.partialResult, page.after], [[], false, undefined])
        is.equal(page.responseInfo.code, 'OPERATION_COMPLETED')
      }
    },
  },
  {
    name: 'files that are stored in one moment are all listed, page by page of any size',
    sources: ['fault 1', 'fault 5', 'gap: many', 'gap: partial'],
    async run(peer) {
      const items = Array.from({ length: 64 }, (_, n) => peer.item(`${n}`, 10))
      await peer.put(items)
      const names = items.map(({ id }) => id).toSorted()
      for (const { kind, query } of computed)
        for (const maxResults of [1, 7, 32, 64]) {
          if (maxResults === 1 && kind !== 'GetFileIDs') continue
          const own = { ...query, prefix: peer.prefix, maxResults }
          is.deepEqual((await all(peer, kind, own, 64)).toSorted(), names)
        }
    },
  },
  {
    name: 'a page ends where a message does, and the pages together are everything',
    sources: ['gap: partial', 'gap: many', '[SUM-4]'],
    async run(peer) {
      const long = `${'x'.repeat(200)}/${'é'.repeat(100)}`
      const items = Array.from({ length: 192 }, (_, n) => peer.item(`${long}${n}`, 10))
      for (let at = 0; at < 192; at += 24) await peer.put(items.slice(at, at + 24))
      const names = items.map(({ id }) => id).toSorted()
      for (const { kind, query } of computed) {
        const first = await list(peer, kind, { ...query, prefix: peer.prefix })
        is.equal(first.partialResult, true, 'they do not fit one message')
        const seen = await all(peer, kind, { ...query, prefix: peer.prefix }, 192)
        is.deepEqual(seen.toSorted(), names)
      }
    },
  },
  {
    name: 'more than ten thousand files of one moment are all listed, and counted',
    sources: ['gap: many', 'fault 1', 'fault 5'],
    needs: ['fill'],
    async run(peer) {
      const before = (await peer.ask('GetStatusRequest', {})).status?.files ?? 0
      const names = Array.from({ length: 10_500 }, (_, n) => peer.id(`many/${n}`))
      await peer.hands?.fill?.(peer.collection, names)
      const prefix = peer.id('many/')
      for (const kind of ['GetFileIDs', 'GetChecksums'] as const)
        is.deepEqual((await all(peer, kind, { prefix }, 10_500)).toSorted(), names.toSorted())
      is.equal((await peer.ask('GetStatusRequest', {})).status?.files, before + 10_500)
    },
  },
  {
    name: 'a prefix is a prefix and no pattern',
    sources: ['gap: ids'],
    async run(peer) {
      const names = ['a%b', 'a_b', 'aXb', 'A%b', 'a*', 'ab', 'a\\b']
      await peer.put(names.map((name) => peer.item(name)))
      for (const [prefix, want] of [
        ['a%', ['a%b']],
        ['a_', ['a_b']],
        ['a*', ['a*']],
        ['A', ['A%b']],
        ['a\\', ['a\\b']],
        ['', names],
      ] as const) {
        const page = await list(peer, 'GetFileIDs', { prefix: peer.id(prefix) })
        is.deepEqual(ids(page).toSorted(), want.map((name) => peer.id(name)).toSorted(), prefix)
      }
    },
  },
  {
    name: 'damaged bytes never get a value: by the books they are what they were, or stored no more',
    sources: ['gap: rot', 'fault 4', '[SUM-2]'],
    needs: ['flip'],
    async run(peer) {
      const [good, bad] = [await peer.stored('good', 1_000), await peer.stored('bad', 1_000)]
      await peer.hands?.flip?.(peer.collection, bad.id, 500)
      const checksumSpec = { algorithm: 'HMAC-SHA-256', salt: 'ab'.repeat(16) }
      const fileIds = [good.id, bad.id]
      const first = await list(peer, 'GetChecksums', { checksumSpec, fileIds })
      is.deepEqual([ids(first), first.failed?.map(({ id }) => id)], [[good.id], [bad.id]])
      for (let n = 0; n < 2; n++) {
        const again = await list(peer, 'GetChecksums', { checksumSpec, fileIds })
        is.deepEqual(ids(again), [good.id])
        const books = await list(peer, 'GetChecksums', { fileIds: [bad.id] })
        const sums = books.items.map(({ checksum }) => checksum)
        is.deepEqual(sums, books.missing?.includes(bad.id) ? [] : [bad.checksum])
        await peer.sleep(peer.graceMs)
      }
      const alarm = await peer.until('the alarm', () =>
        peer.alarms().find(({ fileId }) => fileId === bad.id),
      )
      is.equal(alarm.alarmCode, 'CHECKSUM_ALARM')
    },
  },
  {
    name: 'computed checksums that are asked for again are the same answer; with another content they are refused',
    sources: ['gap: repeated', '[SUM-3]', '[DEL-3]'],
    async run(peer) {
      await peer.stored('a', 5_000)
      const checksumSpec = { algorithm: 'HMAC-MD5', salt: 'ab' }
      const request = peer.request('GetChecksumsRequest', { checksumSpec, prefix: peer.prefix })
      const first = await peer.final(request)
      is.equal(first.items.length, 1)
      is.deepEqual(await peer.final(request), first)
      const other = await peer.final({ ...request, checksumSpec: { algorithm: 'MD5' } })
      is.equal(other.responseInfo.code, 'REQUEST_NOT_UNDERSTOOD_FAILURE')
    },
  },
]
