// DeleteFile, RestoreRetained and GetTombstones, as they are asked for on the wire and by the client library.

import t, { type Test } from 'tap'
import { putBatch } from '../../src/client/put.ts'
import { deleted, remove, restore, stand } from '../../src/client/remove.ts'
import { answering, compose } from '../../src/post/compose.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { topics, type Wire, wire } from './wire.ts'

const requests = topics.pillarRequests('pillar-1')
const { signal } = new AbortController()

interface Setting {
  readonly fleet: Fleet
  readonly ann: Wire
  readonly checksum: string
  /** What the pillar tells of the file. */
  version(): Promise<number>
  stored(): Promise<boolean>
  put(): Promise<void>
}

/** One pillar with one file. */
async function setting(t: Test): Promise<Setting> {
  const fleet = await startFleet({ seed: t.name, pillars: 1, copiesMin: 1 })
  const client = await fleet.client('bob')
  const ann = await wire(fleet)
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 100)
  const put = async (): Promise<void> => {
    await fleet.time.finish(putBatch(client, fleet.collection, [item], { signal }))
  }
  await put()
  const { checksum } = item
  const stored = async (): Promise<boolean> =>
    (await fleet.boards[0]?.index.stored('home', ['a.txt']))?.[0] !== undefined
  let asked = 0
  const version = async (): Promise<number> => {
    const type = 'IdentifyPillarsForDeleteFileRequest' as const
    await ann.say(requests, ann.make<typeof type>({ type, files: [{ id: 'a.txt', checksum }] }))
    const answer = await ann.wait('IdentifyPillarsForDeleteFileResponse', ++asked)
    return answer.files[0]?.version ?? 0
  }
  return { fleet, ann, checksum, version, stored, put }
}

const asking = ({ ann, checksum }: Setting, version: number) =>
  ann.make<'DeleteFileRequest'>({
    ...{ type: 'DeleteFileRequest', to: ['pillar-1'] },
    files: [{ id: 'a.txt', checksum, version }],
  })

t.test('[RM-3] tombstones say until when the bytes are kept, and these come back', async (t) => {
  const on = await setting(t)
  const { ann, fleet } = on
  await ann.say(requests, asking(on, await on.version()))
  await ann.wait('DeleteFileFinalResponse')
  await ann.say(requests, ann.make<'GetTombstonesRequest'>({ type: 'GetTombstonesRequest' }))
  const [stone] = (await ann.wait('GetTombstonesFinalResponse')).items
  t.match(stone, { id: 'a.txt', checksum: on.checksum, size: 100 })
  const keptMs = Date.parse(stone?.keptUntil ?? '') - Date.parse(stone?.removedAt ?? '')
  t.equal(keptMs, 30 * 24 * 3_600_000)
  const back = ann.make<'RestoreRetainedRequest'>({
    ...{ type: 'RestoreRetainedRequest', to: ['pillar-1'] },
    files: [{ id: 'a.txt', checksum: on.checksum }],
  })
  for (let n = 0; n < 3; n++) await ann.say(requests, back)
  t.equal((await ann.wait('RestoreRetainedFinalResponse')).responseInfo.code, 'OPERATION_COMPLETED')
  t.equal(await on.stored(), true)
  await fleet.time.advance(5_000)
  const entries = (await fleet.boards[0]?.index.audit(0, 100)) ?? []
  t.equal(entries.filter(({ event }) => event === 'recovery').length, 1, 'brought back once')
  await ann.say(requests, ann.make<'GetTombstonesRequest'>({ type: 'GetTombstonesRequest' }))
  t.same((await ann.wait('GetTombstonesFinalResponse', 2)).items, [])
})

