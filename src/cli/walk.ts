/** Finds the files of the user: what is kept, what is passed over, and why. */
import { lstat, readdir } from 'node:fs/promises'
import { basename, relative, resolve, sep } from 'node:path'
import { fileIdFault } from '../protocol/scalars.ts'

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

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Everything below the paths, in the order of the names. Ids are relative to the folder that was named; a file that
 * was named has its own name. Symbolic links are not followed.
 */
export async function* walk(paths: readonly string[], options: WalkOptions = {}): AsyncGenerator<FoundFile | PassedOver> {
  const excluded = (options.exclude ?? []).map(globPattern)
  for (const path of paths) {
    const root = resolve(path)
    const stat = await lstat(root).catch(error => error as NodeJS.ErrnoException)
    if (stat instanceof Error) yield passedOver(root, reason(stat))
    else if (stat.isDirectory()) yield* walkFolder(Buffer.from(root), root, options, excluded)
    else yield* inspect(Buffer.from(root), resolve(root, '..'), options, excluded)
  }
}

async function* walkFolder(folder: Buffer, root: string, options: WalkOptions, excluded: readonly RegExp[]): AsyncGenerator<FoundFile | PassedOver> {
  let names: Buffer[]
  try {
    names = await readdir(folder, { encoding: 'buffer' })
  } catch (error) {
    yield passedOver(folder.toString(), reason(error))
    return
  }
  // Names as bytes: what is no UTF-8 must be seen, to be reported.
  for (const name of names.sort(Buffer.compare)) yield* inspect(Buffer.concat([folder, Buffer.from(sep), name]), root, options, excluded)
}

async function* inspect(path: Buffer, root: string, options: WalkOptions, excluded: readonly RegExp[]): AsyncGenerator<FoundFile | PassedOver> {
  let text: string
  try {
    text = utf8.decode(path)
  } catch {
    return yield passedOver(path.toString('latin1'), 'its name is not UTF-8')
  }
  const local = relative(root, text)
  if (excluded.some(pattern => pattern.test(local) || pattern.test(basename(local)))) return
  const stat = await lstat(path).catch(error => error as NodeJS.ErrnoException)
  if (stat instanceof Error) return yield passedOver(text, reason(stat))
  if (stat.isDirectory()) return yield* walkFolder(path, root, options, excluded)
  if (stat.isSymbolicLink()) return yield passedOver(text, 'a symbolic link is not followed')
  if (!stat.isFile()) return yield passedOver(text, 'neither a file nor a folder')
  const id = options.as === undefined ? local : `${options.as.replace(/\/+$/, '')}/${local}`
  const fault = fileIdFault(id)
  if (fault !== undefined) return yield passedOver(text, fault)
  yield { is: 'file', path: text, id, size: stat.size, mtime: Math.floor(stat.mtimeMs) }
}

const passedOver = (path: string, why: string): PassedOver => ({ is: 'passedOver', path, why })

function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EACCES' || code === 'EPERM') return 'it may not be read'
  if (code === 'ENOENT') return 'there is no such file'
  return error instanceof Error ? error.message : String(error)
}

/** `*` and `?` stay within a component, `**` does not. */
export function globPattern(glob: string): RegExp {
  const body = glob.replace(/[.+^${}()|[\]\\]/g, '\\$&').replace(/\*\*|\*|\?/g, part => (part === '**' ? '.*' : part === '*' ? '[^/]*' : '[^/]'))
  return new RegExp(`^${body}$`, 's')
}

