/**
 * A thousand pillars and a million fragments, as the tracker sees them: the real view, members, inventory and distribution.
 * The pillars are twins without disks: they answer as pillars do, in this process, without signatures and without a broker.
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Client } from '../../src/client/client.ts'
import type { Asking } from '../../src/client/line.ts'
import { bench as newBench } from '../../src/exchange/bench.ts'
import { fileMark, markText } from '../../src/index/rows.ts'
import { limits } from '../../src/limits.ts'
import { shouldStoreInEither } from '../../src/placement/order.ts'
import { answering, compose, uuid7 } from '../../src/post/compose.ts'
import type { ArchiveDocument } from '../../src/protocol/document.ts'
import { type Fragment, fragmentFileId, sparesAtFirst } from '../../src/protocol/fragments.ts'
import type { AnswerMessage, Message, MessageOf } from '../../src/protocol/messages.ts'
import { timeText } from '../../src/protocol/scalars.ts'
import { topicsUnder } from '../../src/protocol/topics.ts'
import { simKeys, simSigner } from '../../src/sim/keys.ts'
import { openState } from '../../src/state/sqlite.ts'
import { systemClock } from '../../src/system/clock.ts'
import { systemRandom } from '../../src/system/random.ts'
import { distribution } from '../../src/tracker/distribution.ts'
import { openMembers } from '../../src/tracker/members.ts'
import { inventory } from '../../src/tracker/members-inventory.ts'
import type { Distribution, Members } from '../../src/tracker/roles.ts'
import { openDirectory, sealDocument } from '../../src/trust/directory.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { View } from '../../src/view/view.ts'
import { hashingInThread } from '../../src/world/hashing.ts'
import type { World } from '../../src/world/world.ts'
import { inMiB, inSeconds, type Measurement, markdown, tell } from './table.ts'

const collection = 'home'
const fragmentBytes = 4 * 1024 * 1024
const copies = 2
const spreadCount = 640
const topics = topicsUnder('colonnade')
const signal = new AbortController().signal

const slice = (n: number): Fragment => ({
  hash: createHash('sha256').update(`${n}`).digest('hex'),
  size: fragmentBytes,
  kind: 'slice',
})

interface Twin {
  readonly name: string
  /** Numbers of its fragments. */
  readonly held: number[]
}

export const thousand: Measurement = async ({ scale }) => {
  const home = mkdtempSync(join(tmpdir(), 'colonnade-thousand-'))
  try {
    return await measured(home, Math.max(10, Math.round(1_000 * scale)), 1_000_000 * scale)
  } finally {
    rmSync(home, { recursive: true })
  }
}

async function measured(home: string, pillars: number, count: number): Promise<string> {
  const rows: string[][] = []
  const timed = async (what: string, work: () => Promise<unknown>): Promise<void> => {
    const [began, used] = [performance.now(), process.cpuUsage()]
    const told = await work()
    const { user, system } = process.cpuUsage(used)
    const took = inSeconds(performance.now() - began)
    const cpu = inSeconds((user + system) / 1_000)
    rows.push([`${what}${told ? `: ${told}` : ''}`, took, cpu, inMiB(process.memoryUsage.rss())])
    tell(`${what}: ${took}`)
  }
  const names = Array.from({ length: pillars }, (_, n) => `pillar-${n + 1}`)
  const twins = new Map(names.map((name): [string, Twin] => [name, { name, held: [] }]))
  const all = [...twins.values()]
  for (let n = 0; n < count; n++)
    for (let copy = 0; copy < copies; copy++)
      // Each pillar shares with many others, as by rank.
      all[(n + copy * (1 + (Math.floor(n / pillars) % (pillars - 1)))) % pillars]?.held.push(n)
  rows.push(['the twins alone', '', '', inMiB(process.memoryUsage.rss())])
  const path = join(home, 'view.sqlite')
  const site = await siteOf(path, names, twins)
  await timed(`${pillars} pillars join, one after the other`, () => site.join())
  await timed('the view is rebuilt from their inventories', () => site.rebuilt(count))
  await timed(`${spreadCount} fragments more are distributed`, () => site.spread(count))
  const size = statSync(path).size
  await site.close()
  rows.push(['the file of the view', '', '', inMiB(size)])
  const head = [`${pillars} pillars, ${count} fragments × ${copies}`, 'takes', 'CPU', 'memory']
  return markdown(head, rows)
}

