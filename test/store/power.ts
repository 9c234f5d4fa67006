/**
 * A volume under a power that can be cut at every call: what it promised before must be there after, and what was not
 * finished can be finished. Used by test/sim/crash-store.test.ts.
 */
import { type Disk, DiskError } from '../../src/disk/disk.ts'
import type { Index } from '../../src/index/index.ts'
import { openIndex, type SyncIndex } from '../../src/index/sqlite.ts'
import { simClock } from '../../src/sim/clock.ts'
import { type Chooser, type SimDisk, simDisk } from '../../src/sim/disk.ts'
import { life, mortal } from '../../src/sim/mortal.ts'
import { simRandom } from '../../src/sim/random.ts'
import { simWorld } from '../../src/sim/world.ts'
import type { State } from '../../src/state/state.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import { partialOf } from '../../src/store/names.ts'
import { retainedPath } from '../../src/store/removal.ts'
import type { NewFile, Store } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import { digestOf } from '../../src/world/world.ts'

export const owner = { pillar: 'p1', archive: 'a1' }

/** A file as its owner has it. */
export interface Original {
  readonly id: string
  readonly bytes: Uint8Array
}

/** What was promised, by id or key; it must hold whatever happens to the power. */
export interface Promises {
  readonly stored: Map<string, Uint8Array>
  /** Being deleted or taken back: stored, or kept aside. */
  readonly moving: Map<string, Uint8Array>
  /** Being replaced: one of two, and never neither. */
  readonly replacing: Map<string, readonly Uint8Array[]>
  /** Deleted, and kept aside. */
  readonly removed: Map<string, Uint8Array>
  /** Being put aside as damaged, or it is: stored or kept aside, and never said to be deleted. */
  readonly quarantined: Map<string, Uint8Array>
  /** How much of a file was secured. */
  readonly secured: Map<Original, number>
  readonly accepted: Set<string>
  readonly answered: Set<string>
  /** Fragments that are noted before they come, and those that were said to be kept for good. */
  readonly noted: Set<string>
  readonly persisted: Set<string>
}

/** One program from its start to its end. */
export interface Run {
  readonly store: Store
  readonly state: State
  readonly collection: string
  readonly promises: Promises
}

/** Can be run again after any end, and goes on then. */
export interface Work {
  readonly name: string
  /** The disk is no volume yet, and the power may be cut while it becomes one. */
  readonly adopts?: boolean
  /** What is stored when it has ended. */
  readonly originals: readonly Original[]
  run(run: Run): Promise<void>
}

/** How the disk differs from an honest one. */
export type Lie = (disk: Disk) => Disk
const honest: Lie = (disk) => disk

/** Power is cut at this call that changes something, and the disk forgets so; or the program alone is killed there. */
export interface Cut {
  readonly at: number
  readonly how: string
}
export const killed = 'killed'

export const world = simWorld(simClock().clock, simRandom('store'), 'p1')

export const fileOf = (collection: string, { id, bytes }: Original): NewFile => ({
  collection,
  id,
  size: bytes.length,
  checksum: digestOf(world, bytes),
  mtime: 1_600_000_000_000,
})

/** Puts files by one request, all at once, securing each page of `pageBytes`; goes on with what is there. */
export async function put(
  { store, collection, promises }: Run,
  name: string,
  originals: readonly Original[],
  pageBytes = 1000,
): Promise<void> {
  const key = `${collection} ${name}`
  if (await store.answer(key)) return
  const files = originals.map((original) => fileOf(collection, original))
  const standings = await store.accept({ key, substance: key, request: key }, files)
  promises.accepted.add(key)
  await Promise.all(
    originals.map(async (original, n) => {
      if (standings[n]?.is === 'held') return
      if (standings[n]?.is !== 'welcome') throw new Error(`${original.id} is ${standings[n]?.is}`)
      const incoming = await store.incoming(collection, original.id)
      while (incoming.at() < original.bytes.length) {
        await incoming.write(original.bytes.slice(incoming.at(), incoming.at() + pageBytes))
        if (incoming.at() === original.bytes.length) continue
        await incoming.secure()
        promises.secured.set(original, incoming.at())
      }
      const outcome = await incoming.finish({ actor: 'ann', conversation: key })
      if (outcome !== 'stored') throw new Error(`${original.id} is ${outcome}`)
      promises.stored.set(original.id, original.bytes)
    }),
  )
  store.release(files)
  const answer = { substance: key, answer: `answer to ${key}`, keepUntil: 2e12 }
  await store.conclude([{ do: 'answer', key, answer }])
  promises.answered.add(key)
}

