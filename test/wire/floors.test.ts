// What a stolen key, a mistake or a tracker that was broken into can destroy in a day, as pillars see it.

import t, { type Test } from 'tap'
import { type PutItem, putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { purges, retainedMs } from '../../src/pillar/retention.ts'
import { fragmentFileId } from '../../src/protocol/fragments.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import type { FleetOptions } from '../../src/sim/fleet-ground.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { objectName } from '../../src/transfer/objects.ts'
import { rig } from '../pillar/fragments/rig.ts'
import { cutAt } from './cut.ts'
import { topics, type Wire, wire } from './wire.ts'

const { signal } = new AbortController()
const requests = topics.pillarRequests('pillar-1')
const hour = 3_600_000
const day = 24 * hour

interface Setting {
  readonly fleet: Fleet
  readonly ann: Wire
  readonly items: readonly PutItem[]
  stored(): Promise<number>
  /** The codes of what was deleted at once. */
  erase(items: readonly PutItem[]): Promise<{ code: string; text?: string | undefined }[]>
}

async function setting(t: Test, files: number, options: Partial<FleetOptions>): Promise<Setting> {
  const fleet = await startFleet({ seed: t.name, pillars: 1, copiesMin: 1, ...options })
  const bob = await fleet.client('bob')
  const ann = await wire(fleet)
  await fleet.time.advance(1_000)
  const items = Array.from({ length: files }, (_, n) =>
    memoryItem(fleet.random, fleet, `${n}.txt`, 10 + n),
  )
  for (let at = 0; at < files; at += 60)
    await fleet.time.finish(putBatch(bob, 'home', items.slice(at, at + 60), { signal }))
  const index = () => fleet.boards[0]?.index
  let asked = 0
  return {
    ...{ fleet, ann, items },
    stored: async () => (await index()?.summary())?.[0]?.files ?? 0,
    async erase(some) {
      const versions =
        (await index()?.versions(
          'home',
          some.map(({ id }) => id),
        )) ?? []
      const doomed = some.map(({ id, checksum }, n) => ({
        id,
        checksum,
        version: versions[n] ?? 0,
      }))
      const type = 'DeleteFileRequest' as const
      await ann.say(requests, ann.make<typeof type>({ type, to: ['pillar-1'], files: doomed }))
      return (await ann.wait('DeleteFileFinalResponse', ++asked)).files
    },
  }
}
const done = (files: readonly { code: string }[]): number =>
  files.filter(({ code }) => code === 'OPERATION_COMPLETED').length

t.test(
  '[FLR-1] a board destroys no more in a day, whoever asks, after a restart too',
  async (t) => {
    const floors = { changes: 3, changesAll: 9, unwantedPercent: 5 }
    const on = await setting(t, 9, { floors })
    const { fleet, ann, items } = on
    const [board] = fleet.boards
    const first = await on.erase(items.slice(0, 5))
    t.equal(done(first), 3)
    t.match(first[4], {
      code: 'FAILURE',
      text: 'pillar-1 changes no more than 3 files a day for ann, whatever it is told',
    })
    t.equal(await on.stored(), 6)
    // Whatever the owner allows.
    const until = timeText(fleet.time.clock.now() + 9 * day)
    const leave = { identity: 'ann', collection: 'home', files: 5_000, until }
    await fleet.publish((document) => ({ ...document, massChanges: [leave] }))
    for (let n = 0; n < 3; n++) {
      board?.crash()
      await fleet.time.finish(board?.start() ?? Promise.resolve())
      await fleet.time.advance(5_000)
      t.equal(done(await on.erase(items.slice(4, 6))), 0)
    }
    const type = 'IdentifyPillarsForDeleteFileRequest' as const
    await ann.say(
      requests,
      ann.make<typeof type>({
        type,
        files: items.slice(5, 6).map(({ id, checksum }) => ({ id, checksum })),
      }),
    )
    const answer = await ann.wait('IdentifyPillarsForDeleteFileResponse')
    t.match(
      answer.responseInfo,
      { code: 'IDENTIFICATION_NEGATIVE', text: /no more than 3 files/ },
      'so that it goes nowhere',
    )
    await fleet.time.advance(10_000)
    t.equal(ann.answers('Alarm').length, 1, 'one alarm, not one for each request')
    await fleet.time.advance(25 * hour)
    t.equal(done(await on.erase(items.slice(3, 5))), 2)
  },
)

t.test(
  '[MASS-1] a hundred files are deleted, and not the archive; [MASS-2] unless the owner allows it',
  async (t) => {
    const on = await setting(t, 125, {})
    const { fleet, ann, items } = on
    t.equal(done(await on.erase(items)), 100)
    t.equal(await on.stored(), 25)
    const until = timeText(fleet.time.clock.now() + hour)
    const leave = { identity: 'ann', collection: 'home', files: 110, until }
    await fleet.publish((document) => ({ ...document, massChanges: [leave] }))
    await fleet.time.advance(5_000)
    t.equal(done(await on.erase(items.slice(100))), 10)
    await fleet.time.advance(hour)
    t.equal(done(await on.erase(items.slice(110))), 0)
    t.equal(ann.answers('Alarm').length, 1)
    t.match(ann.answers('Alarm')[0], {
      alarmText:
        /^ann wants too many files to be changed: ann would change more than 100 files of home/,
    })
  },
)

t.test(
  '[FLR-1] the power goes at any moment, and no more goes than the floor allows',
  async (t) => {
    const floors = { changes: 2, changesAll: 9, unwantedPercent: 5 }
    let cuts = 0
    for (let n = 1; n < 30; n++) {
      const on = await setting(t, 4, { seed: n, floors })
      const { fleet, ann, items } = on
      const [board] = fleet.boards
      if (!board) throw new Error('no board')
      const ids = items.map(({ id }) => id)
      const versions = await board.index.versions('home', ids)
      const files = items.map(({ id, checksum }, at) => ({
        id,
        checksum,
        version: versions[at] ?? 0,
      }))
      const type = 'DeleteFileRequest' as const
      const request = ann.make<typeof type>({ type, to: ['pillar-1'], files })
      const isCut = await cutAt(fleet, board, n, async () => {
        await ann.say(requests, request)
        await fleet.time.advance(5_000)
      })
      // Said again, and asked anew.
      await ann.say(requests, request)
      await fleet.time.advance(5_000)
      for (const { id, checksum } of items) {
        const [version = 0] = await board.index.versions('home', [id])
        const again = [{ id, checksum, version }]
        await ann.say(requests, ann.make<typeof type>({ type, to: ['pillar-1'], files: again }))
        await fleet.time.advance(1_000)
      }
      t.ok((await on.stored()) >= 2, `cut at ${n}`)
      if (!isCut) break
      cuts++
    }
    t.ok(cuts > 5, `${cuts} cuts`)
  },
)

t.test(
  '[FLR-1] replaces are counted as deletes are, and nothing is replaced on one pillar only',
  async (t) => {
    const floors = { changes: 1, changesAll: 9, unwantedPercent: 5 }
    const on = await setting(t, 3, { floors, pillars: 2, copiesMin: 2 })
    const { fleet, items } = on
    const client = await fleet.client('ann')
    await fleet.time.advance(1_000)
    const fresh = items.map(({ id }) => memoryItem(fleet.random, fleet, id, 99))
    const replace = (n: number, pillars: readonly string[]) => {
      const [old, item] = [items[n], fresh[n]]
      if (!old || !item) throw new Error('no such file')
      return fleet.time.finish(replaceFile(client, 'home', old.checksum, item, pillars, { signal }))
    }
    t.match(await replace(0, ['pillar-1']), [{ is: 'done' }])
    t.match(await replace(1, ['pillar-1', 'pillar-2']), [
      { pillar: 'pillar-1', is: 'refused', why: /no more than 1 file/ },
    ])
    t.equal(
      (await fleet.boards[1]?.index.stored('home', ['1.txt']))?.[0]?.checksum,
      items[1]?.checksum,
    )
    // Who does not ask first gets no further.
    const { ann } = on
    const [version = 0] = (await fleet.boards[0]?.index.versions('home', ['1.txt'])) ?? []
    const { size = 0, checksum = '', mtime = 0 } = fresh[1] ?? {}
    const type = 'ReplaceFileRequest' as const
    const file = {
      id: '1.txt',
      size,
      checksum,
      mtime: timeText(mtime),
      replaces: { checksum: items[1]?.checksum ?? '', version },
    }
    const transmission = client.transmission({
      dir: 'down',
      hld: ['pillar-1'],
      obj: [[objectName(fleet, 'x'), size]],
    })
    await ann.say(
      requests,
      ann.make<typeof type>({ type, to: ['pillar-1'], files: [file], transmission }),
    )
    t.match((await ann.wait('ReplaceFileFinalResponse')).files, [
      { code: 'FAILURE', text: /no more than 1 file/ },
    ])
  },
)

t.test('[FLR-1] of two that are brought at once the floor lets one through', async (t) => {
  const floors = { changes: 1, changesAll: 9, unwantedPercent: 5 }
  const { fleet, items } = await setting(t, 2, { floors })
  const client = await fleet.client('ann')
  await fleet.time.advance(1_000)
  const both = items.map(({ id, checksum }) => {
    const item = memoryItem(fleet.random, fleet, id, 99)
    return replaceFile(client, 'home', checksum, item, ['pillar-1'], { signal })
  })
  const results = (await fleet.time.finish(Promise.all(both))).flat()
  t.same(results.map(({ is }) => is).sort(), ['done', 'refused'])
  t.match(
    results.find(({ is }) => is === 'refused'),
    { why: /no more than 1 file/ },
  )
})

t.test('[FLR-3] the document makes bytes stay longer, and never shorter', async (t) => {
  const { fleet, ann, items, erase } = await setting(t, 2, {})
  const [board] = fleet.boards
  const days = (retainDays: number) =>
    fleet.publish((document) => ({
      ...document,
      collections: document.collections.map((one) => ({ ...one, retainDays })),
    }))
  const keptFor = async (count: number): Promise<number> => {
    await fleet.time.advance(5_000)
    const type = 'GetTombstonesRequest' as const
    await ann.say(requests, ann.make<typeof type>({ type }))
    const [stone] = (await ann.wait('GetTombstonesFinalResponse', count)).items
    return (Date.parse(stone?.keptUntil ?? '') - Date.parse(stone?.removedAt ?? '')) / day
  }
  await erase(items.slice(0, 1))
  t.equal(await keptFor(1), 30)
  await days(1)
  t.equal(await keptFor(2), 30)
  await fleet.time.advance(2 * day)
  t.equal((await board?.index.retained({ limit: 9 }))?.length, 1)
  await days(35)
  t.equal(await keptFor(3), 35)
  await fleet.time.advance(30 * day)
  t.equal((await board?.index.retained({ limit: 9 }))?.length, 1, 'longer than the board by itself')
  await fleet.time.advance(5 * day)
  t.equal((await board?.index.retained({ limit: 9 }))?.length, 0)
  const policy = { name: 'home', pillars: [], copiesMin: 1, algorithm: 'sha256' as const }
  const parts = {
    retainMs: 30 * day,
    directory: {
      collection: (name: string) => ({ ...policy, name, retainDays: name === 'long' ? 90 : 3 }),
      document: () => ({ collections: ['long', 'home'].map((name) => ({ ...policy, name })) }),
    },
  } as unknown as Parameters<typeof purges>[0]
  t.same(purges(parts, 100 * day), [
    { before: 70 * day, of: { except: ['long'] } },
    { before: 10 * day, of: { collection: 'long' } },
  ])
  t.equal(retainedMs(parts, 'home'), 30 * day)
})

t.test('[FLR-1] the vault has the same floors, for collections in fragments', async (t) => {
  const floors = { changes: 1, changesAll: 9, unwantedPercent: 5 }
  const fragments = { bytes: 64 * 1024, copies: 2 }
  const fleet = await startFleet({ seed: 3, pillars: 2, copiesMin: 1, fragments, floors })
  const client = await fleet.client('ann')
  await fleet.time.advance(60_000)
  const items = ['a', 'b'].map((id) => memoryItem(fleet.random, fleet, id, 100))
  await fleet.time.finish(putBatch(client, 'pieces', items, { signal }))
  const results = []
  for (const file of items)
    results.push(...(await fleet.time.finish(remove(client, 'pieces', file, ['tracker'], signal))))
  t.match(results, [{ is: 'done' }, { is: 'refused', why: /^tracker changes no more than 1 file/ }])
})

t.test('[FLR-2] a tracker that says that nobody needs anything any more', async (t) => {
  const at = await rig('floors', { pillars: 3, copies: 2 })
  await at.join()
  const conversation = '00000000-0000-7000-8000-0000000000f1'
  const names = at.fleet.boards.map(({ name }) => name)
  const fragments = Array.from({ length: 110 }, (_, n) => at.fragment(new Uint8Array(50).fill(n)))
  await at.deliver(
    fragments.map((fragment) => ({ fragment, recipients: ['pillar-1'] })),
    conversation,
  )
  await at.pass(20_000)
  const all = fragments.map((one) => ({
    ...one,
    outcome: 'complete' as const,
    holders: ['pillar-1'],
  }))
  await at.say('FragmentDistributionEnded', { conversation, fragments: all })
  await at.pass(10_000)
  const index = at.fleet.boards[0]?.index
  const ids = fragments.map(fragmentFileId)
  const here = async () => (await index?.stored('pieces', ids))?.filter((row) => row).length
  t.equal(await here(), 110)
  const named = fragments.map(({ hash, kind }) => ({ hash, kind }))
  await at.ask('pillar-1', 'PrepareTrimRequest', { fragments: named })
  await at.pass(2_000)
  const nonce = at.heard('PrepareTrimFinalResponse').at(-1)?.nonce
  await at.ask('pillar-1', 'TrimFragmentsRequest', {
    nonce,
    fragments: named,
    confirmations: [],
    unwanted: true,
  })
  await at.pass(5_000)
  const [final] = at.heard('TrimFragmentsFinalResponse')
  t.equal(done(final?.files ?? []), 100)
  t.match(final?.files.at(-1), {
    code: 'FAILURE',
    text: /pillar-1 throws away 100 fragments a day at most/,
  })
  t.equal(await here(), 10)
  t.ok(names.length)
})