/** A tracker in the middle of its pillars. */
async function siteOf(path: string, names: readonly string[], twins: ReadonlyMap<string, Twin>) {
  const world: World = {
    clock: systemClock(),
    random: systemRandom(),
    hashing: hashingInThread(),
    log: {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (event, about) => tell(`${event} ${JSON.stringify(about)}`),
    },
  }
  const directory = await directoryOf(names)
  const view = openView(path)
  const bench = newBench()
  const client = { ...clientOf(world, bench, twins), directory }
  const counts = { said: 0, bytes: 0, heard: 0, deliveries: 0 }
  const queue: Message[] = []
  const count = (message: Message): void => {
    counts.said++
    counts.bytes += JSON.stringify(message).length
    counts.deliveries += names.length
    queue.push(message)
  }
  const members = await openMembers({
    ...{ world, name: 'tracker', directory, view, inventory: inventory(client, view) },
    say: async (event) => count(event),
    alarm: () => undefined,
  })
  const spreading = distribution({
    ...{
      world,
      name: 'tracker',
      signer: simSigner('tracker'),
      directory,
      topics,
      view,
      bench,
      members,
    },
    send: async (_topic, message) => count(message),
  })
  async function hear(message: Message): Promise<void> {
    counts.heard++
    const from = directory.identity(message.from)
    if (!from) throw new Error(`nobody is called ${message.from}`)
    const mail = { topic: '', from, message, line: '', key: '' }
    await members.hear(mail)
    await spreading.hear(mail)
  }
  members.connected()
  while (!members.isActing()) await world.clock.sleep(100)
  const site: Site = { world, names, twins, view, members, spreading, counts, queue, hear }
  return {
    join: () => allJoin(site),
    rebuilt: (wanted: number) => rebuilt(site, wanted),
    spread: (from: number) => spread(site, from),
    async close(): Promise<void> {
      await spreading.stop()
      await members.stop()
      await view.close()
    },
  }
}

interface Site {
  readonly world: World
  readonly names: readonly string[]
  readonly twins: ReadonlyMap<string, Twin>
  readonly view: View
  readonly members: Members
  readonly spreading: Distribution
  readonly counts: { said: number; bytes: number; heard: number; deliveries: number }
  /** Said by the tracker, and not answered yet. */
  readonly queue: Message[]
  hear(message: Message): Promise<void>
}

function forget({ counts, queue }: Site): void {
  Object.assign(counts, { said: 0, bytes: 0, heard: 0, deliveries: 0 })
  queue.length = 0
}

async function allJoin(site: Site): Promise<string> {
  const { world, twins, members, counts, hear } = site
  forget(site)
  for (const twin of twins.values()) {
    const common = { conversation: uuid7(world), epoch: members.epoch(), to: ['tracker'] }
    await hear(requestOf(world, twin, common))
    await hear(compose(world, twin.name, { type: 'ClientJoinSucceeded', ...common }))
  }
  while (members.membership(collection)?.members.length !== twins.size) await world.clock.sleep(50)
  const { version, ...membership } = members.membership(collection) ?? {}
  const bytes = JSON.stringify(membership).length
  return `${counts.said} messages to all, ${inMiB(counts.bytes)}; version ${version} of the membership has all of them, and ${bytes} bytes`
}

async function rebuilt(site: Site, wanted: number): Promise<string> {
  const { world, twins, members } = site
  forget(site)
  while (members.surveyed(collection).length < twins.size) await world.clock.sleep(200)
  return `${asked.count} requests, ${(asked.count / wanted).toFixed(3)} a fragment`
}

async function spread(site: Site, from: number): Promise<string> {
  const { world, names, members, spreading, counts, queue, hear } = site
  forget(site)
  const fragments = Array.from({ length: spreadCount }, (_, n) => slice(from + n))
  let over = false
  // Nobody fetches here: what is counted are the messages.
  const offer = { size: fragmentBytes, read: async function* () {} }
  const work = spreading
    .spread(collection, fragments, () => offer, { enough: copies, signal })
    .finally(() => {
      over = true
    })
  const twinsSay = twinsAt(world, names, () => members.membership(collection))
  while (!over) {
    for (const message of queue.splice(0))
      for (const answer of twinsSay(message)) await hear(answer)
    await world.clock.sleep(1)
  }
  await work
  const each = (n: number): string => (n / spreadCount).toFixed(2)
  return `a fragment: ${each(counts.said)} messages by the tracker, each to all (${each(counts.deliveries)} deliveries), ${each(counts.heard)} by pillars`
}

const quiet = (): void => undefined
/** Requests to pillars. */
const asked = { count: 0 }

async function directoryOf(names: readonly string[]) {
  const owner = simSigner('owner')
  const identities = [
    ...names.map((name) => ({ name, role: 'pillar' as const })),
    { name: 'tracker', role: 'tracker' as const },
  ].map((one) => ({ ...one, publicKey: simSigner(one.name).publicKey }))
  const policy = {
    name: collection,
    pillars: [...names],
    copiesMin: copies,
    algorithm: 'sha256' as const,
  }
  const document: ArchiveDocument = {
    ...{
      archive: 'test',
      version: 1,
      issuedAt: '2026-01-01T00:00:00.000Z',
      exchanges: [],
      identities,
    },
    collections: [{ ...policy, fragments: { bytes: fragmentBytes, copies } }],
  }
  return openDirectory(
    { keys: simKeys(), owner: owner.publicKey, archive: 'test', state: openState(':memory:') },
    sealDocument(document, owner),
  )
}