/** Deletes a file, or takes it back. */
export async function take(
  { store, collection, promises }: Run,
  what: 'away' | 'back',
  original: Original,
): Promise<void> {
  const { id, checksum } = fileOf(collection, original)
  const by = { actor: 'ann', conversation: what }
  const [from, to] = [promises.stored, promises.removed]
  ;(what === 'away' ? from : to).delete(id)
  promises.moving.set(id, original.bytes)
  const [version = 0] = await store.versions(collection, [id])
  const outcome =
    what === 'away'
      ? await store.remove({ collection, id, checksum, version }, by)
      : await store.restore(collection, id, checksum, by)
  if (outcome !== (what === 'away' ? 'removed' : 'stored')) throw new Error(`${id} is ${outcome}`)
  promises.moving.delete(id)
  ;(what === 'away' ? to : from).set(id, original.bytes)
}

/** Gives up what was deleted, for good. */
export async function purge({ store, promises }: Run): Promise<void> {
  promises.removed.clear()
  while ((await store.purge(Number.MAX_SAFE_INTEGER)) > 0);
}

/** Puts a file aside, as one whose bytes were found wrong. */
export async function putAside(
  { store, collection, promises }: Run,
  { id, bytes }: Original,
): Promise<void> {
  promises.stored.delete(id)
  promises.quarantined.set(id, bytes)
  const [file] = await store.stored(collection, [id])
  if (!file) return
  if (!(await store.quarantine(file, 'damaged', { actor: 'scrub', conversation: 'q' })))
    throw new Error(`${id} was not put aside`)
}

/** Puts other bytes in the place of those that are stored. */
export async function replace(
  { store, collection, promises }: Run,
  old: Original,
  fresh: Original,
): Promise<void> {
  const key = `${collection} replace`
  if (await store.answer(key)) return
  const { id } = fresh
  const [version = 0] = await store.versions(collection, [id])
  const replaces = { checksum: fileOf(collection, old).checksum, version }
  const file = { ...fileOf(collection, fresh), replaces }
  const [standing] = await store.accept({ key, substance: key, request: key }, [file])
  promises.accepted.add(key)
  promises.stored.delete(id)
  promises.replacing.set(id, [old.bytes, fresh.bytes])
  if (standing?.is === 'welcome') {
    const incoming = await store.incoming(collection, id, replaces)
    await incoming.write(fresh.bytes.slice(incoming.at(), 600))
    await incoming.secure()
    promises.secured.set(fresh, incoming.at())
    await incoming.write(fresh.bytes.slice(incoming.at()))
    const outcome = await incoming.finish({ actor: 'ann', conversation: key })
    if (outcome !== 'stored') throw new Error(`${id} is ${outcome}`)
  } else if (standing?.is !== 'held') throw new Error(`${id} is ${standing?.is}`)
  promises.replacing.delete(id)
  promises.stored.set(id, fresh.bytes)
  store.release([file])
  const answer = { substance: key, answer: 'replaced', keepUntil: 2e12 }
  await store.conclude([{ do: 'answer', key, answer }])
  promises.answered.add(key)
}

/** The ways in which a disk forgets. */
export function chooserOf(how: string): Chooser {
  const last = (options: number): number => options - 1
  const ways: Record<string, Chooser> = {
    lost: () => 0,
    kept: last,
    // All names, and of the bytes nothing; or a first part; or every other sector.
    hollow: (options, about) => (about.startsWith('bytes') ? 0 : last(options)),
    torn: (options, about) =>
      about.startsWith('bytes') ? 1 : about.startsWith('sectors') ? options >> 1 : last(options),
    scattered: alternating((options, about) =>
      about.startsWith('bytes') ? 2 : about.startsWith('size') ? last(options) : undefined,
    ),
    // Every other name, and all bytes: later changes survive without earlier ones.
    reordered: alternating((options, about) =>
      about.startsWith('names') ? undefined : last(options),
    ),
    nameless: (options, about) => (about.startsWith('names') ? 0 : last(options)),
  }
  const random = simRandom(how)
  return ways[how] ?? ((options) => random.int(options))
}

