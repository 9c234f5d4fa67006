/**
 * The bag of a collection: manifest and tag files follow the index. They are appended to, never rewritten per file;
 * how far they are written is noted in the index, so that what a power cut left behind the note is written again.
 */
import type { Disk } from '../disk/disk.ts'
import type { Index, StoredFile } from '../index/index.ts'
import { timeText } from '../protocol/scalars.ts'
import type { World } from '../world/world.ts'
import type { Health } from './health.ts'
import { writeWhole } from './identity.ts'
import { isPlain } from './names.ts'

/** Length of each file up to which it agrees with the index. */
interface Mark {
  readonly sequence: number
  readonly lengths: Record<string, number>
}

const pageFiles = 2_000

/** Lines for one file in each of the bag's lists; the forms are in DESIGN.md. */
export function linesOf(file: StoredFile): Record<string, string> {
  const path = `data/${file.path}`
  return {
    'manifest-sha256.txt': `${file.checksum}  ${path}\n`,
    'mtimes.txt': `${timeText(file.mtime)}  ${path}\n`,
    ...(isPlain(file.path, file.id)
      ? {}
      : { 'names.txt': `${path}\t${JSON.stringify(file.id)}\n` }),
  }
}

export const bagDeclaration = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'

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
  const texts: Record<string, string> = {}
  for (const file of page.files)
    for (const [name, line] of Object.entries(linesOf(file)))
      texts[name] = (texts[name] ?? '') + line
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

/** Says how much there is and when; only when something changed, since each line costs two writes of the disk. */
export async function describeBag(
  world: World,
  disk: Disk,
  index: Index,
  health: Health,
  collection: string,
): Promise<void> {
  const summary = (await index.summary()).find((one) => one.collection === collection)
  if (!summary) return
  const oxum = `${summary.bytes}.${summary.files}`
  if ((await index.fact(`oxum ${collection}`)) === oxum) return
  await writeWhole(disk, `${collection}/bagit.txt`, bagDeclaration, health)
  const date = timeText(world.clock.now()).slice(0, 10)
  await writeWhole(
    disk,
    `${collection}/bag-info.txt`,
    `Bag-Software-Agent: Colonnade\nBagging-Date: ${date}\nPayload-Oxum: ${oxum}\n`,
    health,
  )
  await health.guard(index.commit([{ do: 'fact', key: `oxum ${collection}`, value: oxum }]))
}
