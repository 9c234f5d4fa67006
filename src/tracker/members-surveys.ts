/** Whose part of the view is right: compared by digest at each join, and fetched when it is not. */
import { Stopped } from '../client/line.ts'
import type { Holding, View } from '../view/view.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import type { Inventory } from './members-inventory.ts'
import type { MembersParts } from './members-parts.ts'

export interface Surveys {
  /** A pillar has joined, and says this of its collections. */
  begin(pillar: string, said: ReadonlyMap<string, Holding>): void
  /** It has something of which the view does not know: compared once more, at most once in an hour. */
  again(collection: string, pillar: string): void
  isRight(collection: string, pillar: string): boolean
  idle(): Promise<void>
}

/** What a pillar says that it holds, when it was not asked. */
const unknown: Holding = { files: 0, bytes: 0, digest: 'unknown' }
/** Between two tries: because it did not answer, or because much happened meanwhile. */
const againMsMin = 10_000
const againMsMax = 10 * 60_000
const astrayMs = 3_600_000
/** Then it is left for the next join: it has something that it may not tell apart. */
const triesMax = 6

export function surveys(
  { clock, log }: Pick<World, 'clock' | 'log'>,
  view: View,
  inventory: Inventory,
  stopping: AbortSignal,
  done: () => void,
  { behind, scarce }: Pick<MembersParts, 'behind' | 'scarce'> = {},
): Surveys {
  const right = new Set<string>()
  const courses = inTurn(log, stopping)
  /** When somebody was found to have what was not known here. */
  const astray = new Map<string, number>()
  const one = lock()
  const keyOf = (collection: string, pillar: string): string => `${collection} ${pillar}`

  /** The same on both sides as it was when they were last compared piece by piece. */
  async function isKnown(collection: string, pillar: string, said: Holding): Promise<boolean> {
    const ours = await view.holding(collection, pillar)
    if (ours.digest === said.digest) return true
    const compared = await view.fact(`compared ${keyOf(collection, pillar)}`)
    return compared === `${said.digest} ${ours.digest}`
  }
  /** True when nothing is left to be compared. */
  async function compare(
    collection: string,
    pillar: string,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { said, ...sum } = await inventory(collection, pillar, signal)
    const ours = await view.holding(collection, pillar)
    log.info('view.compared', { collection, pillar, ...sum, equal: ours.digest === said.digest })
    if (sum.texts > 0) behind?.(collection, pillar)
    if (sum.lost > 0) scarce?.(collection)
    if (ours.digest === said.digest) return true
    if (sum.strangers === 0 || sum.held + sum.lost > 0) return false
    const value = `${said.digest} ${ours.digest}`
    await view.change([{ do: 'fact', key: `compared ${keyOf(collection, pillar)}`, value }])
    return true
  }
  async function survey(
    pillar: string,
    said: ReadonlyMap<string, Holding>,
    signal: AbortSignal,
  ): Promise<void> {
    for (const [collection, holding] of said) {
      if (await isKnown(collection, pillar, holding)) {
        right.add(keyOf(collection, pillar))
        continue
      }
      let pauseMs = againMsMin
      for (let tries = 1; !signal.aborted; tries++) {
        const isRight = await one(() => compare(collection, pillar, signal)).catch((error) => {
          if (!(error instanceof Stopped))
            log.warn('view.notCompared', { collection, pillar, why: String(error) })
          return undefined
        })
        if (isRight) right.add(keyOf(collection, pillar))
        if (isRight || tries === triesMax) break
        await clock.sleep(pauseMs, signal)
        pauseMs = Math.min(pauseMs * 3, againMsMax)
      }
    }
    if (!signal.aborted) done()
  }
  const end = (pillar: string): void => {
    courses.stop(pillar)
    for (const key of right) if (key.endsWith(` ${pillar}`)) right.delete(key)
  }
  return {
    begin(pillar, said) {
      end(pillar)
      courses.start(pillar, (signal) => survey(pillar, said, signal))
    },
    again(collection, pillar) {
      const key = keyOf(collection, pillar)
      const since = clock.monotonic() - (astray.get(key) ?? Number.NEGATIVE_INFINITY)
      if (since < astrayMs || courses.isGoing(pillar)) return
      astray.set(key, clock.monotonic())
      right.delete(key)
      courses.start(pillar, (signal) => survey(pillar, new Map([[collection, unknown]]), signal))
    },
    isRight: (collection, pillar) => right.has(keyOf(collection, pillar)),
    idle: courses.idle,
  }
}

/** What is done with a pillar, one after the other; the last can be stopped. */
function inTurn(log: World['log'], stopping: AbortSignal) {
  const courses = new Map<string, { readonly stop: AbortController; ended: Promise<void> }>()
  const going = new Map<string, number>()
  return {
    start(pillar: string, work: (signal: AbortSignal) => Promise<void>): void {
      const before = courses.get(pillar)?.ended
      const stop = new AbortController()
      const signal = AbortSignal.any([stop.signal, stopping])
      const count = (more: number): unknown => going.set(pillar, (going.get(pillar) ?? 0) + more)
      count(1)
      const ended = Promise.resolve(before)
        .then(() => work(signal))
        .catch((error) => log.error('view.notCompared', { pillar, why: String(error) }))
        .then(() => void count(-1))
      courses.set(pillar, { stop, ended })
    },
    stop: (pillar: string): void => courses.get(pillar)?.stop.abort(),
    isGoing: (pillar: string): boolean => (going.get(pillar) ?? 0) > 0,
    idle: async (): Promise<void> =>
      void (await Promise.all([...courses.values()].map(({ ended }) => ended))),
  }
}
