/** Whether a volume may still be written to. */
import { diskErrorCode } from '../disk/disk.ts'
import type { Log } from '../world/world.ts'

export interface Health {
  /** Undefined while all is well, else why the volume takes no more writes. */
  trouble(): string | undefined
  /** Throws when the volume takes no more writes. */
  check(): void
  /** The volume takes no more writes from now on. */
  fail(error: unknown): void
  /** Judges what a write or a commit fails with; the step fails with it all the same. */
  guard<T>(step: Promise<T>): Promise<T>
  /**
   * Judges a sync: when it fails nobody knows what is on the disk, and the next sync would say that all is well.
   * Never tried again, only by a new start, which trusts nothing that was not synced. (A file that is not there was
   * not synced at all.)
   */
  guardSync(step: Promise<void>): Promise<void>
}

/**
 * No room, or not for a file so large, or a disk that sleeps and could not be woken, of which nothing was asked: true of
 * what was tried, and not of the volume.
 */
const passing: ReadonlySet<string | undefined> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG', 'EAGAIN'])

/** Syncs that never began: nothing was there to be synced, or the disk could not be woken. */
const unheard: ReadonlySet<string | undefined> = new Set(['ENOENT', 'EAGAIN'])

/** Whether this ends only what was tried, which may be tried again later. */
export const isPassing = (error: unknown): boolean => passing.has(diskErrorCode(error))

export function health(log: Log, volume: string, onTrouble?: (why: string) => void): Health {
  let trouble: string | undefined
  const fail = (error: unknown): void => {
    if (trouble !== undefined) return
    trouble = error instanceof Error ? error.message : String(error)
    log.error('volume.failed', { volume, why: trouble })
    onTrouble?.(trouble)
  }
  const failing =
    (isFatal: (error: unknown) => boolean) =>
    (error: unknown): never => {
      if (isFatal(error)) fail(error)
      throw error
    }
  return {
    trouble: () => trouble,
    check() {
      if (trouble !== undefined) throw new Error(`the volume takes no writes: ${trouble}`)
    },
    fail,
    guard: (step) => step.catch(failing((error) => !isPassing(error))),
    guardSync: (step) => step.catch(failing((error) => !unheard.has(diskErrorCode(error)))),
  }
}
