/**
 * The durability recipe, once: the bytes are synced, then renamed to their names, then the folders are synced, then
 * one commit says so. Files that are ready at the same time share the expensive steps.
 */
import { dirname } from 'node:path'
import type { Disk } from '../disk/disk.ts'
import type { Change, Index } from '../index/index.ts'

export interface Ready {
  readonly partial: string
  /** Below the volume's root; its parents are made as needed. */
  readonly final: string
  readonly mtime: number
  /** Asked just before the commit, so that it may tell of what happened until then. */
  changes(): Change[]
}

export interface GroupCommit {
  /** Resolves only once the file would survive a power cut under its name, and the index says so. */
  store(ready: Ready): Promise<void>
  /** Commits without a file, in the same queue. */
  commit(changes: readonly Change[]): Promise<void>
}

interface Waiting {
  readonly ready: Ready | { changes(): Change[] }
  done(): void
  failed(error: unknown): void
}

const groupFilesMax = 64

export function groupCommit(
  disk: Disk,
  index: Index,
  onFailure: (error: unknown) => void,
): GroupCommit {
  const waiting: Waiting[] = []
  const folders = folderMaker(disk)
  let running = false

  async function settle(group: readonly Waiting[]): Promise<void> {
    const files = group.flatMap(({ ready }) => ('partial' in ready ? [ready] : []))
    for (const file of files) {
      await disk.touch(file.partial, file.mtime)
      await disk.sync(file.partial)
    }
    const parents = new Set<string>()
    for (const file of files) {
      parents.add(await folders.ensure(dirname(file.final)))
      await disk.rename(file.partial, file.final)
    }
    // Else a power cut may forget the new names after the index has told of them.
    for (const parent of parents) await disk.syncDir(parent)
    await index.commit(group.flatMap(({ ready }) => ready.changes()))
  }

  async function run(): Promise<void> {
    running = true
    while (waiting.length > 0) {
      const group = waiting.splice(0, groupFilesMax)
      try {
        await settle(group)
        for (const one of group) one.done()
      } catch (error) {
        onFailure(error)
        for (const one of group) one.failed(error)
      }
    }
    running = false
  }

  const enter = (ready: Waiting['ready']): Promise<void> =>
    new Promise((done, failed) => {
      waiting.push({ ready, done, failed })
      if (!running) void run()
    })
  return { store: enter, commit: (changes) => enter({ changes: () => [...changes] }) }
}

/** Makes folders with all their parents, durably, and remembers those it made. */
export function folderMaker(disk: Disk) {
  const known = new Set(['', '.'])
  async function ensure(path: string): Promise<string> {
    if (known.has(path)) return path
    const parent = await ensure(dirname(path))
    // A folder found there may have been made just before a power cut: its name is synced all the same.
    await disk.mkdir(path)
    await disk.syncDir(parent === '.' ? '' : parent)
    known.add(path)
    return path
  }
  return { ensure, forget: (path: string) => known.delete(path) }
}
