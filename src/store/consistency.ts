/** What the index, the manifests and the files of a volume say differently; nothing is changed. */
import type { Disk } from '../disk/disk.ts'
import type { Index } from '../index/index.ts'
import { rowsOf, strangersIn } from './bag-check.ts'
import { linesIn, manifestFile, manifestLine } from './lists.ts'
import { bagsOn } from './rebuild.ts'

export interface Consistency {
  readonly collection: string
  readonly rows: number
  readonly lines: number
  readonly linesWithoutRow: number
  readonly rowsWithoutLine: number
  /** Of one file, row and line name different checksums. */
  readonly differing: number
  readonly rowsWithoutPayload: number
  readonly payloadsWithoutRow: number
}

export async function* consistency(disk: Disk, index: Index): AsyncGenerator<Consistency> {
  const known = (await index.summary()).map(({ collection }) => collection)
  for (const collection of new Set([...known, ...(await bagsOn(disk))]))
    yield { collection, ...(await compared(disk, index, collection)) }
}

async function compared(
  disk: Disk,
  index: Index,
  collection: string,
): Promise<Omit<Consistency, 'collection'>> {
  const lines = new Map<string, string>()
  for await (const { text } of linesIn(disk, `${collection}/${manifestFile}`)) {
    const line = manifestLine(text)
    if (line) lines.set(line.path, line.checksum)
  }
  let [rows, rowsWithoutLine, differing, rowsWithoutPayload] = [0, 0, 0, 0]
  for await (const { path, checksum } of rowsOf(index, collection)) {
    rows++
    const said = lines.get(path)
    if (said === undefined) rowsWithoutLine++
    else if (said !== checksum) differing++
    if (!(await disk.stat(`${collection}/data/${path}`))) rowsWithoutPayload++
  }
  return {
    ...{ rows, lines: lines.size, rowsWithoutLine, differing, rowsWithoutPayload },
    linesWithoutRow: lines.size - (rows - rowsWithoutLine),
    payloadsWithoutRow: (await strangersIn(disk, index, collection)).length,
  }
}

/** Whether all say the same. */
export const isConsistent = (one: Consistency): boolean =>
  one.linesWithoutRow +
    one.rowsWithoutLine +
    one.differing +
    one.rowsWithoutPayload +
    one.payloadsWithoutRow ===
  0
