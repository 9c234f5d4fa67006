/**
 * Memory that all transfers of one disk share: bytes go through it without a copy for the disk's thread, and what it takes
 * does not grow with their number.
 */
import type { Disk } from '../disk/disk.ts'

export interface Page {
  /** Of the disk's `memory`; a multiple of 4 096 bytes. */
  readonly bytes: Uint8Array
  /** Nothing may touch it any more. */
  giveBack(): void
}

export interface Pages {
  /** Never waits for another transfer, which may wait for its peer: who comes when all are out gets a small one. */
  take(): Promise<Page>
}

const pageBytes = 1024 * 1024
const pagesMax = 8
/** Of those beyond; it is forgotten after its use. */
const smallBytes = 128 * 1024

const known = new WeakMap<Disk, Pages>()

/** The pages of this disk, the same for all who ask. */
export function pagesOf(disk: Disk): Pages {
  const pages = known.get(disk) ?? pagesFor(disk)
  known.set(disk, pages)
  return pages
}

function pagesFor(disk: Disk): Pages {
  const free: Uint8Array[] = []
  let made = 0
  const page = (bytes: Uint8Array): Page => {
    let isOut = true
    return {
      bytes,
      giveBack() {
        if (isOut) free.push(bytes)
        isOut = false
      },
    }
  }
  return {
    async take() {
      const bytes = free.pop()
      if (bytes) return page(bytes)
      if (made === pagesMax) return { bytes: await disk.memory(smallBytes), giveBack() {} }
      made++
      return page(
        await disk.memory(pageBytes).catch((error) => {
          made--
          throw error
        }),
      )
    },
  }
}
