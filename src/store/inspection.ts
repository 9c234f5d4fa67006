/** The books against each other and against the disk: the index, the lists of the bags, what stands below `data/`. */
import type { StoredFile } from '../index/index.ts'
import { digestOf } from '../world/world.ts'
import { difference, strangersIn } from './bag-check.ts'
import type { BagKeeper } from './bag-keeper.ts'
import type { MendingParts, mending } from './mending.ts'

export interface InspectionParts extends MendingParts {
  readonly bag: BagKeeper
  readonly mend: ReturnType<typeof mending>
  alone<T>(step: () => Promise<T>): Promise<T>
}

/** Mends what it can, and tells; resolves with files whose bytes should be read. */
export async function inspect(parts: InspectionParts): Promise<StoredFile[]> {
  const { index, news, bag, world } = parts
  const wrong = await index.inspect()
  if (wrong !== undefined) {
    world.log.warn('index.mended', { wrong })
    news.tell({ code: 'INTEGRITY_ISSUE', text: `the index was put right by its rows: ${wrong}` })
  }
  const suspects: StoredFile[] = []
  for (const { collection } of await index.summary()) {
    suspects.push(...(await lists(parts, collection)))
    await strangers(parts, collection)
  }
  await bag.flush()
  return suspects
}

/** What differs is decided file by file by its bytes, and then the lists are written anew from the index. */
async function lists(parts: InspectionParts, collection: string): Promise<StoredFile[]> {
  const { world, disk, index, bag, mend, alone } = parts
  const found = await bag.still(() => difference(world, disk, index, collection))
  if (found.lists.length === 0) return []
  for (const file of found.files) await alone(() => mend.contradicted(file, self))
  const how = `${found.lists.join(', ')} differed from the index, and were written anew from it`
  await alone(() => mend.lists(collection, how))
  return found.files
}

const self = { actor: 'inspection', conversation: '' }

/** Told once: they are left alone, and never served. */
async function strangers(
  { world, disk, index, health, news }: InspectionParts,
  collection: string,
): Promise<void> {
  const found = await strangersIn(disk, index, collection)
  const key = `strangers ${collection}`
  const value = found.length === 0 ? '' : digestOf(world, found.sort().join('\n'))
  if (((await index.fact(key)) ?? '') === value) return
  await health.guard(index.commit([{ do: 'fact', key, value }]))
  const [first] = found
  if (first === undefined) return
  const count = found.length === 1 ? 'a file' : `${found.length} files`
  const text = `${collection}: ${count} below data/ that nobody has put by the archive, left alone and never served: ${first}`
  world.log.warn('volume.strangers', { collection, files: found.length, first })
  news.tell({ code: 'INTEGRITY_ISSUE', text, collection })
}
