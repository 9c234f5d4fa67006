/** Whether the lists of a bag say what the index says, and what stands among the files that nobody knows. */
import type { Disk } from '../disk/disk.ts'
import { type Index, type StoredFile, staleBag } from '../index/index.ts'
import type { World } from '../world/world.ts'
import { linesOf, pageFiles } from './bag.ts'
import { alteredTags } from './bag-tags.ts'
import { linesIn, manifestFile, namesFile, timesFile } from './lists.ts'

/** Enough to see what happened; beyond it the lists are written anew all the same. */
const differingMax = 1_000

/** Files of which a list says something else than the index, and the lists that were altered. */
export interface Difference {
  readonly files: StoredFile[]
  readonly lists: string[]
}

/**
 * Reads all rows of a collection (an altered one tells of itself), and the lists beside them, as far as they are written.
 * Nothing may be written to the lists meanwhile.
 */
export async function difference(
  world: World,
  disk: Disk,
  index: Index,
  collection: string,
): Promise<Difference> {
  const files: StoredFile[] = []
  const mark = JSON.parse((await index.fact(`bag ${collection}`)) ?? '{"sequence":0}')
  const lists = [manifestFile, timesFile, namesFile].map((name) => ({
    name,
    lines: linesIn(disk, `${collection}/${name}`),
  }))
  const altered = new Set(await alteredTags(world, disk, collection))
  for await (const file of rowsOf(index, collection)) {
    if (file.sequence > mark.sequence) continue
    const texts = linesOf(file)
    for (const { name, lines } of lists) {
      const expected = texts[name]
      if (expected === undefined) continue
      const { value } = await lines.next()
      if (`${value?.text}\n` === expected) continue
      altered.add(name)
      if (name === manifestFile && files.length < differingMax) files.push(file)
    }
  }
  for (const { lines } of lists) await lines.return(undefined)
  // Something was deleted meanwhile: then they are written anew in any case.
  const isStale = (await index.fact(staleBag(collection))) === 'yes'
  return isStale ? { files: [], lists: [] } : { files, lists: [...altered].sort() }
}

/** All rows of a collection, in the order of their changes. */
export async function* rowsOf(index: Index, collection: string): AsyncGenerator<StoredFile> {
  let sequence = 0
  for (let partial = true; partial; ) {
    const page = await index.list({ collection, afterSequence: sequence, limit: pageFiles })
    yield* page.files
    sequence = page.files.at(-1)?.sequence ?? sequence
    partial = page.partial
  }
}

/** So many are looked up together. */
const together = 1_000

/** What stands below `data/` without a row: put there by hand, or of an index that is lost. */
export async function strangersIn(disk: Disk, index: Index, collection: string): Promise<string[]> {
  const found: string[] = []
  let paths: string[] = []
  const ask = async (): Promise<void> => {
    found.push(...(await index.strangers(collection, paths)))
    paths = []
  }
  const folders = ['']
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const at = folder === '' ? `${collection}/data` : `${collection}/data/${folder}`
    for (const { name, kind } of await disk.list(at)) {
      const path = folder === '' ? name : `${folder}/${name}`
      if (kind === 'folder') folders.push(path)
      else paths.push(path)
      if (paths.length >= together) await ask()
    }
  }
  await ask()
  // What was moved while we looked is none.
  const again = await index.strangers(collection, found)
  const still: string[] = []
  for (const path of again) if (await disk.stat(`${collection}/data/${path}`)) still.push(path)
  return still
}
