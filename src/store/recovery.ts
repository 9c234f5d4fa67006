/** What a start finds after any end: every row *receiving* is finished or undone, and nothing else is touched. */
import type { Disk } from '../disk/disk.ts'
import type { Index, ReceivingFile } from '../index/index.ts'
import { limits } from '../limits.ts'
import { digestOf, type World } from '../world/world.ts'
import { folderMaker } from './group-commit.ts'
import { storeChanges } from './incoming.ts'
import { partialOf } from './names.ts'

const self = { actor: 'recovery', conversation: '' }

export interface Recovered {
  readonly finished: number
  readonly resumed: number
  readonly restarted: number
  readonly swept: number
}

export async function recover(world: World, disk: Disk, index: Index): Promise<Recovered> {
  const count = { finished: 0, resumed: 0, restarted: 0, swept: 0 }
  const expected = new Set<string>()
  for (const file of await index.allReceiving()) {
    const partial = partialOf(world, file)
    if (await wasRenamed(world, disk, file, partial)) {
      // The rename came through, the commit did not: the bytes were synced before, and are hashed again to be sure.
      await syncUpwards(disk, `${file.collection}/data/${file.path}`)
      await index.commit(storeChanges(world, file, self))
      count.finished++
      continue
    }
    expected.add(partial.slice('.incoming/'.length))
    if (await isWhole(disk, partial, file.safe)) count.resumed++
    else {
      await disk.remove(partial)
      await index.commit([{ do: 'safe', collection: file.collection, id: file.id, safe: 0 }])
      count.restarted++
    }
  }
  // A partial without a row was promised to nobody.
  for (const entry of await disk.list('.incoming'))
    if (entry.kind === 'file' && !expected.has(entry.name)) {
      await disk.remove(`.incoming/${entry.name}`)
      count.swept++
    }
  return count
}

async function wasRenamed(
  world: World,
  disk: Disk,
  file: ReceivingFile,
  partial: string,
): Promise<boolean> {
  const final = `${file.collection}/data/${file.path}`
  const stat = await disk.stat(final)
  if (stat === undefined) return false
  if (
    stat.kind === 'file' &&
    stat.size === file.size &&
    (await digestAt(world, disk, final, file.size)) === file.checksum
  ) {
    await disk.remove(partial)
    return true
  }
  // It has our name but not our bytes, and the place was free when we chose it: somebody else's, so it is kept.
  await disk.rename(
    final,
    `.retained/unproven-${digestOf(world, `${final}\0${stat.mtime}`).slice(0, 16)}`,
  )
  return false
}

/** Cuts off what came after the last safe byte. */
async function isWhole(disk: Disk, partial: string, safe: number): Promise<boolean> {
  const stat = await disk.stat(partial)
  if (safe === 0 || stat === undefined || stat.size < safe) return false
  if (stat.size > safe) await disk.truncate(partial, safe)
  return true
}

/** Syncs a name and those of all its folders. */
async function syncUpwards(disk: Disk, path: string): Promise<void> {
  await disk.sync(path)
  await folderMaker(disk).ensure(path.slice(0, path.lastIndexOf('/')))
  await disk.syncDir(path.slice(0, path.lastIndexOf('/')))
}

export async function digestAt(
  world: World,
  disk: Disk,
  path: string,
  size: number,
): Promise<string> {
  const hasher = world.hashing.start('sha256')
  for (let at = 0; at < size; ) {
    const chunk = await disk.read(path, at, Math.min(limits.chunkBytes, size - at))
    if (chunk.length === 0) break
    hasher.update(chunk)
    at += chunk.length
  }
  return hasher.hex()
}
