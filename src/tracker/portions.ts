import { limits } from '../limits.ts'
import type { Fragment } from '../protocol/fragments.ts'

/** As many as go at a time: one distribution, or one step of moving. */
export function portions<T extends Fragment>(
  fragments: readonly T[],
  countMax: number = limits.batchFilesMax,
): T[][] {
  const all: T[][] = []
  let bytes = Number.POSITIVE_INFINITY
  for (const one of fragments) {
    if (bytes + one.size > limits.batchBytesMax || (all.at(-1)?.length ?? 0) >= countMax) {
      all.push([])
      bytes = 0
    }
    all.at(-1)?.push(one)
    bytes += one.size
  }
  return all
}