t.test('[RM-5] nothing is deleted anywhere unless every pillar that is named agrees', async (t) => {
  const fleet = await startFleet({ seed: 5, pillars: 3, copiesMin: 1 })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const item = memoryItem(fleet.random, fleet, 'a.txt', 100)
  await fleet.time.finish(putBatch(client, 'home', [item], { signal }))
  await fleet.time.advance(60_000)
  const all = ['pillar-1', 'pillar-2', 'pillar-3']
  const holders = async (): Promise<number> => {
    const rows = await Promise.all(fleet.boards.map(({ index }) => index.stored('home', ['a.txt'])))
    return rows.filter(([row]) => row !== undefined).length
  }
  const { checksum } = item
  const file = { id: 'a.txt', checksum }
  fleet.boards[2]?.crash()
  const tried = await fleet.time.finish(remove(client, 'home', file, all, signal))
  t.match(tried, [{ pillar: 'pillar-3', is: 'silent' }])
  t.equal(tried.length, 1)
  t.equal(await holders(), 3)
  const wrong = { id: 'a.txt', checksum: '1'.repeat(64) }
  const refused = await fleet.time.finish(remove(client, 'home', wrong, all.slice(0, 1), signal))
  t.match(refused, [{ is: 'refused', why: /another checksum/ }])
  const two = all.slice(0, 2)
  const done = await fleet.time.finish(remove(client, 'home', file, two, signal))
  t.same(
    done.map(({ pillar, is }) => [pillar, is]),
    two.map((pillar) => [pillar, 'done']),
  )
  t.equal(await holders(), 1)
  const seen = async (pillar: string) => {
    const found = []
    for await (const one of deleted(client, 'home', pillar, {}, signal)) found.push(one)
    return found
  }
  t.match(await fleet.time.finish(seen('pillar-1')), [{ id: 'a.txt', checksum, size: 100 }])
  const back = await fleet.time.finish(restore(client, 'home', 'pillar-1', [file], signal))
  t.match(back, [{ pillar: 'pillar-1', is: 'done' }])
  t.equal(await holders(), 2)
  const absent = await fleet.time.finish(restore(client, 'home', 'pillar-1', [wrong], signal))
  t.match(absent, [{ is: 'refused' }], 'other bytes stand there')
})

t.test(
  '[RM-7] what was deleted is not brought back by the tracker, but by whoever puts it',
  async (t) => {
    const fleet = await startFleet({ seed: 7, pillars: 2, copiesMin: 2 })
    const client = await fleet.client('ann')
    const ann = await wire(fleet)
    await fleet.time.advance(1_000)
    const item = memoryItem(fleet.random, fleet, 'a.txt', 100)
    const { id, size, checksum, mtime } = item
    const put = () => fleet.time.finish(putBatch(client, 'home', [item], { signal }))
    const stored = async (): Promise<boolean> =>
      (await fleet.boards[0]?.index.stored('home', [id]))?.[0] !== undefined
    await put()
    await fleet.time.finish(remove(client, 'home', { id, checksum }, ['pillar-1'], signal))
    t.equal(await stored(), false)
    const owed = ann.make<'DeliverOwedCopiesRequest'>({
      ...{ type: 'DeliverOwedCopiesRequest', owed: ['pillar-1'], holders: ['pillar-2'] },
      files: [{ id, size, checksum, mtime: timeText(mtime) }],
    })
    await ann.say(topics.trackerRequests(), owed)
    await ann.wait('DeliverOwedCopiesFinalResponse')
    await fleet.time.advance(120_000)
    t.equal(await stored(), false)
    const told = fleet.lines().filter((line) => line.includes('owed.delivered'))
    t.equal(told.length, 1, 'the debt is settled: it is not tried for ever')
    await put()
    t.equal(await stored(), true)
  },
)

t.test('[RM-5] a pillar whose volume has failed agrees to nothing', async (t) => {
  const { ann, checksum } = await setting(t)
  const type = 'IdentifyPillarsForDeleteFileRequest' as const
  const request = ann.make<typeof type>({ type, files: [{ id: 'a.txt', checksum }] })
  const said = (code: 'IDENTIFICATION_POSITIVE' | 'IDENTIFICATION_NEGATIVE', text?: string) =>
    compose<'IdentifyPillarsForDeleteFileResponse'>(ann.world, 'pillar-1', {
      type: 'IdentifyPillarsForDeleteFileResponse',
      ...answering(request, 'pillar-1', code, text),
      files: [{ id: 'a.txt', code: 'IDENTIFICATION_POSITIVE', version: 7 }],
    })
  t.match(stand('pillar-1', 'a.txt', said('IDENTIFICATION_POSITIVE')), { is: 'done', version: 7 })
  const failed = stand('pillar-1', 'a.txt', said('IDENTIFICATION_NEGATIVE', 'EIO: sync'))
  t.same(failed, { pillar: 'pillar-1', id: 'a.txt', is: 'refused', why: 'EIO: sync' })
})
