import { DiskError, type Entry, type Free, type Stat } from '../disk/disk.ts'
import { type Chooser, type SimFile, type Step, simFile } from './file.ts'
import { type Names, type SimFolder, type SimNode, simFolder, simNames } from './names.ts'

/** Plenty: a simulated disk does not run out of inodes by itself. */
const inodes = 1_000_000

/** The files and folders of a simulated disk, with the refusals of a Linux file system. Paths as on the port. */
export function simTree(capacity: number, now: () => number) {
  const names = simNames()
  const space: Space = { capacity, used: 0 }
  const walk = walker(names.root)
  return {
    ...byteCalls(names, walk, space, now),
    ...nameCalls(names, walk, space),
    ...queries(walk, space),
    /** A sync that failed: the kernel takes the bytes for written, and they are not. */
    giveUp(path: string): void {
      const node = walk.find(path)
      if (node?.kind === 'file') node.giveUp()
    },
    rot: (path: string, offset: number): void => walk.file(path).rot(offset),
    crash(choose: Chooser): void {
      names.crash(choose)
      space.used = [...snapshotOf(names.root).values()].reduce((sum, { length }) => sum + length, 0)
    },
    snapshot: (): Map<string, Uint8Array> => snapshotOf(names.root),
    foresee(choose: Chooser): string[] {
      const copy = names.copy()
      copy.crash(choose)
      return [...fingerprint(copy.root)]
    },
  }
}

/** In bytes; names take none. */
interface Space {
  readonly capacity: number
  used: number
}

type Walker = ReturnType<typeof walker>

function byteCalls(names: Names, walk: Walker, space: Space, now: () => number) {
  const change = (file: SimFile, size: number, step: Step): void => {
    space.used += size - file.size()
    file.change(step)
    file.change({ do: 'touch', mtime: now() })
  }
  const created = (folder: SimFolder, name: string): SimFile => {
    const file = simFile(now())
    names.set(folder, name, file)
    return file
  }
  return {
    /** A disk that gets full in the middle has taken what fitted. */
    write(path: string, offset: number, bytes: Uint8Array): void {
      const { folder, name, node } = walk.place(path)
      if (node?.kind === 'folder') throw new DiskError('EISDIR', `write ${path}`)
      const file = node ?? created(folder, name)
      if (bytes.length === 0) return
      const room = file.size() + space.capacity - space.used
      const fitting = bytes.subarray(0, Math.max(0, room - offset))
      const size = Math.max(file.size(), offset + fitting.length)
      if (fitting.length > 0) change(file, size, { do: 'write', offset, bytes: fitting })
      if (fitting.length < bytes.length) throw new DiskError('ENOSPC', `write ${path}`)
    },
    read: (path: string, offset: number, length: number): Uint8Array =>
      walk.file(path).read(offset, length),
    truncate(path: string, size: number): void {
      const file = walk.file(path)
      const room = file.size() + space.capacity - space.used
      if (size > room) throw new DiskError('ENOSPC', `truncate ${path}`)
      change(file, size, { do: 'truncate', size })
    },
    touch(path: string, mtime: number): void {
      const node = walk.node(path)
      if (node.kind === 'folder') node.mtime = mtime
      else node.change({ do: 'touch', mtime })
    },
    sync: (path: string): void => walk.file(path).sync(),
  }
}

function nameCalls(names: Names, walk: Walker, space: Space) {
  return {
    mkdir(path: string): boolean {
      const { folder, name, node } = walk.place(path)
      if (node?.kind === 'folder') return false
      if (node) throw new DiskError('ENOTDIR', `mkdir ${path}`)
      names.set(folder, name, simFolder())
      return true
    },
    rename(path: string, newPath: string): void {
      const from = walk.place(path)
      const to = walk.place(newPath)
      const { node } = from
      if (node === undefined) throw new DiskError('ENOENT', `rename ${path}`)
      if (newPath.startsWith(`${path}/`)) throw new DiskError('EINVAL', `rename ${path}`)
      if (path.startsWith(`${newPath}/`)) throw new DiskError('ENOTEMPTY', `rename ${path}`)
      if (to.node === node) return
      const refusal = replacing(node, to.node)
      if (refusal) throw new DiskError(refusal, `rename ${path}`)
      if (to.node?.kind === 'folder') names.remove(to.folder, to.name, to.node)
      if (to.node?.kind === 'file') space.used -= to.node.size()
      names.move(from.folder, from.name, to.folder, to.name, node)
    },
    syncDir: (path: string): void => names.sync(walk.folder(path)),
    remove(path: string): void {
      const { folder, name, node } = walk.place(path, 'remove')
      if (node === undefined) return
      if (node.kind === 'folder') throw new DiskError('EISDIR', `remove ${path}`)
      space.used -= node.size()
      names.remove(folder, name, node)
    },
    rmdir(path: string): boolean {
      const { folder, name, node } = walk.place(path, 'remove')
      if (node === undefined) return true
      if (node.kind === 'file') throw new DiskError('ENOTDIR', `rmdir ${path}`)
      if (node.seen.size > 0) return false
      names.remove(folder, name, node)
      return true
    },
  }
}

