/**
 * A store for collections in fragments: what pillars behave over, without bytes of its own. A put lands in a volume on the
 * tracker's disk, is taken apart, and is acknowledged once pillars have it safely; then the bytes go from here. What is
 * read comes back from pillars. The volume's index is the catalogue.
 */
import type { ListQuery, Page, RetainedFile, StoredFile } from '../index/index.ts'
import { purgeMax, retainedPath } from '../store/removal.ts'
import type { Incoming, NewFile, Purged, Restored, Space, Standing, Store } from '../store/store.ts'
import { assembled } from './assembled.ts'
import { carrying } from './carrying.ts'
import { type Learning, learning } from './learning.ts'
import { fileOf, payloadOf, type Settling, settling, type VaultParts } from './settling.ts'
import { countingOf, telling } from './telling.ts'
import { secondId } from './twins.ts'

export type { VaultParts } from './settling.ts'

export interface Vault extends Store {
  /** Something may be left to do: what is here is brought to pillars, in the background. */
  carryOn(): void
  /** What pillars know, and we may not. */
  readonly learning: Learning
}

/** Goes on by itself with what the last end left. */
export function openVault(parts: VaultParts): Vault {
  const { volume, directory } = parts
  const work = settling(parts)
  const carry = carrying(parts, work)
  const learned = learning(parts, work)
  const settled = async (collection: string, id: string): Promise<void> => {
    try {
      await work.settle(collection, id)
    } catch (error) {
      carry.wake()
      throw error
    }
  }
  carry.wake()
  return {
    ...volume,
    ...receiving(parts, work, settled),
    ...removing(parts, work, settled),
    ...telling(parts, work),
    carryOn: carry.wake,
    learning: learned,
    trouble: () => volume.trouble() ?? behind(learned.missing()),
    async list(query) {
      await carry.known
      return listed(volume, query, (file) => work.isSafe(file.collection, file.id))
    },
    read: (file, offset, length) => read(parts, file, offset, length),
    async withBytes(collection, checksum, size) {
      const row = await volume.withBytes(collection, checksum, size)
      // Copying it here would mean to fetch it from pillars first.
      return row && (await work.isHere(row)) ? row : undefined
    },
    summary: async () =>
      (await volume.summary()).filter(({ collection }) => directory.collection(collection)),
    space: () => spaceOf(parts),
    // What pillars have proven they tell themselves.
    oldestProof: async () => undefined,
    async close() {
      await carry.idle()
      await work.idle()
      await volume.close()
    },
  }
}

/** Other bytes under an id that is only not known again yet would take the place of a file that was acknowledged. */
const behind = (missing: readonly string[]): string | undefined =>
  missing.length === 0
    ? undefined
    : `the catalogue is being read from the pillars again; ${missing.join(', ')} must come`

/** What is not safe yet is not listed: whoever counts copies, or deletes his own, goes by listings. */
async function listed(
  volume: Store,
  query: ListQuery,
  isSafe: (file: StoredFile) => boolean,
): Promise<Page> {
  let page = await volume.list(query)
  for (;;) {
    const files = page.files.filter(isSafe)
    const last = page.files.at(-1)
    if (files.length > 0 || !page.partial || !last) return { files, partial: page.partial }
    page = await volume.list({ ...query, after: { timestamp: last.timestamp, id: last.id } })
  }
}

/** Stores something that is safe only once it is settled; what was not stored leaves a file that was safe so. */
async function expected(
  { volume }: VaultParts,
  work: Settling,
  collection: string,
  id: string,
  store: () => Promise<boolean>,
): Promise<boolean> {
  work.expect(collection, id)
  let stored = false
  try {
    stored = await store()
    return stored
  } finally {
    const [row] = stored ? [] : await volume.stored(collection, [id])
    if (!stored && !(row && (await work.isHere(row)))) work.settled(collection, id)
  }
}

type Settled = (collection: string, id: string) => Promise<void>

