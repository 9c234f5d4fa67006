/**
 * Making the index of a volume anew from its bags, after it was lost. Every line of a manifest whose payload is there becomes
 * a stored file that was never proven: it is served only after it was hashed, as every file, and the scrub reads it first.
 * Nothing is deleted. A payload without a line is no stored file; it stays, and becomes one when it is offered again. Goes on
 * where it stopped.
 */
import type { Disk } from '../disk/disk.ts'
import { type Change, type Index, staleBag } from '../index/index.ts'
import { timeValue } from '../protocol/scalars.ts'
import type { World } from '../world/world.ts'
import { strangersIn } from './bag-check.ts'
import type { VolumeIdentity } from './identity.ts'
import { audited } from './incoming.ts'
import {
  idOfPath,
  type Line,
  linesIn,
  manifestFile,
  manifestLine,
  namesFile,
  namesLine,
  timesFile,
  timesLine,
  tombstonesFile,
  tombstonesLine,
} from './lists.ts'

export interface Rebuilt {
  readonly files: number
  readonly tombstones: number
  /** Lines whose payload is not there, and whose file was not deleted. */
  readonly missing: number
  /** Payloads without a line. */
  readonly unproven: number
  /** Some of the missing and unproven ones. */
  readonly examples: readonly string[]
}

export interface RebuildParts {
  readonly world: World
  readonly disk: Disk
  /** A new one, or one that an earlier rebuild has begun. */
  readonly index: Index
  readonly identity: VolumeIdentity
  /** Told how many bytes of all manifests are read. */
  progress?(done: number, all: number): void
}

const begun = 'rebuilt'
const linesTogether = 1_000
const examplesMax = 5
const self = { actor: 'rebuild', conversation: '' }

/** How far a collection has come, and what was found so far. */
interface Mark {
  readonly at: number
  readonly missing: number
  readonly examples: readonly string[]
}

/** Folders of a volume that are bags, or were to become some. */
export async function bagsOn(disk: Disk): Promise<string[]> {
  const bags: string[] = []
  for (const { name, kind } of await disk.list(''))
    if (kind === 'folder' && !name.startsWith('.') && (await disk.stat(`${name}/data`)))
      bags.push(name)
  return bags
}

export async function rebuildIndex(parts: RebuildParts): Promise<Rebuilt> {
  const { world, disk, index } = parts
  const sizes = new Map<string, number>()
  for (const one of await bagsOn(disk))
    sizes.set(one, (await disk.stat(`${one}/${manifestFile}`))?.size ?? 0)
  const all = [...sizes.values()].reduce((sum, size) => sum + size, 0)
  const total = { missing: 0, unproven: 0, tombstones: 0, examples: [] as string[] }
  let before = 0
  // Versions that were told before the loss must not seem to be those of now.
  if ((await index.fact(begun)) === undefined)
    await index.commit([
      { do: 'ahead', sequence: Math.max(world.clock.now(), timeValue(parts.identity.created)) },
      { do: 'fact', key: begun, value: 'yes' },
    ])
  for (const [collection, size] of sizes) {
    const mark = await stored(parts, collection, (at) => parts.progress?.(before + at, all))
    const buried = await tombstones(parts, collection)
    const lost = mark.missing
    const strangers = await strangersIn(disk, index, collection)
    total.missing += lost
    total.unproven += strangers.length
    total.tombstones += buried
    total.examples.push(...mark.examples, ...strangers.map((path) => `${collection}/data/${path}`))
    before += size
    const outcome = `made anew from the bag: ${lost} lines without payload, ${strangers.length} payloads without a line`
    await index.commit([
      { do: 'fact', key: staleBag(collection), value: 'yes' },
      audited(world, { collection, id: '' }, self, 'metadata modification', outcome),
    ])
  }
  const files = (await index.summary()).reduce((sum, one) => sum + one.files, 0)
  return { ...total, files, examples: total.examples.slice(0, examplesMax) }
}

