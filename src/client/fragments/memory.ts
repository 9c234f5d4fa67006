/** A part of a file that comes together in memory, for who passes it on at once. */
import type { Mosaic } from './mosaic.ts'

export function memoryMosaic(
  offset: number,
  length: number,
): { readonly mosaic: Mosaic; readonly bytes: Uint8Array } {
  const bytes = new Uint8Array(length)
  const mosaic: Mosaic = {
    have: () => 0,
    async *read(at, size) {
      yield bytes.slice(at - offset, at - offset + size)
    },
    async write(at, some) {
      const [from, to] = [Math.max(at, offset), Math.min(at + some.length, offset + length)]
      if (from < to) bytes.set(some.subarray(from - at, to - at), from - offset)
    },
    came: async () => undefined,
    finish: async () => undefined,
    forget: async () => undefined,
    close: async () => undefined,
  }
  return { mosaic, bytes }
}
