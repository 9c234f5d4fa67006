/** Which fragments are asked of whom next: pure. Whoever will have brought one the soonest is asked for it. */
import { limits } from '../../limits.ts'

/** A fragment that nobody was asked for, or that nobody has given right so far. */
export interface Waiting {
  /** Equal ones have the same bytes. */
  readonly key: string
  readonly size: number
  /** Who may give it and has not failed to; the best of them is asked. */
  readonly holders: readonly string[]
}

/** One who may be asked, as it is now. */
export interface Source {
  readonly bytesPerMs: number
  /** What it was asked for and has not brought yet. */
  readonly bytesOpen: number
  readonly ordersOpen: number
  /** Away, or it failed lately: asked when there is nobody else. */
  readonly doubtful: boolean
  /** Asked for what no other can give. */
  readonly last: boolean
}

export interface Order<W extends Waiting = Waiting> {
  readonly from: string
  readonly wanted: readonly W[]
}

/** Two keep its link busy while the next fragments are asked for. */
const ordersEachMax = 2
/** Beyond these, fragments that come later in the file are not looked at: it is filled more or less in its order. */
const lookedAtMax = 256
/** So much is asked of one at a time, at least and at most, unless it is one fragment; for the rest as its rate is. */
const orderBytesMin = 1024 * 1024
const orderBytesMax = limits.batchBytesMax
const orderMs = 2_000

/** The next order; undefined when all that are good for something have enough to do. */
export function nextOrder<W extends Waiting>(
  waiting: Iterable<W>,
  sources: (name: string) => Source,
): Order<W> | undefined {
  /** What everybody will have been asked for when all before is: a quick pillar leaves to others what would take long. */
  const bytesDue = new Map<string, number>()
  const keys = new Set<string>()
  let order: { from: string; wanted: W[]; bytes: number; bytesMax: number } | undefined
  let lookedAt = 0
  for (const one of waiting) {
    if (lookedAt++ === lookedAtMax) break
    const from = soonest(one, sources, bytesDue)
    if (from === undefined) continue
    bytesDue.set(from, (bytesDue.get(from) ?? 0) + one.size)
    const source = sources(from)
    if (!order && source.ordersOpen < (source.last ? 1 : ordersEachMax))
      order = { from, wanted: [], bytes: 0, bytesMax: orderBytes(source) }
    // The same bytes twice would be one object of the transmission.
    if (order?.from !== from || keys.has(one.key)) continue
    if (order.wanted.length > 0 && order.bytes + one.size > order.bytesMax) break
    order.wanted.push(one)
    order.bytes += one.size
    keys.add(one.key)
    if (order.wanted.length === limits.batchFilesMax) break
  }
  return order && { from: order.from, wanted: order.wanted }
}

const orderBytes = ({ bytesPerMs }: Source): number =>
  Math.min(orderBytesMax, Math.max(orderBytesMin, bytesPerMs * orderMs))

/** Who would have it the soonest; who is doubtful or the last resort only when there is nobody else. */
function soonest(
  { size, holders }: Waiting,
  sources: (name: string) => Source,
  bytesDue: ReadonlyMap<string, number>,
): string | undefined {
  let best: { name: string; rank: number; ms: number } | undefined
  for (const name of holders) {
    const { bytesPerMs, bytesOpen, doubtful, last } = sources(name)
    const rank = (doubtful ? 1 : 0) + (last ? 2 : 0)
    const ms = (bytesOpen + (bytesDue.get(name) ?? 0) + size) / bytesPerMs
    if (!best || rank < best.rank || (rank === best.rank && ms < best.ms)) best = { name, rank, ms }
  }
  return best?.name
}
