// GetAuditTrails and GetStatus: what was done, and how it stands.

import { strict as is } from 'node:assert'
import { auditSubstance } from '../../../src/index/index.ts'
import type { TrailItem } from '../../../src/protocol/audit.ts'
import { timeText, timeValue } from '../../../src/protocol/scalars.ts'
import type { Peer } from '../peer.ts'
import type { Case } from '../suite.ts'

interface Query {
  readonly fileId?: string
  readonly minSequenceNumber?: number
  readonly maxSequenceNumber?: number
  readonly minTimestamp?: string
  readonly maxTimestamp?: string
  readonly maxResults?: number
  readonly after?: number
}

const ask = async (peer: Peer, query: Query): Promise<[number[], boolean, number | undefined]> => {
  const page = await peer.ask('GetAuditTrailsRequest', query)
  return [page.items.map(({ sequence }) => sequence), page.partialResult, page.after]
}

/** A file that was put, deleted and put again; its entries. */
async function living(peer: Peer): Promise<TrailItem[]> {
  const item = await peer.stored('living')
  for (let n = 0; n < 2; n++) {
    const { id, checksum } = item
    const told = await peer.ask('IdentifyPillarsForDeleteFileRequest', {
      files: [{ id, checksum }],
    })
    await peer.ask('DeleteFileRequest', {
      to: [peer.pillar],
      files: [{ id, checksum, version: told.files[0]?.version ?? 0 }],
    })
    await peer.put([item])
  }
  const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: item.id })
  is.deepEqual(
    items.map(({ event }) => event),
    ['ingestion', 'deletion', 'ingestion', 'deletion', 'ingestion'],
  )
  return items
}

