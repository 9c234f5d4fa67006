/**
 * Repair: a pillar that returns, got an empty disk or was added receives what it should have, from other pillars, without
 * anybody asking. When something may have changed, and now and then anyway, the pillars of a collection are compared;
 * what one of them lacks becomes a debt, and is delivered as owed copies are. Other bytes under one id, and what was
 * deleted in some places only, is not repaired: it is told, for people to decide.
 */
import { type Client, Unable } from '../client/client.ts'
import { Stopped } from '../client/line.ts'
import { limits } from '../limits.ts'
import type { AlarmCode } from '../protocol/alarms.ts'
import type { Finding, Repair } from '../protocol/repairs.ts'
import type { State } from '../state/state.ts'
import { gate } from '../world/lock.ts'
import { jittered } from '../world/world.ts'
import { absence } from './absence.ts'
import { emit } from './emission.ts'
import type { Ledger } from './ledger.ts'
import { type Memory, memory, type Remembered } from './memory.ts'
import {
  type Compared,
  compare,
  confirmed,
  digestsOf,
  isEqual,
  type Seen,
  settled,
} from './round.ts'
import { type Tally, tally } from './tally.ts'

export interface RepairOptions {
  /** All collections are compared at least so often, milliseconds. */
  readonly everyMs: number
  /** A difference must stand for so long: most heal themselves. */
  readonly settleMs: number
}

export interface RepairParts extends RepairOptions {
  readonly client: Client
  readonly ledger: Ledger
  readonly state: State
  readonly signal: AbortSignal
  /** It is to go, or is lost: it need not have anything. */
  leaves?(pillar: string): boolean
  /** This pillar is owed something new. */
  remind(pillar: string): void
  alarm(code: AlarmCode, text: string, about: { collection: string; fileId?: string }): void
}

export interface Repairs {
  /** It is there. */
  arrived(pillar: string): void
  /** Nothing more is owed to it. */
  paid(pillar: string): void
  /** The owner has decided something new. */
  decided(): void
  under(): Promise<Repair[]>
  found(): Promise<Finding[]>
  idle(): Promise<void>
}

/** After a round that could not be finished: at first, and at most. */
const againMsMin = 10 * 60_000
const againMsMax = 6 * 3_600_000

/** The comparing of one collection. */
interface Course {
  /** When it is due, monotonic milliseconds. */
  due: number
  wake: AbortController
  ended: Promise<void>
}

export function repairs(parts: RepairParts): Repairs {
  const { client, signal, settleMs, everyMs } = parts
  const { world, directory } = client
  const { clock, log } = world
  const courses = new Map<string, Course>()
  const away = absence(client, parts.state, signal)
  const kit: Kit = {
    ...{ parts, away, memory: memory(parts.state), tally: tally(parts) },
    listing: gate(1),
  }

  function look(collection: string): void {
    if (signal.aborted) return
    const due = clock.monotonic() + jittered(world, settleMs)
    const known = courses.get(collection)
    if (known) {
      known.due = Math.min(known.due, due)
      known.wake.abort()
      return
    }
    const course: Course = { due, wake: new AbortController(), ended: Promise.resolve() }
    courses.set(collection, course)
    course.ended = run(collection, course).catch((error) =>
      log.error('repair.ended', { collection, why: String(error) }),
    )
  }
  async function run(collection: string, course: Course): Promise<void> {
    let pauseMs = againMsMin
    while (!signal.aborted) {
      const left = course.due - clock.monotonic()
      if (left > 0) {
        course.wake = new AbortController()
        await clock.sleep(left, AbortSignal.any([signal, course.wake.signal]))
        continue
      }
      if (!directory.collection(collection)) break
      // Before the round: what happens during it is looked at again.
      course.due = clock.monotonic() + jittered(world, everyMs)
      try {
        const next = await round(kit, collection)
        if (next === 'soon') look(collection)
        if (next === 'later') throw new Unable('a pillar that is there did not answer')
        pauseMs = againMsMin
      } catch (error) {
        if (signal.aborted || error instanceof Stopped) break
        const known = error instanceof Unable
        log[known ? 'warn' : 'error']('repair.failed', { collection, why: String(error) })
        course.due = Math.min(course.due, clock.monotonic() + jittered(world, pauseMs))
        pauseMs = Math.min(pauseMs * 2, againMsMax)
      }
    }
    courses.delete(collection)
  }
  /** Pillars of a collection in fragments hold different ones: the keeper cares for those. */
  const whole = () => directory.document().collections.filter(({ fragments }) => !fragments)
  const collectionsOf = (pillar: string): string[] =>
    whole().flatMap(({ name, pillars }) => (pillars.includes(pillar) ? [name] : []))
  return {
    arrived(pillar) {
      void away.notice(pillar).catch((error) => log.error('absence.failed', { why: String(error) }))
      for (const collection of collectionsOf(pillar)) look(collection)
    },
    paid(pillar) {
      kit.tally.paid(pillar)
      for (const collection of collectionsOf(pillar)) look(collection)
    },
    decided() {
      for (const { name } of whole()) look(name)
    },
    under: () => kit.tally.repairs(),
    found: () => kit.memory.findings(whole().map(({ name }) => name)),
    idle: async () => {
      await Promise.all([...courses.values()].map(({ ended }) => ended))
      await away.idle()
    },
  }
}

