// A collection in fragments on four simulated pillars, and a client with a disk of its own that fetches from it.

import type { Test } from 'tap'
import type { Client } from '../../src/client/client.ts'
import {
  type FetchOptions,
  type FragmentedResult,
  fragmentFetcher,
} from '../../src/client/fragments/fetch.ts'
import { openMosaic } from '../../src/client/fragments/mosaic.ts'
import { putBatch } from '../../src/client/put.ts'
import type { RequestMessage } from '../../src/protocol/messages.ts'
import { type SimDisk, simDisk } from '../../src/sim/disk.ts'
import { type Fleet, startFleet } from '../../src/sim/fleet.ts'
import { keys, owner } from '../../src/sim/fleet-ground.ts'
import { memoryItem } from '../../src/sim/memory.ts'
import { openState } from '../../src/state/sqlite.ts'
import { objectName } from '../../src/transfer/objects.ts'
import { push } from '../../src/transfer/push.ts'
import { hopsOf, route } from '../../src/transfer/route.ts'
import { claimsOf } from '../../src/transfer/token.ts'
import { openDirectory } from '../../src/trust/directory.ts'
import { type Reply, type Scripted, scripted } from './scripted.ts'

export const collection = 'pieces'
export const bytes = 65_536
export const hour = 3_600_000
export type Item = ReturnType<typeof memoryItem>

export interface Kit {
  readonly fleet: Fleet
  readonly ann: Client
  readonly disk: SimDisk
  put(id: string, size: number): Promise<Item>
  /** As `get` does; by a fetcher of its own, as each run has one. */
  get(
    items: readonly Item[],
    options?: Partial<FetchOptions> & { offset?: number; length?: number },
  ): Promise<FragmentedResult[]>
  /** What was fetched; undefined when it has not its name. */
  have(item: Item): Buffer | undefined
  /** Bytes that pillars and tracker have sent since the last call. */
  sent(): number
}

export async function kit(t: Test, seed: string, options: { lan?: boolean } = {}): Promise<Kit> {
  const fragments = { bytes, copies: 2 }
  const fleet = await startFleet({ ...options, seed, pillars: 4, copiesMin: 2, fragments })
  await fleet.time.advance(30_000)
  const ann = await fleet.client('ann')
  t.teardown(async () => {
    if (!t.passing) t.comment(fleet.lines().slice(-60).join('\n'))
  })
  const disk = simDisk({ capacity: 1 << 28, clock: fleet.time.clock })
  let before = 0
  const finalOf = ({ id }: Item): string => id
  return {
    ...{ fleet, ann, disk },
    async put(id, size) {
      const item = memoryItem(fleet.random.fork(id), fleet, id, size)
      const signal = new AbortController().signal
      const [put] = await fleet.time.finish(putBatch(ann, collection, [item], { signal }), hour)
      t.equal(put?.outcome, 'stored', `${id} is stored`)
      await fleet.time.advance(60_000)
      before = fleet.net.counters.bytesUp
      return item
    },
    async get(items, { offset, length, ...more } = {}) {
      const fetching = (async () => {
        const wanted = await Promise.all(
          items.map(async (item) => {
            const { id, size, checksum } = item
            const part = { offset: offset ?? 0, length: length ?? size - (offset ?? 0) }
            const whole = offset === undefined && length === undefined
            const partial = objectName(ann.world, id, part.offset, part.length)
            const place = { partial, final: finalOf(item), ...part, ...(whole ? { checksum } : {}) }
            const mosaic = await openMosaic(ann.world, disk.disk, place)
            return { id, size, checksum, mosaic, ...(whole ? {} : part) }
          }),
        )
        const { signal = new AbortController().signal } = more
        return fragmentFetcher(ann, collection, 'tracker').fetch(wanted, { ...more, signal })
      })()
      return fleet.time.finish(fetching, 6 * hour)
    },
    have(item) {
      const found = disk.snapshot().get(finalOf(item))
      return found && Buffer.from(found)
    },
    sent() {
      const now = fleet.net.counters.bytesUp
      const since = now - before
      before = now
      return since
    },
  }
}

/** One that delivers what it likes in the place of a pillar: what it says to a GetFile, and what it sends for it. */
export async function forger(
  { fleet }: Kit,
  name: string,
  forge: (id: string, size: number) => Uint8Array,
  said: readonly Reply[] = [{ code: 'OPERATION_PROGRESS', progress: true }],
): Promise<Scripted> {
  const directory = await openDirectory(
    { keys, owner: owner.publicKey, archive: 'test', state: openState(':memory:') },
    fleet.sealed,
  )
  const world = { ...fleet.boards[0], hashing: fleet.hashing }
  async function send(request: RequestMessage): Promise<void> {
    if (request.type !== 'GetFileRequest') return
    const found = hopsOf(request.transmission, directory)
    const claims = claimsOf(request.transmission.token)
    for (const [n, [object, size]] of (claims?.obj ?? []).entries()) {
      const sent = forge(request.files[n]?.id ?? '', size)
      await push({
        world: { ...world, clock: fleet.time.clock, random: fleet.random } as never,
        ...{ dial: fleet.net.dialAs(name), route: route({ clock: fleet.time.clock }) },
        ...{ signal: new AbortController().signal, size: sent.length },
        open: async function* (offset: number) {
          yield sent.slice(offset)
        },
        key: { issuer: claims?.iss ?? '', name: object },
        token: () => request.transmission.token,
        hops: () => found?.hops ?? [],
      }).catch(() => undefined)
    }
  }
  return scripted(fleet, name, (request, n) => {
    if (request.type === 'IdentifyPillarsForGetFileRequest')
      return [
        {
          code: 'IDENTIFICATION_POSITIVE',
          // Ever so quick: everybody wants it of this one first.
          fields: {
            timeToDeliver: 1,
            files: request.files.map(({ id }) => ({
              ...{ id, code: 'IDENTIFICATION_POSITIVE', size: bytes },
            })),
          },
        },
      ]
    if (request.type !== 'GetFileRequest') return []
    if (n >= 0) void send(request)
    return said
  })
}

/** Counts what comes. */
export function tally() {
  let bytes = 0
  return {
    add(some: number): void {
      bytes += some
    },
    bytes: () => bytes,
  }
}
