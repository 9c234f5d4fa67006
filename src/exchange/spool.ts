/**
 * The relay's shelf: a spool, not a store. Objects have an owner, a size, receivers and an expiry; space is reserved
 * before bytes are taken, else the sender waits. An object bigger than its share passes through as a window: segments
 * go when every receiver has them safely.
 *
 * Nobody can block it for ever. A receiver that holds a full window up while others could go on is put off to another
 * pass, after a minute when it was only named, else after `transferStallMs / 2`; an object that neither its sender nor a receiver has touched for so long makes
 * way when the room is wanted; everything ends with its token, or `expiryMs`. What goes so is lost to nobody: it is
 * brought again when somebody asks.
 */
import type { Disk } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import type { State } from '../state/state.ts'
import type { ObjectKey } from '../transfer/objects.ts'
import type { World } from '../world/world.ts'
import { bell as newBell } from './bell.ts'
import { takeIn, whereToGoOn } from './intake.ts'
import { hand, letGo } from './outlet.ts'
import { boundsOf, windowSegmentsMin } from './parcel.ts'
import type { Shelf } from './shelf.ts'
import { openStock } from './stock.ts'
import { wishes as newWishes } from './wishes.ts'

export interface SpoolOptions {
  /** What all objects together may fill, bytes. */
  readonly quotaBytes: number
  /** Objects are kept at most so long, milliseconds. */
  readonly expiryMs: number
  /** At least a page; `transferPageBytes` when absent. */
  readonly segmentBytes?: number
}

export interface Spool extends Shelf {
  /** What objects fill, and what is reserved for them. */
  usedBytes(): number
  objects(): number
  /** Removes what has expired. */
  expire(): Promise<number>
}

const idOf = ({ issuer, name }: ObjectKey): string => `${issuer}/${name}`

/** Opens the spool and goes on with what was in it. Rejects when its quota is too small for any big object. */
export async function openSpool(
  world: World,
  disk: Disk,
  state: State,
  options: SpoolOptions,
): Promise<Spool> {
  const { quotaBytes, expiryMs, segmentBytes = limits.transferPageBytes } = options
  const bounds = boundsOf(quotaBytes, segmentBytes)
  if (!bounds)
    throw new Error(`the spool must be allowed at least ${windowSegmentsMin * segmentBytes} bytes`)
  const patienceMs = limits.transferStallMs / 2
  const bell = newBell(world.clock)
  const stock = await openStock({ world, disk, state, bell, bounds, quotaBytes, patienceMs })
  const ground = { world, bounds, stock, bell, patienceMs, wishes: newWishes(world.clock) }
  return {
    usedBytes: stock.usedBytes,
    objects: () => stock.all().length,
    async status(key, role, abort) {
      if (role === 'sender') return whereToGoOn(ground, idOf(key), abort)
      const parcel = stock.find(idOf(key))?.parcel
      return parcel && { offset: parcel.have, size: parcel.size, complete: parcel.complete }
    },
    read: (key, ask, abort) => hand(ground, idOf(key), ask, abort),
    write: (key, put, abort) => takeIn(ground, idOf(key), put, abort),
    release: (key, by) => letGo(ground, idOf(key), by),
    async expire() {
      const now = world.clock.now()
      let count = 0
      for (const item of stock.all()) {
        const { expiresAt, since } = item.parcel
        if (expiresAt < now || since + expiryMs < now) count += (await stock.discard(item)) ? 1 : 0
      }
      return count
    },
  }
}
