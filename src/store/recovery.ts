/** What a start finds after any end: every row *receiving* is finished or undone, and nothing else is touched. */
import { dirname } from 'node:path'
import { type Disk, diskErrorCode } from '../disk/disk.ts'
import { type Change, foldPath, type Index, type ReceivingFile } from '../index/index.ts'
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

/** Commits so many changes at a time: each commit is a sync. */
const commitChanges = 256

export async function recover(world: World, disk: Disk, index: Index): Promise<Recovered> {
  const count = { finished: 0, resumed: 0, restarted: 0, swept: 0 }
  const expected = new Set<string>()
  const folders = folderMaker(disk)
  const changes: Change[] = []
  for (const file of await index.allReceiving()) {
    const partial = partialOf(world, file)
    if (await wasRenamed(world, disk, index, file)) {
      // The rename came through, the commit did not: the bytes were synced before, and were hashed again to be sure.
      await syncUpwards(disk, folders, file)
      changes.push(...storeChanges(world, file, self))
      count.finished++
    } else {
      expected.add(partial.slice('.incoming/'.length))
      if (await isWhole(disk, partial, file.safe)) count.resumed++
      else {
        await disk.remove(partial)
        if (file.safe > 0)
          changes.push({ do: 'safe', collection: file.collection, id: file.id, safe: 0 })
        count.restarted++
      }
    }
    if (changes.length >= commitChanges) await index.commit(changes.splice(0))
  }
  if (changes.length > 0) await index.commit(changes)
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
  index: Index,
  file: ReceivingFile,
): Promise<boolean> {
  const final = `${file.collection}/data/${file.path}`
  const stat = await disk.stat(final)
  if (stat?.kind !== 'file' || stat.size !== file.size) return false
  const digest = await digestAt(world, disk, final, file.size).catch((error) => {
    // A sector that can not be read must not keep the whole volume closed.
    if (diskErrorCode(error) === undefined) throw error
    return undefined
  })
  if (digest === file.checksum) return true
  const isOurs =
    stat.mtime === file.mtime &&
    (await disk.stat(partialOf(world, file))) === undefined &&
    !(await isStored(index, file))
  if (isOurs) await setAside(world, disk, final)
  // Else somebody has put it there since: left alone, ours will stand at another place.
  return false
}

/** Whether a stored file stands at this path, on whatever file system. */
async function isStored(index: Index, { collection, path }: ReceivingFile): Promise<boolean> {
  const id = await index.atPath(collection, foldPath(path))
  return id !== undefined && (await index.stored(collection, [id]))[0] !== undefined
}

/**
 * We put it there, and a disk that had promised to keep its bytes has not: kept all the same, but not among the files
 * of the bag, since no manifest will have it.
 */
async function setAside(world: World, disk: Disk, path: string): Promise<void> {
  const name = `.retained/unproven-${digestOf(world, path).slice(0, 16)}`
  let turn = 0
  while (await disk.stat(`${name}-${turn}`)) turn++
  await disk.mkdir('.retained')
  await disk.rename(path, `${name}-${turn}`)
  world.log.error('volume.forgot', { path, now: `${name}-${turn}` })
}

/** Cuts off what came after the last safe byte. */
async function isWhole(disk: Disk, partial: string, safe: number): Promise<boolean> {
  const stat = await disk.stat(partial)
  if (safe === 0 || stat === undefined || stat.size < safe) return false
  if (stat.size > safe) await disk.truncate(partial, safe)
  return true
}

/** Syncs a name and those of all its folders. */
export async function syncUpwards(
  disk: Disk,
  folders: ReturnType<typeof folderMaker>,
  file: ReceivingFile,
): Promise<void> {
  const final = `${file.collection}/data/${file.path}`
  await disk.touch(final, file.mtime).catch(() => undefined)
  await disk.sync(final)
  await disk.syncDir(await folders.ensure(dirname(final)))
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
