/** How bytes come into the spool. */
import { diskErrorCode } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'
import { arriving, Superseded } from './arriving.ts'
import type { Bell } from './bell.ts'
import { type Bounds, hasRoomFor, named, segmentStart, withoutLaggards } from './parcel.ts'
import type { Put, Status, Written } from './shelf.ts'
import { type Item, roomBell, type Stock } from './stock.ts'
import type { Wishes } from './wishes.ts'

export interface Ground {
  readonly world: World
  readonly bounds: Bounds
  readonly stock: Stock
  readonly wishes: Wishes
  readonly bell: Bell
  /** How long one receiver may hold up the others, milliseconds. */
  readonly patienceMs: number
}

/** Where a sender is to begin, when somebody waits: what every receiver has already need not come again. */
const beginning = ({ wishes, bounds }: Ground, id: string): number | undefined => {
  const offsets = [...wishes.of(id).values()]
  return offsets.length === 0 ? undefined : segmentStart(Math.min(...offsets), bounds)
}

/** Tells a sender where to go on, and ends what he has left hanging. */
export async function whereToGoOn(
  ground: Ground,
  id: string,
  abort: AbortSignal,
): Promise<Status | undefined> {
  const { world, stock, bell } = ground
  const end = world.clock.monotonic() + limits.connectMs
  const isKnown = (): boolean =>
    stock.find(id) !== undefined || beginning(ground, id) !== undefined || abort.aborted
  while (!isKnown() && world.clock.monotonic() < end)
    await bell.wait([id], bell.count(), end - world.clock.monotonic(), abort)
  const item = stock.find(id)
  item?.upload?.abort()
  await item?.uploads(async () => undefined)
  const parcel = stock.find(id)?.parcel
  if (parcel) return { offset: parcel.have, size: parcel.size, complete: parcel.complete }
  const offset = beginning(ground, id)
  return offset === undefined ? undefined : { offset, size: undefined, complete: false }
}

/** Waits a while for room: nothing of the body is taken before. */
export async function takeIn(
  ground: Ground,
  id: string,
  put: Put,
  abort: AbortSignal,
): Promise<Written> {
  const { world, bell } = ground
  const end = world.clock.monotonic() + limits.exchangeHoldMs
  for (;;) {
    const since = bell.count()
    const written = await takeNow(ground, id, put)
    if (typeof written === 'object') return written
    const left = end - world.clock.monotonic()
    if (left <= 0 || abort.aborted) return { is: 'full' }
    if (written === 'noRoom') await bell.wait([id, roomBell], since, left, abort)
  }
}

/** Nothing was taken: there is no room, or the object has just gone and may begin anew. */
type NotYet = 'noRoom' | 'gone'

async function takeNow(ground: Ground, id: string, put: Put): Promise<Written | NotYet> {
  const { stock } = ground
  const item = stock.find(id) ?? (await begin(ground, id, put))
  if (item === 'noRoom' || 'is' in item) return item
  try {
    return await item.uploads(async () => {
      if (stock.find(id) !== item) return 'gone'
      return append(ground, item, put)
    })
  } finally {
    // Nothing came: as if it had not been tried.
    if (!item.stored) await stock.discard(item, () => item.stored)
  }
}

/** Reserves room for a new object. */
async function begin(ground: Ground, id: string, put: Put): Promise<Item | Written | 'noRoom'> {
  const { world, stock, wishes } = ground
  const offset = beginning(ground, id) ?? 0
  if (put.offset !== 0 && put.offset !== offset) return { is: 'moved', offset, complete: false }
  const item = await stock.open(id, {
    size: put.size,
    begin: put.offset,
    from: put.offset,
    have: put.offset,
    complete: false,
    // They need nothing before what they asked for, and this pass waits for them.
    safe: wishes.of(id),
    expiresAt: put.expiresAt,
    since: world.clock.now(),
  })
  if (!item) return 'noRoom'
  wishes.forget(id)
  return item
}

async function append(ground: Ground, item: Item, put: Put): Promise<Written | NotYet> {
  const { stock, bounds, world } = ground
  const known = item.parcel
  if (known.size !== put.size) return { is: 'refused', why: 'another size than was said before' }
  if (known.complete || put.offset !== known.have)
    return { is: 'moved', offset: known.have, complete: known.complete }
  if (!hasRoomFor(known, put.length, bounds)) {
    await unblock(ground, item)
    return 'noRoom'
  }
  // Not before there is room: who only waits for others who are gone does not keep it alive.
  item.active = world.clock.monotonic()
  item.fullSince = undefined
  const upload = new AbortController()
  item.upload = upload
  const { bytes, broken } = arriving(watched(item, put.body, world), upload.signal)
  const reached = await stock.files.append(item.id, put.offset, bytes).catch(diskIsFull)
  item.upload = undefined
  if (reached === 'full') {
    world.log.error('spool.diskFull', { id: item.id })
    return { is: 'full' }
  }
  const why = broken()
  const complete = why === undefined && reached === put.size
  await item.changes(async () => {
    if (reached === put.offset && !complete) return
    await stock.change(item, { ...named(item.parcel, put.receivers), have: reached, complete })
  })
  if (why instanceof Superseded) return { is: 'moved', offset: reached, complete: false }
  if (why) throw why
  return { is: 'written', offset: reached, complete }
}

async function* watched(
  item: Item,
  body: AsyncIterable<Uint8Array>,
  { clock }: World,
): AsyncGenerator<Uint8Array> {
  for await (const bytes of body) {
    item.active = clock.monotonic()
    yield bytes
  }
}

function diskIsFull(error: unknown): 'full' {
  if (diskErrorCode(error) === 'ENOSPC') return 'full'
  throw error
}

/** Whoever was named, and is there, has come by then: his questions are never further apart. */
const namedMs = 60_000

/**
 * The window is full. Whoever has held it for too long, dead or far too slow, is put off to another pass when somebody
 * else could go on; soon, when he was only named.
 */
async function unblock({ stock, bounds, world, patienceMs }: Ground, item: Item): Promise<void> {
  const now = world.clock.monotonic()
  item.fullSince ??= now
  const fullMs = now - item.fullSince
  if (fullMs < namedMs) return
  await item.changes(async () => {
    const next = withoutLaggards(item.parcel, fullMs < patienceMs ? 'named' : 'all', bounds)
    if (next !== item.parcel) await stock.change(item, next)
  })
}