function alternating(known: (options: number, about: string) => number | undefined): Chooser {
  let turn = 0
  return (options, about) => known(options, about) ?? turn++ % options
}

/** A board with its disk; its index keeps what was committed. */
interface Board {
  readonly sim: SimDisk
  readonly index: SyncIndex
  /** Of the pillar, beside its files. */
  readonly state: Map<string, string>
  readonly collection: string
  readonly promises: Promises
  readonly lie: Lie
}

/**
 * Opening an index costs more than all that a short history does with it, so a history that ended well leaves it to
 * the next one, which has a collection of its own.
 */
let kept: { readonly index: SyncIndex; readonly collection: string } | undefined
let collections = 0

function drawer(): { index: SyncIndex; collection: string } {
  const index = kept?.index ?? openIndex(':memory:')
  kept = undefined
  return { index, collection: `c${++collections}` }
}
function putBack(board: Board): void {
  if (collections % 25 === 0) board.index.close()
  else kept = board
}

function board(lie: Lie): Board {
  return {
    sim: simDisk({ capacity: 10_000_000 }),
    ...drawer(),
    state: new Map(),
    promises: {
      stored: new Map(),
      moving: new Map(),
      quarantined: new Map(),
      replacing: new Map(),
      removed: new Map(),
      secured: new Map(),
      accepted: new Set(),
      answered: new Set(),
      noted: new Set(),
      persisted: new Set(),
    },
    lie,
  }
}

/** Asking ends with the power; a commit counts as a call that changes something, and is whole or not at all. */
function powered({ sim, index, collection }: Board): Index {
  const ask = <Result>(work: () => Result): Promise<Result> => sim.during('read', 'index', work)
  return {
    commit: (changes) => sim.during('commit', 'index', () => index.commit(changes)),
    stored: (collection, ids) => ask(() => index.stored(collection, ids)),
    receiving: (collection, ids) => ask(() => index.receiving(collection, ids)),
    allReceiving: () => ask(() => index.allReceiving()),
    conflict: (collection, id) => ask(() => index.conflict(collection, id)),
    withBytes: (collection, checksum, size) =>
      ask(() => index.withBytes(collection, checksum, size)),
    atPath: (collection, folded) => ask(() => index.atPath(collection, folded)),
    list: (query) => ask(() => index.list(query)),
    summary: () => ask(() => index.summary().filter((one) => one.collection === collection)),
    oldestProof: (collection) => ask(() => index.oldestProof(collection)),
    leastProven: (collection, limit) => ask(() => index.leastProven(collection, limit)),
    proofAges: (collection, before) => ask(() => index.proofAges(collection, before)),
    answer: (key) => ask(() => index.answer(key)),
    accepted: () => ask(() => index.accepted()),
    fact: (key) => ask(() => index.fact(key)),
    audit: (after, limit) => ask(() => index.audit(after, limit)),
    versions: (collection, ids) => ask(() => index.versions(collection, ids)),
    tombstones: (query) => ask(() => index.tombstones(query)),
    retained: (query) => ask(() => index.retained({ ...query, collection })),
    retainedBytes: () => ask(() => index.retainedBytes()),
    trail: (query) => ask(() => index.trail(query)),
    damaged: () => ask(() => index.damaged()),
    watch: async (tell) => index.watch(tell),
    strangers: (collection, paths) => ask(() => index.strangers(collection, paths)),
    inspect: () => ask(() => index.inspect()),
    close: async () => undefined,
  }
}

/** A change of it is whole or not at all, and ends with the power, as a commit of the index. */
const poweredState = ({ sim, state }: Board): State => ({
  get: (key) => sim.during('read', 'state', () => state.get(key)),
  list: (prefix) =>
    sim.during('read', 'state', () => [...state].filter(([key]) => key.startsWith(prefix))),
  count: (prefix) =>
    sim.during(
      'read',
      'state',
      () => [...state.keys()].filter((key) => key.startsWith(prefix)).length,
    ),
  change: (entries) =>
    sim.during('commit', 'state', () => {
      for (const [key, value] of entries)
        if (value === undefined) state.delete(key)
        else state.set(key, value)
    }),
  close: async () => undefined,
})

