/** Finds the files of the user: what is kept, what is passed over, and why. */
import type { BigIntStats } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import { basename, relative, resolve, sep } from 'node:path'
import { fileIdFault } from '../protocol/scalars.ts'
import { type Excluded, excluding } from './glob.ts'
import { reasonOf } from './output.ts'

export interface FoundFile {
  readonly is: 'file'
  /** Absolute. */
  readonly path: string
  readonly id: string
  readonly size: number
  /** Milliseconds since 1970, rounded down. */
  readonly mtime: number
}

/** Something that can not be kept; the rest goes on. */
export interface PassedOver {
  readonly is: 'passedOver'
  readonly path: string
  readonly why: string
}

export interface WalkOptions {
  /** Put before every id; a folder of the archive. */
  readonly as?: string
  readonly exclude?: readonly string[]
}

/** In it `get` gathers files until they are whole; one per folder, gone once all have come. */
export const partialFolder = '.colonnade-partial'

/** How many files are looked at together: waiting for the disk one by one takes three times as long. */
const together = 32

/** The first and the last day that a time of the protocol can name. */
const mtimeMsMax = 8_640_000_000_000_000

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

interface Walk {
  readonly root: string
  readonly as: string | undefined
  readonly excluded: Excluded
}

/**
 * Everything below the paths, in the order of the names. Ids are relative to the folder that was named; a file that
 * was named has its own name. Symbolic links are not followed.
 */
export async function* walk(
  paths: readonly string[],
  options: WalkOptions = {},
): AsyncGenerator<FoundFile | PassedOver> {
  const excluded = excluding(options.exclude ?? [])
  const as = options.as?.replace(/\/+$/, '')
  for (const path of paths) {
    const root = resolve(path)
    const stat = await look(root)
    if (!(stat instanceof Error) && stat.isDirectory())
      yield* walkFolder(Buffer.from(root), { root, as, excluded })
    else yield* inspect(Buffer.from(root), stat, { root: resolve(root, '..'), as, excluded })
  }
}

/** A file that was found before, as it is now. */
export async function seenAgain(file: FoundFile): Promise<FoundFile | PassedOver> {
  const stat = await look(file.path)
  if (stat instanceof Error) return passedOver(file.path, reasonOf(stat))
  if (!stat.isFile()) return passedOver(file.path, 'it is no file any more')
  return { ...file, size: Number(stat.size), mtime: mtimeOf(stat) }
}

const look = (path: string | Buffer): Promise<BigIntStats | Error> =>
  lstat(path, { bigint: true }).catch((error: Error) => error)

/** Exactly as the disk port has it: as a double, the last tenth of a microsecond of a millisecond is the next one. */
const mtimeOf = ({ mtimeNs }: BigIntStats): number => Math.floor(Number(mtimeNs / 1000n) / 1000)

async function* walkFolder(folder: Buffer, options: Walk): AsyncGenerator<FoundFile | PassedOver> {
  let names: Buffer[]
  try {
    names = await readdir(folder, { encoding: 'buffer' })
  } catch (error) {
    yield passedOver(textOf(folder), reasonOf(error))
    return
  }
  // Names as bytes: what is no UTF-8 must be seen, to be reported.
  const paths = names
    .sort(Buffer.compare)
    .map((name) => Buffer.concat([folder, Buffer.from(sep), name]))
  for (let at = 0; at < paths.length; at += together) {
    const some = paths.slice(at, at + together)
    const stats = await Promise.all(some.map(look))
    for (const [n, path] of some.entries()) {
      const stat = stats[n]
      if (stat) yield* inspect(path, stat, options)
    }
  }
}

async function* inspect(
  path: Buffer,
  stat: BigIntStats | Error,
  options: Walk,
): AsyncGenerator<FoundFile | PassedOver> {
  const text = textOf(path)
  const local = relative(options.root, text)
  if (options.excluded(local, !(stat instanceof Error) && stat.isDirectory())) return
  if (stat instanceof Error) return yield passedOver(text, reasonOf(stat))
  if (!isUtf8(path)) return yield passedOver(text, 'its name is not UTF-8')
  if (stat.isDirectory() && basename(local) === partialFolder)
    return yield passedOver(
      text,
      'an unfinished get left it; repeat that get, or remove the folder',
    )
  if (stat.isDirectory()) return yield* walkFolder(path, options)
  if (stat.isSymbolicLink()) return yield passedOver(text, 'a symbolic link is not followed')
  if (!stat.isFile()) return yield passedOver(text, 'it is neither a file nor a folder')
  const id = options.as === undefined ? local : `${options.as}/${local}`
  const mtime = mtimeOf(stat)
  const fault =
    Math.abs(mtime) > mtimeMsMax ? 'the time of its last change is no date' : fileIdFault(id)
  if (fault !== undefined) return yield passedOver(text, fault)
  yield { is: 'file', path: text, id, size: Number(stat.size), mtime }
}

const passedOver = (path: string, why: string): PassedOver => ({ is: 'passedOver', path, why })

function isUtf8(path: Buffer): boolean {
  try {
    utf8.decode(path)
    return true
  } catch {
    return false
  }
}

/** To be shown; each byte that is no UTF-8 as a character of its own. */
const textOf = (path: Buffer): string => (isUtf8(path) ? path.toString() : path.toString('latin1'))
