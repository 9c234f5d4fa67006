/** What is in files: written and read by descriptors that stay open for a while, past the system's memory where that is wanted. */
import { closeSync, constants, fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { DiskError } from './disk.ts'
import { alignment, isUnfit, openMedium } from './medium.ts'
import { openFiles } from './open-files.ts'

const { O_RDONLY, O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants

/** O_NONBLOCK so that somebody's named pipe cannot hold us up. */
export const reading = O_RDONLY | O_NOFOLLOW | O_NONBLOCK
const writing = O_RDWR | O_NOFOLLOW | O_NONBLOCK

/** The files below a root; `at` says where a path of the disk leads. */
export function contents(at: (path: string) => string) {
  const files = openFiles({
    open: (path, create) => openSync(at(path), create ? writing | O_CREAT : writing, 0o644),
    close: closeSync,
  })
  /** The same files past the system's memory; false once the file system has refused that. */
  let direct: ReturnType<typeof openFiles> | false = openFiles({
    open: (path) => openMedium(at(path), writing) ?? -1,
    close: (file) => (file < 0 ? undefined : closeSync(file)),
  })

  /** Whole blocks at the beginning of `bytes`, past the system's memory; tells how many bytes it has written. */
  function writeBlocks(path: string, offset: number, bytes: Uint8Array): number {
    const length = bytes.length - (bytes.length % alignment)
    const fits = offset % alignment === 0 && length > 0 && bytes.buffer instanceof SharedArrayBuffer
    if (!direct || !fits) return 0
    // It must be there: that it is made durable is the business of those who know it.
    files.writable(path, true)
    try {
      const file = direct.writable(path, false)
      if (file < 0) throw Object.assign(new Error('not past the memory'), { code: 'EINVAL' })
      writeAll(file, offset, bytes.subarray(0, length))
      return length
    } catch (error) {
      if (!isUnfit(error)) throw error
      direct.forgetAll()
      direct = false
      return 0
    }
  }
  return {
    known: files.known,
    writable: files.writable,
    /** The name will mean another file, or nothing. */
    forget(path: string): void {
      files.forget(path)
      if (direct) direct.forget(path)
    },
    forgetAll(): void {
      files.forgetAll()
      if (direct) direct.forgetAll()
    },
    write(path: string, offset: number, bytes: Uint8Array): void {
      const done = writeBlocks(path, offset, bytes)
      if (done < bytes.length || bytes.length === 0)
        writeAll(files.writable(path, true), offset + done, bytes.subarray(done))
    },
    read: (path: string, offset: number, length: number): Uint8Array =>
      withFile(files.known(path), at(path), reading, (file) => readSome(file, offset, length)),
    readInto: (path: string, offset: number, into: Uint8Array): number =>
      withFile(files.known(path), at(path), reading, (file) => filled(file, offset, into)),
    readMedium: (path: string, offset: number, into: Uint8Array): number =>
      fromMedium(at(path), offset, into),
  }
}

export function withFile<Result>(
  known: number | undefined,
  path: string,
  flags: number,
  use: (file: number) => Result,
): Result {
  if (known !== undefined) return use(known)
  const file = openSync(path, flags)
  try {
    return use(file)
  } finally {
    closeSync(file)
  }
}

function writeAll(file: number, offset: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) {
    const written = writeSync(file, bytes, done, bytes.length - done, offset + done)
    if (written === 0)
      throw new DiskError('EIO', 'the file system takes no more bytes and says nothing')
    done += written
  }
}

/** Into memory of its own, so that it can be handed to another thread without a copy. */
function readSome(file: number, offset: number, length: number): Uint8Array {
  const found = fstatSync(file)
  if (!found.isFile()) throw new DiskError(found.isDirectory() ? 'EISDIR' : 'EINVAL', 'no file')
  const wanted = Math.max(0, Math.min(length, found.size - offset))
  const bytes = new Uint8Array(wanted)
  let done = 0
  while (done < wanted) {
    const got = readSync(file, bytes, done, wanted - done, offset + done)
    if (got === 0) break
    done += got
  }
  return bytes.subarray(0, done)
}

/** How much of it was read: less than there is room for only at the end of the file. */
function filled(file: number, offset: number, into: Uint8Array): number {
  let done = 0
  while (done < into.length) {
    const got = readSync(file, into, done, into.length - done, offset + done)
    done += got
    // Nothing, or what is not a multiple, is the end: past the system's memory there would be no reading on.
    if (got === 0 || done % alignment !== 0) break
  }
  return done
}

/** Past the system's memory, or as it can be had. */
function fromMedium(path: string, offset: number, into: Uint8Array): number {
  const file = openMedium(path, reading)
  if (file !== undefined)
    try {
      return filled(file, offset, into)
    } catch (error) {
      if (!isUnfit(error)) throw error
    } finally {
      closeSync(file)
    }
  return withFile(undefined, path, reading, (file) => filled(file, offset, into))
}
