/**
 * Bytes on their way into a file: gathered in a page, hashed, and written while the next page fills. One write is under
 * way at a time: two of one file would only wait for each other in the file system.
 */
import type { Disk } from '../disk/disk.ts'
import type { Hasher } from '../world/world.ts'
import { type Page, pagesOf } from './pages.ts'

export interface InflowParts {
  readonly disk: Disk
  readonly path: string
  /** Of everything before `from`. */
  readonly hasher: Hasher
  readonly from: number
  /** Where the file ends, as far as it is known; a small one needs no page. */
  readonly size?: number
  /** Hears of each write, and passes on what came of it. */
  guard?(write: Promise<void>): Promise<void>
  /** So many bytes of the file are on the disk now, not yet synced. */
  landed?(bytes: number): void
}

export interface Inflow {
  /** All bytes that came, and those before. */
  at(): number
  /** The bytes are copied. Rejects with what broke the write of earlier ones. */
  add(bytes: Uint8Array): Promise<void>
  /** Resolves once everything that came is written. */
  flush(): Promise<void>
  /** Nothing more comes; what was not written yet is forgotten. Never rejects. */
  leave(): Promise<void>
}

/** Pages are worth more than they cost only from this size on. */
const smallBytesMax = 256 * 1024
/** Where a page that follows another begins: a disk that goes past the system's memory writes whole blocks. */
const blockBytes = 4096

export function inflow(parts: InflowParts): Inflow {
  const { disk, path, hasher, from, size, guard = (write) => write } = parts
  let written = from
  let page: Page | undefined
  let filled = 0
  let flying: Promise<void> = Promise.resolve()

  const taken = async (): Promise<Page> =>
    size !== undefined && size - written <= smallBytesMax
      ? { bytes: new Uint8Array(size - written), giveBack() {} }
      : pagesOf(disk).take()
  /** How much this page takes, so that the next begins with a block. */
  const roomIn = ({ bytes }: Page): number =>
    bytes.length < blockBytes ? bytes.length : bytes.length - (written % blockBytes)

  async function send(full: Page): Promise<void> {
    const [at, bytes] = [written, full.bytes.subarray(0, filled)]
    written += bytes.length
    page = undefined
    filled = 0
    try {
      await flying
    } catch (error) {
      full.giveBack()
      throw error
    }
    flying = guard(disk.write(path, at, bytes))
      .then(() => parts.landed?.(at + bytes.length))
      .finally(full.giveBack)
    // Told by the next step.
    flying.catch(() => undefined)
  }
  return {
    at: () => written + filled,
    async add(bytes) {
      for (let done = 0; done < bytes.length; ) {
        page ??= await taken()
        const part = bytes.subarray(done, done + roomIn(page) - filled)
        page.bytes.set(part, filled)
        // Here, while the processor still has it at hand.
        hasher.update(part)
        filled += part.length
        done += part.length
        if (filled === roomIn(page)) await send(page)
      }
    },
    async flush() {
      if (page && filled > 0) await send(page)
      await flying
    },
    async leave() {
      page?.giveBack()
      page = undefined
      filled = 0
      await flying.catch(() => undefined)
    },
  }
}
