/** Where fetched files go: folders that are really there, and nothing that is there is overwritten unasked. */
import { realpath } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { hashFile, openLanding } from '../client/files.ts'
import { type Mosaic, openMosaic } from '../client/fragments/mosaic.ts'
import type { Known } from '../client/list.ts'
import { type Disk, diskErrorCode } from '../disk/disk.ts'
import type { Landing } from '../exchange/bench.ts'
import { objectName } from '../transfer/objects.ts'
import { type Desk, onDisk } from './desk.ts'
import { Complaint, exitCodes, idText, reasonOf } from './output.ts'
import { partialFolder } from './walk.ts'

/** A part of a file. */
export interface Slice {
  readonly offset: number
  readonly length: number
}

export type Place =
  | { readonly is: 'folder'; readonly path: string }
  /** For one id only. */
  | { readonly is: 'file'; readonly path: string }

/** What is to be done about one file. */
export type Need =
  | { readonly is: 'needed'; readonly path: string }
  /** These very bytes are there. */
  | { readonly is: 'equal'; readonly path: string }
  /** Something is in its place that is not to be overwritten, or through which nothing is to be written. */
  | { readonly is: 'inTheWay'; readonly path: string; readonly why: string }

/**
 * What `-o` means. Links on the way to it are the user's and are followed, here and once; below it none is, for what
 * comes from the archive must not find its way anywhere else.
 */
export async function placeFor(desk: Desk, output: string, single: boolean): Promise<Place> {
  const asFolder = output.endsWith('/')
  const path = await realPath(output.replace(/(?<=.)\/+$/, ''))
  const kind = path === '/' ? 'folder' : (await desk.disk.stat(onDisk(path)))?.kind
  if (kind === 'folder' || (kind === undefined && (asFolder || !single)))
    return { is: 'folder', path }
  if (single && !asFolder) return { is: 'file', path }
  throw new Complaint(`${idText(output)} is no folder`, exitCodes.failed, 'name another with -o')
}

/** Without symbolic links as far as it exists. */
async function realPath(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || path === dirname(path)) return path
    return join(await realPath(dirname(path)), basename(path))
  }
}

export interface Restore {
  need(known: Known, slice: Slice | undefined): Promise<Need>
  /** Makes folders and opens the place where the bytes gather; rejects when that can not be. */
  land(known: Known, path: string, slice: Slice | undefined): Promise<Landing>
  /** The same, for a file that comes in pieces. */
  mosaic(known: Known, path: string, slice: Slice | undefined): Promise<Mosaic>
  /** Ids whose places were taken by somebody else while they were fetched. */
  readonly taken: ReadonlySet<string>
  /** Removes the folders in which files gathered, where nothing is left in them. */
  tidy(): Promise<void>
}

export interface RestoreOptions {
  readonly collection: string
  readonly place: Place
  readonly overwrite: boolean
  /** The disk failed; nothing more is to be fetched. */
  failed(error: Complaint): void
}

const holdTries = 3

export function restoring(desk: Desk, options: RestoreOptions): Restore {
  const { disk } = desk
  const { place } = options
  const base = place.is === 'folder' ? place.path : dirname(place.path)
  const obstacle = obstacles(disk, base)
  const made = new Set<string>()
  const held = new Set<string>()
  const taken = new Set<string>()

  async function makeFolders(folder: string): Promise<void> {
    if (made.has(folder)) return
    const parts = onDisk(folder).split('/')
    for (let n = 1; n <= parts.length; n++) await disk.mkdir(parts.slice(0, n).join('/'))
    made.add(folder)
  }
  /** Another run that ends removes the folder as long as nothing is in it, also between these two. */
  async function hold({ folder, path }: Gathered, partial: string): Promise<void> {
    for (let tries = 1; ; tries++)
      try {
        await makeFolders(folder)
        if ((await disk.stat(partial)) !== undefined) return
        await disk.write(partial, 0, new Uint8Array(0))
        held.add(partial)
        return
      } catch (error) {
        const isThere = made.delete(folder)
        if (diskErrorCode(error) === 'ENOENT' && tries < holdTries) continue
        if (!isThere) throw error
        await trying(path, options.failed)(() => Promise.reject(error))
      }
  }
  const about = (known: Known, path: string, slice: Slice | undefined): Gathered => ({
    ...{ known, path, slice, taken, hold },
    folder: join(dirname(path), partialFolder),
    let: (partial) => void held.delete(partial),
  })
  return {
    taken,
    async need(known, slice) {
      const path = place.is === 'file' ? place.path : join(base, known.id)
      const above = await obstacle(dirname(path))
      if (above === undefined) return needOf(desk, options, { known, path, slice })
      const why = `${idText(above)} is no folder, and nothing is written through it`
      return { is: 'inTheWay', path, why }
    },
    land: (known, path, slice) => landingAt(desk, options, about(known, path, slice)),
    mosaic: (known, path, slice) => mosaicAt(desk, options, about(known, path, slice)),
    async tidy() {
      for (const partial of held)
        if ((await disk.stat(partial))?.size === 0) await disk.remove(partial)
      for (const folder of made) await disk.rmdir(onDisk(folder)).catch(() => false)
    },
  }
}

