/**
 * PORT: one file system, seen from the root of a volume. Paths are relative, with `/`, and never leave the
 * root. Nothing is durable before `sync` (bytes) and `syncDir` (names) have resolved.
 */
export interface Disk {
  /** Makes one folder whose parent exists; false when it was there already. */
  mkdir(path: string): Promise<boolean>
  /**
   * Memory of `length` bytes, a multiple of 4 096, that this disk fills and writes without a copy, past the system's memory
   * where it can. It stays the caller's; while a call has it, nobody else may touch it.
   */
  memory(length: number): Promise<Uint8Array>
  /**
   * Writes at `offset`, making the file if it is missing. All bytes or an error. The buffer may be taken over, unless it is
   * of `memory`.
   */
  write(path: string, offset: number, bytes: Uint8Array): Promise<void>
  /** At most `length` bytes from `offset`; fewer only at the end of the file. */
  read(path: string, offset: number, length: number): Promise<Uint8Array>
  /** As `read`, into `memory`; resolves with how many bytes it read. */
  readInto(path: string, offset: number, into: Uint8Array): Promise<number>
  /**
   * As `readInto`, but of what is on the medium, not of what memory remembers of it; as far as the file system can. Leaves
   * nothing in the system's memory. `offset` and the length of `into` are multiples of 4 096.
   */
  readMedium(path: string, offset: number, into: Uint8Array): Promise<number>
  truncate(path: string, size: number): Promise<void>
  /** Sets the modification time, milliseconds since 1970. */
  touch(path: string, mtime: number): Promise<void>
  /** Resolves only once the file's bytes and size would survive a power cut. A failure must never be retried. */
  sync(path: string): Promise<void>
  /** Replaces what is at `to`. */
  rename(from: string, to: string): Promise<void>
  /** Resolves only once the names in this folder would survive a power cut. '' is the root. */
  syncDir(path: string): Promise<void>
  /** Removes a file; removing what is absent is no error. */
  remove(path: string): Promise<void>
  /** Removes a folder if it is empty; false when it is not. Absent is no error (true). */
  rmdir(path: string): Promise<boolean>
  /** Names in a folder, sorted by code unit; an absent folder has none. */
  list(path: string): Promise<Entry[]>
  stat(path: string): Promise<Stat | undefined>
  free(): Promise<Free>
  close(): Promise<void>
}

export interface Entry {
  readonly name: string
  readonly kind: 'file' | 'folder' | 'other'
}

export interface Stat {
  readonly kind: Entry['kind']
  readonly size: number
  /** Milliseconds since 1970, rounded down; some file systems keep it to 2 s only. */
  readonly mtime: number
}

export interface Free {
  readonly bytesFree: number
  readonly bytesTotal: number
  readonly inodesFree: number
}

/** What a disk refuses with: `code` is the errno's name (ENOSPC, EIO, EROFS, ENOENT, …). */
export class DiskError extends Error {
  readonly code: string
  constructor(code: string, what: string) {
    super(`${code}: ${what}`)
    this.name = 'DiskError'
    this.code = code
  }
}

export const diskErrorCode = (error: unknown): string | undefined =>
  error instanceof DiskError ? error.code : undefined
