// The audit trail of a pillar, as it is asked for on the wire and by the client library.

import t, { type Test } from 'tap'
import { history } from '../../src/cli/history.ts'
import { type ExitCode, type Output, output } from '../../src/cli/output.ts'
import type { Client } from '../../src/client/client.ts'
import { putBatch } from '../../src/client/put.ts'
import { audit, followed, type Learnt, type TrailQuery } from '../../src/client/trail.ts'
import { type AuditEntry, auditSubstance, type Change, noAuditHash } from '../../src/index/index.ts'
import { uuid7 } from '../../src/post/compose.ts'
import type { TrailItem } from '../../src/protocol/audit.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { type Board, type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { simSigner } from '../../src/sim/keys.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { hashingInThread } from '../../src/world/hashing.ts'
import { digestOf } from '../../src/world/world.ts'
import { happened } from '../contract/trail.ts'
import { topics, wire } from './wire.ts'

const requests = topics.pillarRequests('pillar-1')
const { signal } = new AbortController()

const fleetOf = (t: Test, pillars = 1): Promise<Fleet> =>
  startFleet({ seed: t.name, pillars, copiesMin: 1 })

const entry = (id: string, at: number, more: Partial<AuditEntry> = {}): Change =>
  happened(id, at, { collection: 'home', ...more })

function boardOf(fleet: Fleet, n = 0): Board {
  const board = fleet.boards[n]
  if (!board) throw new Error('no such board')
  return board
}

/** Somebody has changed one entry behind the back of the pillar, which starts again on that index. */
async function tampered(fleet: Fleet, sequence: number, more: Partial<AuditEntry>): Promise<void> {
  const board = boardOf(fleet)
  const { audit: chain, trail } = board.index
  const bad = <E extends AuditEntry>(one: E): E =>
    one.sequence === sequence ? { ...one, ...more } : one
  board.crash()
  Object.assign(board.index, {
    audit: async (after: number, limit: number) => (await chain(after, limit)).map(bad),
    trail: async (query: Parameters<typeof trail>[0]) => {
      const page = await trail(query)
      return { ...page, entries: page.entries.map(bad) }
    },
  })
  await fleet.time.finish(board.start())
  // Everybody hears that it is there again.
  await fleet.time.advance(1_000)
}

async function put(fleet: Fleet, client: Client, ids: readonly string[]): Promise<void> {
  const items = ids.map((id) => memoryItem(fleet.random, fleet, id, 100))
  await fleet.time.finish(putBatch(client, fleet.collection, items, { signal }))
}

async function learnt(
  fleet: Fleet,
  client: Client,
  query: TrailQuery = {},
  only?: readonly string[],
): Promise<Learnt[]> {
  const all: Learnt[] = []
  const work = async (): Promise<void> => {
    for await (const one of audit(client, 'home', query, signal, only)) all.push(one)
  }
  await fleet.time.finish(work())
  return all
}

const entriesOf = (all: readonly Learnt[]) =>
  all.flatMap((one) => (one.is === 'entries' ? one.entries : []))

t.test(
  '[AUD-1] an entry says who did what, by which key, in which conversation, and why',
  async (t) => {
    const fleet = await fleetOf(t)
    const client = await fleet.client('ann')
    await fleet.time.advance(1_000)
    await put(fleet, client, ['a.txt'])
    const [first] = await boardOf(fleet).index.audit(0, 9)
    t.match(first, {
      ...{ event: 'ingestion', outcome: 'stored', id: 'a.txt', actor: 'ann' },
      ...{ key: simSigner('ann').keyId, conversation: /^[0-9a-f-]{36}$/ },
    })
    t.notOk('information' in (first ?? {}))
    const items = [memoryItem(fleet.random, fleet, 'b.txt', 100)]
    const information = 'the scans of 2024'
    await fleet.time.finish(putBatch(client, 'home', items, { signal, information }))
    const [, second] = await boardOf(fleet).index.audit(0, 9)
    t.match(second, { id: 'b.txt', information })
    t.not(second?.conversation, first?.conversation)
    const shown = await told(fleet, client, 'b.txt')
    t.match(shown.lines, /b\.txt \(the scans of 2024\)\nchain of pillar-1: 2 entries, whole$/)
  },
)

