/**
 * The relay's shelf: a spool, not a store. Objects have an owner, a size, receivers and an expiry; space is reserved
 * before bytes are taken, else the sender waits. An object bigger than its share passes through as a window: segments
 * go when every named receiver has them safely.
 */
import type { Disk } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import type { State } from '../state/state.ts'
import type { ObjectKey } from '../transfer/objects.ts'
import { lock } from '../world/lock.ts'
import type { World } from '../world/world.ts'
import { type Parcel, segmentBytes, segments } from './segments.ts'
import type { Ask, Put, Shelf, Slice, Written } from './shelf.ts'

export interface SpoolOptions {
  /** What all objects together may fill, bytes. */
  readonly quotaBytes: number
  /** Objects are kept at most so long, milliseconds. */
  readonly expiryMs: number
}

export interface Spool extends Shelf {
  usedBytes(): number
  objects(): number
  /** Removes what has expired. */
  expire(): Promise<number>
}

/** An object may fill at most so much of the spool at a time. */
const windowBytesMax = 8 * segmentBytes

interface Item {
  readonly one: ReturnType<typeof lock>
  parcel: Parcel
}

const idOf = ({ issuer, name }: ObjectKey): string => `${issuer}/${name}`

/** Opens the spool and goes on with what was in it. */
export async function openSpool(
  world: World,
  disk: Disk,
  state: State,
  options: SpoolOptions,
): Promise<Spool> {
  const items = new Map<string, Item>()
  const files = segments(disk)
  /** Receivers that asked for an object which is not here yet, and from where they need it. */
  const wishes = new Map<string, Map<string, number>>()
  const wishOf = (id: string): number | undefined => {
    const all = [...(wishes.get(id)?.values() ?? [])]
    return all.length === 0 ? undefined : Math.floor(Math.min(...all) / segmentBytes) * segmentBytes
  }
  /** Those who wait for bytes to come or room to be made. */
  let changed = signal()
  const notify = (): void => {
    changed.now()
    changed = signal()
  }
  for (const [key, text] of await state.list('spool ')) {
    const id = key.slice('spool '.length)
    const parcel = JSON.parse(text) as Parcel
    // What a failing disk has lost is forgotten: its sender asks, and brings it again.
    if (await files.isWhole(id, parcel)) items.set(id, { one: lock(), parcel })
    else await state.change([[key, undefined]])
  }
  await files.sweep(new Set(items.keys()))

  /** What an object may come to fill: all of it, or its window. */
  const share = (parcel: Parcel): number =>
    Math.min(parcel.size - parcel.from, Math.max(windowBytesMax, parcel.have - parcel.from))
  const usedBytes = (): number =>
    [...items.values()].reduce(
      (sum, { parcel }) => sum + (parcel.complete ? parcel.have - parcel.from : share(parcel)),
      0,
    )
  const save = async (id: string, item: Item, parcel: Parcel): Promise<void> => {
    await state.change([[`spool ${id}`, JSON.stringify(parcel)]])
    item.parcel = parcel
    notify()
  }
  async function discard(id: string, item: Item): Promise<void> {
    items.delete(id)
    await state.change([[`spool ${id}`, undefined]])
    await files.remove(id, item.parcel)
    notify()
  }
  function admit(id: string, put: Put): Item | undefined {
    const known = items.get(id)
    if (known) return known
    // What every receiver has already need not come again: an upload may begin where they wait.
    if (put.offset !== 0 && put.offset !== wishOf(id)) return undefined
    const parcel = {
      size: put.size,
      from: put.offset,
      have: put.offset,
      complete: false,
      safe: {},
      expiresAt: put.expiresAt,
      since: world.clock.now(),
    }
    if (usedBytes() + Math.min(put.size, windowBytesMax) > options.quotaBytes) return undefined
    const item = { one: lock(), parcel }
    items.set(id, item)
    wishes.delete(id)
    return item
  }
  async function append(id: string, item: Item, put: Put): Promise<Written> {
    const known = item.parcel
    if (known.complete || put.offset !== known.have || put.size !== known.size)
      return { is: 'elsewhere', offset: known.have, complete: known.complete }
    if (put.offset + put.length - known.from > windowBytesMax) return { is: 'full' }
    // A receiver that comes when the window has moved on is served in a later pass.
    const late = known.have > 0 && known.from > 0 && Object.keys(known.safe).length > 0
    const safe = {
      ...Object.fromEntries(late ? [] : put.receivers.map((name) => [name, known.from])),
      ...known.safe,
    }
    const reached = await files.append(id, put.offset, put.body)
    if (reached !== put.offset + put.length)
      return { is: 'refused', why: 'another number of bytes than announced' }
    await save(id, item, { ...known, safe, have: reached, complete: reached === put.size })
    return { is: 'written', offset: reached, complete: reached === put.size }
  }
  /** Moves the window to what every receiver has. */
  async function advance(id: string, item: Item, peer: string, safe: number): Promise<void> {
    const known = item.parcel
    if ((known.safe[peer] ?? -1) >= safe) return
    const all = { ...known.safe, [peer]: safe }
    const from = Math.floor(Math.min(...Object.values(all)) / segmentBytes) * segmentBytes
    // Only what does not fit as a whole is taken away while receivers may still come.
    const next = {
      ...known,
      safe: all,
      from: known.size > windowBytesMax ? Math.max(from, known.from) : known.from,
    }
    await save(id, item, next)
    await files.drop(id, known.from, next.from)
  }
  function wish(id: string, { peer, offset }: Ask): void {
    const known = wishes.get(id)
    if (items.has(id) || known?.get(peer) === offset) return
    wishes.set(id, new Map(known ?? []).set(peer, offset))
    notify()
  }
  async function look(key: ObjectKey, ask: Ask): Promise<Slice> {
    const id = idOf(key)
    const item = items.get(id)
    if (!item) return { is: 'absent' }
    return item.one(async () => {
      // Who comes in time is waited for, named or not; who comes too late is served in another pass.
      if (ask.offset >= item.parcel.from) await advance(id, item, ask.peer, ask.safe)
      const { from, have, size } = item.parcel
      if (ask.offset >= size) return { is: 'beyond', size }
      if (ask.offset < from) return { is: 'passed', from }
      if (ask.offset >= have) return { is: 'absent' }
      const length = Math.min(ask.length, have - ask.offset)
      return { is: 'bytes', size, length, bytes: files.read(id, ask.offset, length) }
    })
  }

  return {
    usedBytes,
    objects: () => items.size,
    async status(key, role, abort) {
      const id = idOf(key)
      const end = world.clock.monotonic() + limits.connectMs
      while (role === 'sender' && !items.has(id) && wishOf(id) === undefined && !abort.aborted) {
        const left = end - world.clock.monotonic()
        if (left <= 0) break
        await before(world, changed.wait, left, abort)
      }
      const parcel = items.get(id)?.parcel
      if (parcel) return { offset: parcel.have, size: parcel.size, complete: parcel.complete }
      const offset = wishOf(id)
      return offset === undefined ? undefined : { offset, size: undefined, complete: false }
    },
    async read(key, ask, abort) {
      const end = world.clock.monotonic() + limits.exchangeHoldMs
      for (;;) {
        const wait = changed.wait
        const slice = await look(key, ask)
        const left = end - world.clock.monotonic()
        if (slice.is !== 'absent' || left <= 0 || abort.aborted) return slice
        wish(idOf(key), ask)
        await before(world, wait, left, abort)
      }
    },
    async write(key, put) {
      const id = idOf(key)
      const item = admit(id, put)
      if (!item)
        return put.offset === (wishOf(id) ?? 0) || put.offset === 0
          ? { is: 'full' }
          : { is: 'elsewhere', offset: wishOf(id) ?? 0, complete: false }
      return item.one(() => append(id, item, put))
    },
    async release(key, { peer, issuer }) {
      const id = idOf(key)
      const item = items.get(id)
      if (!item) return
      await item.one(async () => {
        if (peer in item.parcel.safe) await advance(id, item, peer, item.parcel.size)
        const waiting = Object.values(item.parcel.safe).some((safe) => safe < item.parcel.size)
        if (!waiting && items.has(id)) await discard(id, item)
      })
    },
    async expire() {
      const now = world.clock.now()
      const old = [...items].filter(
        ([, { parcel }]) => parcel.expiresAt < now || parcel.since + options.expiryMs < now,
      )
      for (const [id, item] of old) await item.one(() => discard(id, item))
      return old.length
    },
  }
}

function signal(): { readonly wait: Promise<void>; now(): void } {
  let now = (): void => undefined
  const wait = new Promise<void>((resolve) => {
    now = resolve
  })
  return { wait, now }
}

async function before(
  world: World,
  wait: Promise<void>,
  ms: number,
  abort: AbortSignal,
): Promise<void> {
  const stop = new AbortController()
  await Promise.race([wait, world.clock.sleep(ms, AbortSignal.any([abort, stop.signal]))])
  stop.abort()
}
