// What comes from the bus is bounded, verified, and bound to its sender.

import t from 'tap'
import { limits } from '../../src/limits.ts'
import { uuid7 } from '../../src/post/compose.ts'
import { inbox } from '../../src/post/inbox.ts'
import { startPost } from '../../src/post/post.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { seal } from '../../src/protocol/envelope.ts'
import { mayUse, topicsUnder } from '../../src/protocol/topics.ts'
import { simBroker } from '../../src/sim/bus.ts'
import { simClock } from '../../src/sim/clock.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import { openState } from '../../src/state/sqlite.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'

const owner = simSigner('owner')

function documentOf(version: number, names: readonly string[], by = owner): Uint8Array {
  const document: ArchiveDocument = {
    archive: 'test',
    version,
    issuedAt: '2026-01-01T00:00:00.000Z',
    identities: names.map((name) => ({
      name,
      role: 'client',
      publicKey: simSigner(name).publicKey,
    })),
    collections: [],
    exchanges: [],
  }
  return sealDocument(document, by)
}
const open = (sealed?: Uint8Array, state = openState(':memory:')) =>
  openDirectory({ keys: simKeys(), owner: owner.publicKey, archive: 'test', state }, sealed)

t.test('[DEL-1] the inbox is bounded: what does not fit is dropped and counted', async (t) => {
  const time = simClock()
  const world = simWorld(time.clock, simRandom(1), 'inbox')
  const handled: number[] = []
  const box = inbox<number>(world.log, async (n) => {
    await time.clock.sleep(1_000)
    handled.push(n)
  })
  const sent = limits.inboxMessagesMax + 500
  const taken = Array.from({ length: sent }, (_, n) => box.put(n)).filter((fine) => fine).length
  t.equal(taken, limits.inboxMessagesMax + 16, 'those in work and those that wait')
  t.equal(box.dropped(), sent - taken)
  await time.advance(1_000_000)
  t.equal(handled.length, taken)
  t.equal(box.put(0), true, 'then there is room again')
})

t.test('a handler that fails does not stop the inbox', async (t) => {
  const time = simClock()
  const world = simWorld(time.clock, simRandom(1), 'inbox')
  const handled: number[] = []
  const box = inbox<number>(world.log, async (n) => {
    if (n === 1) throw new Error('no')
    handled.push(n)
  })
  for (const n of [0, 1, 2]) box.put(n)
  await time.advance(1)
  t.same(handled, [0, 2])
})

t.test(
  '[MSG-3] an unknown key makes us fetch the document once, and the message waits for it',
  async (t) => {
    const time = simClock()
    const random = simRandom(2)
    const world = simWorld(time.clock, random, 'post')
    const directory = await open(documentOf(1, ['ann']))
    const broker = simBroker({ clock: time.clock, random })
    const topics = topicsUnder('colonnade')
    let fetched = 0
    const heard: string[] = []
    const post = startPost(
      {
        world,
        identity: 'ann',
        signer: simSigner('ann'),
        keys: simKeys(),
        directory,
        topics,
        connect: broker.connectAs('ann'),
        clientId: 'ann',
        persistent: false,
        subscriptions: [topics.alarms()],
        async refresh() {
          fetched++
          await time.clock.sleep(2_000)
          await directory.accept(documentOf(2, ['ann', 'new']))
        },
      },
      { mail: async (mail) => void heard.push(mail.from.name) },
    )
    await time.advance(100)
    const alarm = (from: string) => ({
      v: 1,
      min: 1,
      id: uuid7(world),
      conversation: uuid7(world),
      from,
      sentAt: '2026-01-01T00:00:00.000Z',
      type: 'Alarm',
      alarmCode: 'TIMEOUT',
      alarmText: 'x',
    })
    const sender = broker.connectAs('peer')({
      clientId: 'peer',
      persistent: false,
      subscriptions: [],
      receive: () => undefined,
      connected: () => undefined,
      closed: () => undefined,
    })
    await time.advance(100)
    for (const from of ['new', 'new', 'stranger'])
      void sender.publish(topics.alarms(), seal(JSON.stringify(alarm(from)), simSigner(from)))
    await time.advance(1_000)
    t.same(heard, [], 'they wait')
    await time.advance(5_000)
    t.same(heard, ['new', 'new'])
    t.equal(fetched, 1)
    for (let n = 0; n < 50; n++)
      void sender.publish(
        topics.alarms(),
        seal(JSON.stringify(alarm('stranger')), simSigner('stranger')),
      )
    await time.advance(5_000)
    t.equal(fetched, 1, 'a stranger does not make us fetch again and again')
    await time.finish(post.close())
  },
)