t.test(
  '[AUD-2] a page ends where a message does, and the pages together are everything',
  async (t) => {
    const fleet = await fleetOf(t)
    const long = 'é'.repeat(400)
    await boardOf(fleet).index.commit(
      Array.from({ length: 600 }, (_, n) =>
        entry(`${n}/${long.slice(0, 120)}`, n, { information: long }),
      ),
    )
    const client = await fleet.client('ann')
    await fleet.time.advance(1_000)
    const all = await learnt(fleet, client)
    t.same(
      entriesOf(all).map(({ sequence }) => sequence),
      Array.from({ length: 600 }, (_, n) => n + 1),
    )
    t.ok(all.filter((one) => one.is === 'entries').length > 10)
    t.same(all.at(-1), {
      ...{ pillar: 'pillar-1', is: 'chain' },
      chain: { entries: 600, head: entriesOf(all).at(-1)?.hash },
    })
  },
)

t.test('[AUD-3] an entry that was changed is found, by its reader and by the pillar', async (t) => {
  const fleet = await fleetOf(t)
  const ids = ['a', 'b', 'c', 'd']
  await boardOf(fleet).index.commit(ids.map((id, n) => entry(id, 1000 * n)))
  await tampered(fleet, 3, { outcome: 'never happened' })
  const ann = await wire(fleet)
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const all = await learnt(fleet, client)
  t.match(all[0], { is: 'entries', brokenAt: 3 })
  t.match(all.at(-1), { is: 'chain', chain: { brokenAt: 3 } })
  t.match(ann.answers('Alarm')[0], { alarmCode: 'INTEGRITY_ISSUE', alarmText: /entry 3/ })
  const other = await learnt(fleet, client, { fileId: 'a' })
  t.notOk('brokenAt' in (other[0] ?? {}), 'the entries of another file are sound')
  t.match(other.at(-1), { is: 'chain', chain: { brokenAt: 3 } }, 'and the chain is not')
})

t.test(
  '[AUD-3] whoever writes the chain anew from some place on is found by its head',
  async (t) => {
    const fleet = await fleetOf(t)
    await boardOf(fleet).index.commit(['a', 'b'].map((id, n) => entry(id, n)))
    const [, last] = await boardOf(fleet).index.audit(0, 9)
    const client = await fleet.client('ann')
    await fleet.time.advance(1_000)
    const substance = { ...(last ?? failed()), outcome: 'another' }
    const hash = digestOf(client.world, auditSubstance(noAuditHash, substance))
    await tampered(fleet, 2, { outcome: 'another', hash })
    const [page] = await learnt(fleet, client)
    t.match(page, { brokenAt: 2 }, 'the hash is right for another entry before it')
  },
)

t.test(
  '[AUD-3] the walk over the chain tells how far it is, and is one for all who ask',
  async (t) => {
    const fleet = await fleetOf(t)
    const board = boardOf(fleet)
    await board.index.commit(Array.from({ length: 1_200 }, (_, n) => entry(`${n}`, n)))
    const { audit: chain } = board.index
    let reads = 0
    board.crash()
    Object.assign(board.index, {
      audit: async (after: number, limit: number) => {
        reads++
        await board.clock.sleep(4_000)
        return chain(after, limit)
      },
    })
    await fleet.time.finish(board.start())
    const ann = await wire(fleet)
    const make = () =>
      ann.make<'GetAuditTrailsRequest'>({
        type: 'GetAuditTrailsRequest',
        ...{ verify: true, maxResults: 0, conversation: uuid7(ann.world) },
      })
    const first = make()
    await ann.say(requests, first)
    await ann.say(requests, first)
    t.match(await ann.wait('GetAuditTrailsProgressResponse'), { entriesDone: 0 })
    await ann.say(requests, make())
    t.match(await ann.wait('GetAuditTrailsFinalResponse', 2), {
      ...{ items: [], partialResult: true, chain: { entries: 1_200 } },
    })
    t.equal(reads, 3)
    t.ok(
      ann.answers('GetAuditTrailsProgressResponse').some(({ entriesDone }) => entriesDone === 500),
    )
    t.equal(ann.answers('GetAuditTrailsFinalResponse').length, 2, 'a repeat is no other request')
    await ann.say(requests, make())
    await fleet.time.advance(1_000)
    const before = fleet.time.clock.monotonic()
    await fleet.time.finish(board.stop())
    t.equal(reads, 4, 'and ends with its pillar')
    t.ok(fleet.time.clock.monotonic() - before > 2_000, 'which waits for what it still reads')
  },
)

