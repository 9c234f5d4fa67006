/**
 * Reading the medium itself: O_DIRECT goes past the system's memory, which remembers what was written and proves nothing.
 * It wants memory that begins at a multiple of 4 096; JavaScript can not ask where its memory begins, so it is found by trying.
 */
import { Buffer } from 'node:buffer'
import { closeSync, constants, openSync, readSync } from 'node:fs'

const { O_DIRECT } = constants
const alignment = 4096

export type ReadMedium = (
  file: number,
  path: string,
  flags: number,
  offset: number,
  length: number,
) => Uint8Array

/** One reader for a thread: its memory is used again with each call, what it returns is the caller's. */
export function mediumReader(): ReadMedium {
  let memory: { readonly raw: Buffer; readonly begin: number } | undefined

  /** Memory of this length into which this file can be read; undefined where the file system can not do it. */
  function fitting(direct: number, length: number): Buffer | undefined {
    if (memory && memory.raw.length >= length + 2 * alignment)
      return memory.raw.subarray(memory.begin, memory.begin + length)
    const raw = Buffer.allocUnsafeSlow(length + 2 * alignment)
    for (const begin of begins()) {
      try {
        readSync(direct, raw, begin, alignment, 0)
        memory = { raw, begin }
        return raw.subarray(begin, begin + length)
      } catch (error) {
        if (!isUnfit(error)) throw error
      }
    }
    return undefined
  }
  return (file, path, flags, offset, length) => {
    const direct = opened(path, flags)
    try {
      const into = direct === undefined ? undefined : fitting(direct, length)
      if (direct !== undefined && into) return filled(direct, into, offset)
    } catch (error) {
      if (!isUnfit(error)) throw error
    } finally {
      if (direct !== undefined) closeSync(direct)
    }
    return filled(file, Buffer.allocUnsafeSlow(length), offset)
  }
}

/** The place that fitted most often, and then all that there are. */
function* begins(): Generator<number> {
  yield 4080
  for (let begin = 0; begin < alignment; begin += 8) yield begin
}

/** Not every file system takes it; undefined then. */
function opened(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags | O_DIRECT)
  } catch (error) {
    if (isUnfit(error)) return undefined
    throw error
  }
}

const isUnfit = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EINVAL'

/** A copy of what was read: less than asked for only at the end of the file. */
function filled(file: number, into: Buffer, offset: number): Uint8Array {
  let done = 0
  while (done < into.length) {
    const got = readSync(file, into, done, into.length - done, offset + done)
    done += got
    // What is not a multiple is the end of the file: reading on would not be aligned.
    if (got === 0 || done % alignment !== 0) break
  }
  return new Uint8Array(into.subarray(0, done))
}