export const trail: readonly Case[] = [
  {
    name: 'identify for trails and for status is positive',
    sources: ['theirs 24', 'theirs 23'],
    async run(peer) {
      for (const what of ['GetStatus', 'GetAuditTrails'] as const) {
        const answer = await peer.ask(`IdentifyContributorsFor${what}Request`, {})
        is.equal(answer.responseInfo.code, 'IDENTIFICATION_POSITIVE')
      }
    },
  },
  {
    name: 'a trail is in order, by inclusive sequences, and never more than asked for',
    sources: ['theirs 23', 'gap: partial', '[AUD-2]'],
    async run(peer) {
      const all = (await living(peer)).map(({ sequence }) => sequence)
      is.deepEqual(
        all,
        all.toSorted((a, b) => a - b),
        'by sequence',
      )
      const [first = 0, second = 0, , fourth = 0] = all
      const fileId = peer.id('living')
      is.deepEqual(await ask(peer, { fileId, maxResults: 1 }), [[first], true, first])
      is.deepEqual(await ask(peer, { fileId, maxResults: 4 }), [all.slice(0, 4), true, fourth])
      is.deepEqual(await ask(peer, { fileId, maxResults: 5 }), [all, false, undefined])
      is.deepEqual(await ask(peer, { fileId, after: fourth }), [all.slice(4), false, undefined])
      is.deepEqual(await ask(peer, { fileId, minSequenceNumber: second }), [
        all.slice(1),
        false,
        undefined,
      ])
      is.deepEqual(await ask(peer, { fileId, maxSequenceNumber: second }), [
        all.slice(0, 2),
        false,
        undefined,
      ])
      const window = { minSequenceNumber: second, maxSequenceNumber: fourth }
      is.deepEqual(await ask(peer, { fileId, ...window }), [all.slice(1, 4), false, undefined])
      is.deepEqual(await ask(peer, { fileId, ...window, maxResults: 3 }), [
        all.slice(1, 4),
        false,
        undefined,
      ])
      is.deepEqual(await ask(peer, { fileId: peer.id('nothing') }), [[], false, undefined])
    },
  },
  {
    name: 'a trail is asked for by an inclusive window of time',
    sources: ['theirs 23', '[AUD-2]'],
    async run(peer) {
      const entries = await living(peer)
      const fileId = peer.id('living')
      const [first, last] = [entries[0]?.at ?? '', entries.at(-1)?.at ?? '']
      const all = entries.map(({ sequence }) => sequence)
      const window = { minTimestamp: first, maxTimestamp: last }
      is.deepEqual(await ask(peer, { fileId, ...window }), [all, false, undefined])
      const later = { minTimestamp: timeText(timeValue(last) + 1) }
      is.deepEqual(await ask(peer, { fileId, ...later }), [[], false, undefined])
      const before = { maxTimestamp: timeText(timeValue(first) - 1) }
      is.deepEqual(await ask(peer, { fileId, ...before }), [[], false, undefined])
    },
  },
  {
    name: 'an entry says who did what, when, in which conversation, by which key, and why',
    sources: ['theirs 23', '[AUD-1]'],
    async run(peer) {
      const item = peer.item('a')
      const information = 'the scans of 2024, „nicht“ löschen'
      const { conversation } = await peer.put([item], { information })
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: item.id })
      const [entry] = items
      is.deepEqual(
        [items.length, entry?.event, entry?.fileId, entry?.actor, entry?.conversation],
        [1, 'ingestion', item.id, peer.identity, conversation],
      )
      is.deepEqual([entry?.key, entry?.information], [peer.signer.keyId, information])
      is.match(entry?.at ?? '', /^\d{4}-.*Z$/)
    },
  },
  {
    name: 'reading changes nothing in the trail',
    sources: ['[AUD-1]'],
    async run(peer) {
      const { id } = await peer.stored('a')
      await peer.get(id)
      await peer.ask('GetChecksumsRequest', { fileIds: [id], checksumSpec: { algorithm: 'MD5' } })
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: id })
      is.equal(items.length, 1)
    },
  },
  {
    name: 'entries are chained: each hash is that of the entry and of the hash before it',
    sources: ['[AUD-1]', '[AUD-2]', 'gap: rot'],
    async run(peer) {
      const begin = (await living(peer))[0]?.sequence ?? 0
      const { items } = await peer.ask('GetAuditTrailsRequest', {
        ...{ minSequenceNumber: begin, maxResults: 5 },
      })
      is.equal(items.length, 5)
      for (const [n, { fileId: id, at, previous, hash, ...rest }] of items.entries()) {
        const entry = { ...rest, id, at: timeValue(at), previous, collection: peer.collection }
        is.equal(
          hash,
          peer.sha256(Buffer.from(auditSubstance(previous, entry))),
          `entry ${rest.sequence}`,
        )
        const before = items[n - 1]
        if (before) is.equal(previous, before.hash, 'linked to the one before')
      }
    },
  },
  {
    name: 'the whole chain is walked on demand, and holds',
    sources: ['[AUD-3]', 'gap: rot'],
    async run(peer) {
      await peer.stored('a')
      const final = await peer.ask('GetAuditTrailsRequest', { verify: true, maxResults: 0 })
      is.deepEqual(final.items, [])
      is.equal(final.chain?.brokenAt, undefined)
      is.ok((final.chain?.entries ?? 0) > 0)
      is.match(final.chain?.head ?? '', /^[0-9a-f]{64}$/)
      await peer.stored('b')
      const later = await peer.ask('GetAuditTrailsRequest', { verify: true, maxResults: 0 })
      is.equal(later.chain?.entries, (final.chain?.entries ?? 0) + 1)
      is.notEqual(later.chain?.head, final.chain?.head)
    },
  },
  {
    name: 'status tells files, bytes and space as they are, and a digest that equal sets share',
    sources: ['theirs 24', 'fault 10'],
    async run(peer) {
      const status = async () => {
        const final = await peer.ask('GetStatusRequest', {})
        if (!final.status) throw new Error('there is a status')
        return final.status
      }
      const before = await status()
      is.equal(before.verdict, 'OK')
      const [volume] = before.volumes
      is.ok(volume && volume.bytesFree > 0 && volume.bytesFree <= volume.bytesTotal)
      const item = await peer.stored('a', 12_345)
      const with1 = await status()
      is.deepEqual([with1.files, with1.bytes], [before.files + 1, before.bytes + 12_345])
      is.notEqual(with1.digest, before.digest)
      const { id, checksum } = item
      const told = await peer.ask('IdentifyPillarsForDeleteFileRequest', {
        files: [{ id, checksum }],
      })
      await peer.ask('DeleteFileRequest', {
        to: [peer.pillar],
        files: [{ id, checksum, version: told.files[0]?.version ?? 0 }],
      })
      const after = await status()
      is.deepEqual(
        [after.files, after.bytes, after.digest],
        [before.files, before.bytes, before.digest],
      )
      is.ok((after.volumes[0]?.bytesRetained ?? 0) >= 12_345, 'what is kept aside takes room')
    },
  },
]
