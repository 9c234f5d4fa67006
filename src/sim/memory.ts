/** Files of a client that live in memory. */
import type { PutItem } from '../client/put.ts'
import type { Landing } from '../exchange/bench.ts'
import { digestOf } from '../world/world.ts'
import type { Fleet } from './fleet.ts'
import type { SimRandom } from './random.ts'

/** A file that lives in memory. */
export function memoryItem(
  random: SimRandom,
  fleet: Fleet,
  id: string,
  size: number,
): PutItem & { readonly bytes: Uint8Array } {
  const bytes = random.bytes(size)
  async function* read(offset: number, length: number): AsyncGenerator<Uint8Array> {
    for (let at = offset; at < offset + length; at += 65_536)
      yield bytes.slice(at, Math.min(at + 65_536, offset + length))
  }
  const checksum = digestOf(fleet, bytes)
  return {
    id,
    size,
    checksum,
    mtime: fleet.time.clock.now() - random.int(1e9),
    offer: { size, read },
    bytes,
  }
}

/** A landing in memory. */
export function memoryLanding(fleet: Fleet, checksum?: string): Landing & { bytes(): Uint8Array } {
  let parts: Uint8Array[] = []
  let size = 0
  const joined = (): Uint8Array => Uint8Array.from(parts.flatMap((part) => [...part]))
  return {
    at: () => size,
    async write(bytes) {
      parts.push(bytes.slice())
      size += bytes.length
    },
    secure: async () => undefined,
    async finish(expected) {
      const right =
        size === expected && (checksum === undefined || digestOf(fleet, joined()) === checksum)
      if (right) return undefined
      parts = []
      size = 0
      return 'wrong bytes'
    },
    bytes: joined,
  }
}
