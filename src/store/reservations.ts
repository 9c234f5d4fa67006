/** What was promised to transfers and is not on the disk yet. Pure bookkeeping. */

import type { Free } from '../disk/disk.ts'
import type { ReceivingFile } from '../index/index.ts'
import type { Space } from './store.ts'

/** Names, index row and rounding up to blocks, per file. */
export const overheadBytes = 8 * 1024
/** For the bags' own files, the index and its log. */
const filesBeside = 64

const GiB = 2 ** 30
/** What is left free of a disk of so many bytes: a twentieth, at least 1 GiB, but of a small one no more than a tenth. */
export const reserveOf = (bytesTotal: number): number =>
  Math.floor(Math.min(Math.max(bytesTotal / 20, GiB), bytesTotal / 10))

/** The file and every folder above it may have to be made. */
export const filesNeeded = (id: string): number => id.split('/').length

const keyOfFile = (file: { collection: string; id: string }): string =>
  `${file.collection}\0${file.id}`

export type Reservations = ReturnType<typeof reservations>

/**
 * `reserveBytes` are never promised: by the size of the disk when absent. `payload` is what a file of so many bytes takes
 * for them: nothing where only checksums are kept.
 */
export function reservations(
  reserveBytes: number | undefined,
  payload = (size: number): number => size,
) {
  const needed = (size: number): number => payload(size) + overheadBytes
  const open = new Map<string, { size: number; landed: number; files: number }>()
  return {
    add: (file: ReceivingFile) =>
      open.set(keyOfFile(file), {
        ...{ size: needed(file.size), landed: file.safe },
        files: filesNeeded(file.id),
      }),
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
      let [bytesReserved, filesReserved] = [0, filesBeside]
      for (const { size, landed, files } of open.values()) {
        bytesReserved += Math.max(0, size - landed)
        filesReserved += files
      }
      const { bytesFree, bytesTotal, inodesFree } = free
      const reserve = reserveBytes ?? reserveOf(bytesTotal)
      const filesOpen = Math.max(0, inodesFree - filesReserved)
      return {
        ...{ bytesFree, bytesTotal, bytesReserved, filesOpen },
        // Room for bytes is of no use where no file can be made.
        bytesOpen: filesOpen === 0 ? 0 : Math.max(0, bytesFree - bytesReserved - reserve),
      }
    },
  }
}
