/** How long it will take: what the pillar says of itself, from what it has to do and how fast it was lately. */
import type { Sleeping } from '../store/store.ts'
import type { Clock } from '../world/world.ts'

export interface Estimate {
  /** Milliseconds until so many bytes more would be moved, after all that wait already, with disks to be woken for them. */
  msFor(bytes: number, msToWake?: number): number
  /** So many bytes wait to be moved. The answer is to be called once, with how many were, when they do not any more. */
  waiting(bytes: number): (moved: number) => void
  /** Somebody waits for bytes now. */
  isBusy(): boolean
  /** As it was measured lately. */
  msPerByte(): number
}

/** Until something is measured, a slow home link: 2.5 MB/s. */
const assumedMsPerByte = 1 / 2_500
/** Less says more about round trips than about the link and the disk. */
const tellingBytes = 1024 * 1024
/** How much the newest measurement counts. */
const newest = 0.5

/** Measured over whole stretches of work, however many transfers share them; the time to wake a disk is no part of them. */
export function estimate(
  clock: Pick<Clock, 'monotonic'>,
  sleeping?: Pick<Sleeping, 'msWaking'>,
): Estimate {
  const worked = (): number => clock.monotonic() - (sleeping?.msWaking() ?? 0)
  // Not bytes by time: of a quick stretch and a slow one the mean would tell of the quick one only.
  let msPerByte = assumedMsPerByte
  let bytesWaiting = 0
  let open = 0
  let begun = 0
  let bytesMoved = 0
  const measure = (): void => {
    const ms = worked() - begun
    if (bytesMoved < tellingBytes || ms <= 0) return
    msPerByte = newest * (ms / bytesMoved) + (1 - newest) * msPerByte
  }
  return {
    isBusy: () => open > 0,
    msPerByte: () => msPerByte,
    // What needs no bytes needs no disk.
    msFor: (bytes, msToWake = 0) =>
      Math.ceil((bytesWaiting + bytes) * msPerByte) + (bytes > 0 ? msToWake : 0),
    waiting(bytes) {
      if (open++ === 0) [begun, bytesMoved] = [worked(), 0]
      bytesWaiting += bytes
      return (moved) => {
        bytesWaiting -= bytes
        bytesMoved += moved
        if (--open === 0) measure()
      }
    },
  }
}