t.test('[AUD-3] a reader needs no word of the pillar to find what does not follow', async (t) => {
  const world = { hashing: hashingInThread() }
  const item = (sequence: number, previous: string, outcome = 'stored'): TrailItem => {
    const about = {
      event: 'ingestion',
      actor: 'ann',
      conversation: 'c',
      outcome,
      sequence,
      key: 'k',
    }
    const substance = auditSubstance(previous, { ...about, at: 0, id: 'a', collection: 'home' })
    return { ...about, at: timeText(0), fileId: 'a', previous, hash: digestOf(world, substance) }
  }
  const one = item(1, noAuditHash)
  const two = item(2, one.hash)
  const broken = (...items: TrailItem[]) =>
    followed(world, 'home', new Map(), items).get('')?.brokenAt
  t.equal(broken(one, two), undefined)
  t.equal(broken(one, item(5, two.hash)), undefined, 'others lie between')
  t.equal(broken({ ...one, actor: 'bob' }, two), 1)
  t.equal(broken(item(1, two.hash)), 1, 'nothing comes before the first')
  t.equal(broken(one, item(2, two.hash)), 2, 'neighbours that are not linked')
  t.equal(broken(two, two), 2, 'twice')
  t.equal(broken(two, one), 1, 'backwards')
  t.equal(broken(one, { ...two, outcome: 'x' }, { ...two, sequence: 3 }), 2, 'the first is named')
  const seen = followed(world, 'home', new Map(), [one])
  t.equal(
    followed(world, 'home', seen, [item(2, two.hash)]).get('')?.brokenAt,
    2,
    'from page to page',
  )
  t.equal(followed(world, 'elsewhere', new Map(), [one]).get('')?.brokenAt, 1)
})

t.test('[AUD-3] a pillar that shows other entries than its chain has is found out', async (t) => {
  const fleet = await fleetOf(t)
  const board = boardOf(fleet)
  await board.index.commit(['a', 'b'].map((id, n) => entry(id, n)))
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const { audit: chain } = board.index
  const [, last] = await chain(0, 9)
  const forged = { ...(last ?? failed()), outcome: 'another' }
  const { hash: previous } = (await chain(0, 1))[0] ?? failed()
  const hash = digestOf(client.world, auditSubstance(previous, forged))
  await tampered(fleet, 2, { outcome: 'another', hash })
  board.crash()
  Object.assign(board.index, { audit: chain })
  await fleet.time.finish(board.start())
  await fleet.time.advance(1_000)
  const [page, verdict] = await learnt(fleet, client)
  t.notOk('brokenAt' in (page ?? {}), 'by itself it is sound')
  t.match(verdict, { is: 'chain', chain: { entries: 2, brokenAt: 2 } })
})

interface Said {
  readonly code: ExitCode
  readonly lines: string
  readonly objects: object[]
}

async function told(fleet: Fleet, client: Client, ...args: HistoryArgs): Promise<Said> {
  const lines: string[] = []
  const objects: object[] = []
  const hear = (text: string): void => void lines.push(text)
  const out: Output = {
    ...output({ quiet: true }),
    ...{ line: hear, note: hear, warn: hear },
    object: (value) => void objects.push(value),
  }
  const disk = { ...boardOf(fleet).disk.disk }
  const [id, options = {}] = args
  const code = await fleet.time.finish(history({ client, out, signal, disk }, 'home', id, options))
  return { code, lines: lines.join('\n'), objects }
}
type HistoryArgs = [id?: string, options?: Parameters<typeof history>[3]]

t.test(
  '[AUD-3] history shows each pillar, says that its chain is whole, and fails when it is not',
  async (t) => {
    const fleet = await fleetOf(t, 2)
    const client = await fleet.client('ann')
    await fleet.time.advance(1_000)
    await put(fleet, client, ['a.txt', 'b.txt'])
    const all = await told(fleet, client)
    t.equal(all.code, 0)
    t.match(all.lines, /^pillar-1 {2}1 {2}\S+Z {2}ingestion: stored {2}by ann {2}[ab]\.txt$/m)
    t.match(all.lines, /^chain of pillar-1: 2 entries, whole$/m)
    t.match(all.lines, /^chain of pillar-2: 2 entries, whole$/m)
    t.equal(all.objects.length, 6)
    const one = await told(fleet, client, 'b.txt', { pillar: 'pillar-2' })
    t.notMatch(one.lines, /a\.txt|pillar-1/)
    t.match(one.lines, /b\.txt\nchain of pillar-2: 2 entries, whole$/)
    const later = await told(fleet, client, undefined, { since: fleet.time.clock.now() })
    t.match(later.lines, /nothing is recorded/)
    await fleet.time.finish(boardOf(fleet, 1).stop())
    const partly = await told(fleet, client)
    t.match(partly.lines, 'pillar-2 did not answer')
    t.equal(partly.code, 3)
    await tampered(fleet, 2, { actor: 'bob' })
    const broken = await told(fleet, client, undefined, { pillar: 'pillar-1' })
    t.match(broken.lines, /^chain of pillar-1: broken at entry 2/m)
    t.equal(broken.code, 1)
  },
)

function failed(): never {
  throw new Error('there is no such entry')
}
