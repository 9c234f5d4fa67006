/** Cuts the power of a volume everywhere; runs as a worker of test/sim/crash-store.test.ts. */
import { parentPort, workerData } from 'node:worker_threads'
import type { Disk } from '../../src/disk/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import {
  callsOf,
  type Explored,
  eachEnd,
  fileOf,
  killed,
  type Lie,
  type Original,
  purge,
  put,
  putAside,
  type Run,
  replace,
  take,
  type Work,
} from './power.ts'
import { fragments } from './power-fragments.ts'

const random = simRandom('originals')
const original = (id: string, size: number): Original => ({ id, bytes: random.bytes(size) })

const one = [original('a.txt', 700)]
const none = [original('empty', 0)]
const large = [original('films/1990/summer.mov', 3500)]
const twin = original('first', 600)
const batch = [
  original('letters/1', 300),
  original('letters/2', 0),
  original('letters/deep/er/3', 1500),
  twin,
  { id: 'second', bytes: twin.bytes },
  original('6', 20),
]
const odd = [
  original('100 %.txt', 30),
  original(`${'long'.repeat(60)}:::::::::.txt`, 40),
  original('line\nbreak', 50),
]
const before = original('x', 900)
const after = { id: 'x', bytes: random.bytes(1200) }

/** Offers bytes and brings some of them, or wrong ones, then leaves. */
async function begin(
  { store, collection, promises }: Run,
  name: string,
  some: Original,
  wrong = false,
): Promise<void> {
  const key = `${collection} ${name}`
  if (await store.answer(key)) return
  const file = fileOf(collection, some)
  const [standing] = await store.accept({ key, substance: key, request: key }, [file])
  promises.accepted.add(key)
  if (standing?.is === 'welcome') {
    const incoming = await store.incoming(collection, some.id)
    const missing = some.bytes.length - incoming.at()
    await incoming.write(wrong ? new Uint8Array(missing) : some.bytes.slice(0, missing >> 1))
    if (wrong) await incoming.finish({ actor: 'ann', conversation: key })
    else await incoming.secure()
  }
  store.release([file])
  const answer = { substance: key, answer: 'no', keepUntil: 2e12 }
  await store.conclude([{ do: 'answer', key, answer }])
  promises.answered.add(key)
}

const works: readonly Work[] = [
  { name: 'new', adopts: true, originals: one, run: (run) => put(run, 'r1', one) },
  { name: 'none', originals: none, run: (run) => put(run, 'r1', none) },
  { name: 'large', originals: large, run: (run) => put(run, 'r1', large) },
  { name: 'batch', originals: batch, run: (run) => put(run, 'r1', batch) },
  {
    name: 'in turns, with a manifest between',
    originals: [...one, ...odd, ...large],
    async run(run) {
      await put(run, 'r1', one)
      await run.store.flush()
      await Promise.all([put(run, 'r2', odd), put(run, 'r3', large, 2000)])
      await run.store.flush()
    },
  },
  {
    name: 'wrong bytes, then others, then right ones',
    originals: [after],
    async run(run) {
      await begin(run, 'r1', before, true)
      await begin(run, 'r2', before)
      await put(run, 'r3', [after])
    },
  },
  {
    name: 'given up',
    originals: one,
    async run(run) {
      await begin(run, 'r1', before)
      await run.store.evict(Number.MAX_SAFE_INTEGER)
      await put(run, 'r2', one)
      await run.store.evict(Number.MAX_SAFE_INTEGER)
    },
  },
]

