/** Fetches fragments from the pillars that hold them: one after the other, until one gives the right bytes. */

import type { Client } from '../client/client.ts'
import { openLanding } from '../client/files.ts'
import { getBatch } from '../client/get.ts'
import type { Disk } from '../disk/disk.ts'
import type { Landing, Offer } from '../exchange/bench.ts'
import { limits } from '../limits.ts'
import { type Fragment, fragmentFileId } from '../protocol/fragments.ts'
import type { View } from '../view/view.ts'
import { digestOf, type World } from '../world/world.ts'
import type { Fetch } from './roles.ts'

/** Smaller ones land in memory. */
const inMemoryMax = 256 * 1024
/** Of a pillar that holds it and says nothing; there is another to ask. */
const silentMs = 20_000
/** Of one that says that it is at it, and brings nothing. */
const stuckMs = 120_000
const folder = '.fetched'

/** What an earlier run has left on the disk goes. */
export async function openFetching(
  client: Client,
  view: Pick<View, 'holders'>,
  disk: Disk,
  /** This pillar has not got something that it should have. */
  astray: (collection: string, pillar: string) => void,
): Promise<Fetch> {
  for (const { name } of await disk.list(folder)) await disk.remove(`${folder}/${name}`)
  await disk.mkdir(folder)
  const load = new Map<string, number>()
  const patient: Client = { ...client, idleMs: Math.min(client.idleMs, silentMs) }
  let turn = 0

  async function missed(collection: string, pillar: string, hash: string): Promise<void> {
    const [holders = []] = await view.holders(collection, [hash])
    if (holders.some((one) => one.pillar === pillar)) astray(collection, pillar)
  }
  async function fetchFrom(
    pillar: string,
    collection: string,
    fragment: Fragment,
    signal: AbortSignal,
  ): Promise<Fetched | string> {
    const { hash, size } = fragment
    const landed = await landingFor(client.world, disk, fragment, `${folder}/${hash}-${++turn}`)
    const item = { id: fragmentFileId(fragment), size, checksum: hash, landing: landed.landing }
    load.set(pillar, (load.get(pillar) ?? 0) + 1)
    try {
      const [got] = await getBatch(patient, collection, [item], {
        ...{ signal, pillar, stallMs: stuckMs },
      })
      if (got?.outcome === 'fetched') return landed.offer
      await landed.offer.discard()
      if (got?.outcome === 'notFound') await missed(collection, pillar, hash)
      return `${pillar}: ${got?.why ?? got?.outcome}`
    } catch (error) {
      await landed.offer.discard()
      throw error
    } finally {
      load.set(pillar, (load.get(pillar) ?? 1) - 1)
    }
  }
  return async (collection, fragment, signal) => {
    const whys: string[] = []
    for (const pillar of await order(client, view, collection, fragment, load)) {
      signal.throwIfAborted()
      const fetched = await fetchFrom(pillar, collection, fragment, signal)
      if (typeof fetched !== 'string') return fetched
      client.world.log.warn('fetch.failed', { hash: fragment.hash, why: fetched })
      whys.push(fetched)
    }
    throw new Error(`no pillar gives ${fragment.hash}${whys.map((why) => `; ${why}`).join('')}`)
  }
}

/** Texts of one pillar, by their hashes; without those that it does not give right. Rejects when it gives none. */
export async function textsOf(
  client: Client,
  collection: string,
  pillar: string,
  fragments: readonly Fragment[],
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const landed = fragments.map((fragment) => inMemory(client.world, fragment.hash, fragment.size))
  const items = fragments.map((fragment, n) => ({
    ...{ id: fragmentFileId(fragment), size: fragment.size, checksum: fragment.hash },
    landing: landed[n]?.landing ?? inMemory(client.world, '', 0).landing,
  }))
  const results = await getBatch(client, collection, items, { signal, pillar })
  const texts = new Map<string, string>()
  for (const [n, { outcome }] of results.entries()) {
    const [fragment, one] = [fragments[n], landed[n]]
    if (outcome !== 'fetched' || !fragment || !one) continue
    const parts: Uint8Array[] = []
    for await (const some of one.offer.read(0, fragment.size)) parts.push(some)
    texts.set(fragment.hash, new TextDecoder().decode(Buffer.concat(parts)))
  }
  if (texts.size === 0) throw new Error(`${pillar}: ${results[0]?.why ?? 'it gives no texts'}`)
  return texts
}

type Fetched = Awaited<ReturnType<Fetch>>

/** Holders that are there, the least busy first; then all others: the view may be behind. */
async function order(
  { line, directory }: Client,
  view: Pick<View, 'holders'>,
  collection: string,
  { hash }: Fragment,
  load: ReadonlyMap<string, number>,
): Promise<string[]> {
  const [holders = []] = await view.holders(collection, [hash])
  const pillars = directory.collection(collection)?.pillars ?? []
  const weight = (pillar: string): number => {
    const holds = holders.some((one) => one.pillar === pillar)
    const away = line.presence(pillar) === 'offline'
    // Only when nobody else has it.
    const saves = line.isSaving(pillar) ? 1_000 : 0
    return (holds ? 0 : 1_000_000) + (away ? 2_000_000 : 0) + saves + (load.get(pillar) ?? 0)
  }
  const known = pillars.filter((one) => weight(one) < 3_000_000)
  return known.sort((a, b) => weight(a) - weight(b))
}

async function landingFor(
  world: World,
  disk: Disk,
  { hash, size }: Fragment,
  path: string,
): Promise<{ landing: Landing; offer: Fetched }> {
  if (size <= inMemoryMax) return inMemory(world, hash, size)
  const landing = await openLanding(world, disk, {
    partial: `${path}.part`,
    final: path,
    checksum: hash,
  })
  async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; ) {
      const wanted = Math.min(limits.offeredChunkBytes, offset + length - at)
      const some = await disk.read(path, at, wanted)
      if (some.length === 0) throw new Error(`${path} ends at ${at}`)
      yield some
      at += some.length
    }
  }
  const discard = async (): Promise<void> => {
    await disk.remove(`${path}.part`)
    await disk.remove(path)
  }
  return { landing, offer: { size, read, discard } }
}

function inMemory(world: World, hash: string, size: number): { landing: Landing; offer: Fetched } {
  let bytes = new Uint8Array(size)
  let at = 0
  const landing: Landing = {
    at: () => at,
    async write(some) {
      if (at + some.length > size) throw new RangeError('more bytes than the fragment has')
      bytes.set(some, at)
      at += some.length
    },
    secure: async () => undefined,
    async finish(whole) {
      if (whole === size && at === size && digestOf(world, bytes) === hash) return undefined
      bytes = new Uint8Array(size)
      at = 0
      return 'the bytes that came are not those of the fragment'
    },
  }
  const read: Offer['read'] = async function* (offset, length) {
    if (length > 0) yield bytes.slice(offset, offset + length)
  }
  return { landing, offer: { size, read, discard: async () => undefined } }
}
