import type { Disk } from '../../src/disk/disk.ts'
import type { SyncDisk } from '../../src/disk/node.ts'

/** A disk in the thread itself: for tests and programs in which a disk that hangs may stall everything. */
export function asyncDisk(disk: SyncDisk): Disk {
  return {
    mkdir: async (path) => disk.mkdir(path),
    write: async (path, offset, bytes) => disk.write(path, offset, bytes),
    read: async (path, offset, length) => disk.read(path, offset, length),
    memory: async (length) => disk.memory(length),
    readInto: async (path, offset, into) => disk.readInto(path, offset, into),
    readMedium: async (path, offset, into) => disk.readMedium(path, offset, into),
    truncate: async (path, size) => disk.truncate(path, size),
    touch: async (path, mtime) => disk.touch(path, mtime),
    sync: async (path) => disk.sync(path),
    rename: async (from, to) => disk.rename(from, to),
    syncDir: async (path) => disk.syncDir(path),
    remove: async (path) => disk.remove(path),
    rmdir: async (path) => disk.rmdir(path),
    list: async (path) => disk.list(path),
    stat: async (path) => disk.stat(path),
    free: async () => disk.free(),
    close: async () => disk.close(),
  }
}