/** What stands in the way on the way to a folder below the base: a file, a link. Each folder is looked at once. */
function obstacles(disk: Disk, base: string): (folder: string) => Promise<string | undefined> {
  const seen = new Map<string, Promise<string | undefined>>()
  async function look(folder: string): Promise<string | undefined> {
    const above = await obstacle(dirname(folder))
    if (above !== undefined) return above
    const kind = (await disk.stat(onDisk(folder)))?.kind
    return kind === undefined || kind === 'folder' ? undefined : folder
  }
  function obstacle(folder: string): Promise<string | undefined> {
    if (folder === base) return Promise.resolve(undefined)
    const found = seen.get(folder) ?? look(folder)
    seen.set(folder, found)
    return found
  }
  return obstacle
}

interface Wanted {
  readonly known: Known
  readonly path: string
  readonly slice: Slice | undefined
}

async function needOf(
  { disk, client, signal }: Desk,
  { overwrite }: RestoreOptions,
  { known, path, slice }: Wanted,
): Promise<Need> {
  const inTheWay = (why: string): Need => ({ is: 'inTheWay', path, why })
  const stat = await disk.stat(onDisk(path))
  if (stat?.kind === 'folder') return inTheWay('a folder is in its place')
  if (stat === undefined || overwrite) return { is: 'needed', path }
  if (slice) return inTheWay('something is there already; --overwrite replaces it')
  if (stat.kind === 'file' && stat.size === known.size) {
    const checksum = await hashFile(client.world, disk, onDisk(path), stat, { signal })
    if (checksum === known.checksum) return { is: 'equal', path }
  }
  return inTheWay('another file is there; --overwrite replaces it')
}

/** Where the bytes gather, and become what. */
function gathering({ client }: Desk, collection: string, wanted: Gathered, ...more: string[]) {
  const { known, path, slice, folder } = wanted
  const { id, checksum, mtime } = known
  const bounds = [slice?.offset ?? 0, slice?.length ?? -1]
  const name = objectName(client.world, collection, id, checksum, ...bounds, ...more)
  const whole = slice ? {} : { checksum, mtime }
  return { partial: onDisk(join(folder, name)), final: onDisk(path), ...whole }
}
interface Gathered extends Wanted {
  readonly folder: string
  readonly taken: Set<string>
  /** Makes the folder and an empty file in it, unless it is there from an earlier run. */
  hold(wanted: Gathered, partial: string): Promise<void>
  /** The file is none that gathers any more. */
  let(partial: string): void
}

/** The disk of the user is not the pillar's fault: no other one is tried when it fails. */
const trying =
  (path: string, failed: RestoreOptions['failed']) =>
  async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      const hint = 'repeat the same command then; it goes on where it stopped'
      failed(new Complaint(`${idText(path)}: ${reasonOf(error)}`, exitCodes.failed, hint))
      throw error
    }
  }

/** A file that came into its place meanwhile stays, unless it may be overwritten: then no place is given. */
async function unlessTaken<T>(
  disk: Desk['disk'],
  { taken, known }: Gathered,
  place: string | undefined,
  inner: { finish(): Promise<T>; forget(): Promise<unknown> },
): Promise<T | undefined> {
  if (place === undefined || (await disk.stat(place)) === undefined) return inner.finish()
  taken.add(known.id)
  await inner.forget()
  return undefined
}

async function landingAt(
  desk: Desk,
  { collection, overwrite, failed }: RestoreOptions,
  wanted: Gathered,
): Promise<Landing> {
  const { disk, client } = desk
  const place = gathering(desk, collection, wanted)
  await wanted.hold(wanted, place.partial)
  const inner = await openLanding(client.world, disk, place)
  const tried = trying(wanted.path, failed)
  return {
    at: () => inner.at(),
    write: (bytes) => tried(() => inner.write(bytes)),
    secure: () => tried(() => inner.secure()),
    finish: (size) =>
      tried(() =>
        unlessTaken(disk, wanted, overwrite ? undefined : place.final, {
          finish: () => inner.finish(size).finally(() => wanted.let(place.partial)),
          forget: () => disk.remove(place.partial),
        }),
      ),
  }
}

async function mosaicAt(
  desk: Desk,
  { collection, overwrite, failed }: RestoreOptions,
  wanted: Gathered,
): Promise<Mosaic> {
  const { disk, client } = desk
  const { known, slice } = wanted
  // By another name: what came in order has no holes.
  const place = gathering(desk, collection, wanted, 'in pieces')
  const range = { offset: slice?.offset ?? 0, length: slice?.length ?? known.size }
  await wanted.hold(wanted, place.partial)
  const inner = await openMosaic(client.world, disk, { ...place, ...range })
  const tried = trying(wanted.path, failed)
  return {
    have: inner.have,
    read: inner.read,
    write: (at, bytes) => tried(() => inner.write(at, bytes)),
    came: (at, bytes, whole) => tried(() => inner.came(at, bytes, whole)),
    close: () => tried(inner.close),
    finish: () =>
      tried(() => unlessTaken(disk, wanted, overwrite ? undefined : place.final, inner)).finally(
        () => wanted.let(place.partial),
      ),
    forget: inner.forget,
  }
}
