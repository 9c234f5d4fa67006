/**
 * The durability recipe, once: the bytes are synced, then renamed to their names, then the folders are synced, then
 * one commit says so. Files that are ready at the same time share the expensive steps.
 */
import { dirname } from 'node:path'
import { type Disk, diskErrorCode } from '../disk/disk.ts'
import type { Change, Index } from '../index/index.ts'
import { type Health, isPassing } from './health.ts'

export interface Ready {
  readonly partial: string
  readonly mtime: number
  /** Where it may stand, its own place first; another only when something that is not ours is in the way. */
  readonly places: readonly Place[]
}

export interface Place {
  /** Below the volume's root; its parents are made as needed. */
  readonly final: string
  /** Committed before it is moved to a place that is not its own, so that a start after a power cut looks there. */
  readonly moving: Change
  /** Asked just before the commit, so that it may tell of what happened until then. */
  changes(): Change[]
}

export interface GroupCommit {
  /** Resolves only once the file would survive a power cut under its name, and the index says so. */
  store(ready: Ready): Promise<void>
  /** Commits without a file, in the same queue. */
  commit(changes: readonly Change[]): Promise<void>
  /**
   * Runs work that may count on what the index says: nothing is committed here until it has ended. It commits by
   * itself, and must not wait for this queue.
   */
  alone<T>(work: () => Promise<T>): Promise<T>
  /** Resolves when nothing waits any more. */
  idle(): Promise<void>
}

interface Task {
  /** Never rejects. */
  task(): Promise<void>
}

interface Member {
  /** None for a commit without a file. */
  readonly ready?: Ready
  changes(): Change[]
  done(): void
  failed(error: unknown): void
}

/** A member whose file stands at its place. */
interface Placed extends Member {
  readonly final?: string
}

const groupFilesMax = 64

export function groupCommit(disk: Disk, index: Index, health: Health): GroupCommit {
  const waiting: (Member | Task)[] = []
  const place = placer(disk, index, health)
  let running = false
  let ended: Promise<void> | undefined

  /** One that can not go on leaves the group, unless the whole volume can not. */
  async function orLeave<T>(member: Member, step: Promise<T>): Promise<T | undefined> {
    try {
      return await step
    } catch (error) {
      health.check()
      member.failed(error)
      return undefined
    }
  }
  async function synced(member: Member): Promise<Member> {
    if (!member.ready) return member
    const { partial, mtime } = member.ready
    // A nicety: the time stands in mtimes.txt too, and some file systems can not carry every time.
    await disk.touch(partial, mtime).catch(() => undefined)
    await health.guardSync(disk.sync(partial))
    return member
  }
  async function settle(group: readonly Member[]): Promise<void> {
    const safe: Member[] = []
    for (const member of group) if (await orLeave(member, synced(member))) safe.push(member)
    const placed: Placed[] = []
    for (const member of safe) {
      const one = await orLeave(member, place(member))
      if (one) placed.push(one)
    }
    // Else a power cut may forget the new names after the index has told of them.
    const folders = placed.flatMap(({ final }) => (final === undefined ? [] : [dirname(final)]))
    for (const folder of new Set(folders)) await health.guardSync(disk.syncDir(folder))
    if (placed.length > 0) await commitAll(placed)
  }
  async function commitAll(members: readonly Placed[]): Promise<void> {
    try {
      await health.guard(index.commit(members.flatMap((member) => member.changes())))
      for (const member of members) member.done()
    } catch (error) {
      health.check()
      // There was no room for it, and nothing of it happened: each goes back to where it was.
      for (const { ready, final, failed } of members) {
        if (ready && final !== undefined) await health.guard(disk.rename(final, ready.partial))
        failed(error)
      }
    }
  }
  async function commitGroup(group: readonly Member[]): Promise<void> {
    try {
      health.check()
      await settle(group)
    } catch (error) {
      health.fail(error)
      for (const one of group) one.failed(error)
    }
  }
  async function run(): Promise<void> {
    running = true
    for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
      if ('task' in next) {
        waiting.shift()
        await next.task()
      } else await commitGroup(nextGroup(waiting))
    }
    running = false
  }
  const enter = (one: Member | Task): void => {
    waiting.push(one)
    if (!running) ended = run()
  }
  const member = (changes: () => Change[], ready?: Ready): Promise<void> =>
    new Promise((done, failed) => enter({ changes, done, failed, ...(ready ? { ready } : {}) }))
  return {
    store: (ready) => member(() => [], ready),
    commit: (changes) => member(() => [...changes]),
    alone: (work) =>
      new Promise((done, failed) => {
        const begin = async (): ReturnType<typeof work> => {
          health.check()
          return work()
        }
        enter({ task: () => begin().then(done, failed) })
      }),
    idle: async () => ended,
  }
}

/** Takes what may be committed together: all that wait before the next task, up to a limit. */
function nextGroup(waiting: (Member | Task)[]): Member[] {
  const group: Member[] = []
  for (let next = waiting[0]; next && !('task' in next); next = waiting[0]) {
    if (group.length === groupFilesMax) break
    group.push(next)
    waiting.shift()
  }
  return group
}

/** What a file system says of a name that it can not carry, or that something else stands at. */
const inTheWay: ReadonlySet<string | undefined> = new Set(
  'EEXIST EISDIR ENOTDIR ENOTEMPTY ELOOP ENAMETOOLONG EINVAL EILSEQ EACCES EPERM'.split(' '),
)

/** Moves a synced partial to the first place that is free. */
function placer(disk: Disk, index: Index, health: Health) {
  const folders = folderMaker(disk, (step) => health.guardSync(step))

  /** False when something is in the way. */
  async function moved(partial: string, final: string): Promise<boolean> {
    try {
      await folders.ensure(dirname(final))
      if (await disk.stat(final)) return false
      await disk.rename(partial, final)
      return true
    } catch (error) {
      if (inTheWay.has(diskErrorCode(error))) return false
      throw error
    }
  }
  async function place(member: Member): Promise<Placed> {
    if (!member.ready) return member
    const { partial, places } = member.ready
    for (const [n, { final, moving, changes }] of places.entries()) {
      if (n > 0) await health.guard(index.commit([moving]))
      const at = await moved(partial, final).catch((error) => {
        if (diskErrorCode(error) !== 'ENOENT') throw error
        // Somebody has removed a folder that we had made.
        folders.forgetAll()
        return moved(partial, final)
      })
      if (at) return { ...member, final, changes }
    }
    throw new Error(`something else stands at ${places.map(({ final }) => final).join(' and ')}`)
  }
  return (member: Member): Promise<Placed> =>
    place(member).catch((error) => {
      const own = diskErrorCode(error) === undefined || diskErrorCode(error) === 'ENOENT'
      if (!own && !isPassing(error)) health.fail(error)
      throw error
    })
}

/** Makes folders with all their parents, durably, and remembers those it made. */
export function folderMaker(disk: Disk, guard = (sync: Promise<void>): Promise<void> => sync) {
  const known = new Set(['', '.'])
  async function ensure(path: string): Promise<string> {
    if (known.has(path)) return path
    const parent = await ensure(dirname(path))
    // A folder found there may have been made just before a power cut: its name is synced all the same.
    await disk.mkdir(path)
    await guard(disk.syncDir(parent === '.' ? '' : parent))
    known.add(path)
    return path
  }
  return {
    ensure,
    forget: (path: string) => known.delete(path),
    forgetAll() {
      known.clear()
      known.add('').add('.')
    },
  }
}
