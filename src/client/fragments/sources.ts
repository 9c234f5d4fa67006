/** The pillars that fragments are fetched from: how fast each is, what it has to do, and what is to be thought of it. */
import { limits } from '../../limits.ts'
import { compose, expiryText, uuid7 } from '../../post/compose.ts'
import type { Client } from '../client.ts'
import { identify } from '../identify.ts'
import type { Source } from './plan.ts'

/** Until something is known, a slow home link: 2.5 MB/s, as pillars themselves assume it. */
const assumedBytesPerMs = 2_500
/** How much the newest measurement counts, and over how long it is taken at least. */
const newest = 0.5
const measuredMs = 500
/** Who failed is asked last for so long. */
const doubtMs = 60_000

export interface Sources {
  /** As it is now. */
  of(name: string): Source
  /** Of all of them. */
  ordersOpen(): number
  /** Asks those who hold these how soon they could deliver. Who is known already is not asked again. */
  meet(
    collection: string,
    fragments: readonly { readonly id: string; readonly holders: readonly string[] }[],
    signal: AbortSignal,
  ): Promise<void>
  /** It is asked for so many bytes. The answer is called as bytes come, and once in the end. */
  asked(name: string, bytes: number): { moved(bytes: number): void; end(): void }
  /** It was silent, or could not. */
  doubt(name: string): void
  /** It gave other bytes than those that were asked for: it is not asked any more. False when that was known. */
  distrust(name: string): boolean
  isDistrusted(name: string): boolean
  /** Resolves when somebody has less to do. */
  eased(): Promise<void>
}

interface Known {
  bytesPerMs: number
  bytesOpen: number
  ordersOpen: number
  doubtedUntil: number
  distrusted: boolean
  /** Of the stretch of work that is measured now. */
  begun: number
  moved: number
}

/** @param last who is asked for what no pillar gives */
export function sourcesOf(client: Client, last: string): Sources {
  const { clock } = client.world
  const all = new Map<string, Known>()
  const met = new Set<string>()
  let ease = (): void => undefined
  let eased = Promise.resolve()
  let waited = false
  function known(name: string): Known {
    const found = all.get(name) ?? {
      ...{ bytesPerMs: assumedBytesPerMs, bytesOpen: 0, ordersOpen: 0 },
      ...{ doubtedUntil: 0, distrusted: false, begun: 0, moved: 0 },
    }
    all.set(name, found)
    return found
  }
  function measure(one: Known): void {
    const now = clock.monotonic()
    const ms = now - one.begun
    if (ms < measuredMs && one.ordersOpen > 0) return
    if (one.moved > 0)
      one.bytesPerMs = newest * (one.moved / Math.max(1, ms)) + (1 - newest) * one.bytesPerMs
    Object.assign(one, { begun: now, moved: 0 })
  }
  return {
    of(name) {
      const { bytesPerMs, bytesOpen, ordersOpen, doubtedUntil } = known(name)
      const away = client.line.presence(name) === 'offline'
      const doubtful = away || doubtedUntil > clock.monotonic()
      return { bytesPerMs, bytesOpen, ordersOpen, doubtful, last: name === last }
    },
    ordersOpen: () => [...all.values()].reduce((sum, one) => sum + one.ordersOpen, 0),
    async meet(collection, fragments, signal) {
      const names = new Set(fragments.flatMap(({ holders }) => holders))
      const unmet = [...names].filter((one) => !met.has(one) && one !== last)
      for (const one of unmet) met.add(one)
      if (unmet.length === 0) return
      for (const [name, bytesPerMs] of await told(client, collection, unmet, fragments, signal))
        known(name).bytesPerMs = bytesPerMs
    },
    asked(name, bytes) {
      const one = known(name)
      if (one.ordersOpen++ === 0) Object.assign(one, { begun: clock.monotonic(), moved: 0 })
      one.bytesOpen += bytes
      let left = bytes
      return {
        moved(some) {
          const less = Math.min(left, some)
          left -= less
          one.bytesOpen -= less
          one.moved += some
          measure(one)
        },
        end() {
          one.bytesOpen -= left
          left = 0
          one.ordersOpen--
          measure(one)
          ease()
        },
      }
    },
    doubt(name) {
      known(name).doubtedUntil = clock.monotonic() + doubtMs
    },
    distrust(name) {
      const one = known(name)
      const news = !one.distrusted
      one.distrusted = true
      return news
    },
    isDistrusted: (name) => known(name).distrusted,
    eased() {
      if (!waited) {
        waited = true
        eased = new Promise((resolve) => {
          ease = () => {
            waited = false
            resolve()
          }
        })
      }
      return eased
    },
  }
}

/** Bytes in a millisecond, by the word of those who answer. */
async function told(
  client: Client,
  collection: string,
  names: readonly string[],
  fragments: readonly { readonly id: string }[],
  signal: AbortSignal,
): Promise<Map<string, number>> {
  const { world, name, line } = client
  const request = compose<'IdentifyPillarsForGetFileRequest'>(world, name, {
    type: 'IdentifyPillarsForGetFileRequest',
    ...{ conversation: uuid7(world), collection, replyTo: line.replyTo, to: [...names] },
    expiresAt: expiryText(world, limits.identifyExpiryMs),
    files: fragments.slice(0, limits.batchFilesMax).map(({ id }) => ({ id })),
  })
  const rates = new Map<string, number>()
  for (const [pillar, answer] of await identify(client, request, names, signal)) {
    if (answer.type !== 'IdentifyPillarsForGetFileResponse') continue
    const bytes = answer.files.reduce((sum, { size = 0 }) => sum + size, 0)
    const ms = answer.timeToDeliver ?? 0
    if (bytes > 0 && ms > 0) rates.set(pillar, bytes / ms)
  }
  return rates
}
