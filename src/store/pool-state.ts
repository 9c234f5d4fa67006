/**
 * The state of a pillar on each of its volumes: whichever is lost, the others have it. A change is on all that are here, or
 * it marks those that it could not reach as old; who comes back gets it anew.
 */
import { limits } from '../limits.ts'
import type { State } from '../state/state.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'

export interface Mirrored extends State {
  /** Takes a place more; what it knows is replaced unless it is the same. */
  add(id: string, place: State): Promise<void>
  drop(id: string): void
}

/** Which change was the last: its number, and chance, since two disks may each have been here alone. */
const editionKey = 'edition'
const pageEntries = 500

const numberOf = (edition: string | undefined): number => Number(edition?.split(' ')[0] ?? -1)

type Entries = Parameters<State['change']>[0]

/** Opens what is here: the newest of it counts. */
export async function openMirrored(
  world: Pick<World, 'clock' | 'random' | 'log'>,
  here: ReadonlyMap<string, State>,
): Promise<Mirrored> {
  const editions = await Promise.all(
    [...here].map(async ([id, place]) => ({ id, place, edition: await place.get(editionKey) })),
  )
  editions.sort((a, b) => numberOf(b.edition) - numberOf(a.edition))
  const [newest] = editions
  const current = new Map<string, State>()
  const all = new Set<State>(here.values())
  let edition = newest?.edition
  const oneAtATime = lock()
  if (newest) current.set(newest.id, newest.place)

  const old = (id: string, error: unknown): void => {
    if (current.delete(id)) world.log.warn('state.old', { volume: id, why: String(error) })
  }
  /** A disk that hangs makes nobody wait when there is another. */
  async function timely<T>(work: Promise<T>): Promise<T> {
    if (current.size < 2) return work
    const over = new AbortController()
    const late = world.clock.sleep(limits.silentMs, over.signal).then(() => {
      if (!over.signal.aborted) throw new Error('no answer')
      return work
    })
    return Promise.race([work, late]).finally(() => over.abort())
  }
  async function ask<T>(question: (place: State) => Promise<T>): Promise<T> {
    let failure: unknown = new Error('no volume with the state of this pillar is here')
    for (const [id, place] of [...current])
      try {
        return await timely(question(place))
      } catch (error) {
        failure = error
        // The last one stays: it may answer the next time.
        if (current.size > 1) old(id, error)
      }
    throw failure
  }
  async function change(entries: Entries): Promise<void> {
    if (entries.length === 0) return
    const places = [...current]
    const [chance = 0] = world.random.bytes(1)
    const next = `${numberOf(edition) + 1} ${chance}`
    const marked: Entries = [...entries, [editionKey, next]]
    const done = await Promise.allSettled(places.map(([, place]) => timely(place.change(marked))))
    const failures = done.flatMap((one, n) =>
      one.status === 'rejected' ? [{ id: places[n]?.[0] ?? '', why: one.reason }] : [],
    )
    if (failures.length === places.length)
      throw failures[0]?.why ?? new Error('no volume with the state of this pillar is here')
    for (const { id, why } of failures) old(id, why)
    edition = next
  }
  const mirror: Mirrored = {
    get: (key) => ask((place) => place.get(key)),
    list: (prefix, page) => ask((place) => place.list(prefix, page)),
    count: (prefix) => ask((place) => place.count(prefix)),
    change: (entries) => oneAtATime(() => change(entries)),
    add: (id, place) =>
      oneAtATime(async () => {
        const known = await place.get(editionKey)
        if (current.size === 0) edition = known
        else if (known === undefined || known !== edition)
          await copy([...current.values()][0], place, edition)
        current.set(id, place)
        all.add(place)
      }),
    drop: (id) => void current.delete(id),
    async close() {
      for (const place of all) await timely(place.close()).catch(() => undefined)
    },
  }
  for (const { id, place } of editions.slice(1)) await mirror.add(id, place)
  return mirror
}

/** Makes a place say what another does: its edition last, so that what was cut begins again. */
async function copy(from: State | undefined, to: State, edition: string | undefined) {
  const pages = async (of: State, use: (entries: [string, string][]) => Promise<void>) => {
    let after: string | undefined
    do {
      const page = await of.list('', { after, limit: pageEntries })
      await use(page.filter(([key]) => key !== editionKey))
      after = page.length < pageEntries ? undefined : page.at(-1)?.[0]
    } while (after !== undefined)
  }
  await to.change([[editionKey, undefined]])
  await pages(to, (entries) => to.change(entries.map(([key]) => [key, undefined])))
  if (from) await pages(from, (entries) => to.change(entries))
  await to.change([[editionKey, edition]])
}