const removals: readonly Work[] = [
  fragments,
  {
    name: 'deleted',
    originals: large,
    async run(run) {
      await put(run, 'r1', [...one, ...large])
      await run.store.flush()
      await take(run, 'away', one[0] as Original)
      await run.store.flush()
    },
  },
  {
    name: 'replaced',
    originals: [after, ...one],
    async run(run) {
      if (!(await run.store.answer(`${run.collection} replace`))) await put(run, 'r1', [before])
      await put(run, 'r2', one)
      await replace(run, before, after)
    },
  },
  {
    name: 'deleted for good',
    originals: large,
    async run(run) {
      if (!run.promises.answered.has(`${run.collection} r1`))
        await put(run, 'r1', [...one, ...large])
      const [first] = one as [Original]
      const [left] = await run.store.stored(run.collection, [first.id])
      if (left) await take(run, 'away', first)
      await purge(run)
      await run.store.flush()
    },
  },
  {
    name: 'put aside as damaged',
    originals: large,
    async run(run) {
      if (!run.promises.quarantined.has(one[0]?.id ?? '')) await put(run, 'r1', [...one, ...large])
      else await put(run, 'r2', large)
      await run.store.flush()
      await putAside(run, one[0] as Original)
      await run.store.flush()
    },
  },
  {
    name: 'deleted and taken back',
    originals: [...one, ...odd],
    async run(run) {
      await put(run, 'r1', [...one, ...odd])
      for (const some of [...one, ...odd]) {
        await take(run, 'away', some)
        await take(run, 'back', some)
      }
    },
  },
]

const ways = [killed, 'lost', 'kept', 'hollow', 'torn', 'scattered', 'reordered', 'nameless']
const seeds = Array.from({ length: 60 }, (_, n) => `seed ${n}`)

/** What is explored: every cut, with a second and a third cut of the starts after it, or every cut on a lying disk. */
export type Exploration = { readonly every: 'cut' | 'start' } | { readonly lie: string }

const sumOf = (): Explored => ({ states: 0, distinct: 0, violations: [] })

function add(sum: Explored, { states, distinct, violations }: Explored): void {
  sum.states += states
  sum.distinct += distinct
  sum.violations.push(...violations)
}

/** Each call of the work, and the moment after the last, in each way. */
async function explore(
  works: readonly Work[],
  hows: readonly string[],
  lie?: Lie,
): Promise<Explored> {
  const sum = sumOf()
  for (const work of works) {
    const calls = await callsOf(work)
    for (let at = 1; at <= calls + 1; at++) add(sum, await eachEnd(work, { at, hows }, lie))
  }
  return sum
}

/** The start after the cut is cut as well, at each of its calls; and so is the one after that, anywhere. */
async function exploreStarts(hows: readonly string[]): Promise<Explored> {
  const sum = sumOf()
  for (const work of [...works, ...removals]) {
    const all = await callsOf(work)
    for (let first = 1; first <= all + 1; first++)
      for (const how of hows) {
        const before = [{ at: first, how }]
        const calls = await callsOf(work, before[0])
        for (let at = 1; at <= calls; at++) {
          const later = [{ at: 1 + ((first + at) % calls), how: 'lost' }]
          add(
            sum,
            await eachEnd(work, {
              before,
              at,
              hows: ['lost', 'kept', 'reordered', `again ${at}`],
              later,
            }),
          )
        }
      }
  }
  return sum
}

const syncsOnly =
  (which: RegExp): Lie =>
  (disk: Disk) => ({
    ...disk,
    syncDir: async (path) => {
      if (which.test(path)) await disk.syncDir(path)
    },
  })
const lies: Record<string, Lie> = {
  'does not sync bytes': (disk) => ({ ...disk, sync: async () => undefined }),
  'does not sync names': syncsOnly(/never/),
  'does not sync names in the root': syncsOnly(/./),
  'does not sync names in folders of files': syncsOnly(/^(?!.*data)/),
  'does not sync names of folders': syncsOnly(/\/data|^\.incoming/),
  'does not sync names of partials': syncsOnly(/^(?!\.incoming)/),
  'does not sync names of manifests': syncsOnly(/^(?!c\d+$)/),
}

function lieCalled(name: string): Lie {
  const lie = lies[name]
  if (!lie) throw new Error(`no such lie: ${name}`)
  return lie
}

function explored(exploration: Exploration): Promise<Explored> {
  if ('lie' in exploration) return explore(works.slice(0, 4), ['lost'], lieCalled(exploration.lie))
  return exploration.every === 'cut'
    ? explore([...works, ...removals], [...ways, ...seeds])
    : exploreStarts([killed, 'kept'])
}

parentPort?.postMessage(await explored(workerData))
