/**
 * Files in fragments, fetched from the pillars that hold these: several at a time, each from whoever brings it the
 * soonest; what one does not give right comes from the next, in the end from the tracker. Once it is known of what the
 * files consist, the tracker need not be there.
 */
import type { Landing } from '../../exchange/bench.ts'
import { limits } from '../../limits.ts'
import { compose, uuid7 } from '../../post/compose.ts'
import { fragmentFileId } from '../../protocol/fragments.ts'
import { type Client, Unable } from '../client.ts'
import { type GetItem, type GetResult, getBatch } from '../get.ts'
import type { Mosaic } from './mosaic.ts'
import { nextOrder, type Order, type Waiting } from './plan.ts'
import { type Sources, sourcesOf } from './sources.ts'
import { fragmentsOf, type Told } from './told.ts'
import { type Place, type Unit, unitOf } from './unit.ts'

export interface FragmentedItem extends Required<Pick<GetItem, 'id' | 'size' | 'checksum'>> {
  /** A part of the file; all of it when absent. */
  readonly offset?: number
  readonly length?: number
  readonly mosaic: Mosaic
}

export interface FetchOptions {
  readonly signal: AbortSignal
  /** Bytes that came; less than nothing when some were wrong. */
  progress?(bytes: number): void
  /** Bytes that an earlier run has brought. */
  had?(bytes: number): void
  /** A pillar gave other bytes than those it was asked for. */
  complain?(pillar: string, text: string): void
}

export interface FragmentFetcher {
  /** Fetches some files. Resolves with one result a file; the mosaics are closed then, also when it rejects. */
  fetch(items: readonly FragmentedItem[], options: FetchOptions): Promise<FragmentedResult[]>
}

export interface FragmentedResult extends GetResult {
  /** Who has given some of it. */
  readonly pillars: readonly string[]
}

/** Of one that has others beside it, silence and standing still are not waited for as long as of the only one. */
const silentMs = 20_000
const stuckMs = 120_000
/** Of all pillars together: each may have some connections open, and memory for what comes by them. */
const ordersMax = 12

/** What several calls of `fetch` learn of the pillars is shared by them. */
export function fragmentFetcher(
  client: Client,
  collection: string,
  keeper: string,
): FragmentFetcher {
  const about: About = { client, collection, keeper, sources: sourcesOf(client, keeper) }
  return {
    async fetch(items, options) {
      try {
        const told = await fragmentsOf(client, collection, keeper, items, options.signal)
        return await fetchAll(about, items, told, options)
      } catch (error) {
        if (!(error instanceof Unable)) throw error
        const why = error.message
        return items.map(({ id }) => ({ id, outcome: 'failed', why, pillars: [] }))
      } finally {
        for (const { mosaic } of items) await mosaic.close()
      }
    },
  }
}

interface About {
  readonly client: Client
  readonly collection: string
  readonly keeper: string
  readonly sources: Sources
}

/** A unit that is not here yet. */
interface Missing extends Waiting {
  readonly unit: Unit
  readonly failedBy: Set<string>
  readonly whys: string[]
  /** After all have failed each is asked once more, with more patience. */
  again: boolean
}

async function fetchAll(
  about: About,
  items: readonly FragmentedItem[],
  told: Told,
  options: FetchOptions,
): Promise<FragmentedResult[]> {
  const files = filesOf(items)
  const { missing, idle } = courseOf(about, files, options)
  const sample = told.fragments.slice(0, limits.batchFilesMax)
  const ids = sample.map((one) => ({ id: fragmentFileId(one), holders: one.holders }))
  for (const unit of unitsOf(about, items, told, files, options)) {
    const have = await unit.begin()
    options.had?.(unit.places.reduce((sum, one) => sum + one.wanted(one.at, one.at + have), 0))
    if (have === unit.size) files.came(unit)
    else missing.add(unit)
  }
  if (missing.size() > 0) await about.sources.meet(about.collection, ids, options.signal)
  await idle()
  return files.results()
}