t.test('the directory takes only newer documents by the owner, and remembers them', async (t) => {
  const state = openState(':memory:')
  const directory = await open(documentOf(3, ['ann']), state)
  t.equal(await directory.accept(documentOf(3, ['eve'])), false, 'not newer')
  t.equal(await directory.accept(documentOf(2, ['eve'])), false, 'older')
  t.equal(await directory.accept(documentOf(9, ['eve'], simSigner('eve'))), false, 'by another')
  const altered = documentOf(9, ['eve'])
  altered[20] = (altered[20] ?? 0) ^ 1
  t.equal(await directory.accept(altered), false, 'altered')
  t.equal(directory.identity('eve'), undefined)
  t.equal(await directory.accept(documentOf(4, ['ann', 'bob'])), true)
  t.equal(directory.keyOwner(simSigner('bob').keyId)?.name, 'bob')
  const again = await open(documentOf(3, ['ann']), state)
  t.equal(
    again.document().version,
    4,
    'an old file beside the configuration does not bring back the past',
  )
  await t.rejects(open(), 'without any document there is no directory')
})

t.test('topics: each role may do what it must, and nothing else', async (t) => {
  const may = (
    role: 'pillar' | 'client' | 'tracker',
    name: string,
    action: 'publish' | 'subscribe',
    topic: string,
  ) => mayUse('c', role, name, action, topic)
  t.ok(may('pillar', 'a', 'publish', 'c/pillars/a/state'))
  t.notOk(may('pillar', 'a', 'publish', 'c/pillars/b/state'), 'not as another')
  t.notOk(may('client', 'a', 'publish', 'c/pillars/a/state'), 'not as a pillar')
  t.notOk(may('pillar', 'a', 'publish', 'c/tracker/state'), 'not as the tracker')
  t.ok(may('tracker', 'tracker', 'publish', 'c/tracker/state'))
  t.notOk(may('pillar', 'a', 'subscribe', 'c/replies/b/#'), 'not the replies of others')
  t.notOk(may('pillar', 'a', 'subscribe', 'c/replies/+/x'))
  t.notOk(may('pillar', 'a', 'subscribe', 'c/#'))
  t.notOk(may('pillar', 'a', 'subscribe', '#'))
  t.ok(may('client', 'a', 'subscribe', 'c/replies/a/run1'))
  t.ok(may('pillar', 'a', 'publish', 'c/replies/b/run1'))
  t.notOk(may('client', 'a', 'subscribe', 'c/tracker/requests'))
  t.notOk(may('client', 'a', 'subscribe', 'c/pillars/b/requests'))
  t.ok(may('client', 'a', 'subscribe', 'c/pillars/+/state'))
})

t.test('[MSG-5] a message counts only where such is said', async (t) => {
  const topics = topicsUnder('c')
  const at = (type: string, from = 'ann', collection?: string) => ({ type, from, collection })
  const places: [topic: string, message: ReturnType<typeof at>, isIts: boolean][] = [
    [topics.pillarState('ann'), at('Presence'), true],
    [topics.trackerState(), at('Presence'), true],
    [topics.pillarState('bob'), at('Presence'), false],
    [topics.alarms(), at('Presence'), false],
    [topics.alarms(), at('Alarm'), true],
    [topics.pillarRequests('bob'), at('Alarm'), false],
    [topics.event('TrackerHello'), at('TrackerHello'), true],
    [topics.event('TrackerGoodbye'), at('TrackerHello'), false],
    [topics.replies('bob', 'x'), at('PutFileFinalResponse'), true],
    [topics.pillarRequests('bob'), at('PutFileFinalResponse'), false],
    [topics.collectionRequests('photos'), at('GetStatusRequest', 'ann', 'photos'), true],
    [topics.collectionRequests('films'), at('GetStatusRequest', 'ann', 'photos'), false],
    [topics.pillarRequests('bob'), at('GetStatusRequest', 'ann', 'photos'), true],
    [topics.trackerRequests(), at('GetStatusRequest', 'ann', 'photos'), true],
    [topics.replies('bob', 'x'), at('GetStatusRequest', 'ann', 'photos'), false],
    [topics.pillarState('bob'), at('DeleteFileRequest', 'ann', 'photos'), false],
    ['c/collections/photos', at('GetStatusRequest', 'ann', 'photos'), false],
  ]
  for (const [topic, message, isIts] of places)
    t.equal(topics.isPlaceOf(topic, message), isIts, `${message.type} on ${topic}`)
})
