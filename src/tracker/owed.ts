/**
 * Owed copies: when a pillar returns, it is reminded of what it missed. The client that put the files may be off, and
 * what a repair has found missing comes in the same way.
 */
import type { Client } from '../client/client.ts'
import { limits } from '../limits.ts'
import { lock } from '../world/lock.ts'
import { deliver, holdersOf } from './delivery.ts'
import { type Debt, type DebtKind, debtKey, type Ledger } from './ledger.ts'
import { refusals as newRefusals, type Refusals } from './refusals.ts'

export interface Owed {
  /** This pillar is there, or is owed something new. */
  remind(pillar: string, what?: DebtKind): void
  idle(): Promise<void>
}

export interface OwedParts {
  readonly client: Client
  readonly ledger: Ledger
  readonly signal: AbortSignal
  /** It is to go, or is lost: nothing is owed to it any more. */
  leaves?(pillar: string): boolean
  /** Nothing more is owed to this pillar. */
  paid(pillar: string): void
  /** All that could have them were asked, and none can deliver them. */
  hopeless(pillar: string, debts: readonly Debt[]): void
}

/** While something is owed to a pillar that is there, it is tried again: after so long at first, and at most. */
const againMsMin = 10_000
const againMsMax = 10 * 60_000

/** What goes on for one pillar. */
interface Course {
  /** Aborted by a new reminder: no pause is waited out then. */
  again: AbortController
  /** What a client has put is owed since: repairs wait. */
  urgent: boolean
  ended: Promise<void>
}

export function owedCopies(parts: OwedParts): Owed {
  const { client, ledger, signal } = parts
  const { world, line } = client
  const courses = new Map<string, Course>()
  const one = lock()
  /** One that saves its power is reminded when its mains are back: it says so. */
  const takes = (pillar: string): boolean =>
    line.presence(pillar) === 'online' && !line.isSaving(pillar)
  const refusals = newRefusals(world.clock)
  const hope = hopeFor(parts, refusals)

  async function work(pillar: string, course: Course): Promise<void> {
    let pauseMs = againMsMin
    for (;;) {
      await deliverAll(pillar, course).catch((error) =>
        world.log.warn('owed.failed', { pillar, why: String(error) }),
      )
      const left = await ledger.count(pillar)
      const reminded = course.again.signal.aborted
      if (signal.aborted) break
      if (!reminded && (left === 0 || !takes(pillar))) break
      await world.clock.sleep(pauseMs, AbortSignal.any([signal, course.again.signal]))
      pauseMs = reminded ? againMsMin : Math.min(pauseMs * 2, againMsMax)
      course.again = new AbortController()
    }
    courses.delete(pillar)
    if (!signal.aborted && line.presence(pillar) === 'online') parts.paid(pillar)
  }
  async function deliverAll(pillar: string, course: Course): Promise<void> {
    course.urgent = false
    for await (const page of ledger.to(pillar)) {
      // The owner has decided otherwise since.
      await ledger.settle(page.filter((debt) => !hope.keepers(debt).includes(pillar)))
      const wanted = page.filter(
        (debt) => hope.keepers(debt).includes(pillar) && !hope.isLost(debt),
      )
      for (const batch of batches(wanted)) {
        if (signal.aborted || !takes(pillar)) return
        if (course.urgent && batch[0]?.repair) return
        const delivery = {
          client,
          collection: batch[0]?.collection ?? '',
          pillar,
          refusals,
          signal,
        }
        // One delivery at a time: this is background work on a link that others need. Between two of them others that
        // are owed something have their turn.
        const settled = await one(() => deliver(delivery, batch))
        await ledger.settle(settled)
        world.log.info('owed.delivered', { pillar, files: settled.length, of: batch.length })
        hope.tell(
          pillar,
          batch.filter((debt) => !settled.includes(debt)),
        )
      }
    }
  }
  return {
    remind(pillar, what = 'owed') {
      const known = courses.get(pillar)
      if (known) {
        known.urgent ||= what === 'owed'
        known.again.abort()
        return
      }
      const ended = Promise.resolve()
      const course: Course = { again: new AbortController(), urgent: false, ended }
      courses.set(pillar, course)
      course.ended = work(pillar, course)
    },
    idle: async () => void (await Promise.all([...courses.values()].map((course) => course.ended))),
  }
}

/** What can not be delivered at all, whoever is asked. */
function hopeFor({ client, hopeless, leaves }: OwedParts, refusals: Refusals) {
  const { line, directory } = client
  const told = new Set<string>()
  const keepers = ({ collection }: Debt): readonly string[] =>
    (directory.collection(collection)?.pillars ?? []).filter((one) => !leaves?.(one))
  /** All that are there and could have it have refused it. */
  const isLost = (debt: Debt): boolean => {
    const holders = holdersOf(client, debt)
    return holders.length > 0 && holders.every((holder) => refusals.has(debt, holder))
  }
  return {
    keepers,
    isLost,
    /** Once for each debt, and only when nobody is away who might have it. */
    tell(pillar: string, debts: readonly Debt[]): void {
      const lost = debts.filter((debt) => {
        const allThere = keepers(debt).every((other) => line.presence(other) === 'online')
        return allThere && isLost(debt) && !told.has(debtKey(debt))
      })
      for (const debt of lost) told.add(debtKey(debt))
      if (lost.length > 0) hopeless(pillar, lost)
    },
  }
}

/** Debts of one collection with the same holders, as many as one request takes. */
export function batches(debts: readonly Debt[]): Debt[][] {
  const open = new Map<string, { bytes: number; debts: Debt[] }>()
  const full: Debt[][] = []
  for (const debt of debts) {
    const key = JSON.stringify([debt.collection, debt.holders])
    const batch = open.get(key) ?? { bytes: 0, debts: [] }
    batch.debts.push(debt)
    batch.bytes += debt.file.size
    open.set(key, batch)
    if (batch.debts.length >= limits.batchFilesMax / 2 || batch.bytes >= limits.batchBytesMax) {
      full.push(batch.debts)
      open.delete(key)
    }
  }
  return [...full, ...[...open.values()].map((batch) => batch.debts)]
}