function holdingOf({ held }: Twin) {
  let mark = 0n
  for (const n of held) {
    const one = slice(n)
    mark ^= fileMark(fragmentFileId(one), one.hash)
  }
  return { files: held.length, bytes: held.length * fragmentBytes, digest: markText(mark) }
}

const requestOf = (
  world: World,
  twin: Twin,
  common: Pick<MessageOf<'ClientJoinRequested'>, 'conversation' | 'epoch'>,
): Message =>
  compose<'ClientJoinRequested'>(world, twin.name, {
    ...{ type: 'ClientJoinRequested', ...common, algorithm: 'sha256', session: 1 },
    volumes: [{ id: `volume of ${twin.name}`, bytesTotal: 4e12, bytesOpen: 2e12 }],
    holdings: [{ collection, ...holdingOf(twin) }],
  })

/** What the tracker asks pillars, answered by the twins: status and listings, page by page. */
function clientOf(
  world: World,
  bench: Client['bench'],
  twins: ReadonlyMap<string, Twin>,
): Omit<Client, 'directory'> {
  const ask = async ({ request, parties }: Asking) => {
    asked.count++
    const [pillar = ''] = parties
    const twin = twins.get(pillar)
    if (!twin) throw new Error(`nobody is called ${pillar}`)
    const answer = answerOf(world, twin, request as MessageOf<'GetFileInfosRequest'>)
    return new Map([[pillar, { at: 'answered' as const, answer }]])
  }
  const transmission = () => ({ exchanges: [], token: 'none' })
  const parts = { world, name: 'tracker', bench, topics, signal, idleMs: 90_000, transmission }
  return { ...parts, line: { ask, replyTo: '' } } as unknown as Omit<Client, 'directory'>
}

function answerOf(
  world: World,
  twin: Twin,
  request: MessageOf<'GetFileInfosRequest'> | MessageOf<'GetStatusRequest'>,
): AnswerMessage {
  const common = answering(request, twin.name, 'OPERATION_COMPLETED')
  if (request.type === 'GetStatusRequest')
    return compose<'GetStatusFinalResponse'>(world, twin.name, {
      ...{ type: 'GetStatusFinalResponse', ...common },
      status: {
        verdict: 'OK',
        text: '',
        version: '0',
        volumes: [],
        receiving: 0,
        ...holdingOf(twin),
      },
    })
  const at = Number(request.after?.id ?? 0)
  const items: MessageOf<'GetFileInfosFinalResponse'>['items'] = []
  let bytes = 0
  const time = timeText(0)
  for (const n of twin.held.slice(at)) {
    const { hash, size } = slice(n)
    const item = {
      id: fragmentFileId(slice(n)),
      size,
      checksum: hash,
      mtime: time,
      timestamp: time,
      provenAt: time,
    }
    bytes += JSON.stringify(item).length + 1
    if (bytes > limits.pageBytesMax) break
    items.push(item)
  }
  const next = at + items.length
  const partialResult = next < twin.held.length
  return compose<'GetFileInfosFinalResponse'>(world, twin.name, {
    ...{ type: 'GetFileInfosFinalResponse', ...common, items, partialResult },
    ...(partialResult ? { after: { timestamp: time, id: `${next}` } } : {}),
  })
}

/** What all pillars say to a message of a distribution; who should store is decided as pillars decide it. */
function twinsAt(
  world: World,
  names: readonly string[],
  membershipNow: () => ReturnType<Awaited<ReturnType<typeof openMembers>>['membership']>,
) {
  return function* answers(message: Message): Generator<Message> {
    const common = { conversation: message.conversation, collection }
    if (message.type === 'FragmentDistributionStarted') {
      const membership = membershipNow()
      if (!membership) return
      for (const name of names) {
        const should = message.fragments.filter((one) =>
          shouldStoreInEither(
            one.hash,
            [{ ...membership, copies: one.copies }],
            { spares: sparesAtFirst, round: message.round },
            name,
          ),
        )
        if (should.length > 0)
          yield compose<'FragmentDistributionRequested'>(world, name, {
            ...{ type: 'FragmentDistributionRequested', ...common, epoch: message.epoch },
            ...{ fragments: should.map(({ hash }) => hash), bytesOpen: 2e12 },
          })
      }
    }
    const named = new Map<string, string[]>()
    if (message.type === 'FragmentDistributionDelivered')
      for (const { hash, recipients } of message.fragments)
        for (const name of recipients) named.set(name, [...(named.get(name) ?? []), hash])
    if (message.type === 'FragmentDistributionEnded')
      for (const { hash, holders } of message.fragments)
        for (const name of holders) named.set(name, [...(named.get(name) ?? []), hash])
    const stage = message.type === 'FragmentDistributionEnded' ? 'persisted' : 'temporary'
    for (const [name, fragments] of named)
      yield compose<'FragmentDistributionObtained'>(world, name, {
        ...{ type: 'FragmentDistributionObtained', ...common, stage, fragments },
      })
  }
}
