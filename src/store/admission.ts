/** Who may come in: what is said to files that are offered, and accepting them for good. */
import { strict as assert } from 'node:assert'
import type { Disk } from '../disk/disk.ts'
import {
  type AcceptedRequest,
  type Change,
  foldPath,
  type Index,
  type ReceivingFile,
  type StoredFile,
} from '../index/index.ts'
import type { World } from '../world/world.ts'
import type { Health } from './health.ts'
import { partialOf, pathAside, pathOf } from './names.ts'
import { filesNeeded, type Reservations } from './reservations.ts'
import type { NewFile, Standing } from './store.ts'

export interface AdmissionParts {
  readonly world: World
  readonly disk: Disk
  readonly index: Index
  readonly health: Health
  readonly reserved: Reservations
  /** The file system takes names that differ only in case for the same. */
  readonly folds: boolean
}

export interface Admission {
  /** Files of one call are judged together. */
  standing(files: readonly NewFile[]): Promise<Standing[]>
  /**
   * Calls must not overlap, nor may anything be stored meanwhile: each counts on the space that the one before has
   * left, and on rows that stay as they are.
   */
  accept(request: AcceptedRequest, files: readonly NewFile[]): Promise<Standing[]>
}

/** What to say to a file, and what saying welcome takes of what may still be promised: bytes, files and folders. */
interface Verdict {
  readonly standing: Standing
  readonly takes: number
  readonly files: number
}

const welcome = (takes: number, files = 0): Verdict => ({
  standing: { is: 'welcome' },
  takes,
  files,
})
const no = (standing: Standing): Verdict => ({ standing, takes: 0, files: 0 })

const sameBytes = (a: Pick<NewFile, 'checksum' | 'size'>, b: typeof a): boolean =>
  a.checksum === b.checksum && a.size === b.size

export function admission(parts: AdmissionParts): Admission {
  const { world, disk, index, health, reserved } = parts
  const freePlace = places(parts)

  async function judge(files: readonly NewFile[]): Promise<Standing[]> {
    const space = reserved.space(await disk.free())
    let { bytesOpen: open, filesOpen = Number.POSITIVE_INFINITY } = space
    const beside = company()
    const standings: Standing[] = []
    for (const file of files) {
      const room = filesOpen < filesNeeded(file.id) ? 0 : open
      const verdict = beside.verdict(file) ?? (await judgeOne(file, room))
      const { standing, takes } = verdict
      if (standing.is === 'welcome') beside.join(file)
      open -= takes
      filesOpen -= verdict.files
      standings.push(standing)
    }
    return standings
  }
  async function judgeOne(file: NewFile, open: number): Promise<Verdict> {
    const { collection, id, size } = file
    const [stored] = await index.stored(collection, [id])
    if (stored && sameBytes(stored, file)) return no({ is: 'held', file: stored })
    const unfit = await hindrance(index, file, stored)
    if (unfit) return no({ is: unfit })
    const [receiving] = await index.receiving(collection, [id])
    const same = receiving !== undefined && sameBytes(receiving, file)
    if (receiving && !same && reserved.has(file)) return no({ is: 'other' })
    const conflict = await index.conflict(collection, id)
    if (conflict !== undefined) return no({ is: 'conflict', with: conflict })
    if (same && reserved.has(file)) return welcome(0)
    const needed = reserved.needed(size) - (same ? receiving.safe : 0)
    return needed > open ? no({ is: 'noSpace', bytesFree: open }) : welcome(needed, filesNeeded(id))
  }
  /** The row to receive into: the one that is there when it is for these bytes, else a new one. */
  async function rowFor(file: NewFile, chosen: Set<string>): Promise<Row> {
    const [old] = await index.receiving(file.collection, [file.id])
    if (old && sameBytes(old, file)) {
      // Somebody came back for it; while it is being received its row belongs to the receiving.
      if (reserved.has(file)) return { row: old, changes: [] }
      const row = { ...old, since: world.clock.now() }
      return { row, changes: [{ do: 'receive', file: row }] }
    }
    const { collection, id, size, checksum, mtime } = file
    // What is replaced leaves its place to it.
    const [stored] = file.replaces ? await index.stored(collection, [id]) : []
    const [path, since] = [stored?.path ?? (await freePlace(file, chosen)), world.clock.now()]
    const row = { collection, id, size, checksum, mtime, path, safe: 0, since }
    const changes: Change[] = [{ do: 'receive', file: row }]
    return old
      ? { row, changes: [{ do: 'drop', collection, id }, ...changes], old }
      : { row, changes }
  }

  return {
    standing: judge,
    async accept(request, files) {
      // One bad row would fail all that are committed with it.
      for (const { size, mtime } of files)
        assert(Number.isSafeInteger(size) && Number.isSafeInteger(mtime), 'whole numbers')
      const standings = await judge(files)
      const rows: Row[] = []
      const chosen = new Set<string>()
      for (const [n, file] of files.entries())
        if (standings[n]?.is === 'welcome') rows.push(await rowFor(file, chosen))
      const changes = rows.flatMap((row) => row.changes)
      // A request to delete what was seen before must not reach what was put, and confirmed, after.
      for (const [n, { collection, id }] of files.entries())
        if (standings[n]?.is === 'held') changes.push({ do: 'confirm', collection, id })
      await health.guard(index.commit([{ do: 'accept', request }, ...changes]))
      for (const { row } of rows) reserved.add(row)
      // Only now: had the commit failed, they would still be wanted.
      for (const { old } of rows) if (old) await disk.remove(partialOf(world, old))
      return standings
    },
  }
}

