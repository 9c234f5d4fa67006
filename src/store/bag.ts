/**
 * The bag of a collection: manifest and tag files follow the index. They are appended to, never rewritten per file;
 * how far they are written is noted in the index, so that what a power cut left behind the note is written again.
 */
import type { Disk } from '../disk/disk.ts'
import { type Index, type StoredFile, staleBag, type Tombstone } from '../index/index.ts'
import { timeText } from '../protocol/scalars.ts'
import { dropTags } from './bag-tags.ts'
import type { Health } from './health.ts'
import { manifestFile, namesFile, timesFile, tombstonesFile } from './lists.ts'
import { isPlain } from './names.ts'

/** Length of each file up to which it agrees with the index. */
interface Mark {
  readonly sequence: number
  readonly lengths: Record<string, number>
}

export const pageFiles = 2_000

/** Lines for one file in each of the bag's lists; the forms are in DESIGN.md. */
export function linesOf(file: StoredFile): Record<string, string> {
  const path = `data/${file.path}`
  return {
    [manifestFile]: `${file.checksum}  ${path}\n`,
    [timesFile]: `${timeText(file.mtime)}  ${path}\n`,
    ...(isPlain(file.path, file.id)
      ? {}
      : { [namesFile]: `${path}\t${JSON.stringify(file.id)}\n` }),
  }
}

/** Appends what the index has beyond the mark; true when there may be more. */
export async function appendToBag(
  disk: Disk,
  index: Index,
  health: Health,
  collection: string,
): Promise<boolean> {
  const mark = await readMark(disk, index, collection)
  const page = await index.list({ collection, afterSequence: mark.sequence, limit: pageFiles })
  const last = page.files.at(-1)
  if (last === undefined) return false
  await dropTags(disk, health, collection)
  const texts = joined(page.files.map(linesOf))
  const lengths = { ...mark.lengths }
  for (const [name, text] of Object.entries(texts)) {
    const at = lengths[name] ?? 0
    const bytes = new TextEncoder().encode(text)
    lengths[name] = at + bytes.length
    await append(disk, health, `${collection}/${name}`, at, bytes)
  }
  await health.guardSync(disk.syncDir(collection))
  const value = JSON.stringify({ sequence: last.sequence, lengths })
  await health.guard(index.commit([{ do: 'fact', key: `bag ${collection}`, value }]))
  return page.partial
}

async function append(
  disk: Disk,
  health: Health,
  path: string,
  at: number,
  bytes: Uint8Array,
): Promise<void> {
  // What stands behind the mark was written by a run that ended before it could note it.
  if (((await disk.stat(path))?.size ?? 0) > at) await health.guard(disk.truncate(path, at))
  await health.guard(disk.write(path, at, bytes))
  await health.guardSync(disk.sync(path))
}

const lists = [manifestFile, timesFile, namesFile, tombstonesFile]

/**
 * Writes the lists anew when lines of theirs are about files that are gone; each takes the place of the old one whole.
 */
export async function renewBag(
  disk: Disk,
  index: Index,
  health: Health,
  collection: string,
): Promise<void> {
  if ((await index.fact(staleBag(collection))) !== 'yes') return
  await dropTags(disk, health, collection)
  const fresh = (name: string): string => `${collection}/${name}.new`
  for (const name of lists) await health.guard(disk.remove(fresh(name)))
  const lengths: Record<string, number> = {}
  const add = async (texts: Record<string, string>): Promise<void> => {
    for (const [name, text] of Object.entries(texts)) {
      const bytes = new TextEncoder().encode(text)
      await health.guard(disk.write(fresh(name), lengths[name] ?? 0, bytes))
      lengths[name] = (lengths[name] ?? 0) + bytes.length
    }
  }
  let sequence = 0
  for (let partial = true; partial; ) {
    const page = await index.list({ collection, afterSequence: sequence, limit: pageFiles })
    await add(joined(page.files.map(linesOf)))
    sequence = page.files.at(-1)?.sequence ?? sequence
    partial = page.partial
  }
  let after: { timestamp: number; id: string } | undefined
  do {
    const query = { collection, limit: pageFiles, ...(after ? { after } : {}) }
    const page = await index.tombstones(query)
    await add(joined(page.tombstones.map((stone) => ({ [tombstonesFile]: tombstoneLine(stone) }))))
    after = page.partial ? page.tombstones.at(-1) : undefined
  } while (after)
  // A bag has a manifest, also an empty one.
  if (!lengths[manifestFile]) await add({ [manifestFile]: '' })
  for (const name of lists) {
    if (lengths[name] === undefined) await health.guard(disk.remove(`${collection}/${name}`))
    else {
      await health.guardSync(disk.sync(fresh(name)))
      await health.guard(disk.rename(fresh(name), `${collection}/${name}`))
    }
  }
  await health.guardSync(disk.syncDir(collection))
  const { [tombstonesFile]: _, ...appended } = lengths
  const value = JSON.stringify({ sequence, lengths: appended })
  await health.guard(
    index.commit([
      { do: 'fact', key: `bag ${collection}`, value },
      { do: 'fact', key: staleBag(collection), value: 'no' },
    ]),
  )
}

const tombstoneLine = ({ removedAt, checksum, id }: Tombstone): string =>
  `${timeText(removedAt)}  ${checksum}  ${JSON.stringify(id)}\n`

function joined(all: readonly Record<string, string>[]): Record<string, string> {
  const texts: Record<string, string> = {}
  for (const lines of all)
    for (const [name, line] of Object.entries(lines)) texts[name] = (texts[name] ?? '') + line
  return texts
}

/** How far the lists are written; not at all when somebody took one away or cut it: then they are written anew. */
async function readMark(disk: Disk, index: Index, collection: string): Promise<Mark> {
  const none = { sequence: 0, lengths: {} }
  const text = await index.fact(`bag ${collection}`)
  if (text === undefined) return none
  const mark = JSON.parse(text) as Mark
  let whole = true
  for (const [name, length] of Object.entries(mark.lengths)) {
    const path = `${collection}/${name}`
    if (((await disk.stat(path))?.size ?? 0) >= length) continue
    // Also when it is gone already: the disk may still have the old file open.
    await disk.remove(path)
    whole = false
  }
  return whole ? mark : none
}