/** An empty volume. */
async function adopted(lie: Lie): Promise<Board> {
  const on = board(lie)
  await adoptVolume(world, on.sim.disk, { ...owner, volume: 'v1' })
  return on
}

/** Runs the program until it ends or is ended. Resolves with how many calls it made that change something. */
async function boot(
  on: Board,
  cut: Cut | undefined,
  program: (run: Run) => Promise<void>,
): Promise<number> {
  const { sim, collection, promises, lie } = on
  const own = life()
  let calls = 0
  const over = new Promise<void>((resolve) => {
    sim.onCall(() => {
      calls++
      if (calls !== cut?.at) return
      resolve()
      if (cut.how !== killed) return sim.cut()
      // The call is not made, and by the time its failure could be heard nobody is there any more.
      queueMicrotask(own.die)
      throw new DiskError('EINTR', killed)
    })
  })
  const start = async (): Promise<void> => {
    const clock = simClock().clock
    const mine = simWorld(clock, simRandom('store'), 'p1')
    const disk = mortal(own, lie(sim.disk))
    if ((await disk.stat('volume.json')) === undefined)
      await adoptVolume(mine, disk, { ...owner, volume: 'v1' })
    const options = { ...owner, reserveBytes: 0 }
    const store = await openVolume(mine, disk, mortal(own, powered(on)), options)
    await program({ store, state: mortal(own, poweredState(on)), collection, promises })
  }
  await Promise.race([start(), over])
  own.die()
  sim.onCall(undefined)
  return calls
}

/** The power was cut, unless only the program was killed: then nothing is lost yet, and nothing safe either. */
function forget({ sim }: Board, how: string): void {
  if (how !== killed) sim.crash(chooserOf(how))
}

/** What is wrong now, compared with what was promised; nothing, one hopes. */
function broken({ sim, index, state, collection, promises }: Board): string[] {
  const found: string[] = []
  const disk = sim.snapshot()
  for (const [id, bytes] of promises.stored) {
    const [row] = index.stored(collection, [id])
    if (row?.checksum !== digestOf(world, bytes)) found.push(`${id} was stored and is not`)
  }
  for (const [id, either] of promises.replacing) {
    const [row] = index.stored(collection, [id])
    if (!either.some((bytes) => digestOf(world, bytes) === row?.checksum))
      found.push(`${id} was being replaced and is neither`)
  }
  for (const [id, bytes] of [...promises.moving, ...promises.removed]) {
    const row = index.stored(collection, [id])[0]
    if (row && promises.removed.has(id)) found.push(`${id} was deleted and is there`)
    if (row) continue
    const [kept] = index.retained({ collection, ids: [id], limit: 1 })
    const { tombstones } = index.tombstones({ collection, ids: [id], limit: 1 })
    const aside = kept?.state === 'kept' ? disk.get(retainedPath(world, kept)) : undefined
    if (tombstones.length === 0) found.push(`${id} is gone without a tombstone`)
    if (!aside || Buffer.compare(aside, bytes) !== 0) found.push(`${id} is not kept aside`)
  }
  for (const [id, bytes] of promises.quarantined) {
    const { tombstones } = index.tombstones({ collection, ids: [id], limit: 1 })
    if (tombstones.length > 0) found.push(`${id} was put aside and is said to be deleted`)
    if (index.stored(collection, [id])[0]) continue
    const [kept] = index.retained({ collection, ids: [id], limit: 1 })
    const aside = kept?.state === 'kept' ? disk.get(retainedPath(world, kept)) : undefined
    if (!aside || Buffer.compare(aside, bytes) !== 0) found.push(`${id} is not kept aside`)
  }
  for (const row of index.list({ collection, limit: 1000 }).files) {
    const bytes = disk.get(`${collection}/data/${row.path}`)
    if (bytes === undefined) found.push(`${row.id} is in the index and not on the disk`)
    else if (bytes.length !== row.size || digestOf(world, bytes) !== row.checksum)
      found.push(`${row.id} has other bytes than the index says`)
  }
  for (const [{ id, bytes }, length] of promises.secured) {
    const [row] = index.receiving(collection, [id])
    if (!row) continue
    const partial = disk.get(partialOf(world, row))?.subarray(0, length)
    const same = partial?.length === length && Buffer.compare(partial, bytes.slice(0, length)) === 0
    if (row.safe < length || !same) found.push(`${length} bytes of ${id} were secured and are not`)
  }
  const isNoted = (how: string, id: string): boolean =>
    state.has(`fragment ${how} ${collection} ${id}`)
  for (const id of promises.noted)
    if (index.stored(collection, [id])[0] && !isNoted('temporary', id) && !isNoted('held', id))
      found.push(`${id} is here and noted neither way`)
  for (const id of promises.persisted)
    if (isNoted('temporary', id) || !isNoted('held', id) || !index.stored(collection, [id])[0])
      found.push(`${id} was said to be kept for good and is not`)
  const accepted = new Set(index.accepted().map(({ key }) => key))
  for (const key of promises.accepted)
    if (!accepted.has(key) && !index.answer(key)) found.push(`${key} was accepted and is forgotten`)
  for (const key of promises.answered)
    if (!index.answer(key)) found.push(`${key} was answered and is forgotten`)
  return found
}

