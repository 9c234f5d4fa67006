/** Reading the lists of a bag: what they say stands there also when nobody knows anything else any more. */
import type { Disk } from '../disk/disk.ts'
import { limits } from '../limits.ts'
import { timeValue } from '../protocol/scalars.ts'
import { unescapeName } from './names.ts'

export const manifestFile = 'manifest-sha256.txt'
export const timesFile = 'mtimes.txt'
export const namesFile = 'names.txt'
/** One line for each deleted file: when, which bytes, which id; so that a copy elsewhere is known to be an old one. */
export const tombstonesFile = 'tombstones.txt'

export interface Line {
  readonly text: string
  /** Where the next one begins. */
  readonly end: number
}

/** Whole lines from a place on; what was cut in its middle is none. An absent file has none. */
export async function* linesIn(disk: Disk, path: string, from = 0): AsyncGenerator<Line> {
  const size = (await disk.stat(path))?.size ?? 0
  let rest = Buffer.alloc(0)
  let end = from
  for (let at = from; at < size; ) {
    const chunk = await disk.read(path, at, Math.min(limits.chunkBytes, size - at))
    if (chunk.length === 0) return
    at += chunk.length
    const all = Buffer.concat([rest, chunk])
    let begin = 0
    for (let stop = all.indexOf(10); stop >= 0; stop = all.indexOf(10, begin)) {
      end += stop + 1 - begin
      yield { text: all.toString('utf8', begin, stop), end }
      begin = stop + 1
    }
    rest = all.subarray(begin)
  }
}

/** A checksum, and a path below `data/`. */
export function manifestLine(text: string): { checksum: string; path: string } | undefined {
  const found = /^([0-9a-f]{64}) {2}data\/(.+)$/s.exec(text)
  return found?.[1] && found[2] ? { checksum: found[1], path: found[2] } : undefined
}

export function timesLine(text: string): { mtime: number; path: string } | undefined {
  const found = /^(\S+) {2}data\/(.+)$/s.exec(text)
  const mtime = timeValue(found?.[1] ?? '')
  return found?.[2] && Number.isSafeInteger(mtime) ? { mtime, path: found[2] } : undefined
}

export function namesLine(text: string): { id: string; path: string } | undefined {
  const [path, name] = text.split('\t')
  const id = parsed(name ?? '')
  return path?.startsWith('data/') && id !== undefined ? { id, path: path.slice(5) } : undefined
}

export function tombstonesLine(
  text: string,
): { removedAt: number; checksum: string; id: string } | undefined {
  const found = /^(\S+) {2}([0-9a-f]{64}) {2}(".*")$/.exec(text)
  const [removedAt, id] = [timeValue(found?.[1] ?? ''), parsed(found?.[3] ?? '')]
  if (!found?.[2] || id === undefined || !Number.isSafeInteger(removedAt)) return undefined
  return { removedAt, checksum: found[2], id }
}

function parsed(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : undefined
  } catch {
    return undefined
  }
}

/** The id of a path that stands in no list of names; undefined where the path is only a digest of it. */
export const idOfPath = (path: string): string | undefined =>
  /(^|\/)=(long-|aside\/|aside$)/.test(path)
    ? undefined
    : path.split('/').map(unescapeName).join('/')

/** What one list of a bag says of one path; of several lines the last. */
async function saidIn<One extends { path: string }>(
  disk: Disk,
  list: string,
  path: string,
  read: (text: string) => One | undefined,
): Promise<One | undefined> {
  let said: One | undefined
  for await (const { text } of linesIn(disk, list)) {
    if (!text.includes(path)) continue
    const one = read(text)
    if (one?.path === path) said = one
  }
  return said
}

/** What the manifest says of one path; the other lists are not read. */
export const checksumOf = async (
  disk: Disk,
  collection: string,
  path: string,
): Promise<string | undefined> =>
  (await saidIn(disk, `${collection}/${manifestFile}`, path, manifestLine))?.checksum

/** What the lists of a bag say of one path. */
export async function saidOf(
  disk: Disk,
  collection: string,
  path: string,
): Promise<{ checksum?: string; mtime?: number; id?: string }> {
  return {
    ...(await saidIn(disk, `${collection}/${manifestFile}`, path, manifestLine)),
    ...(await saidIn(disk, `${collection}/${timesFile}`, path, timesLine)),
    ...(await saidIn(disk, `${collection}/${namesFile}`, path, namesLine)),
  }
}
