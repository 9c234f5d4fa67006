/** What was promised to transfers and is not on the disk yet. Pure bookkeeping. */

import type { Free } from '../disk/disk.ts'
import type { ReceivingFile } from '../index/index.ts'
import type { Space } from './store.ts'

/** Names, index row and rounding up to blocks, per file. */
const overheadBytes = 8 * 1024

const keyOfFile = (file: { collection: string; id: string }): string =>
  `${file.collection}\0${file.id}`

export type Reservations = ReturnType<typeof reservations>

/** `payload` is what a file of so many bytes takes for them: nothing where only checksums are kept. */
export function reservations(reserveBytes: number, payload = (size: number): number => size) {
  const needed = (size: number): number => payload(size) + overheadBytes
  const open = new Map<string, { size: number; landed: number }>()
  return {
    add: (file: ReceivingFile) =>
      open.set(keyOfFile(file), { size: needed(file.size), landed: file.safe }),
    /** What a file of so many bytes takes on the disk. */
    needed,
    landed(file: ReceivingFile, bytes: number) {
      const entry = open.get(keyOfFile(file))
      if (entry) entry.landed = bytes
    },
    end: (file: { collection: string; id: string }) => open.delete(keyOfFile(file)),
    /** A transfer that was accepted and is still going on keeps other bytes off its id. */
    has: (file: { collection: string; id: string }) => open.has(keyOfFile(file)),
    space(free: Free): Omit<Space, 'bytesRetained'> {
      let bytesReserved = 0
      for (const { size, landed } of open.values()) bytesReserved += Math.max(0, size - landed)
      return {
        bytesFree: free.bytesFree,
        bytesTotal: free.bytesTotal,
        bytesReserved,
        bytesOpen: Math.max(0, free.bytesFree - bytesReserved - reserveBytes),
      }
    },
  }
}