/** What is wrong when all work is done and the manifest is up to date. */
function unfinished(
  { sim, index, state, collection }: Board,
  originals: readonly Original[],
): string[] {
  const found: string[] = []
  const disk = sim.snapshot()
  const textOf = (path: string): string => Buffer.from(disk.get(path) ?? '').toString()
  for (const { id, bytes } of originals) {
    const [row] = index.stored(collection, [id])
    if (row?.checksum !== digestOf(world, bytes)) found.push(`${id} could not be finished`)
  }
  const { files } = index.list({ collection, limit: 1000 })
  if (files.length !== originals.length) found.push(`${files.length} files are stored`)
  if (index.allReceiving().length > 0) found.push('something is still being received')
  if (index.accepted().length > 0) found.push('a request is still open')
  for (const key of state.keys())
    if (key.startsWith('fragment temporary ')) found.push(`left for the time being: ${key}`)
  const aside = index.retained({ collection, limit: 9 }).map((row) => retainedPath(world, row))
  for (const path of aside) if (!disk.has(path)) found.push(`not kept aside: ${path}`)
  const stones = index.tombstones({ collection, limit: 9 }).tombstones.map(({ id }) => id)
  const told = textOf(`${collection}/tombstones.txt`).match(/".*"$/gm) ?? []
  if (told.join() !== stones.map((id) => JSON.stringify(id)).join())
    found.push(`tombstones.txt says ${told}, not ${stones}`)
  for (const path of disk.keys()) {
    if (/^\.incoming\/.|\.new$/.test(path)) found.push(`rubbish: ${path}`)
    const isAside = path.startsWith('.retained/') && path !== '.retained/'
    if (isAside && !aside.includes(path)) found.push(`set aside: ${path}`)
    const isPayload = path.startsWith(`${collection}/data/`) && !path.endsWith('/')
    if (isPayload && !files.some((file) => path === `${collection}/data/${file.path}`))
      found.push(`nobody's: ${path}`)
  }
  const lines = textOf(`${collection}/manifest-sha256.txt`).split(/(?<=\n)/)
  const expected = files.map(({ checksum, path }) => `${checksum}  data/${path}\n`)
  if (files.length > 0 && lines.sort().join('') !== expected.sort().join(''))
    found.push(`the manifest says ${lines.join('')}, not ${expected.join('')}`)
  // Absent it says nothing; and it comes with the next quiet moment.
  for (const line of textOf(`${collection}/tagmanifest-sha256.txt`).split('\n').slice(0, -1)) {
    const [digest, name] = line.split('  ')
    const list = disk.get(`${collection}/${name}`)
    if (!list || digestOf(world, list) !== digest) found.push(`tagmanifest is wrong about ${name}`)
  }
  const bytes = files.reduce((sum, { size }) => sum + size, 0)
  if (
    files.length > 0 &&
    !textOf(`${collection}/bag-info.txt`).includes(`: ${bytes}.${files.length}\n`)
  )
    found.push('bag-info.txt is not up to date')
  return found
}