/** Why other bytes than those that are stored can not come. */
async function hindrance(
  index: Index,
  { collection, id, replaces }: NewFile,
  stored: StoredFile | undefined,
): Promise<'absent' | 'other' | 'otherBytes' | 'newer' | undefined> {
  if (!replaces) return stored && 'other'
  if (!stored) return 'absent'
  if (stored.checksum !== replaces.checksum) return 'otherBytes'
  const [version] = await index.versions(collection, [id])
  return version === replaces.version ? undefined : 'newer'
}

interface Row {
  readonly row: ReceivingFile
  readonly changes: Change[]
  /** Other bytes that nobody came back for; their partial goes. */
  readonly old?: ReceivingFile
}

/** What the files of one request are to each other; the index does not know them yet. */
export function company() {
  const files = new Map<string, NewFile>()
  /** Each folder on the way to a file, with one of the files. */
  const folders = new Map<string, string>()
  const keyOf = (collection: string, id: string): string => `${collection}\0${id}`
  return {
    verdict({ collection, id, ...file }: NewFile): Verdict | undefined {
      const twin = files.get(keyOf(collection, id))
      if (twin) return sameBytes(twin, file) ? welcome(0) : no({ is: 'other' })
      const below = folders.get(keyOf(collection, id))
      const above = ancestorsOf(id).find((folder) => files.has(keyOf(collection, folder)))
      const other = below ?? above
      return other === undefined ? undefined : no({ is: 'conflict', with: other })
    },
    join(file: NewFile): void {
      files.set(keyOf(file.collection, file.id), file)
      for (const folder of ancestorsOf(file.id))
        folders.set(keyOf(file.collection, folder), file.id)
    },
  }
}

/** `a/b/c` has the ancestors `a` and `a/b`. */
function ancestorsOf(id: string): string[] {
  const names = id.split('/')
  return names.slice(1).map((_, depth) => names.slice(0, depth + 1).join('/'))
}

/** Where a new file will stand: not where something stands already, or will by the same request. */
function places({ world, disk, index, folds }: AdmissionParts) {
  return async ({ collection, id }: NewFile, chosen: Set<string>): Promise<string> => {
    const path = pathOf(world, id)
    const folded = foldPath(path)
    const key = `${collection}\0${folded}`
    const taken =
      folds && (chosen.has(key) || (await index.atPath(collection, folded)) !== undefined)
    chosen.add(key)
    // What stands there without a row was put by hand: left alone.
    const free = !taken && (await disk.stat(`${collection}/data/${path}`)) === undefined
    return free ? path : pathAside(world, id)
  }
}
