/** What is in the spool: the objects, how much they fill, and how they come and go. */
import type { Disk } from '../disk/disk.ts'
import type { State } from '../state/state.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import type { Bell } from './bell.ts'
import { type Bounds, type Parcel, parcelText, parseParcel, shareOf } from './parcel.ts'
import { type Segments, segments } from './segments.ts'

export interface Item {
  readonly id: string
  /** One sender at a time. */
  readonly uploads: ReturnType<typeof lock>
  /** One change of the parcel at a time. Taken inside `uploads`, never the other way round. */
  readonly changes: ReturnType<typeof lock>
  parcel: Parcel
  /** False until the first byte is said to be here: then nothing is lost with it. */
  stored: boolean
  /** Stops the upload that is under way. */
  upload: AbortController | undefined
  /** When its sender or a receiver last did something with it; monotonic. */
  active: number
  /** Since when its sender waits for the window to move; monotonic. */
  fullSince: number | undefined
}

export interface StockParts {
  readonly world: World
  readonly disk: Disk
  readonly state: State
  readonly bell: Bell
  readonly bounds: Bounds
  readonly quotaBytes: number
  /** Objects that nobody has done anything with for so long make way for new ones. */
  readonly patienceMs: number
}

export interface Stock {
  readonly files: Segments
  find(id: string): Item | undefined
  /** Reserves room; undefined when there is none. May remove what nobody has used for long. */
  open(id: string, parcel: Parcel): Promise<Item | undefined>
  /** Resolves once it would survive a power cut. To be called with the lock `changes`. */
  change(item: Item, parcel: Parcel): Promise<void>
  /** Removes it, unless it is to stay after all by the time nobody works on it; not with a lock. */
  discard(item: Item, unless?: (parcel: Parcel) => boolean): Promise<boolean>
  all(): Item[]
  usedBytes(): number
}

/** Also what is empty takes a little of everything. */
const objectsMax = 10_000
/** Rung, beside the object's own, when there may be more room. */
export const roomBell = ''

const keyOf = (id: string): string => `spool ${id}`

/** Opens with what was there, as far as it is whole: the rest is brought again when its sender asks. */
export async function openStock(parts: StockParts): Promise<Stock> {
  const { world, bell, bounds, quotaBytes, patienceMs, state } = parts
  const files = segments(parts.disk, bounds.segmentBytes)
  const items = await restored(parts, files)
  const find = (id: string): Item | undefined => items.get(id)
  const usedBytes = (): number =>
    [...items.values()].reduce((sum, { parcel }) => sum + shareOf(parcel, bounds), 0)
  const fits = (parcel: Parcel): boolean =>
    items.size < objectsMax && usedBytes() + shareOf(parcel, bounds) <= quotaBytes

  async function discard(item: Item, unless = (_: Parcel): boolean => false): Promise<boolean> {
    if (unless(item.parcel)) return false
    item.upload?.abort()
    return item.uploads(() =>
      item.changes(async () => {
        if (find(item.id) !== item || unless(item.parcel)) return false
        if (item.stored) await state.change([[keyOf(item.id), undefined]])
        await files.remove(item.id)
        // Last: until then a new one of this name must not begin, nor its room be given away.
        items.delete(item.id)
        bell.ring(item.id)
        bell.ring(roomBell)
        return true
      }),
    )
  }
  async function makeRoom(parcel: Parcel): Promise<void> {
    const isIdle = (item: Item): boolean => item.active + patienceMs < world.clock.monotonic()
    const idle = [...items.values()].filter(isIdle).sort((a, b) => a.active - b.active)
    for (const item of idle) {
      if (fits(parcel)) return
      if (await discard(item, () => !isIdle(item))) world.log.warn('spool.evicted', { id: item.id })
    }
  }
  return {
    files,
    find,
    async open(id, parcel) {
      if (!fits(parcel)) await makeRoom(parcel)
      const known = find(id)
      if (known || !fits(parcel)) return known
      const item = newItem(id, parcel, world.clock.monotonic(), false)
      items.set(id, item)
      return item
    },
    async change(item, parcel) {
      const { from } = item.parcel
      await state.change([[keyOf(item.id), parcelText(parcel, bounds)]])
      item.stored = true
      // Before it counts as room.
      await files.drop(item.id, from, parcel.from)
      item.parcel = parcel
      if (parcel.from > from) item.fullSince = undefined
      bell.ring(item.id)
    },
    discard,
    all: () => [...items.values()],
    usedBytes,
  }
}

const newItem = (id: string, parcel: Parcel, now: number, stored: boolean): Item => ({
  id,
  uploads: lock(),
  changes: lock(),
  parcel,
  stored,
  upload: undefined,
  active: now,
  fullSince: undefined,
})

async function restored(
  { world, state, bounds }: StockParts,
  files: Segments,
): Promise<Map<string, Item>> {
  const items = new Map<string, Item>()
  for (const [key, text] of await state.list(keyOf(''))) {
    const id = key.slice(keyOf('').length)
    const parcel = parseParcel(text, bounds)
    if (parcel && (await files.isWhole(id, parcel))) {
      await files.trim(id, parcel)
      items.set(id, newItem(id, parcel, world.clock.monotonic(), true))
    } else await state.change([[key, undefined]])
  }
  await files.sweep(new Set(items.keys()))
  return items
}
