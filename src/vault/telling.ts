/** What is told of where bytes are: of which pieces a file consists and who holds them, and how many copies there are. */
import type { StoredFile } from '../index/index.ts'
import type { Fragment } from '../protocol/fragments.ts'
import type { Piece, Spread, Spreading } from '../store/store.ts'
import type { ViewMember } from '../view/view.ts'
import { fileOf, type Settling, type VaultParts } from './settling.ts'

/** So many fragments are looked up before others have their turn. */
const lookedUpAtOnce = 2_000

export const telling = (parts: VaultParts, work: Settling): Spreading => ({
  spread: (collection) => spreadOf(parts, collection),
  pieces: async (file, offset, length) =>
    work.isSafe(file.collection, file.id) ? piecesOf(parts, file, offset, length) : undefined,
  copies: (files) => copiesOf(parts, files),
  async bytesSafe(files) {
    let bytes = 0
    for (const file of files) bytes += await bytesSafeOf(parts, file)
    return bytes
  },
})

/** Undefined while nothing is spread. */
async function spreadOf(parts: VaultParts, collection: string): Promise<Spread | undefined> {
  const { view, directory } = parts
  const wanted = directory.collection(collection)?.fragments?.copies
  const pillars = await countingOf(parts)
  const names = pillars.map(({ pillar }) => pillar)
  const counts = [...(await view.histogram(collection, names)).keys()]
  if (wanted === undefined || counts.length === 0) return undefined
  return { least: Math.min(...counts), wanted, pillars: names.length }
}

/** Registered ones, whose copies and room count. */
export const countingOf = async ({ view, counts }: VaultParts): Promise<ViewMember[]> =>
  (await view.members()).filter(
    ({ state, pillar }) => state === 'registered' && (counts?.(pillar) ?? true),
  )

async function piecesOf(
  parts: VaultParts,
  file: StoredFile,
  offset: number,
  length: number,
): Promise<Piece[] | undefined> {
  const slices = await parts.view.slices(fileOf(file))
  if (!slices) return undefined
  const needed: { readonly slice: Fragment; readonly at: number }[] = []
  let at = 0
  for (const slice of slices) {
    if (length > 0 && at < offset + length && at + slice.size > offset) needed.push({ slice, at })
    at += slice.size
  }
  const hashes = needed.map(({ slice }) => slice.hash)
  const holders = await parts.view.holders(file.collection, hashes)
  return needed.map(({ slice, at }, n) => ({
    ...{ ...slice, at },
    holders: (holders[n] ?? []).flatMap(({ pillar, stage }) =>
      stage === 'persisted' ? [pillar] : [],
    ),
  }))
}

async function copiesOf(
  parts: VaultParts,
  files: readonly StoredFile[],
): Promise<({ least: number; wanted: number } | undefined)[]> {
  const { view, directory, world } = parts
  const found: ({ least: number; wanted: number } | undefined)[] = []
  let lookedUp = 0
  for (const file of files) {
    const { collection, id } = file
    const wanted = directory.collection(collection)?.fragments?.copies
    const slices = await view.slices(fileOf(file))
    // An empty file stands in the text that tells of it.
    const text = slices?.length === 0 ? await view.entry(collection, id) : undefined
    const hashes = (text ? [text.fragment] : (slices ?? [])).map(({ hash }) => hash)
    const there = new Set(parts.present(collection))
    let least = hashes.length > 0 ? there.size : 0
    for (let at = 0; at < hashes.length; at += lookedUpAtOnce) {
      const some = hashes.slice(at, at + lookedUpAtOnce)
      for (const holders of await view.holders(collection, some))
        least = Math.min(least, holders.filter(isThere(there)).length)
      lookedUp += some.length
      if (lookedUp < lookedUpAtOnce) continue
      lookedUp = 0
      await world.clock.sleep(0)
    }
    // A text has one copy more than what it tells of.
    if (text && wanted !== undefined) least = Math.min(least, wanted)
    found.push(wanted === undefined ? undefined : { least, wanted })
  }
  return found
}

/** What comes is not taken apart before all of it is here: until then nothing of it is safe. */
async function bytesSafeOf(
  { view, volume, directory }: VaultParts,
  { collection, id, checksum }: Pick<StoredFile, 'collection' | 'id' | 'checksum'>,
): Promise<number> {
  const [row] = await volume.stored(collection, [id])
  const slices = row?.checksum === checksum ? await view.slices(fileOf(row)) : undefined
  if (!slices) return 0
  const enough = directory.collection(collection)?.copiesMin ?? 1
  const hashes = slices.map(({ hash }) => hash)
  const kept = (await view.holders(collection, hashes)).map(
    (holders) => holders.filter(({ stage }) => stage === 'persisted').length,
  )
  return slices.reduce((sum, { size }, n) => sum + ((kept[n] ?? 0) >= enough ? size : 0), 0)
}

const isThere =
  (there: ReadonlySet<string>) =>
  ({ pillar, stage }: { pillar: string; stage: string }): boolean =>
    stage === 'persisted' && there.has(pillar)