function receiving(
  parts: VaultParts,
  work: Settling,
  settled: Settled,
): Pick<Store, 'standing' | 'accept' | 'incoming' | 'storeTwin'> {
  const { volume } = parts
  const { isHere, alone } = work
  const isUnsafe = async (file: StoredFile): Promise<boolean> =>
    !work.isSafe(file.collection, file.id) ||
    (await isHere(file)) ||
    !(await isTold(parts, file.collection, file.id))
  /** What is stored here only may still come: whoever brings it waits until it is safe. */
  const unsafeIsWelcome = (standings: readonly Standing[]): Promise<Standing[]> =>
    Promise.all(
      standings.map(async (standing) =>
        standing.is === 'held' && (await isUnsafe(standing.file)) ? { is: 'welcome' } : standing,
      ),
    )
  return {
    async standing(files) {
      const standings = await unsafeIsWelcome(
        await whyNoRoom(volume, files, await volume.standing(files)),
      )
      const { bytesTotal, bytesOpen } = await spaceOf(parts)
      // As long as no pillar has joined, nobody knows; whoever puts waits for one.
      return bytesTotal === 0 ? standings : fitting(files, standings, bytesOpen)
    },
    accept: async (request, files) =>
      unsafeIsWelcome(await whyNoRoom(volume, files, await volume.accept(request, files))),
    async storeTwin(file, by) {
      const { collection, id } = file
      const store = () => alone(() => secondId(parts, file, by))
      const isStored = await expected(parts, work, collection, id, store)
      if (isStored) await settled(collection, id)
      return isStored
    },
    async incoming(collection, id, replaces): Promise<Incoming> {
      const inner = await volume.incoming(collection, id, replaces)
      return {
        file: inner.file,
        at: inner.at,
        write: inner.write,
        secure: inner.secure,
        leave: inner.leave,
        async finish(by) {
          const stored = await expected(parts, work, collection, id, async () => {
            const outcome = await (replaces ? alone(() => inner.finish(by)) : inner.finish(by))
            return outcome === 'stored'
          })
          if (stored) await settled(collection, id)
          return stored ? 'stored' : 'wrongChecksum'
        },
      }
    },
  }
}

async function isTold({ view }: VaultParts, collection: string, id: string): Promise<boolean> {
  const entry = await view.entry(collection, id)
  const [holders = []] = entry ? await view.holders(collection, [entry.fragment.hash]) : []
  return holders.some(({ stage }) => stage === 'persisted')
}

/** A file waits here as a whole until pillars have it: who is refused is told so, before he has sent anything. */
async function whyNoRoom(
  volume: Store,
  files: readonly NewFile[],
  standings: readonly Standing[],
): Promise<Standing[]> {
  if (!standings.some(({ is }) => is === 'noSpace')) return [...standings]
  const { bytesTotal } = await volume.space()
  const waits = 'where each file waits as a whole until pillars have it'
  return standings.map((standing, n) => {
    if (standing.is !== 'noSpace') return standing
    const why =
      (files[n]?.size ?? 0) > bytesTotal
        ? `it is larger than the disk of the tracker (${bytesTotal} bytes), ${waits}`
        : `the disk of the tracker, ${waits}, has room for ${standing.bytesFree} bytes now`
    return { ...standing, why }
  })
}

/** Pillars must have room for all copies together. */
function fitting(
  files: readonly NewFile[],
  standings: readonly Standing[],
  open: number,
): Standing[] {
  let left = open
  return standings.map((standing, n) => {
    const size = files[n]?.size ?? 0
    if (standing.is !== 'welcome') return standing
    if (size > left)
      return { is: 'noSpace', bytesFree: left, why: `the pillars have room for ${left} bytes` }
    left -= size
    return standing
  })
}

