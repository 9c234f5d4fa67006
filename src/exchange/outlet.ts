/** How bytes leave the spool, and when they go. */
import { limits } from '../limits.ts'
import type { Ground } from './intake.ts'
import { heard, isAwaited, isDone, type Parcel, satisfied } from './parcel.ts'
import type { Ask, Slice } from './shelf.ts'
import type { Item } from './stock.ts'

/** Waits a while for bytes that are still to come. */
export async function hand(
  ground: Ground,
  id: string,
  ask: Ask,
  abort: AbortSignal,
): Promise<Slice> {
  const { world, bell, wishes, stock } = ground
  const end = world.clock.monotonic() + limits.exchangeHoldMs
  for (;;) {
    const since = bell.count()
    const slice = await look(ground, id, ask)
    const left = end - world.clock.monotonic()
    if (slice.is === 'absent' && !stock.find(id) && wishes.add(id, ask.peer, ask.offset))
      bell.ring(id)
    if (slice.is !== 'absent' || left <= 0 || abort.aborted) return slice
    await bell.wait([id], since, left, abort)
  }
}

async function look(ground: Ground, id: string, ask: Ask): Promise<Slice> {
  const { stock, bounds, world, patienceMs } = ground
  const item = stock.find(id)
  if (!item) return { is: 'absent' }
  const slice = await item.changes(async (): Promise<Slice> => {
    if (stock.find(id) !== item) return { is: 'absent' }
    const { size, from } = item.parcel
    if (ask.offset >= size) return { is: 'beyond', size }
    if (ask.offset < from) {
      // It is served in another pass, and may not hold up this one.
      await keep(ground, item, satisfied(item.parcel, ask.peer, bounds))
      return { is: 'passed', from }
    }
    item.active = world.clock.monotonic()
    // Who comes in time is waited for, named or not.
    await keep(ground, item, heard(item.parcel, ask.peer, ask.safe, bounds))
    const length = Math.min(ask.length, item.parcel.have - ask.offset)
    if (length <= 0) return { is: 'absent' }
    return { is: 'bytes', size, length, bytes: read(ground, item, ask.offset, length) }
  })
  // Those whom this pass was for have all they want, or have left: the next one may begin.
  const isOver = (parcel: Parcel): boolean =>
    isDone(parcel) || item.active + patienceMs < world.clock.monotonic()
  if (slice.is === 'passed') await stock.discard(item, (parcel) => !isOver(parcel))
  return slice
}

/** Written down only when it matters after a restart: else every page would cost a commit. */
async function keep({ stock }: Ground, item: Item, next: Parcel): Promise<void> {
  const { from, safe } = item.parcel
  if (!item.stored || (next.from === from && next.safe.size === safe.size)) item.parcel = next
  else await stock.change(item, next)
}

async function* read(
  { stock, world }: Ground,
  item: Item,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  let at = offset
  try {
    for await (const bytes of stock.files.read(item.id, offset, length)) {
      item.active = world.clock.monotonic()
      at += bytes.length
      yield bytes
    }
  } catch (error) {
    // Bytes that can not be read are of no use: their sender brings them again.
    const isMissed = ({ from }: Parcel): boolean => stock.find(item.id) === item && at >= from
    if (isMissed(item.parcel)) {
      world.log.error('spool.unreadable', { id: item.id, at, why: String(error) })
      await stock.discard(item, (parcel) => !isMissed(parcel))
    }
    throw error
  }
}

/**
 * A receiver is done, or the issuer is: then those who were only named, and never came for it, are not waited for any
 * more. Others have no say.
 */
export async function letGo(
  { stock, bounds }: Ground,
  id: string,
  { peer, issuer }: { readonly peer: string; readonly issuer: boolean },
): Promise<void> {
  const item = stock.find(id)
  if (!item) return
  const mine = await item.changes(async () => {
    if (stock.find(id) !== item || !item.parcel.safe.has(peer)) return issuer
    const next = satisfied(item.parcel, peer, bounds)
    if (item.stored) await stock.change(item, next)
    return true
  })
  if (!mine) return
  await stock.discard(item, (parcel) => (issuer ? isAwaited(parcel) : !isDone(parcel)))
}