function queries(walk: Walker, space: Space) {
  return {
    list(path: string): Entry[] {
      const node = walk.find(path)
      if (node === undefined) return []
      if (node.kind === 'file') throw new DiskError('ENOTDIR', `list ${path}`)
      return [...node.seen]
        .map(([name, { kind }]) => ({ name, kind }))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    stat(path: string): Stat | undefined {
      const node = walk.find(path, 'stat')
      if (node === undefined) return undefined
      if (node.kind === 'folder') return { kind: 'folder', size: 0, mtime: node.mtime }
      return { kind: 'file', size: node.size(), mtime: Math.floor(node.mtime()) }
    },
    free: (): Free => ({
      bytesFree: Math.max(0, space.capacity - space.used),
      bytesTotal: space.capacity,
      inodesFree: inodes,
    }),
  }
}

/** Why a node may not take the place of another; undefined when it may. */
function replacing(node: SimNode, old: SimNode | undefined): string | undefined {
  if (old === undefined) return undefined
  if (old.kind === 'file') return node.kind === 'folder' ? 'ENOTDIR' : undefined
  if (node.kind === 'file') return 'EISDIR'
  return old.seen.size > 0 ? 'ENOTEMPTY' : undefined
}

/** Where a name is, or would be. */
interface Place {
  readonly folder: SimFolder
  readonly name: string
  readonly node: SimNode | undefined
}

function walker(root: SimFolder) {
  const namesOf = (path: string): string[] => {
    const names = path.split('/')
    if (names.some((name) => name === '' || name === '.' || name === '..') || path.includes('\0')) {
      throw new DiskError('EINVAL', `no path inside the volume: ${JSON.stringify(path)}`)
    }
    return names
  }
  /** The node, or the code of what is in the way. */
  const follow = (names: readonly string[]): SimNode | 'ENOENT' | 'ENOTDIR' => {
    let node: SimNode = root
    for (const name of names) {
      if (node.kind === 'file') return 'ENOTDIR'
      const next = node.seen.get(name)
      if (next === undefined) return 'ENOENT'
      node = next
    }
    return node
  }
  const find = (path: string, lenient?: 'stat'): SimNode | undefined => {
    const found = path === '' ? root : follow(namesOf(path))
    if (found === 'ENOENT' || (found === 'ENOTDIR' && lenient)) return undefined
    if (found === 'ENOTDIR') throw new DiskError(found, path)
    return found
  }
  const existing = (path: string): SimNode => {
    const node = find(path)
    if (node === undefined) throw new DiskError('ENOENT', path)
    return node
  }
  return {
    find,
    node(path: string): SimNode {
      namesOf(path)
      return existing(path)
    },
    file(path: string): SimFile {
      namesOf(path)
      const node = existing(path)
      if (node.kind === 'folder') throw new DiskError('EISDIR', path)
      return node
    },
    folder(path: string): SimFolder {
      const node = existing(path)
      if (node.kind === 'file') throw new DiskError('ENOTDIR', path)
      return node
    },
    /** For removals an absent parent is as good as an absent name. */
    place(path: string, why?: 'remove'): Place {
      const names = namesOf(path)
      const parent = follow(names.slice(0, -1))
      const name = names.at(-1) ?? ''
      if (parent === 'ENOENT' && why) return { folder: root, name, node: undefined }
      if (parent === 'ENOENT') throw new DiskError(parent, path)
      if (parent === 'ENOTDIR' || parent.kind === 'file') throw new DiskError('ENOTDIR', path)
      return { folder: parent, name, node: parent.seen.get(name) }
    },
  }
}

/** All that a program can see of it, times included. */
function* fingerprint(folder: SimFolder, path = ''): Generator<string> {
  for (const [name, node] of [...folder.seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const at = `${path}${name}`
    if (node.kind === 'folder') {
      yield `${at}/ ${node.mtime}`
      yield* fingerprint(node, `${at}/`)
    } else
      yield `${at} ${node.mtime()} ${Buffer.from(node.read(0, node.size())).toString('latin1')}`
  }
}

function snapshotOf(folder: SimFolder, path = ''): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>()
  for (const [name, node] of [...folder.seen].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (node.kind === 'file') found.set(`${path}${name}`, node.read(0, node.size()))
    else {
      found.set(`${path}${name}/`, new Uint8Array(0))
      for (const [below, bytes] of snapshotOf(node, `${path}${name}/`)) found.set(below, bytes)
    }
  }
  return found
}