interface Kit {
  readonly parts: RepairParts
  readonly away: ReturnType<typeof absence>
  readonly memory: Memory
  readonly tally: Tally
  /** One collection is listed at a time. */
  readonly listing: ReturnType<typeof gate>
}

/** When to look again, unless something happens. */
type Next = 'soon' | 'later' | 'inTime'

async function round(kit: Kit, collection: string): Promise<Next> {
  const { seen, all } = await settled(kit.parts, collection)
  const strangers = seen.size < 2 ? 0 : await compareOnce(kit, collection, seen)
  if (strangers > 0) return 'soon'
  return all ? 'inTime' : 'later'
}

/** Resolves with how many pillars are strangers no more. */
async function compareOnce(kit: Kit, collection: string, seen: Seen): Promise<number> {
  const { parts, away, memory } = kit
  const { client } = parts
  const doubted = await away.doubted(collection)
  const digests = digestsOf(seen)
  const isWhole = seen.size === client.policy(collection).pillars.length
  if (isEqual(seen)) {
    // Those that are away may differ as before.
    if (isWhole) await memory.keep(collection, { digests, findings: [], told: {} })
    return cleared(kit, collection, [...seen.keys()], doubted)
  }
  if (doubted.size === 0 && (await memory.knows(collection, digests))) return 0
  const leave = await kit.listing.enter()
  const began = client.world.clock.monotonic()
  const compared = await compare(parts, collection, seen, doubted).finally(leave)
  const { plan, pillars } = compared
  client.world.log.info('repair.compared', {
    collection,
    pillars: compared.heard,
    lacking: Object.fromEntries(pillars.map((one, n) => [one, plan.lacking[n]])),
    differing: plan.differing.count,
    halfDeleted: plan.buried.count,
    ms: Math.round(client.world.clock.monotonic() - began),
  })
  const listedFor = kit.tally.begin(collection, pillars, plan.lacking)
  const fresh = await emit(parts, collection, compared, listedFor).finally(() =>
    kit.tally.listed(collection, pillars),
  )
  const findings = await found(parts, collection, compared)
  const told = tellNew(parts, collection, findings, await memory.told(collection))
  const isDone = fresh === 0 && compared.heard.length === pillars.length && doubted.size === 0
  // Once nothing can be done that was not done before, the same digests need not be compared again.
  await memory.keep(collection, { digests: isDone ? digests : {}, findings, told })
  return cleared(kit, collection, compared.heard, doubted)
}

/** Those that were compared with enough others are no strangers any more; how many. */
async function cleared(
  { parts: { client }, away }: Kit,
  collection: string,
  heard: readonly string[],
  doubted: ReadonlySet<string>,
): Promise<number> {
  const { pillars, copiesMin } = client.policy(collection)
  const enough = Math.min(copiesMin, pillars.length - 1)
  const known = heard.filter((one) => doubted.has(one))
  if (known.length === 0 || heard.length - 1 < enough) return 0
  await away.compared(collection, known)
  client.world.log.info('repair.caughtUp', { collection, pillars: known })
  return known.length
}

async function found(
  parts: RepairParts,
  collection: string,
  compared: Compared,
): Promise<Finding[]> {
  const { differing, buried } = await confirmed(parts, collection, compared)
  const all: Finding[] = [
    { collection, is: 'differing', files: differing.count, ids: [...differing.ids] },
    { collection, is: 'halfDeleted', files: buried.count, ids: [...buried.ids] },
    { collection, is: 'catchingUp', files: compared.plan.doubtful, ids: [] },
  ]
  return all
    .filter(({ files }) => files > 0)
    .map((one) => ({ ...one, ids: one.ids.slice(0, limits.findingIdsMax) }))
}

/** Raises an alarm about what is new among the findings; what was told by then. */
function tellNew(
  parts: RepairParts,
  collection: string,
  findings: readonly Finding[],
  before: Remembered['told'],
): Remembered['told'] {
  const told = { ...before }
  for (const { is, files, ids } of findings) {
    if (is === 'catchingUp') continue
    const now = JSON.stringify([files, ids])
    if (told[is] === now) continue
    told[is] = now
    const [fileId] = ids
    const text = `${files === 1 ? 'one file' : `${files} files`} ${texts[is]}`
    parts.alarm('INTEGRITY_ISSUE', text, {
      collection,
      ...(fileId === undefined ? {} : { fileId }),
    })
  }
  return told
}

const texts = {
  differing: 'with other bytes on one pillar than on another; nothing was changed, decide which',
  halfDeleted:
    'deleted on some pillars and still there on others; not brought back, delete the rest or put it again',
} as const
