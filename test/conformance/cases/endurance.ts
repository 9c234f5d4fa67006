// What happens to requests when messages are repeated, power fails, or a disk is full.

import { strict as is } from 'node:assert'
import type { RequestMessage } from '../../../src/protocol/messages.ts'
import { chunk, type Peer } from '../peer.ts'
import type { Case } from '../suite.ts'

/** What lasts, as far as it can be asked for. */
async function stateOf(peer: Peer): Promise<unknown> {
  const infos = await peer.ask('GetFileInfosRequest', { prefix: peer.prefix })
  const stones = await peer.ask('GetTombstonesRequest', { prefix: peer.prefix })
  const { status } = await peer.ask('GetStatusRequest', {})
  const chain = await peer.ask('GetAuditTrailsRequest', { verify: true, maxResults: 0 })
  return [infos.items, stones.items, status?.files, status?.bytes, status?.digest, chain.chain]
}

export const endurance: readonly Case[] = [
  {
    name: 'whatever was said, said again in any order, changes nothing',
    sources: ['gap: late', 'gap: repeated', '[DEL-3]'],
    async run(peer) {
      const kept = peer.item('kept')
      const gone = peer.item('gone')
      const puts = [peer.putting([kept]), peer.putting([gone])]
      for (const one of puts) await peer.final(one)
      const doomed = [{ id: gone.id, checksum: gone.checksum }]
      const told = await peer.ask('IdentifyPillarsForDeleteFileRequest', { files: doomed })
      const version = told.files[0]?.version ?? 0
      const to = [peer.pillar]
      const remove = peer.request('DeleteFileRequest', {
        to,
        files: [{ ...doomed[0], version } as never],
      })
      await peer.final(remove)
      const restore = peer.request('RestoreRetainedRequest', { to, files: doomed })
      await peer.final(restore)
      const told2 = await peer.ask('IdentifyPillarsForDeleteFileRequest', { files: doomed })
      const remove2 = peer.request('DeleteFileRequest', {
        ...{ to, files: [{ ...doomed[0], version: told2.files[0]?.version ?? 0 } as never] },
      })
      await peer.final(remove2)
      const get = peer.getting(kept.id, peer.place())
      await peer.final(get)
      const before = await stateOf(peer)
      const said = [...puts, remove, restore, remove2, get] as RequestMessage[]
      for (let n = 0; n < 60; n++) {
        const one = said[Math.floor(peer.world.random.next() * said.length)]
        if (one) await peer.say(one)
      }
      await peer.ask('GetStatusRequest', {})
      await peer.sleep(peer.graceMs)
      is.deepEqual(await stateOf(peer), before)
    },
  },
  {
    name: 'a pillar that loses its power after accepting a put goes on with it by itself',
    sources: ['gap: restart', 'fault 8', '[PUT-3]'],
    needs: ['restart'],
    async run(peer) {
      const over = new AbortController()
      const item = peer.item('interrupted.bin', 300_000)
      async function* slowly(offset: number, length: number): AsyncGenerator<Uint8Array> {
        await peer.world.clock.sleep(15_000, over.signal)
        yield item.bytes.slice(offset, offset + length)
      }
      const request = peer.putting([item], { offer: slowly })
      await peer.say(request)
      await peer.until('its acceptance', () => peer.answers(request.conversation)[0])
      await peer.hands?.restart?.()
      over.abort()
      // Nobody says it again.
      const final = await peer.until('its end', () =>
        peer.answers(request.conversation).find(({ type }) => type === 'PutFileFinalResponse'),
      )
      is.equal(final.responseInfo.code, 'OPERATION_COMPLETED')
      const got = await peer.get(item.id)
      is.ok(Buffer.from(item.bytes).equals(got.bytes))
      const { items } = await peer.ask('GetAuditTrailsRequest', { fileId: item.id })
      is.equal(items.length, 1, 'stored once')
      is.deepEqual([items[0]?.actor, items[0]?.key], [peer.identity, peer.signer.keyId])
    },
  },
  {
    name: 'bytes that were safe before the power went are not fetched again',
    sources: ['gap: restart', '[XFER-5]'],
    needs: ['restart'],
    async run(peer) {
      const item = peer.item('resumed.bin', 20 * 1024 * 1024)
      const over = new AbortController()
      let read = 0
      async function* stalling(offset: number, length: number): AsyncGenerator<Uint8Array> {
        for (let at = offset; at < offset + length; at += chunk) {
          if (at >= 18 * 1024 * 1024) await peer.world.clock.sleep(20_000, over.signal)
          const part = item.bytes.slice(at, Math.min(at + chunk, offset + length))
          read += part.length
          yield part
        }
      }
      const request = peer.putting([item], { offer: stalling })
      await peer.say(request)
      for (let n = 0; read < 18 * 1024 * 1024; n++) {
        if (n > 600) throw new Error(`no more than ${read} bytes were fetched`)
        await peer.sleep(50)
      }
      await peer.sleep(500)
      await peer.hands?.restart?.()
      over.abort()
      is.equal((await peer.final(request)).responseInfo.code, 'OPERATION_COMPLETED')
      // The page on its way, and the one before it, may not have been safe yet.
      is.ok(read <= item.size + 10 * 1024 * 1024 + chunk, `${read} bytes for ${item.size}`)
      const got = await peer.get(item.id)
      is.ok(Buffer.from(item.bytes).equals(got.bytes))
    },
  },
  {
    name: 'after a restart the same request gets the same answer, and what was stored is there',
    sources: ['gap: restart', 'gap: repeated', '[DEL-3]'],
    needs: ['restart'],
    async run(peer) {
      const item = peer.item('a')
      const request = peer.putting([item])
      const first = await peer.final(request)
      is.equal(first.responseInfo.code, 'OPERATION_COMPLETED')
      const before = await stateOf(peer)
      const session = peer.presences().at(-1)?.session ?? 0
      await peer.hands?.restart?.()
      is.deepEqual({ ...(await peer.final(request)), sentAt: '' }, { ...first, sentAt: '' })
      is.deepEqual(await stateOf(peer), before)
      const again = await peer.until('a new presence', () =>
        peer.presences().find((one) => one.state === 'online' && one.session > session),
      )
      is.ok(again.session > session, 'in a new session')
      is.equal((await peer.get(item.id)).file.code, 'OPERATION_COMPLETED')
    },
  },
  {
    name: 'what was deleted stays deleted over a restart, and can still be brought back',
    sources: ['gap: restart', '[RM-3]', '[DISK-7]'],
    needs: ['restart'],
    async run(peer) {
      const { id, checksum } = await peer.stored('a')
      const files = [{ id, checksum }]
      const told = await peer.ask('IdentifyPillarsForDeleteFileRequest', { files })
      const to = [peer.pillar]
      await peer.ask('DeleteFileRequest', {
        ...{ to, files: [{ id, checksum, version: told.files[0]?.version ?? 0 }] },
      })
      await peer.hands?.restart?.()
      is.equal((await peer.get(id)).file.code, 'FILE_NOT_FOUND_FAILURE')
      const back = await peer.ask('RestoreRetainedRequest', { to, files })
      is.equal(back.responseInfo.code, 'OPERATION_COMPLETED')
      is.equal((await peer.get(id)).file.checksum, checksum)
    },
  },
  {
    name: 'a disk that is full in the middle of a put fails that put, and nothing else',
    sources: ['gap: full', '[DISK-3]'],
    needs: ['full'],
    async run(peer) {
      const before = await peer.stored('before', 10_000)
      await peer.hands?.full?.(1)
      const item = peer.item('too much', 200_000)
      const final = await peer.final(peer.putting([item]))
      is.equal(final.files[0]?.code, 'FAILURE')
      is.match(final.files[0]?.text ?? '', /./, 'and says why')
      is.equal((await peer.get(item.id)).file.code, 'FILE_NOT_FOUND_FAILURE')
      const got = await peer.get(before.id)
      is.ok(Buffer.from(before.bytes).equals(got.bytes))
      is.equal((await peer.put([item])).files[0]?.code, 'OPERATION_COMPLETED', 'with room again')
    },
  },
]