/** The files, and what is left of each. */
type Files = ReturnType<typeof filesOf>
function filesOf(items: readonly FragmentedItem[]) {
  const open = items.map(() => 0)
  const pillars = items.map(() => new Set<string>())
  const whys = new Map<number, string>()
  const ended = new Map<number, Promise<string | undefined>>()
  const end = (file: number): void => {
    const { mosaic } = items[file] ?? {}
    const ending = mosaic?.finish() ?? Promise.resolve(undefined)
    // Heard when the results are asked for.
    ending.catch(() => undefined)
    ended.set(file, ending)
  }
  return {
    item: (file: number): FragmentedItem | undefined => items[file],
    expect(file: number): void {
      open[file] = (open[file] ?? 0) + 1
    },
    came(unit: Unit): void {
      for (const { file } of unit.places) {
        open[file] = (open[file] ?? 0) - 1
        if (open[file] === 0) end(file)
      }
    },
    from: (unit: Unit, pillar: string): void => {
      for (const { file } of unit.places) pillars[file]?.add(pillar)
    },
    fail(unit: Unit, why: string): void {
      for (const { file } of unit.places) if (!whys.has(file)) whys.set(file, why)
    },
    /** Nothing more of it is of use. */
    isLost: ({ places }: Unit): boolean => places.every(({ file }) => whys.has(file)),
    async results(): Promise<FragmentedResult[]> {
      for (const [file, left] of open.entries())
        if (left === 0 && !ended.has(file) && !whys.has(file)) end(file)
      const found: FragmentedResult[] = []
      for (const [file, { id }] of items.entries()) {
        const why =
          whys.get(file) ?? (ended.has(file) ? await ended.get(file) : 'not all of it has come')
        const outcome = why === undefined ? 'fetched' : 'failed'
        const by = [...(pillars[file] ?? [])].sort()
        found.push({ id, outcome, pillars: by, ...(why === undefined ? {} : { why }) })
      }
      return found
    },
  }
}

function unitsOf(
  { client: { world } }: About,
  items: readonly FragmentedItem[],
  told: Told,
  files: Files,
  { progress }: FetchOptions,
): Unit[] {
  const moved = (bytes: number): void => progress?.(bytes)
  const placeOf = (file: number, at: number): Place => {
    const { mosaic, size = 0, offset = 0, length = size - offset } = items[file] ?? {}
    const [begin, end] = [offset, offset + length]
    const wanted: Place['wanted'] = (from, to) =>
      Math.max(0, Math.min(to, end) - Math.max(from, begin))
    files.expect(file)
    if (!mosaic) throw new RangeError('fragments of a file that was not asked for')
    return { file, at, mosaic, wanted }
  }
  const places = new Map<string, Place[]>()
  for (const { hash, file, at } of told.fragments)
    places.set(hash, [...(places.get(hash) ?? []), placeOf(file, at)])
  const units: Unit[] = []
  for (const { hash, size, kind, holders } of told.fragments) {
    const mine = places.get(hash)
    if (!mine) continue
    places.delete(hash)
    const parts = { world, hash, size, kind, holders, places: mine, moved }
    const unit: Unit = unitOf({ ...parts, key: hash, done: () => files.came(unit) })
    units.push(unit)
  }
  for (const file of told.unknown) {
    const {
      checksum = '',
      size: all = 0,
      offset = 0,
      length: size = all - offset,
    } = items[file] ?? {}
    const hash = size === all ? checksum : undefined
    const parts = { world, hash, size, kind: 'slice' as const, holders: [], moved }
    const key = `${file} ${checksum}`
    const unit: Unit = unitOf({
      ...{ ...parts, key, places: [placeOf(file, offset)] },
      done: () => files.came(unit),
    })
    units.push(unit)
  }
  return units
}

/** What is missing, asked for until all of it is here or nobody is left to ask. */
function courseOf(about: About, files: Files, options: FetchOptions) {
  const { keeper, sources } = about
  const { clock } = about.client.world
  // What was tried before comes first: the file is filled in its order as far as it goes.
  const waiting = { again: new Set<Missing>(), first: new Set<Missing>() }
  const running = new Set<Promise<void>>()
  const stop = new AbortController()
  const signal = AbortSignal.any([stop.signal, options.signal])

  const usable = (one: Missing, name: string): boolean =>
    !one.failedBy.has(name) && !sources.isDistrusted(name)
  function candidates(one: Missing): string[] {
    const holders = one.unit.holders.filter((name) => usable(one, name))
    return holders.length > 0 || !usable(one, keeper) ? holders : [keeper]
  }
  function* all(): Generator<Missing> {
    for (const set of [waiting.again, waiting.first])
      for (const one of set) {
        const holders = candidates(one)
        if (holders.length > 0 && !files.isLost(one.unit)) yield Object.assign(one, { holders })
        else give(one, set)
      }
  }
  /** Nobody is left to ask for it, or nobody wants it any more. */
  function give(one: Missing, from: Set<Missing>): void {
    from.delete(one)
    if (files.isLost(one.unit)) return
    if (!one.again) {
      one.again = true
      one.failedBy.clear()
      if (candidates(one).length > 0) waiting.again.add(one)
    }
    if (!waiting.again.has(one))
      files.fail(one.unit, `nobody gives fragment ${one.unit.hash ?? ''}: ${one.whys.join('; ')}`)
  }
  async function perform(order: Order<Missing>): Promise<void> {
    for (const failed of await ask(about, order, files, { ...options, signal }))
      waiting.again.add(failed)
  }
  function begin(): void {
    while (sources.ordersOpen() < ordersMax) {
      const order = nextOrder(all(), sources.of)
      if (!order) return
      for (const one of order.wanted) {
        waiting.first.delete(one)
        waiting.again.delete(one)
      }
      const one: Promise<void> = perform(order).finally(() => running.delete(one))
      one.catch(() => undefined)
      running.add(one)
    }
  }
  return {
    missing: {
      add(unit: Unit): void {
        const { key, size, holders } = unit
        const fresh = { failedBy: new Set<string>(), whys: [], again: false }
        waiting.first.add({ ...{ unit, key, size, holders }, ...fresh })
      },
      size: () => waiting.first.size,
    },
    /** Resolves when nothing more can be had. */
    async idle(): Promise<void> {
      try {
        for (;;) {
          options.signal.throwIfAborted()
          const eased = sources.eased()
          begin()
          if (running.size + waiting.again.size + waiting.first.size === 0) return
          // What all have too much to do for may be the work of another call.
          const pause = new AbortController()
          const paused = clock.sleep(limits.progressMs, AbortSignal.any([signal, pause.signal]))
          await Promise.race([eased, paused, ...running]).finally(() => pause.abort())
        }
      } finally {
        stop.abort()
        await Promise.allSettled(running)
      }
    },
  }
}

