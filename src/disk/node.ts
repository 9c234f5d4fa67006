import {
  closeSync,
  constants,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statfsSync,
  statSync,
  unlinkSync,
} from 'node:fs'
import type { Synchronous } from '../world/synchronous.ts'
import { contents, reading, withFile } from './contents.ts'
import { type Disk, DiskError, type Entry } from './disk.ts'
import { mediumMemory } from './medium.ts'

/** A disk as the volume's own thread sees it. */
export type SyncDisk = Synchronous<Disk>

export interface NodeDisk extends SyncDisk {
  /** True while the plain path still leads to the folder that was opened; false after an unmount. */
  atRoot(): boolean
}

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants

/**
 * The file system below a folder that exists. The folder is opened once and every path goes through its
 * descriptor: after a lazy unmount or a stick pulled out, a plain path would reach the disk below it.
 */
export function nodeDisk(root: string): NodeDisk {
  const folder = tried('open', root, () => openSync(root, O_RDONLY | O_DIRECTORY))
  const base = existsSync(`/proc/self/fd/${folder}/.`) ? `/proc/self/fd/${folder}` : root
  let closed = false
  /** The number of a closed descriptor soon means something else. */
  const below = (path: string): string => {
    if (closed) throw new DiskError('EBADF', 'the disk is closed')
    return `${base}/${path}`
  }
  const at = (path: string): string => below(checkedPath(path))
  const atFolder = (path: string): string => (path === '' ? below('.') : at(path))
  const files = contents(at)
  const disk: NodeDisk = {
    mkdir: (path) => tried('mkdir', path, () => made(at(path))),
    memory: (length) => mediumMemory(below('.'), length),
    write: (path, offset, bytes) => tried('write', path, () => files.write(path, offset, bytes)),
    read: (path, offset, length) => tried('read', path, () => files.read(path, offset, length)),
    readInto: (path, offset, into) => tried('read', path, () => files.readInto(path, offset, into)),
    readMedium: (path, offset, into) =>
      tried('read', path, () => files.readMedium(path, offset, into)),
    truncate(path, size) {
      tried('truncate', path, () => ftruncateSync(files.writable(path, false), size))
    },
    touch(path, mtime) {
      tried('touch', path, () =>
        withFile(files.known(path), at(path), reading, (file) => {
          // Half a microsecond more: seconds as a double fall short of some milliseconds.
          // As a text, because Node.js takes a negative number for "now".
          const seconds = String((mtime + 0.0005) / 1000)
          futimesSync(file, seconds, seconds)
        }),
      )
    },
    sync(path) {
      tried('sync', path, () => withFile(files.known(path), at(path), reading, fdatasyncSync))
    },
    rename(from, to) {
      files.forget(from)
      files.forget(to)
      tried('rename', from, () => renameSync(at(from), at(to)))
    },
    syncDir(path) {
      const how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW
      tried('syncDir', path, () => withFile(undefined, atFolder(path), how, fsyncSync))
    },
    remove(path) {
      files.forget(path)
      tried('remove', path, () => unlessCode(['ENOENT'], undefined, () => unlinkSync(at(path))))
    },
    rmdir: (path) => tried('rmdir', path, () => removedFolder(at(path))),
    list: (path) => tried('list', path, () => entries(atFolder(path))),
    stat: (path) =>
      tried('stat', path, () =>
        unlessCode(['ENOENT', 'ENOTDIR'], undefined, () => statOf(atFolder(path))),
      ),
    free: () => tried('free', '', () => freeOf(below('.'))),
    close() {
      files.forgetAll()
      if (!closed) closeSync(folder)
      closed = true
    },
    atRoot() {
      const [opened, now] = [fstatSync(folder), statSync(root, { throwIfNoEntry: false })]
      return now !== undefined && now.dev === opened.dev && now.ino === opened.ino
    },
  }
  return disk
}

/** Refuses what would lead out of the volume, or mean two names for one file. */
function checkedPath(path: string): string {
  const names = path.split('/')
  if (names.some((name) => name === '' || name === '.' || name === '..') || path.includes('\0')) {
    throw new DiskError('EINVAL', `no path inside the volume: ${JSON.stringify(path)}`)
  }
  return path
}

/** Runs a call of the system; what it fails with becomes a DiskError that says what was tried. */
function tried<Result>(what: string, path: string, call: () => Result): Result {
  try {
    return call()
  } catch (error) {
    const code = codeOf(error)
    throw code === undefined ? error : new DiskError(code, `${what} ${path}`)
  }
}

/** The errno's name of a failed system call; undefined for everything else, our own refusals included. */
const codeOf = (error: unknown): string | undefined =>
  error instanceof Error && 'syscall' in error && 'code' in error ? String(error.code) : undefined

/** What the call gives, or `instead` when it fails with one of these codes. */
function unlessCode<Result, Instead>(
  codes: readonly string[],
  instead: Instead,
  call: () => Result,
): Result | Instead {
  try {
    return call()
  } catch (error) {
    if (codes.includes(codeOf(error) ?? '')) return instead
    throw error
  }
}

function made(path: string): boolean {
  const isNew = unlessCode(['EEXIST'], undefined, () => {
    mkdirSync(path)
    return true
  })
  if (isNew) return true
  if (lstatSync(path).isDirectory()) return false
  throw new DiskError('ENOTDIR', `a file is in the place of the folder ${path}`)
}

function removedFolder(path: string): boolean {
  return unlessCode(['ENOTEMPTY', 'EEXIST'], false, () =>
    unlessCode(['ENOENT'], true, () => {
      rmdirSync(path)
      return true
    }),
  )
}

function entries(path: string): Entry[] {
  const found = unlessCode(['ENOENT'], [], () => readdirSync(path, { withFileTypes: true }))
  return found
    .map((entry) => ({ name: entry.name, kind: kindOf(entry) }))
    .sort((a, b) => (a.name < b.name ? -1 : 1))
}

function statOf(path: string) {
  const found = lstatSync(path, { bigint: true })
  // BigInt division cuts towards zero, also before 1970; the floor is what the port promises.
  const mtime = Number(found.mtimeNs / 1000n) / 1000
  return { kind: kindOf(found), size: Number(found.size), mtime: Math.floor(mtime) }
}

interface Typed {
  isFile(): boolean
  isDirectory(): boolean
}

function kindOf(entry: Typed): Entry['kind'] {
  if (entry.isFile()) return 'file'
  return entry.isDirectory() ? 'folder' : 'other'
}

/** File systems without a table of inodes (btrfs, exFAT) say 0 of 0: they never run out of them. */
function freeOf(path: string) {
  const { bsize, bavail, blocks, files, ffree } = statfsSync(path)
  const inodesFree = files === 0 ? Number.MAX_SAFE_INTEGER : ffree
  return { bytesFree: bavail * bsize, bytesTotal: blocks * bsize, inodesFree }
}
