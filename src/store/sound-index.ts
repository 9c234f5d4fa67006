/**
 * Opening the index of a volume, or, when it is lost or its database is damaged, making it anew from the bags. What is left of
 * the old one is put aside beside it.
 */
import { type Disk, diskErrorCode } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { indexDamaged, type VolumeIdentity } from './identity.ts'
import { manifestFile } from './lists.ts'
import { bagsOn, rebuildIndex, toldOf } from './rebuild.ts'

export const indexFile = '.index.sqlite'
const freshFile = '.index.rebuilding'

export interface SoundIndexParts {
  readonly world: World
  readonly disk: Disk
  readonly identity: VolumeIdentity
  /** Opens a database below the root of the volume; rejects with the code `corrupt` when it is none. */
  open(path: string): Promise<Index>
  /** The index is lost; said before it is made anew, which may take minutes, and after. */
  lost(text: string): void
  progress?(done: number, all: number): void
}

export async function openSoundIndex(parts: SoundIndexParts): Promise<Index> {
  const opened = await openOrWhy(parts)
  if (typeof opened !== 'string') return opened
  const { world, identity, lost } = parts
  world.log.error('index.lost', { volume: identity.volume, why: opened })
  lost(
    `the index of the volume ${identity.volume} is lost (${opened}); it is made anew from the bags`,
  )
  return anew(parts)
}

/** Whatever there is is put aside, and the index made anew. */
export async function anew(parts: SoundIndexParts): Promise<Index> {
  const { world, disk, identity, open, lost } = parts
  await setAside(disk, indexFile)
  await disk.remove(indexDamaged)
  await disk.syncDir('')
  const fresh = await open(freshFile).catch(async (error) => {
    if (diskErrorCode(error) !== 'corrupt') throw error
    await setAside(disk, freshFile)
    return open(freshFile)
  })
  const rebuilt = await rebuildIndex({ ...parts, index: fresh })
  await fresh.close()
  await disk.rename(freshFile, indexFile)
  await disk.syncDir('')
  world.log.warn('index.rebuilt', { volume: identity.volume, ...rebuilt })
  lost(`the index of the volume ${identity.volume} was made anew: ${toldOf(rebuilt)}`)
  return open(indexFile)
}

/** The index, or why there is none. */
async function openOrWhy({ disk, open }: SoundIndexParts): Promise<Index | string> {
  if (await disk.stat(indexDamaged)) return 'its database is damaged'
  const bags = await bagsOn(disk)
  const size = (await disk.stat(indexFile))?.size ?? 0
  // The last end may have come between putting the old one aside and the new one's coming.
  if (size === 0 && bags.length > 0) return 'it is not there'
  try {
    const index = await open(indexFile)
    const forgotten = await firstForgotten(disk, index, bags)
    if (forgotten === undefined) return index
    await index.close()
    return `it knows nothing of ${forgotten}`
  } catch (error) {
    if (diskErrorCode(error) !== 'corrupt') throw error
    return error instanceof Error ? error.message : String(error)
  }
}

/** A bag with lines that the index has never heard of: an empty index would cut them off. */
async function firstForgotten(
  disk: Disk,
  index: Index,
  bags: readonly string[],
): Promise<string | undefined> {
  const known = new Set((await index.summary()).map(({ collection }) => collection))
  for (const bag of bags) {
    if (known.has(bag) || (await index.fact(`bag ${bag}`)) !== undefined) continue
    if (((await disk.stat(`${bag}/${manifestFile}`))?.size ?? 0) > 0) return bag
  }
  return undefined
}

async function setAside(disk: Disk, path: string): Promise<void> {
  let turn = 1
  const name = (end: string): string => `${path}.damaged-${turn}${end}`
  while ((await disk.stat(name(''))) || (await disk.stat(name('-wal')))) turn++
  for (const end of ['-wal', ''])
    if (await disk.stat(`${path}${end}`)) await disk.rename(`${path}${end}`, name(end))
}
