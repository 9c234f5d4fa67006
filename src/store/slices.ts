/** The bytes of a file in order, read ahead by one piece: the disk reads the next while this one is used. */
import type { Disk } from '../disk/disk.ts'
import { pagesOf } from './pages.ts'

export interface Slicing {
  readonly path: string
  readonly from: number
  readonly to: number
  /** Past the system's memory; `from` is a multiple of 4 096 then. */
  readonly medium?: boolean
  /** Done before each piece is read. */
  check?(): Promise<void>
}

/** So little is read at once, and needs no page. */
const smallBytesMax = 64 * 1024

/** A piece is overwritten once the next one is asked for. Ends early where the file does. */
export async function* slices(
  disk: Disk,
  { path, from, to, medium = false, check }: Slicing,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (from >= to) return
  if (!medium && to - from <= smallBytesMax) {
    await check?.()
    const bytes = await disk.read(path, from, to - from)
    if (bytes.length > 0) yield bytes
    return
  }
  const page = await pagesOf(disk).take()
  const half = page.bytes.length / 2
  const halves = [page.bytes.subarray(0, half), page.bytes.subarray(half)]
  async function piece(at: number, turn: number): Promise<Uint8Array> {
    const whole = halves[turn % 2] as Uint8Array
    await check?.()
    // The medium is read by whole blocks, whatever is wanted of the last.
    const into = medium ? whole : whole.subarray(0, Math.min(half, to - at))
    const read = medium ? disk.readMedium : disk.readInto
    return into.subarray(0, Math.min(await read(path, at, into), to - at))
  }
  let ahead = piece(from, 0)
  try {
    for (let at = from, turn = 1; at < to; turn++) {
      const bytes = await ahead
      if (bytes.length === 0) return
      at += bytes.length
      if (at < to) ahead = piece(at, turn)
      // Awaited in its turn; who leaves before does not want to know.
      ahead.catch(() => undefined)
      yield bytes
    }
  } finally {
    // The disk may still be writing into it.
    await ahead.catch(() => undefined)
    page.giveBack()
  }
}