/** What a history is asked when one of its ends has come, before the disk forgets. */
interface Asked {
  /** Number of the cut. */
  readonly cut: number
  tell(sim: SimDisk): void
}

/**
 * One history: the work is done until the power is cut, then come starts that are cut themselves, then a whole one;
 * after each end and start everything promised is there. At last the work is finished, and stays so.
 */
async function history(
  work: Work,
  cuts: readonly Cut[],
  lie: Lie,
  asked?: Asked,
): Promise<string[]> {
  const on = work.adopts ? board(lie) : await adopted(lie)
  const found: string[] = []
  const check = (when: string, some: readonly string[]): void => {
    found.push(...some.map((what) => `${work.name}: ${what} ${when} ${JSON.stringify(cuts)}`))
  }
  try {
    for (const [n, cut] of cuts.entries()) {
      await boot(on, cut, n === 0 ? work.run : async () => undefined)
      if (asked?.cut === n) asked.tell(on.sim)
      forget(on, cut.how)
    }
    await boot(on, undefined, async () => check('after recovery', broken(on)))
    forget(on, 'lost')
    await boot(on, undefined, async (run) => {
      check('after what recovery left unsynced was lost', broken(on))
      await work.run(run)
      check('when finished', broken(on))
      await run.store.flush()
    })
    forget(on, 'lost')
    await boot(on, undefined, async () => undefined)
    check('at the end', [...broken(on), ...unfinished(on, work.originals)])
  } catch (error) {
    check('', [error instanceof Error ? (error.stack ?? '') : String(error)])
  }
  if (found.length === 0) putBack(on)
  else on.index.close()
  return found
}

/** Histories that differ in how one cut ended. */
export interface Ends {
  readonly before?: readonly Cut[]
  /** Where the power is cut, and the ways in which the disk forgets then; or `killed`. */
  readonly at: number
  readonly hows: readonly string[]
  readonly later?: readonly Cut[]
}

/** What is explored: crash states, how many of them left a disk that no other left, and what was wrong. */
export interface Explored {
  states: number
  distinct: number
  readonly violations: string[]
}

/**
 * Each end of that cut. Where two ways of forgetting leave the very same disk beside the very same index, what comes after
 * is the same as well, and is lived through once.
 */
export async function eachEnd(
  work: Work,
  { before = [], at, hows, later = [] }: Ends,
  lie = honest,
): Promise<Explored> {
  const live = (how: string, asked?: Asked): Promise<string[]> =>
    history(work, [...before, { at, how }, ...later], lie, asked)
  const violations: string[] = []
  const ways = hows.filter((how) => how !== killed)
  const left = new Map<string, string>()
  const [first] = ways
  if (first !== undefined) {
    const tell = (sim: SimDisk): void => {
      for (const how of ways) {
        const disk = sim.foresee(chooserOf(how))
        if (!left.has(disk)) left.set(disk, how)
      }
    }
    violations.push(...(await live(first, { cut: before.length, tell })))
  }
  const others = [...left.values()].filter((how) => how !== first)
  if (hows.includes(killed)) others.push(killed)
  for (const how of others) violations.push(...(await live(how)))
  return {
    states: hows.length,
    distinct: others.length + (first === undefined ? 0 : 1),
    violations,
  }
}

/** How many calls the work makes that change something; or, cut once, the start after it. */
export async function callsOf(work: Work, cut?: Cut): Promise<number> {
  const on = work.adopts ? board(honest) : await adopted(honest)
  let calls = await boot(on, cut, work.run)
  if (cut) {
    forget(on, cut.how)
    calls = await boot(on, undefined, async () => undefined)
  }
  tidied(on)
  return calls
}

/** Leaves nothing in the index that another history would meet. */
function tidied(on: Board): void {
  const { index } = on
  index.commit([
    ...index.allReceiving().map(({ collection, id }) => ({ do: 'drop', collection, id }) as const),
    ...index
      .retained({ moving: true, limit: 99 })
      .map((row) => ({ do: 'release', ...row }) as const),
    ...index.accepted().map(({ key }) => {
      return { do: 'answer', key, answer: { substance: '', answer: '', keepUntil: 0 } } as const
    }),
  ])
  putBack(on)
}
