/**
 * The scrub: reads all stored bytes from the medium, a share a day, the least proven first, and compares. What is wrong
 * is read once more, then put aside, never served, and alarmed; the tracker brings it again from another pillar. A stored
 * checksum is never changed to fit the bytes. Of a disk that sleeps, the share of several days is read at once.
 */
import { diskErrorCode } from '../disk/disk.ts'
import type { StoredFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { uuid7 } from '../post/compose.ts'
import { findings, isStill } from './findings.ts'
import type { Desk } from './pillar.ts'
import { calm } from './power.ts'
import { isForNow, type ScrubPlan, scrubPlan } from './scrub-plan.ts'
import { type ScrubTime, scrubTime } from './scrub-time.ts'

export interface Scrub {
  /** Somebody found the bytes of this file wrong: looked at before anything else. */
  suspect(file: StoredFile): void
  idle(): Promise<void>
}

/** Where the bytes are elsewhere. */
export const noScrub: Scrub = { suspect: () => undefined, idle: async () => undefined }

const day = 24 * 3_600_000
/** After a start, others come first. */
const firstMs = 10 * 60_000
/** Without a date, that the time goes on is noted so often. */
const lostMs = 3_600_000
/** Rests so many times as long as it reads; more while bytes are on their way for somebody. */
const restCalm = 3
const restBusy = 20
/** Makers of disks allow 60 °C. It goes on when it is somewhat cooler, which is looked at so often. */
const hotCelsius = 55
const coolCelsius = 50
const coolMs = 5 * 60_000
/** What is right is noted together, to spare the disk commits. */
const notedTogether = 64
const pageFiles = 256
const nextKey = 'scrub next'
/** Index, lists and disk are compared so often: each looks at everything, and costs the disk some seconds. */
const inspectMs = 7 * day
const inspectKey = 'inspect next'

/** Why it stopped in the middle of a file. */
class Interrupted extends Error {}

export function scrub(desk: Desk, periodMs: number): Scrub {
  const suspects = new Map<string, StoredFile>()
  let wake = new AbortController()
  const ended = work(desk, periodMs, suspects, (ms) => {
    wake = new AbortController()
    return desk.world.clock.sleep(ms, AbortSignal.any([wake.signal, desk.stopping]))
  })
  return {
    suspect(file) {
      suspects.set(`${file.collection}\0${file.id}`, file)
      wake.abort()
    },
    idle: () => ended,
  }
}

async function work(
  desk: Desk,
  periodMs: number,
  suspects: Map<string, StoredFile>,
  sleep: (ms: number) => Promise<void>,
): Promise<void> {
  const { world, store, stopping } = desk
  const everyMs = batchMsOf(desk, periodMs)
  const time = await scrubTime(desk)
  let next = world.clock.monotonic() + (await firstPause(desk, time, everyMs))
  while (!stopping.aborted) {
    const left = next - world.clock.monotonic()
    if (suspects.size === 0 && left > 0) await sleep(time.isLost() ? Math.min(left, lostMs) : left)
    await calm(desk)
    if (stopping.aborted) return
    try {
      if (time.isLost()) await desk.state.change([time.entry()])
      for (const [key, file] of suspects) {
        suspects.delete(key)
        await read(desk, time, [file])
      }
      if (world.clock.monotonic() < next) continue
      next = world.clock.monotonic() + everyMs
      if (store.trouble() === undefined) await batch(desk, time, periodMs, everyMs)
      await desk.state.change([[nextKey, String(time.now() + everyMs)], time.entry()])
    } catch (error) {
      if (error instanceof Interrupted) return
      world.log.error('scrub.failed', { why: String(error) })
    }
  }
}

/** A disk that sleeps is woken for many days at once; ten times in a period, as the last tenth of it waits for nothing. */
const batchMsOf = ({ store }: Desk, periodMs: number): number =>
  Math.min(Math.max(day, store.sleeping?.workEveryMs() ?? day), Math.max(day, periodMs / 10))

/** A board that is started every hour must come to scrub all the same, and not with each start. */
async function firstPause({ state }: Desk, time: ScrubTime, everyMs: number): Promise<number> {
  if (time.isLost()) return firstMs
  const at = Number((await state.get(nextKey)) ?? 0)
  // A clock that was set meanwhile must not put it off for years.
  return Math.min(everyMs, Math.max(firstMs, at - time.now()))
}

async function batch(
  desk: Desk,
  time: ScrubTime,
  periodMs: number,
  batchMs: number,
): Promise<void> {
  const { world, store } = desk
  await inspect(desk, time)
  for (const { collection, bytes } of await store.summary()) {
    const plan = scrubPlan(time.now(), { bytes, periodMs, batchMs })
    const begun = world.clock.monotonic()
    const { files, bytesDone } = await share(desk, time, collection, plan)
    if (files === 0) continue
    const ms = world.clock.monotonic() - begun
    world.log.info('scrub.done', { collection, files, bytes: bytesDone, ms })
  }
}

/** The books now and then, too. */
async function inspect(desk: Desk, time: ScrubTime): Promise<void> {
  const { store, state } = desk
  const at = Number((await state.get(inspectKey)) ?? 0)
  const left = at - time.now()
  // A clock that was set meanwhile must not put it off for years.
  if (left > 0 && left <= inspectMs) return
  await read(desk, time, await store.inspect())
  await state.change([[inspectKey, String(time.now() + inspectMs)]])
}

/** Reads as much of a collection as is for now. */
async function share(
  desk: Desk,
  time: ScrubTime,
  collection: string,
  plan: ScrubPlan,
): Promise<{ files: number; bytesDone: number }> {
  let [files, bytesDone] = [0, 0]
  const seen = new Set<string>()
  for (;;) {
    const some: StoredFile[] = []
    for (const file of await desk.store.leastProven(collection, pageFiles)) {
      // What could not be proven stays the least proven: it is for the next batch.
      if (seen.has(file.id) || !isForNow(plan, file, bytesDone)) continue
      seen.add(file.id)
      some.push(file)
      bytesDone += file.size
    }
    if (some.length === 0) return { files, bytesDone }
    files += some.length
    await read(desk, time, desk.store.sleeping?.byDisk(some) ?? some)
  }
}

async function read(desk: Desk, time: ScrubTime, files: readonly StoredFile[]): Promise<void> {
  const { world, store } = desk
  const by = { from: 'scrub', conversation: uuid7(world) }
  // It looks at them itself.
  const dated = { ...world, clock: { ...world.clock, now: time.now } }
  const seen = findings({ ...desk, world: dated, suspect: () => undefined }, by)
  for (const [n, file] of files.entries()) {
    const first = await verdict(desk, file)
    // Once more: a cable or a memory that errs is not the disk.
    const wrong = first === undefined ? undefined : await verdict(desk, file)
    if (wrong === undefined) seen.right(file)
    else if (await isMended(desk, file, wrong.is, by)) continue
    else if (await isStill(desk, file)) {
      seen.wrong(file, wrong.how)
      await seen.note()
      const actor = { actor: by.from, conversation: by.conversation }
      if (wrong.is !== 'unreadable' && (await store.quarantine(file, wrong.how, actor)))
        desk.gone(file)
    }
    if (n % notedTogether === notedTogether - 1) await seen.note()
  }
  await seen.note()
}

/** Whether it was the index that was wrong. */
async function isMended(
  { store }: Desk,
  file: StoredFile,
  is: Verdict['is'],
  { from: actor, conversation }: { from: string; conversation: string },
): Promise<boolean> {
  return is === 'damaged' && store.contradicted(file, { actor, conversation })
}

interface Verdict {
  /** `unreadable` may be the cable's fault, and is not put aside. */
  readonly is: 'damaged' | 'missing' | 'unreadable'
  readonly how: string
}

/** Undefined when the bytes are right. */
async function verdict(desk: Desk, file: StoredFile): Promise<Verdict | undefined> {
  const { clock, hashing } = desk.world
  const hasher = hashing.start('sha256')
  try {
    let since = clock.monotonic()
    for await (const bytes of desk.store.readMedium(file)) {
      hasher.update(bytes)
      await rest(desk, clock.monotonic() - since)
      since = clock.monotonic()
    }
  } catch (error) {
    if (error instanceof Interrupted) throw error
    if (diskErrorCode(error) === 'ENOENT')
      return { is: 'missing', how: 'the stored bytes are not there any more' }
    const why = error instanceof Error ? error.message : String(error)
    return { is: 'unreadable', how: `the stored bytes can not be read: ${why}` }
  }
  if (hasher.hex() === file.checksum) return undefined
  return { is: 'damaged', how: 'the stored bytes are damaged' }
}

async function rest(desk: Desk, workedMs: number): Promise<void> {
  const { world, estimate, stopping, store } = desk
  // One that was woken for it is to sleep again soon.
  const sleeps = (store.sleeping?.workEveryMs() ?? 0) > 0
  const times = estimate.isBusy() ? restBusy : sleeps ? 0 : restCalm
  await world.clock.sleep(Math.min(limits.progressMs, workedMs * times), stopping)
  await calm(desk)
  await cool(desk)
  if (stopping.aborted) throw new Interrupted('stopping')
}

/** A disk that is too hot is not made hotter. */
async function cool({ world, celsius, stopping }: Desk): Promise<void> {
  if (((await celsius?.()) ?? 0) < hotCelsius) return
  world.log.warn('scrub.tooHot', { celsius: hotCelsius })
  do await world.clock.sleep(coolMs, stopping)
  while (!stopping.aborted && ((await celsius?.()) ?? 0) >= coolCelsius)
}
