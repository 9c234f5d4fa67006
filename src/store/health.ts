/** Whether a volume may still be written to. */
import type { Log } from '../world/world.ts'

export interface Health {
  /** Undefined while all is well, else why the volume takes no more writes. */
  trouble(): string | undefined
  /** Rejects the step when the volume takes no more writes. */
  check(): void
  /** The volume takes no more writes from now on. */
  fail(error: unknown): void
}

export function health(log: Log, volume: string, onTrouble?: (why: string) => void): Health {
  let trouble: string | undefined
  return {
    trouble: () => trouble,
    check() {
      if (trouble !== undefined) throw new Error(trouble)
    },
    fail(error) {
      if (trouble !== undefined) return
      trouble = error instanceof Error ? error.message : String(error)
      // After a failed sync nobody knows what is on the disk: never tried again, only by a new start.
      log.error('volume.failed', { volume, why: trouble })
      onTrouble?.(trouble)
    },
  }
}
