/** What every store does, be it one volume or several. */
import type { Test } from 'tap'
import type { StoredFile } from '../../src/index/index.ts'
import { ann } from '../store/kit.ts'
import type { Rig } from '../store/pool-kit.ts'

type Contract = readonly [name: string, check: (t: Test, on: Rig) => Promise<void>]

const limit = 1_000
const put = async (on: Rig, count: number, prefix = 'f'): Promise<string[]> => {
  const ids = Array.from({ length: count }, (_, n) => `${prefix}${n}`)
  for (const id of ids) await on.put(id, `bytes of ${id}`)
  return ids
}
const rowOf = async (on: Rig, id: string): Promise<StoredFile | undefined> =>
  (await on.store.stored('home', [id]))[0]
const doomed = async (on: Rig, id: string) => {
  const [version = 0] = await on.store.versions('home', [id])
  return { collection: 'home', id, checksum: (await rowOf(on, id))?.checksum ?? '', version }
}

export const storeContract: readonly Contract[] = [
  [
    'files come back, are held the second time, and keep other bytes off their ids',
    async (t, on) => {
      for (const id of await put(on, 9)) {
        t.equal(await on.read(id), `bytes of ${id}`)
        t.equal(await on.put(id, `bytes of ${id}`), 'held')
        t.equal(await on.put(id, 'others'), 'other')
      }
      t.equal(await on.read('none'), undefined)
    },
  ],
  [
    'a file and a folder can not have one name, in one request or in two',
    async (t, on) => {
      t.equal(await on.put('a/b', '1'), 'stored')
      t.equal(await on.put('a', '2'), 'conflict')
      t.equal(await on.put('a/b/c', '3'), 'conflict')
      const bytes = new TextEncoder().encode('4')
      const together = await on.accept(on.offer('x', bytes), on.offer('x/y', bytes))
      t.strictSame(
        together.map(({ is }) => is),
        ['welcome', 'conflict'],
      )
    },
  ],
  [
    'a listing goes through all files once, in the order of their times, page by page',
    async (t, on) => {
      const ids = await put(on, 25)
      t.same(await on.ids(), ids)
      for (const size of [1, 2, 7]) {
        const seen: string[] = []
        let after: { timestamp: number; id: string } | undefined
        for (let partial = true; partial; ) {
          const query = { collection: 'home', limit: size, ...(after ? { after } : {}) }
          const page = await on.store.list(query)
          seen.push(...page.files.map(({ id }) => id))
          after = page.files.at(-1)
          partial = page.partial
          t.ok(page.files.length <= size && (partial || seen.length === ids.length))
        }
        t.same(seen, ids)
      }
      const few = await on.store.list({ collection: 'home', ids: ['f3', 'f9', 'no'], limit })
      t.same(
        few.files.map(({ id }) => id),
        ['f3', 'f9'],
      )
    },
  ],
  [
    'times never repeat and never go back, whatever the clock does',
    async (t, on) => {
      await put(on, 9, 'a')
      const first = (await on.store.list({ collection: 'home', limit })).files.at(-1)
      await on.put('later', 'x')
      const after = first && { timestamp: first.timestamp, id: first.id }
      const rest = await on.store.list({ collection: 'home', limit, ...(after ? { after } : {}) })
      t.same(
        rest.files.map(({ id }) => id),
        ['later'],
      )
      const times = (await on.store.list({ collection: 'home', limit })).files.map(
        ({ timestamp }) => timestamp,
      )
      t.equal(new Set(times).size, times.length)
    },
  ],
  [
    'counts and digest are those of the set of files, wherever they stand',
    async (t, on) => {
      await put(on, 7)
      const [sum] = await on.store.summary()
      t.match(sum, { collection: 'home', files: 7, bytes: 77 })
      const row = await doomed(on, 'f6')
      t.equal(await on.store.remove(row, ann), 'removed')
      const [less] = await on.store.summary()
      t.match(less, { files: 6, bytes: 66 })
      t.equal(await on.store.restore('home', 'f6', row.checksum, ann), 'stored')
      t.same(await on.store.summary(), [sum])
    },
  ],
  [
    'a file is deleted by the newest version of it only, leaves a tombstone, and comes back',
    async (t, on) => {
      await put(on, 5)
      const seen = await doomed(on, 'f2')
      t.equal(await on.store.remove({ ...seen, version: seen.version + 1 }, ann), 'newer')
      t.equal(await on.store.remove({ ...seen, checksum: '0' }, ann), 'otherBytes')
      t.equal(await on.store.remove({ ...seen, id: 'none' }, ann), 'absent')
      t.equal(await on.store.remove(seen, ann), 'removed')
      t.equal(await on.store.remove(seen, ann), 'removed', 'said twice')
      t.equal(await rowOf(on, 'f2'), undefined)
      const stones = await on.store.tombstones({ collection: 'home', limit })
      t.match(stones, { partial: false, tombstones: [{ id: 'f2', checksum: seen.checksum }] })
      const [kept] = await on.store.restorable('home', ['f2'])
      t.match(kept, { id: 'f2', checksum: seen.checksum })
      t.equal(await on.put('f2', 'bytes of f2'), 'stored')
      t.equal(await on.store.remove(seen, ann), 'newer', 'said late')
      t.same((await on.store.tombstones({ collection: 'home', limit })).tombstones, [])
    },
  ],
  [
    'other bytes take the place of a file by its version only',
    async (t, on) => {
      await put(on, 3)
      const { checksum, version } = await doomed(on, 'f1')
      const fresh = new TextEncoder().encode('other bytes')
      const offer = (replaces: { checksum: string; version: number }, id = 'f1') =>
        on.accept({ ...on.offer(id, fresh), replaces })
      t.match(await offer({ checksum, version: version + 1 }), [{ is: 'newer' }])
      t.match(await offer({ checksum: '0', version }), [{ is: 'otherBytes' }])
      t.match(await offer({ checksum, version }, 'none'), [{ is: 'absent' }])
      const replaces = { checksum, version }
      t.match(await offer(replaces), [{ is: 'welcome' }])
      const incoming = await on.store.incoming('home', 'f1', replaces)
      await incoming.write(fresh)
      t.equal(await incoming.finish(ann), 'stored')
      t.equal(await on.read('f1'), 'other bytes')
      t.equal((await on.where('f1')).length, 1)
    },
  ],
  [
    'what was found is noted, and what is damaged is put aside',
    async (t, on) => {
      await put(on, 4)
      const rows = (await on.store.list({ collection: 'home', limit })).files
      const at = on.world.clock.now() + 5_000
      await on.store.note(
        rows.map((file) => ({ file, is: 'right', at })),
        ann,
      )
      t.equal(await on.store.oldestProof('home'), at)
      t.same(await on.store.proofAges('home', [at, at + 1]), [0, 4])
      const [least] = await on.store.leastProven('home', 1)
      t.ok(least)
      if (!least) return
      const parts: Uint8Array[] = []
      for await (const part of on.store.readMedium(least)) parts.push(part)
      t.equal(Buffer.concat(parts).toString(), `bytes of ${least.id}`)
      t.equal(await on.store.quarantine(least, 'damaged', ann), true)
      t.equal(await rowOf(on, least.id), undefined)
      t.same((await on.store.tombstones({ collection: 'home', limit })).tombstones, [])
    },
  ],
  [
    'a request is remembered until it is answered, and its answer afterwards',
    async (t, on) => {
      const files = ['p', 'q', 'r', 's'].map((id) => on.offer(id, new TextEncoder().encode(id)))
      const request = { key: 'k', substance: 's', request: 'r' }
      await on.store.accept(request, files)
      t.match(await on.store.accepted(), [request])
      const again = await on.again()
      t.match(await again.store.accepted(), [request])
      t.equal(await again.store.receivingCount(), 4)
      t.ok((await again.store.accept(request, files)).every(({ is }) => is === 'welcome'))
      const answer = { substance: 's', answer: 'a', keepUntil: 2e12 }
      await again.store.conclude([{ do: 'answer', key: 'k', answer }])
      t.same(await again.store.accepted(), [])
      t.same(await again.store.answer('k'), answer)
      const last = await again.again()
      t.same([await last.store.accepted(), await last.store.answer('k')], [[], answer])
      await last.store.conclude([{ do: 'forget', now: 3e12 }])
      t.equal(await last.store.answer('k'), undefined)
    },
  ],
  [
    'the audit trail holds, page by page, and tells of each change once',
    async (t, on) => {
      const ids = await put(on, 12)
      const seen: string[] = []
      let after: number | undefined
      for (let partial = true; partial; ) {
        const query = { collection: 'home', limit: 5, ...(after === undefined ? {} : { after }) }
        const page = await on.store.auditTrail(query)
        seen.push(...page.entries.map(({ id }) => id))
        const last = page.entries.at(-1)
        after = last?.cursor ?? last?.sequence
        partial = page.partial
      }
      t.same(seen.sort(), [...ids].sort())
      const chains = await on.store.verifyTrail()
      t.equal(
        chains.reduce((sum, { entries }) => sum + entries, 0),
        12,
      )
      t.ok(chains.every(({ brokenAt }) => brokenAt === undefined))
    },
  ],
]
