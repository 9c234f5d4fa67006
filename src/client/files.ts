/** Files of the user: read while they are offered, written where they land. Over the disk port. */
import type { Disk } from '../disk/disk.ts'
import type { Landing, Offer } from '../exchange/bench.ts'
import { limits } from '../limits.ts'
import { inflow } from '../store/inflow.ts'
import { slices } from '../store/slices.ts'
import type { Hasher, World } from '../world/world.ts'

/** A file changed while it was read: what was said about it does not hold any more. */
export class Changed extends Error {
  override readonly name = 'Changed'
}

/** Offers a file as it was when it was hashed; rejects with `Changed` when it is another by then. */
export function offerOf(
  disk: Disk,
  path: string,
  expected: { size: number; mtime: number },
): Offer {
  async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
    let at = offset
    const check = async (): Promise<void> => {
      const stat = await disk.stat(path)
      if (stat?.size !== expected.size || stat.mtime !== expected.mtime)
        throw new Changed(`${path} has changed`)
    }
    for await (const bytes of slices(disk, { path, from: offset, to: offset + length, check })) {
      at += bytes.length
      yield bytes
    }
    if (at < offset + length) throw new Changed(`${path} has become shorter`)
  }
  return { size: expected.size, read }
}

export interface HashOptions {
  /** A large file takes minutes: rejects with the reason as soon as it is aborted. */
  readonly signal?: AbortSignal
  progress?(bytes: number): void
  /** Another digest than SHA-256. */
  readonly hasher?: Hasher
}

/** The digest of a file; rejects with `Changed` when it does not hold still. */
export async function hashFile(
  world: World,
  disk: Disk,
  path: string,
  expected: { size: number; mtime: number },
  { signal, progress, hasher = world.hashing.start('sha256') }: HashOptions = {},
): Promise<string> {
  for await (const bytes of offerOf(disk, path, expected).read(0, expected.size)) {
    signal?.throwIfAborted()
    hasher.update(bytes)
    progress?.(bytes.length)
  }
  const stat = await disk.stat(path)
  if (stat?.size !== expected.size || stat.mtime !== expected.mtime)
    throw new Changed(`${path} has changed`)
  return hasher.hex()
}

export interface LandingOptions {
  /** Where the bytes gather; the same for the same bytes, so that a later run goes on with it. */
  readonly partial: string
  readonly final: string
  readonly checksum?: string
  /** Milliseconds since 1970. */
  readonly mtime?: number
}

/**
 * A file that lands: gathers in `partial`, and gets its name only when it is whole and right. Folders of both must
 * exist.
 */
export async function openLanding(
  world: World,
  disk: Disk,
  options: LandingOptions,
): Promise<Landing> {
  const { partial, final } = options
  const there = await prefix(world, disk, partial)
  let { hasher } = there
  let flow = inflow({ disk, path: partial, hasher, from: there.at })
  return {
    at: () => flow.at(),
    write: (bytes) => flow.add(bytes),
    secure: async () => {
      await flow.flush()
      if (flow.at() > 0) await disk.sync(partial)
    },
    async finish(size) {
      await flow.flush()
      if (size === 0) await disk.write(partial, 0, new Uint8Array(0))
      const right =
        flow.at() === size && (options.checksum === undefined || hasher.hex() === options.checksum)
      if (!right) {
        await disk.remove(partial)
        hasher = world.hashing.start('sha256')
        flow = inflow({ disk, path: partial, hasher, from: 0 })
        return 'the bytes that came are not those of the file'
      }
      if (options.mtime !== undefined) await disk.touch(partial, options.mtime)
      await disk.sync(partial)
      await disk.rename(partial, final)
      return undefined
    },
  }
}

async function prefix(
  world: World,
  disk: Disk,
  path: string,
): Promise<{ at: number; hasher: Hasher }> {
  const hasher = world.hashing.start('sha256')
  const size = (await disk.stat(path))?.size ?? 0
  for (let at = 0; at < size; ) {
    const bytes = await disk.read(path, at, Math.min(limits.chunkBytes, size - at))
    hasher.update(bytes)
    at += bytes.length
  }
  return { at: size, hasher }
}
