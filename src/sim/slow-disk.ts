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
  const slowly = <Result>(
    path: string,
    read: () => Promise<Result>,
    bytesIn: (result: Result) => number,
  ): Promise<Result> =>
    path.includes('/data/')
      ? drive(async () => {
          if (clock.monotonic() - usedAt > slow.sleepsAfterMs) await clock.sleep(slow.spinUpMs)
          const result = await read()
          await clock.sleep(bytesIn(result) / slow.bytesPerMs)
          usedAt = clock.monotonic()
          return result
        })
      : read()
  const into =
    (read: Disk['readInto']): Disk['readInto'] =>
    (path, offset, memory) =>
      slowly(
        path,
        () => read(path, offset, memory),
        (bytes) => bytes,
      )
  return {
    ...disk,
    read: (path, offset, length) =>
      slowly(
        path,
        () => disk.read(path, offset, length),
        (bytes) => bytes.length,
      ),
    readInto: into(disk.readInto),
    readMedium: into(disk.readMedium),
  }
}
