/** A vault over a simulated disk, and pillars that are a map in memory. */
import type { Offer } from '../../src/exchange/bench.ts'
import type { Index } from '../../src/index/index.ts'
import { asyncIndex, openIndex } from '../../src/index/sqlite.ts'
import type { ArchiveDocument, Collection } from '../../src/protocol/document.ts'
import type { Fragment } from '../../src/protocol/fragments.ts'
import { type SimClock, simClock } from '../../src/sim/clock.ts'
import { type SimDisk, simDisk } from '../../src/sim/disk.ts'
import { simRandom } from '../../src/sim/random.ts'
import { type SimWorld, simWorld } from '../../src/sim/world.ts'
import { adoptVolume } from '../../src/store/identity.ts'
import type { NewFile, Standing } from '../../src/store/store.ts'
import { openVolume } from '../../src/store/volume.ts'
import type { Distribution, Fetch } from '../../src/tracker/roles.ts'
import { openVault, type Vault } from '../../src/vault/vault.ts'
import { openView } from '../../src/view/sqlite.ts'
import type { View } from '../../src/view/view.ts'
import { digestOf } from '../../src/world/world.ts'

export const owner = { pillar: 'tracker', archive: 'a1' }
export const ann = { actor: 'ann', conversation: 'c1' }
export const collection = 'pieces'
/** Bytes of one fragment; far below what a document may say. */
export const fragmentBytes = 100

const policy: Collection = {
  ...{ name: collection, pillars: ['p1', 'p2', 'p3'], copiesMin: 2, algorithm: 'sha256' },
  fragments: { bytes: fragmentBytes, copies: 2 },
}
export const document: ArchiveDocument = {
  ...{ archive: 'a1', version: 1, issuedAt: '2026-01-01T00:00:00.000Z', exchanges: [] },
  ...{ identities: [], collections: [policy] },
}
export const directory = {
  document: () => document,
  collection: (name: string) => (name === collection ? policy : undefined),
}

export interface Pillars {
  /** By pillar, then by hash. */
  readonly held: Map<string, Map<string, Uint8Array>>
  /** What was asked to be spread, call by call. */
  readonly asked: string[][]
  readonly fetched: string[]
  /** While it is set, nothing can be brought to them. */
  away: boolean
  /** Waited for before anything is brought. */
  before: () => Promise<void>
  distribution(world: SimWorld, view: View): Pick<Distribution, 'spread'>
  fetch(world: SimWorld): Fetch
}

export function pillars(copies = 2): Pillars {
  const held = new Map(policy.pillars.map((pillar) => [pillar, new Map<string, Uint8Array>()]))
  const names = [...held.keys()]
  const self: Pillars = {
    held,
    asked: [],
    fetched: [],
    away: false,
    before: async () => undefined,
    distribution: (world, view) => ({
      async spread(name, fragments, source) {
        self.asked.push(fragments.map(({ hash }) => hash))
        await self.before()
        for (const fragment of fragments) {
          const [known = []] = await view.holders(name, [fragment.hash])
          if (known.length >= copies) continue
          if (self.away) throw new Error('no pillar is there')
          const bytes = await whole(source(fragment))
          if (digestOf(world, bytes) !== fragment.hash) throw new Error('other bytes were offered')
          const from = Number.parseInt(fragment.hash.slice(0, 2), 16)
          for (let n = 0; n < copies; n++) {
            const pillar = names[(from + n) % names.length] ?? ''
            held.get(pillar)?.set(fragment.hash, bytes)
            const about = { collection: name, fragment, pillar, stage: 'persisted' as const }
            await view.change([{ do: 'hold', ...about }])
          }
        }
      },
    }),
    fetch: (world) => async (_, fragment) => {
      self.fetched.push(fragment.hash)
      for (const some of held.values()) {
        const bytes = some.get(fragment.hash)
        if (bytes && digestOf(world, bytes) === fragment.hash) return fetchedOf(bytes)
      }
      throw new Error(`nobody has ${fragment.hash}`)
    },
  }
  return self
}

const fetchedOf = (bytes: Uint8Array): Awaited<ReturnType<Fetch>> => ({
  size: bytes.length,
  async *read(offset, length) {
    if (length > 0) yield bytes.slice(offset, offset + length)
  },
  discard: async () => undefined,
})

export async function whole(offer: Offer): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const some of offer.read(0, offer.size)) parts.push(some)
  return new Uint8Array(Buffer.concat(parts))
}

export interface Kit {
  readonly vault: Vault
  readonly view: View
  readonly index: Index
  readonly sim: SimDisk
  readonly time: SimClock
  readonly world: SimWorld
  readonly pillars: Pillars
  /** The program ends, and starts again. */
  again(options?: { readonly powerCut?: boolean }): Promise<Kit>
  stop(): Promise<void>
  offer(id: string, bytes: Uint8Array, mtime?: number): NewFile
  accept(...files: NewFile[]): Promise<Standing[]>
  put(id: string, bytes: Uint8Array): Promise<string>
  replace(id: string, old: Uint8Array, bytes: Uint8Array): Promise<string>
  remove(id: string, bytes: Uint8Array): Promise<string>
  restore(id: string, bytes: Uint8Array): Promise<string>
  read(id: string, offset?: number, length?: number): Promise<string | undefined>
  /** Paths of files whose bytes are on our disk. */
  here(): string[]
  told(id: string): Promise<string[]>
}

