/** Many files as few conversations: batches bounded in files, bytes and message size, several of them at a time. */
import { limits } from '../limits.ts'
import { bytesOf } from '../protocol/scalars.ts'

/** What a file costs in a message beside its id: checksum, times, names of objects in the token. */
const bytesBeside = 330

export function batcher<T extends { readonly id: string; readonly size?: number }>(
  filesMax: number = limits.batchFilesMax,
) {
  let items: T[] = []
  let bytes = 0
  let message = 0
  const take = (): T[] => {
    const full = items
    items = []
    bytes = 0
    message = 0
    return full
  }
  return {
    /** A batch that is full without this one, if there is one. */
    add(item: T): T[] | undefined {
      const size = item.size ?? 0
      const cost = bytesOf(JSON.stringify(item.id)) + bytesBeside
      const full =
        items.length >= filesMax ||
        (items.length > 0 &&
          (bytes + size > limits.batchBytesMax || message + cost > limits.pageBytesMax))
      const batch = full ? take() : undefined
      items.push(item)
      bytes += size
      message += cost
      return batch
    },
    rest: (): T[] | undefined => (items.length > 0 ? take() : undefined),
  }
}

/** So few files a batch that all pillars get a share of them. */
export const filesEach = (files: number, pillars: number): number =>
  Math.max(1, Math.min(limits.batchFilesMax, Math.ceil(files / Math.max(1, pillars))))

/** Runs at most `count` at a time; `add` waits for a place, `all` for the end. The first failure is thrown by both. */
export function several(count: number) {
  const running = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  const check = (): void => {
    if (failure) throw failure.error
  }
  return {
    async add(task: () => Promise<void>): Promise<void> {
      while (running.size >= count && !failure) await Promise.race(running)
      check()
      const one: Promise<void> = task()
        .catch((error) => {
          failure ??= { error }
        })
        .finally(() => running.delete(one))
      running.add(one)
    },
    async all(): Promise<void> {
      await Promise.all(running)
      check()
    },
    /** Resolves when none runs any more; says nothing of failures. */
    settled: async (): Promise<void> => void (await Promise.all(running)),
  }
}
