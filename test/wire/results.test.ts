// Listings that are too long for messages: delivered as objects by a result token.

import t, { type Test } from 'tap'
import { survey } from '../../src/client/list.ts'
import { type Final, pages } from '../../src/client/pages.ts'
import type { Message, MessageOf } from '../../src/protocol/messages.ts'
import { resultItems } from '../../src/protocol/messages.ts'
import { type FleetOptions, startFleet } from '../../src/sim/fleet.ts'
import { digestOf } from '../../src/world/world.ts'
import { topics, wire } from './wire.ts'

const { signal } = new AbortController()
const count = 3_000
const idOf = (n: number): string => `folder/file-${String(n).padStart(6, '0')}`

/** One pillar that knows of many files, and who hears what is said to ann. */
async function setting(t: Test, options: Partial<FleetOptions> = {}) {
  const fleet = await startFleet({ seed: t.name, pillars: 1, copiesMin: 1, ...options })
  const index = fleet.boards[0]?.index
  const checksum = digestOf(fleet, 'x')
  for (let at = 0; at < count; at += 500)
    await index?.commit(
      Array.from({ length: 500 }, (_, n) => ({
        do: 'store' as const,
        file: {
          ...{ collection: 'home', id: idOf(at + n), path: idOf(at + n), size: 1, checksum },
          ...{ mtime: 1, provenAt: 1 },
        },
        now: 1_000,
      })),
    )
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const heard: Message[] = []
  const { line } = client
  const spied: typeof line = {
    ...line,
    ask: (asking) =>
      line.ask({
        ...asking,
        progress(answer) {
          heard.push(answer)
          asking.progress?.(answer)
        },
      }),
  }
  const spy = { ...client, line: spied }
  const finals = () => heard.filter(({ type }) => type.endsWith('FinalResponse'))
  const everything = async (
    kind: 'GetFileIDs' | 'GetChecksums' | 'GetFileInfos' = 'GetFileInfos',
  ) => {
    const ids: string[] = []
    const work = async (): Promise<void> => {
      const listed = { collection: 'home', pillar: 'pillar-1', query: {}, signal }
      for await (const { items } of pages(spy, kind, listed))
        for (const { id } of items as Final<'GetFileIDs'>['items']) ids.push(id)
    }
    await fleet.time.finish(work())
    return ids
  }
  return { fleet, client: spy, heard, finals, everything }
}

const all = Array.from({ length: count }, (_, n) => idOf(n))

t.test('[RES-1] after some pages the rest comes as one object', async (t) => {
  for (const kind of ['GetFileIDs', 'GetChecksums', 'GetFileInfos'] as const) {
    const { everything, finals } = await setting(t)
    t.same(await everything(kind), all, kind)
    const told = finals() as MessageOf<'GetFileIDsFinalResponse'>[]
    t.equal(told.length, 4, `${kind}: three pages and one object`)
    const { result, items, partialResult } = told.at(-1) ?? {}
    t.ok((result?.items ?? 0) > 900)
    t.same([items, partialResult], [[], false])
  }
})

t.test('[RES-1] behind the relay, too', async (t) => {
  const { everything, finals, heard } = await setting(t, { lan: false })
  t.same(await everything(), all)
  t.equal(finals().length, 4)
  t.ok(heard.some((one) => 'deliveringTo' in one && one.deliveringTo?.includes('tracker')))
})

t.test('[RES-2] the link is cut on the way, again and again: all of it comes, once', async (t) => {
  const { fleet, everything } = await setting(t)
  Object.assign(fleet.netFaults, { cut: 0.6, faultBytesMax: 100_000 })
  Object.assign(fleet.busFaults, { lost: 0.1, duplicated: 0.2 })
  t.same(await everything(), all)
  t.ok(fleet.net.counters.cut > 0, `${fleet.net.counters.cut} cuts`)
})

t.test('[RES-2] where no exchange can be reached it goes on page by page', async (t) => {
  const { fleet, everything, finals } = await setting(t, { lan: false })
  fleet.tracker.crash()
  t.same(await everything(), all)
  t.ok(finals().length > 6, `${finals().length} answers`)
})

t.test('[RES-2] what was changed on the way is not believed', async (t) => {
  const { client, everything, fleet } = await setting(t)
  const { bench } = client
  let changed = 0
  const lying: typeof bench = {
    ...bench,
    land: (name, landing) =>
      bench.land(name, {
        ...landing,
        at: () => landing.at(),
        write(some) {
          const other = new Uint8Array(some)
          if (changed++ === 0) other[10] = (other[10] ?? 0) ^ 1
          return landing.write(other)
        },
      }),
  }
  Object.assign(client, { bench: lying })
  t.same(await everything(), all)
  t.equal(changed, 1)
  const found = await fleet.time.finish(survey(client, 'home', {}, signal))
  t.equal(found.files.size, count)
})

t.test(
  '[RES-1] a repeat of the request gets the same answer, another request is refused',
  async (t) => {
    const { fleet, client } = await setting(t)
    const ann = await wire(fleet)
    const to = ['pillar-1']
    const name = 'A'.repeat(22)
    const parts: Uint8Array[] = []
    let at = 0
    client.bench.land(name, {
      at: () => at,
      async write(some) {
        parts.push(new Uint8Array(some))
        at += some.length
      },
      secure: async () => undefined,
      finish: async () => undefined,
    })
    const transmission = client.transmission({ dir: 'up', hld: to, obj: [[name, -1]] })
    const request = ann.make<'GetFileIDsRequest'>({
      ...{ type: 'GetFileIDsRequest', to, transmission, maxResults: 700 },
    })
    for (const _ of [1, 2]) await ann.say(topics.pillarRequests('pillar-1'), request)
    const final = await ann.wait('GetFileIDsFinalResponse')
    t.match(final, {
      items: [],
      partialResult: true,
      after: { id: idOf(699) },
      result: { items: 700 },
    })
    const text = Buffer.concat(parts).toString()
    t.equal(digestOf(fleet, text), final.result?.checksum)
    t.equal(resultItems('GetFileIDs', text)?.length, 700)
    await ann.say(topics.pillarRequests('pillar-1'), request)
    t.match(await ann.wait('GetFileIDsFinalResponse', 2), { result: final.result })
    await ann.say(topics.pillarRequests('pillar-1'), { ...request, prefix: 'other' })
    t.match(await ann.wait('GetFileIDsFinalResponse', 3), {
      responseInfo: { code: 'REQUEST_NOT_UNDERSTOOD_FAILURE' },
    })
    await ann.say(
      topics.pillarRequests('pillar-1'),
      ann.make<'GetFileIDsRequest'>({
        ...{ type: 'GetFileIDsRequest', to, transmission: { exchanges: [], token: 'x.y.z' } },
      }),
    )
    t.match(await ann.wait('GetFileIDsFinalResponse', 4), {
      responseInfo: { code: 'FILE_TRANSFER_FAILURE' },
      items: [],
    })
  },
)

t.test('lines that are no items are none', async (t) => {
  t.equal(resultItems('GetFileIDs', '{"id":"../up","timestamp":"x"}\n'), undefined)
  t.equal(resultItems('GetFileIDs', 'nonsense'), undefined)
  t.same(resultItems('GetFileIDs', ''), [])
})