let requests = 0

export interface Ground {
  readonly time: SimClock
  readonly sim: SimDisk
  readonly world: SimWorld
  readonly index: Index
  readonly view: View
  readonly pillars: Pillars
}

export async function ground(some: Pillars = pillars()): Promise<Ground> {
  const time = simClock()
  const sim = simDisk({ capacity: 100_000_000, clock: time.clock })
  const world = simWorld(time.clock, simRandom('vault'), 'tracker')
  await adoptVolume(world, sim.disk, { ...owner, volume: 'v1' })
  const index = asyncIndex(openIndex(':memory:'))
  const view = openView(':memory:')
  const member = { bytesTotal: 1_000_000, bytesOpen: 900_000, state: 'registered' as const }
  for (const pillar of some.held.keys()) {
    const about = { pillar, session: 1, volumes: [], heardAt: 0, ...member }
    await view.change([{ do: 'member', member: about }])
  }
  return { time, sim, world, index, view, pillars: some }
}

export const kit = async (some?: Pillars): Promise<Kit> => opened(await ground(some))

export async function opened(on: Ground): Promise<Kit> {
  const { time, sim, world, index, view } = on
  const stop = new AbortController()
  const undying: Index = { ...index, close: async () => undefined }
  const volume = await openVolume(world, sim.disk, undying, {
    ...owner,
    reserveBytes: 0,
    passing: true,
  })
  const vault = openVault({
    ...{ world, disk: sim.disk, index: undying, volume, view, directory, signal: stop.signal },
    distribution: on.pillars.distribution(world, view),
    present: () => (on.pillars.away ? [] : policy.pillars),
    fetch: on.pillars.fetch(world),
  })
  const checksum = (bytes: Uint8Array): string => digestOf(world, bytes)
  const bring = async (file: NewFile, bytes: Uint8Array): Promise<string> => {
    const [standing] = await kit.accept(file)
    if (standing?.is !== 'welcome') return standing?.is ?? ''
    if (await vault.storeTwin?.(file, ann)) {
      vault.release([file])
      return 'stored'
    }
    const incoming = await vault.incoming(collection, file.id, file.replaces)
    await incoming.write(bytes.slice(incoming.at()))
    return incoming.finish(ann).finally(() => vault.release([file]))
  }
  const kit: Kit = {
    ...{ vault, view, index, sim, time, world, pillars: on.pillars },
    async again({ powerCut = true } = {}) {
      stop.abort()
      await vault.close().catch(() => undefined)
      if (powerCut) sim.crash((among) => among - 1)
      return opened(on)
    },
    async stop() {
      stop.abort()
      await vault.close()
    },
    offer: (id, bytes, mtime = 1_600_000_000_000) => ({
      ...{ collection, id, size: bytes.length, checksum: checksum(bytes), mtime },
    }),
    accept(...files) {
      const key = `r${++requests}`
      return vault.accept({ key, substance: key, request: key }, files)
    },
    put: (id, bytes) => bring(kit.offer(id, bytes), bytes),
    async replace(id, old, bytes) {
      const [version = 0] = await vault.versions(collection, [id])
      const replaces = { checksum: checksum(old), version }
      return bring({ ...kit.offer(id, bytes), replaces }, bytes)
    },
    async remove(id, bytes) {
      const [version = 0] = await vault.versions(collection, [id])
      return vault.remove({ collection, id, checksum: checksum(bytes), version }, ann)
    },
    restore: (id, bytes) => vault.restore(collection, id, checksum(bytes), ann),
    async read(id, offset = 0, length) {
      const [row] = await vault.stored(collection, [id])
      if (!row) return undefined
      const parts: Uint8Array[] = []
      for await (const some of vault.read(row, offset, length ?? row.size - offset))
        parts.push(some)
      return Buffer.concat(parts).toString()
    },
    here: () =>
      [...sim.snapshot().keys()].filter(
        (path) => path.startsWith(`${collection}/data/`) && !path.endsWith('/'),
      ),
    async told(id) {
      const entry = await view.entry(collection, id)
      return entry?.text.split('\n') ?? []
    },
  }
  return kit
}

export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
/** Bytes of which no two fragments are alike. */
export const distinct = (length: number, salt = ''): Uint8Array => {
  let text = ''
  for (let n = 0; text.length < length; n++) text += `${salt}${n} `
  return bytes(text.slice(0, length))
}
export const all = (fragments: readonly Fragment[]): string[] => fragments.map(({ hash }) => hash)
