/** Who may come in: what is said to files that are offered, and accepting them for good. */
import type { Disk } from '../disk/disk.ts'
import {
  type AcceptedRequest,
  type Change,
  foldPath,
  type Index,
  type ReceivingFile,
} from '../index/index.ts'
import type { World } from '../world/world.ts'
import type { GroupCommit } from './group-commit.ts'
import { partialOf, pathAside, pathOf } from './names.ts'
import { neededBytes, type Reservations } from './reservations.ts'
import type { NewFile, Standing } from './store.ts'

export interface AdmissionParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly group: GroupCommit
  readonly reserved: Reservations
  /** The file system takes names that differ only in case for the same. */
  readonly folds: boolean
}

export interface Admission {
  standing(files: readonly NewFile[]): Promise<Standing[]>
  /** Calls must not overlap: each counts on the space that the one before has left. */
  accept(request: AcceptedRequest, files: readonly NewFile[]): Promise<Standing[]>
}

export function admission(parts: AdmissionParts): Admission {
  const { world, disk, index, group, reserved } = parts

  async function judge(files: readonly NewFile[]): Promise<Standing[]> {
    let open = reserved.space(await disk.free()).bytesOpen
    const standings: Standing[] = []
    for (const file of files) {
      const standing = await judgeOne(file, open)
      if (standing.is === 'welcome') open -= neededBytes(file.size)
      standings.push(standing)
    }
    return standings
  }
  async function judgeOne(file: NewFile, open: number): Promise<Standing> {
    const { collection, id, checksum, size } = file
    const [stored] = await index.stored(collection, [id])
    if (stored)
      return stored.checksum === checksum && stored.size === size
        ? { is: 'held', file: stored }
        : { is: 'other' }
    const [receiving] = await index.receiving(collection, [id])
    const same = receiving?.checksum === checksum && receiving.size === size
    if (receiving && !same && reserved.has(file)) return { is: 'other' }
    const conflict = await index.conflict(collection, id)
    if (conflict !== undefined) return { is: 'conflict', with: conflict }
    if (same && reserved.has(file)) return { is: 'welcome' }
    return neededBytes(size) - (same ? receiving.safe : 0) > open
      ? { is: 'noSpace', bytesFree: open }
      : { is: 'welcome' }
  }
  async function placeOf(file: NewFile): Promise<string> {
    const path = pathOf(world, file.id)
    const taken = parts.folds ? await index.atPath(file.collection, foldPath(path)) : undefined
    // What stands there without a row was put by hand: left alone.
    const free =
      taken === undefined && (await disk.stat(`${file.collection}/data/${path}`)) === undefined
    return free ? path : pathAside(world, file.id)
  }
  /** The row to receive into: the one that is there when it is for these bytes, else a new one. */
  async function rowFor(file: NewFile, changes: Change[]): Promise<ReceivingFile> {
    const [old] = await index.receiving(file.collection, [file.id])
    if (old && old.checksum === file.checksum && old.size === file.size) return old
    const { collection, id, size, checksum, mtime } = file
    if (old) {
      changes.push({ do: 'drop', collection, id })
      await disk.remove(partialOf(world, old))
    }
    const [path, since] = [await placeOf(file), world.clock.now()]
    const row = { collection, id, size, checksum, mtime, path, safe: 0, since }
    changes.push({ do: 'receive', file: row })
    return row
  }

  return {
    standing: judge,
    async accept(request, files) {
      const standings = await judge(files)
      const changes: Change[] = [{ do: 'accept', request }]
      const rows: ReceivingFile[] = []
      for (const [n, file] of files.entries())
        if (standings[n]?.is === 'welcome') rows.push(await rowFor(file, changes))
      await group.commit(changes)
      for (const row of rows) reserved.add(row)
      return standings
    },
  }
}
