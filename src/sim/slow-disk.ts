/** A disk like a DVD changer: one drive, which sleeps, takes minutes to be ready, and reads slowly. */
import type { Disk } from '../disk/disk.ts'
import { lock } from '../world/lock.ts'
import type { Clock } from '../world/world.ts'

export interface SlowReading {
  /** From sleep to the first byte. */
  readonly spinUpMs: number
  /** Without a read for so long it sleeps. */
  readonly sleepsAfterMs: number
  readonly bytesPerMs: number
}

/** Only the files of collections are on it: what the program keeps for itself is on a quicker one. */
export function slowDisk(disk: Disk, clock: Clock, slow: SlowReading): Disk {
  const drive = lock()
  let usedAt = Number.NEGATIVE_INFINITY
  const slowly =
    (read: Disk['read']): Disk['read'] =>
    (path, offset, length) =>
      path.includes('/data/')
        ? drive(async () => {
            if (clock.monotonic() - usedAt > slow.sleepsAfterMs) await clock.sleep(slow.spinUpMs)
            const bytes = await read(path, offset, length)
            await clock.sleep(bytes.length / slow.bytesPerMs)
            usedAt = clock.monotonic()
            return bytes
          })
        : read(path, offset, length)
  return { ...disk, read: slowly(disk.read), readMedium: slowly(disk.readMedium) }
}
