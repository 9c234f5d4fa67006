/** One pillar is off for 400 days; runs as a worker of `apart`, since so many days are a lot of promises. */
import { parentPort } from 'node:worker_threads'
import { getBatch } from '../../src/client/get.ts'
import { survey } from '../../src/client/list.ts'
import { putBatch } from '../../src/client/put.ts'
import { remove } from '../../src/client/remove.ts'
import { replaceFile } from '../../src/client/replace.ts'
import { piecesName } from '../../src/sim/chaos-pieces.ts'
import { memoryLanding } from '../../src/sim/memory.ts'
import { day, hour, type Item, present, type Stage, settled, stage } from './stories.ts'

/** What was found of one collection when the pillar was back for two days. */
export interface YearsReport {
  readonly collection: string
  /** Ids that were deleted; that were replaced; and all that should be there. */
  readonly gone: readonly string[]
  readonly changed: readonly string[]
  readonly wanted: readonly string[]
  /** Paths on the disk of the pillar that was off whose bytes rotted. */
  readonly rotten: readonly string[]
  /** Ids as a client lists them from those that were not off. */
  readonly listed: readonly string[]
  /** Ids whose bytes came right, of those that should be there. */
  readonly right: readonly string[]
  /** Deleted ids that could be fetched again. */
  readonly back: readonly string[]
  /** Of the pillar that got an empty disk when the other came back: ids that it has, with the right checksum. */
  readonly restored: readonly string[]
}

export interface Years {
  /** Members that are there in the end, of all. */
  readonly there: readonly string[]
  readonly names: readonly string[]
  readonly reports: readonly YearsReport[]
}

const signal = new AbortController().signal
const count = 20
/** 5 % of them. */
const some = count / 20
const off = 400

interface Story {
  readonly collection: string
  /** Whoever is asked to delete and replace while the one is off. */
  readonly keepers: readonly string[]
  readonly gone: readonly Item[]
  readonly changed: readonly Item[]
  readonly kept: readonly Item[]
  fresh: Item[]
}

async function begun(
  { fleet, ann, item }: Stage,
  collection: string,
  keepers: readonly string[],
): Promise<Story> {
  const items = Array.from({ length: count }, (_, n) => item(`${collection}/${n}`, 500 + n))
  const put = await fleet.time.finish(putBatch(ann, collection, items, { signal }), 6 * hour)
  for (const { id, outcome, why } of put)
    if (outcome !== 'stored') throw new Error(`${id}: ${outcome}, ${why}`)
  return {
    ...{ collection, keepers, fresh: [] },
    gone: items.slice(0, some),
    changed: items.slice(some, 2 * some),
    kept: items.slice(2 * some),
  }
}

async function changedMeanwhile({ fleet, ann, item }: Stage, story: Story): Promise<void> {
  const { collection, keepers, gone, changed } = story
  for (const { id, checksum } of gone)
    await fleet.time.finish(remove(ann, collection, { id, checksum }, keepers, signal), hour)
  for (const { id, checksum } of changed) {
    const other = { ...item(`new ${id}`, 900), id }
    story.fresh.push(other)
    await fleet.time.finish(
      replaceFile(ann, collection, checksum, other, keepers, { signal }),
      hour,
    )
  }
}

/** 1 % of what it holds of files that stay, and one at least. A fragment is named by its hash, here that of a file. */
function rot({ fleet }: Stage, { collection, kept }: Story): string[] {
  const disk = fleet.boards[3]?.disk
  const all = [...(disk?.snapshot().keys() ?? [])].filter((path) =>
    path.startsWith(`${collection}/data/`),
  )
  const paths = all.filter((path) =>
    kept.some(({ id, checksum }) => path.endsWith(`/data/${id}`) || path.endsWith(`/${checksum}`)),
  )
  const rotten = paths.slice(0, Math.ceil(all.length / 100))
  for (const path of rotten) disk?.faults.rot(path, 7)
  return rotten
}

async function reported(on: Stage, story: Story, rotten: string[]): Promise<YearsReport> {
  const { fleet, ann } = on
  const { collection, keepers, gone, changed, kept, fresh } = story
  const found = await fleet.time.finish(survey(ann, collection, {}, signal, keepers), hour)
  const right: string[] = []
  for (const one of [...kept, ...fresh]) {
    const landing = memoryLanding(fleet, one.checksum)
    const item = { id: one.id, checksum: one.checksum, landing }
    const [got] = await fleet.time.finish(getBatch(ann, collection, [item], { signal }), hour)
    const isRight = Buffer.compare(landing.bytes(), one.bytes) === 0
    if (got?.outcome === 'fetched' && isRight) right.push(one.id)
  }
  const back: string[] = []
  for (const { id, checksum } of gone)
    for (const pillar of keepers) {
      const landing = memoryLanding(fleet, checksum)
      const work = getBatch(ann, collection, [{ id, landing }], { signal, pillar })
      if ((await fleet.time.finish(work, hour))[0]?.outcome === 'fetched') back.push(id)
    }
  const rows = await fleet.boards[0]?.index.stored(
    collection,
    [...kept, ...fresh].map(({ id }) => id),
  )
  const ids = (all: readonly { readonly id: string }[]): string[] => all.map(({ id }) => id).sort()
  return {
    ...{ collection, rotten, right: right.sort(), back },
    gone: ids(gone),
    changed: ids(changed),
    wanted: ids([...kept, ...fresh]),
    listed: [...found.files.keys()].sort(),
    restored: ids([...kept, ...fresh].filter((one, n) => rows?.[n]?.checksum === one.checksum)),
  }
}

const on = await stage('400 days', { pillars: 4 })
const { fleet } = on
const [fresh, , , board] = fleet.boards
if (!fresh || !board) throw new Error('there are four')
const names = fleet.boards.map(({ name }) => name)
const stories = [
  await begun(on, 'home', names.slice(0, 3)),
  await begun(on, piecesName, ['tracker']),
]
await settled(on)
board.crash()
await fleet.time.advance(2 * day)
for (const story of stories) await changedMeanwhile(on, story)
const rotten = stories.map((story) => rot(on, story))
await fleet.time.advance((off - 2) * day)
board.clock.setOffset(-fleet.time.clock.now())
await fleet.time.finish(board.start(), hour)
// Whoever lacks everything takes it from whomever he can.
fresh.crash()
fresh.newDisk()
await fleet.time.finish(fresh.start(), hour)
await fleet.time.advance(2 * day)
const reports = []
for (const [n, story] of stories.entries()) reports.push(await reported(on, story, rotten[n] ?? []))
const report: Years = { there: present(fleet), names, reports }
parentPort?.postMessage(report)