function removing(
  parts: VaultParts,
  work: Settling,
  settled: Settled,
): Pick<Store, 'remove' | 'restore' | 'purge'> {
  const { alone } = work
  const { volume, disk, index, view, world } = parts
  /** Whether the bytes of what was deleted are still known to be somewhere. */
  async function canReturn(collection: string, id: string, checksum: string): Promise<boolean> {
    const kept = await index.retained({ collection, ids: [id], limit: retainedMax })
    const [aside] = kept.filter((one) => one.checksum === checksum)
    if (!aside || (await disk.stat(retainedPath(world, aside)))) return true
    return (await view.slices(fileOf(aside))) !== undefined
  }
  return {
    async remove(file, by) {
      const outcome = await alone(() => volume.remove(file, by))
      if (outcome === 'removed') await settled(file.collection, file.id)
      return outcome
    },
    async restore(collection, id, checksum, by) {
      let outcome: Restored = 'damaged'
      const stored = await expected(parts, work, collection, id, () =>
        alone(async () => {
          if (await canReturn(collection, id, checksum))
            outcome = await volume.restore(collection, id, checksum, by)
          return outcome === 'stored'
        }),
      )
      if (stored) await settled(collection, id)
      return outcome
    },
    purge: (before, of) =>
      alone(async () => {
        await unfile(parts, before, of)
        return volume.purge(before, of)
      }),
  }
}

/** Of one id. */
const retainedMax = 10_000

/** Bytes that nothing has any more once those are given up that come next: pillars may give them up too. */
async function unfile(
  { index, view, volume, world }: VaultParts,
  before: number,
  of: Purged | undefined,
): Promise<void> {
  const leaving = await index.retained({ ...of, keptBefore: before, limit: purgeMax })
  const keyOf = ({ collection, id, version }: RetainedFile): string =>
    JSON.stringify([collection, id, version])
  const keys = new Set(leaving.map(keyOf))
  const staying = new Set<string>()
  for (const collection of new Set(leaving.map((one) => one.collection)))
    for (const one of await index.retained({ collection, limit: Number.MAX_SAFE_INTEGER }))
      if (!keys.has(keyOf(one))) staying.add(`${collection} ${one.checksum}`)
  for (const { collection, checksum, size } of leaving) {
    if (staying.has(`${collection} ${checksum}`)) continue
    if (await volume.withBytes(collection, checksum, size)) continue
    const file = { collection, checksum, size }
    await view.change([{ do: 'unfile', file, at: world.clock.now() }])
  }
}

async function* read(
  parts: VaultParts,
  file: StoredFile,
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const { disk, volume, view, fetch, signal } = parts
  let at = offset
  const end = offset + length
  try {
    if (await disk.stat(payloadOf(file)))
      for await (const some of volume.read(file, offset, length)) {
        at += some.length
        yield some
      }
  } catch (error) {
    // It became safe, and went, while it was read; anything else is the disk's own fault.
    if (await disk.stat(payloadOf(file))) throw error
  }
  if (at === end) return
  const slices = await view.slices(fileOf(file))
  if (!slices) throw new Error(`nobody knows of what ${file.id} consists`)
  const fetching = (slice: (typeof slices)[number], stop: AbortSignal) =>
    fetch(file.collection, slice, AbortSignal.any([signal, stop]))
  yield* assembled(fetching, slices, at, end - at)
}

/** What pillars have open, divided by the copies that each byte takes of it. */
async function spaceOf(parts: VaultParts): Promise<Space> {
  const { volume, directory } = parts
  const { bytesReserved, bytesRetained } = await volume.space()
  const copies = Math.max(
    1,
    ...directory.document().collections.map(({ fragments }) => fragments?.copies ?? 1),
  )
  const there = await countingOf(parts)
  const sum = (of: (member: (typeof there)[number]) => number): number =>
    Math.floor(there.reduce((all, member) => all + of(member), 0) / copies)
  const bytesOpen = sum((member) => member.bytesOpen)
  return {
    bytesTotal: sum((member) => member.bytesTotal),
    bytesFree: bytesOpen,
    bytesReserved,
    bytesRetained,
    bytesOpen: Math.max(0, bytesOpen - bytesReserved),
  }
}