/** Asks one for some of it; what did not come right. */
async function ask(
  about: About,
  { from, wanted }: Order<Missing>,
  files: Files,
  options: FetchOptions,
): Promise<Missing[]> {
  const { client, collection, sources } = about
  const stop = new AbortController()
  const signal = AbortSignal.any([options.signal, stop.signal])
  const work = sources.asked(
    from,
    wanted.reduce((sum, { size }) => sum + size, 0),
  )
  const right = new Set<Missing>()
  const mixed = new Set<Missing>()
  const lands = wanted.map((one) => {
    const landing = one.unit.landing(from, (sure) => {
      if (!sure) return void mixed.add(one)
      blame(about, from, one.unit, files, options)
      stop.abort()
    })
    const finish: typeof landing.finish = async (size) => {
      const fault = await landing.finish(size)
      if (fault === undefined) right.add(one)
      return fault
    }
    return { unit: one.unit, landing: { ...landing, finish } }
  })
  const items = lands.map(({ unit, landing }) => itemFor(about, from, unit, landing, files))
  const isLast = wanted.some(({ again }) => again) || from === about.keeper
  const patient = isLast ? client : { ...client, idleMs: Math.min(client.idleMs, silentMs) }
  const results = await getBatch(patient, collection, items, {
    ...{ signal, pillar: from, progress: work.moved },
    ...(isLast ? {} : { stallMs: stuckMs }),
  })
    .catch((error) => {
      if (!stop.signal.aborted || options.signal.aborted) throw error
      return []
    })
    .finally(async () => {
      for (const { landing } of lands) await landing.close()
      work.end()
    })
  for (const { unit } of right) files.from(unit, from)
  const failed = wanted.filter((one) => !right.has(one))
  for (const one of failed) {
    // He may have gone on, rightly, with what another had brought.
    if (mixed.has(one)) continue
    const why = results[wanted.indexOf(one)]?.why ?? `${from} gave other bytes`
    client.world.log.info('fragment.notFetched', { hash: one.unit.hash, why })
    one.failedBy.add(from)
    one.whys.push(why)
  }
  if (results.some(({ outcome }) => outcome === 'failed')) sources.doubt(from)
  return failed
}

/** A pillar is asked for the fragment, the tracker for the part of the file that it is. */
function itemFor(
  { keeper }: About,
  from: string,
  unit: Unit,
  landing: Landing,
  files: Files,
): GetItem {
  const { hash, size, kind, places } = unit
  if (from !== keeper && hash !== undefined)
    return { id: fragmentFileId({ hash, kind }), size, checksum: hash, landing }
  const [place] = places
  const item = place && files.item(place.file)
  if (!place || !item) throw new RangeError('a fragment of no file')
  const { id, checksum } = item
  return { id, checksum, size: item.size, offset: place.at, length: size, landing }
}

/** It is not asked any more; who looks after the archive hears of it. */
function blame(about: About, from: string, unit: Unit, files: Files, options: FetchOptions): void {
  const { client, collection, sources } = about
  const { world, name, line, topics } = client
  if (!sources.distrust(from)) return
  const text = `${from} gave other bytes than those of fragment ${unit.hash}`
  options.complain?.(from, text)
  const [place] = unit.places
  const id = place && files.item(place.file)?.id
  const alarm = compose<'Alarm'>(world, name, {
    ...{ type: 'Alarm', conversation: uuid7(world), collection },
    ...{ alarmCode: 'CHECKSUM_ALARM', alarmText: text },
    ...(id === undefined ? {} : { fileId: id }),
  })
  void line.post().send(topics.alarms(), alarm)
}
