/**
 * The medium itself: O_DIRECT goes past the system's memory, which costs a copy when it is written to, and proves nothing when
 * it is read. It wants memory that begins at a multiple of 4 096; JavaScript can not ask where its memory begins, so it is
 * found by trying.
 */
import { closeSync, constants, openSync, writeSync } from 'node:fs'

const { O_DIRECT, O_DIRECTORY, O_RDWR } = constants
/** A file without a name, gone when it is closed. Of Linux, beside O_DIRECTORY; Node.js does not name it. */
const O_TMPFILE = 0o20000000 | O_DIRECTORY
export const alignment = 4096

/**
 * Memory that two threads see, so that it is never copied between them. It begins where the file system of this folder takes
 * it past the system's memory; anywhere where that is not done.
 */
export function mediumMemory(folder: string, length: number): Uint8Array {
  const shared = new SharedArrayBuffer(length + alignment)
  const bytes = (begin: number): Uint8Array => new Uint8Array(shared, begin, length)
  const file = scratch(folder)
  if (file === undefined) return bytes(0)
  try {
    for (const begin of begins()) if (fits(file, bytes(begin))) return bytes(begin)
    return bytes(0)
  } finally {
    closeSync(file)
  }
}

/** Undefined where there is none: no such file system, or no right to it. */
function scratch(folder: string): number | undefined {
  try {
    return openSync(folder, O_TMPFILE | O_RDWR | O_DIRECT, 0o600)
  } catch {
    return undefined
  }
}

function fits(file: number, bytes: Uint8Array): boolean {
  try {
    return writeSync(file, bytes, 0, alignment, 0) === alignment
  } catch {
    return false
  }
}

/** The place that fitted most often, and then all that there are. */
function* begins(): Generator<number> {
  yield 4080
  for (let begin = 0; begin < alignment; begin += 16) yield begin
}

/** The path by a file that goes past the system's memory; undefined where the file system does not do it. */
export function openMedium(path: string, flags: number): number | undefined {
  try {
    return openSync(path, flags | O_DIRECT)
  } catch (error) {
    if (isUnfit(error)) return undefined
    throw error
  }
}

/** It does not take this memory, this length, or the way at all. */
export const isUnfit = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'EINVAL'
