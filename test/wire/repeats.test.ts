// R9: whatever was ever said, said again in any order, changes nothing.

import t from 'tap'
import { statuses, survey } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { deleted, remove, restore } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { audit } from '../../src/client/trail.ts'
import { parse, unseal } from '../../src/protocol/envelope.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { topics } from './wire.ts'

const { signal } = new AbortController()

interface Said {
  readonly topic: string
  readonly payload: Uint8Array
}

/** Hears everything, and can say it again. */
async function spyOn(fleet: Fleet) {
  const said: Said[] = []
  const bus = fleet.broker.connectAs('spy')({
    clientId: 'spy.1',
    persistent: false,
    subscriptions: [
      topics.allCollectionRequests(),
      topics.pillarRequests('+'),
      topics.trackerRequests(),
      topics.replies('+', '+'),
      topics.allPillarStates(),
      topics.trackerState(),
      topics.alarms(),
    ],
    receive: (topic, payload) => void said.push({ topic, payload }),
    connected: () => undefined,
    closed: () => undefined,
  })
  await fleet.time.advance(1_000)
  return {
    said,
    say: ({ topic, payload }: Said) => fleet.time.finish(bus.publish(topic, payload)),
  }
}

/** What an archive is, as far as it lasts. */
async function stateOf({ boards }: Fleet): Promise<unknown> {
  const all = boards.map(async ({ index }) => ({
    files: (await index.list({ collection: 'home', limit: 99 })).files,
    tombstones: await index.tombstones({ collection: 'home', limit: 99 }),
    retained: await index.retained({ limit: 99 }),
    receiving: await index.allReceiving(),
    accepted: await index.accepted(),
    trail: await index.audit(0, 999),
    versions: await index.versions('home', ['kept', 'gone', 'back', 'again', 'late']),
  }))
  return Promise.all(all)
}

/** One of everything that can be asked for. */
async function story(fleet: Fleet): Promise<void> {
  const { time } = fleet
  const ann = await fleet.client('ann')
  await time.advance(1_000)
  const ids = ['kept', 'gone', 'back', 'again']
  const items = ids.map((id) => memoryItem(fleet.random, fleet, id, 2_000))
  await time.finish(putBatch(ann, 'home', items, { signal }))
  await time.advance(30_000)
  const all = ['pillar-1', 'pillar-2']
  for (const { id, checksum } of items.slice(1))
    await time.finish(remove(ann, 'home', { id, checksum }, all, signal))
  for (const { id, checksum } of items.slice(2, 3))
    for (const pillar of all)
      await time.finish(restore(ann, 'home', pillar, [{ id, checksum }], signal))
  await time.finish(putBatch(ann, 'home', items.slice(3), { signal }))
  // Put again what is there: confirmed, not stored.
  await time.finish(putBatch(ann, 'home', items.slice(0, 1), { signal }))
  const other = memoryItem(fleet.random, fleet, 'kept', 900)
  const { checksum = '' } = items[0] ?? {}
  await time.finish(replaceFile(ann, 'home', checksum, other, all, { signal }))
  // One that is owed, and comes by the tracker.
  fleet.boards[1]?.crash()
  const late = memoryItem(fleet.random, fleet, 'late', 2_000)
  await time.finish(putBatch(ann, 'home', [late], { signal }))
  await time.finish(fleet.boards[1]?.start() ?? Promise.resolve())
  await time.advance(120_000)
  const asked = async (): Promise<void> => {
    await survey(ann, 'home', {}, signal)
    await statuses(ann, 'home', signal)
    for await (const _ of audit(ann, 'home', {}, signal));
    for await (const _ of deleted(ann, 'home', 'pillar-1', {}, signal));
  }
  await time.finish(asked())
  await time.advance(30_000)
}

const typeOf = ({ payload }: Said): string => {
  const sealed = unseal(payload)
  const parsed = sealed && parse(sealed.line)
  return parsed?.is === 'message' ? parsed.message.type : '?'
}

for (const seed of [1, 2, 3])
  t.test(
    `[DEL-3] R9: every message said again, up to nine times, in any order (${seed})`,
    async (t) => {
      const fleet = await startFleet({ seed: `repeats ${seed}`, pillars: 2, copiesMin: 1 })
      const spy = await spyOn(fleet)
      await story(fleet)
      const before = await stateOf(fleet)
      const types = new Set(spy.said.map(typeOf))
      const heard = spy.said.slice()
      const replay = heard.slice()
      for (const one of heard) for (let n = fleet.random.int(9); n > 0; n--) replay.push(one)
      for (let n = replay.length - 1; n > 0; n--) {
        const other = fleet.random.int(n + 1)
        const [a, b] = [replay[n], replay[other]]
        if (a && b) [replay[n], replay[other]] = [b, a]
      }
      for (const one of replay) {
        await spy.say(one)
        if (fleet.random.int(20) === 0) await fleet.time.advance(fleet.random.int(3_000))
      }
      await fleet.time.advance(15 * 60_000)
      t.same(await stateOf(fleet), before)
      t.comment(`${replay.length} repeats of ${heard.length} messages of ${types.size} types`)
      const wanted = [
        ...[
          'PutFileRequest',
          'ReplaceFileRequest',
          'DeleteFileRequest',
          'RestoreRetainedRequest',
          'Presence',
        ],
        ...[
          'DeliverOwedCopiesRequest',
          'GetFileRequest',
          'GetFileInfosRequest',
          'GetStatusRequest',
        ],
        ...['GetAuditTrailsRequest', 'GetTombstonesRequest'],
      ]
      t.same(
        wanted.filter((type) => !types.has(type)),
        [],
        'all of them were among them',
      )
    },
  )