/** The lines of the manifest, with the times beside them. */
async function stored(
  { disk, index, identity }: RebuildParts,
  collection: string,
  progress: (at: number) => void,
): Promise<Mark> {
  const key = `rebuilt ${collection}`
  const mark = JSON.parse((await index.fact(key)) ?? '{"at":0,"missing":0,"examples":[]}') as Mark
  let { at, missing } = mark
  const examples = [...mark.examples]
  const names = await namesOf(disk, collection)
  const deleted = await deletedIds(disk, collection)
  const timeOf = timesBeside(linesIn(disk, `${collection}/${timesFile}`))
  // Older than anything that is told of it: else what was deleted elsewhere meanwhile would seem to be put again since.
  const now = timeValue(identity.created)
  let changes: Change[] = []
  const settle = async (): Promise<void> => {
    const value = JSON.stringify({ at, missing, examples } satisfies Mark)
    await index.commit([...changes, { do: 'fact', key, value }])
    changes = []
    progress(at)
  }
  for await (const { text, end } of linesIn(disk, `${collection}/${manifestFile}`)) {
    const line = manifestLine(text)
    const time = line && (await timeOf(line.path))
    if (end <= at) continue
    at = end
    if (!line) continue
    const { path, checksum } = line
    const stat = await disk.stat(`${collection}/data/${path}`)
    const id = names.get(path) ?? idOfPath(path)
    if (stat?.kind === 'file' && id !== undefined) {
      const { size } = stat
      const mtime = time ?? stat.mtime
      const file = { collection, id, size, checksum, mtime, path, provenAt: 0 }
      changes.push({ do: 'store', file, now })
    } else if (id === undefined || !deleted.has(id)) {
      missing++
      if (examples.length < examplesMax) examples.push(`${collection}/data/${path}`)
    }
    if (changes.length >= linesTogether) await settle()
  }
  await settle()
  return { at, missing, examples }
}

/** Times stand in the order of the manifest; where they do not, the file's own is taken. */
function timesBeside(lines: AsyncGenerator<Line>) {
  let next: { mtime: number; path: string } | undefined
  return async (path: string): Promise<number | undefined> => {
    if (next === undefined) {
      const { value } = await lines.next()
      next = value ? timesLine(value.text) : undefined
    }
    if (next?.path !== path) return undefined
    const { mtime } = next
    next = undefined
    return mtime
  }
}

async function namesOf(disk: Disk, collection: string): Promise<Map<string, string>> {
  const names = new Map<string, string>()
  for await (const { text } of linesIn(disk, `${collection}/${namesFile}`)) {
    const line = namesLine(text)
    if (line) names.set(line.path, line.id)
  }
  return names
}

async function deletedIds(disk: Disk, collection: string): Promise<Set<string>> {
  const ids = new Set<string>()
  for await (const { text } of linesIn(disk, `${collection}/${tombstonesFile}`)) {
    const line = tombstonesLine(text)
    if (line) ids.add(line.id)
  }
  return ids
}

async function tombstones(
  { disk, index, identity }: RebuildParts,
  collection: string,
): Promise<number> {
  let count = 0
  const changes: Change[] = []
  for await (const { text } of linesIn(disk, `${collection}/${tombstonesFile}`)) {
    const line = tombstonesLine(text)
    if (!line) continue
    count++
    changes.push({ do: 'bury', stone: { collection, ...line }, now: timeValue(identity.created) })
    if (changes.length >= linesTogether) await index.commit(changes.splice(0))
  }
  if (changes.length > 0) await index.commit(changes)
  return count
}

/** In one sentence, for people. */
export const toldOf = ({ files, missing, unproven, examples }: Rebuilt): string => {
  const odd = missing + unproven
  const e = odd === 0 ? '' : `, e.g. ${examples[0]}`
  return `${files} files are listed again, ${missing} were listed and are not there, ${unproven} are there without a line and wait to be compared with other pillars${e}`
}
