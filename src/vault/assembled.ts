/** Files in fragments, read: those slices that a range needs are fetched, several at a time, and given in order. */
import type { Fragment } from '../protocol/fragments.ts'
import type { Fetch } from '../tracker/roles.ts'

/** So many are fetched at a time: as many links are busy, and so much room is needed. */
const fetchedAtOnce = 4

type Fetched = Awaited<ReturnType<Fetch>>

interface Part {
  readonly slice: Fragment
  /** Within the slice. */
  readonly from: number
  readonly to: number
}

/** What of which slices makes up the range. */
export function partsOf(slices: readonly Fragment[], offset: number, length: number): Part[] {
  const parts: Part[] = []
  const end = offset + length
  let at = 0
  for (const slice of slices) {
    const [from, to] = [Math.max(offset, at), Math.min(end, at + slice.size)]
    if (from < to) parts.push({ slice, from: from - at, to: to - at })
    at += slice.size
  }
  return parts
}

/** Rejects as soon as a slice that is next can not be had. */
export async function* assembled(
  fetch: (slice: Fragment, signal: AbortSignal) => Promise<Fetched>,
  slices: readonly Fragment[],
  offset: number,
  length: number,
): AsyncGenerator<Uint8Array> {
  const parts = partsOf(slices, offset, length)
  const stop = new AbortController()
  const open = shared((slice) => fetch(slice, stop.signal))
  let ahead = 0
  let done = 0
  try {
    for (const { slice, from, to } of parts) {
      for (; ahead < Math.min(parts.length, done + fetchedAtOnce); ahead++)
        open.begin(parts[ahead]?.slice ?? slice)
      const fetched = await open.get(slice)
      yield* fetched.read(from, to - from)
      await open.end(slice)
      done++
    }
  } finally {
    stop.abort()
    await open.close()
  }
}

/** A slice that a file has several times is fetched once for those that are near each other. */
function shared(fetch: (slice: Fragment) => Promise<Fetched>) {
  const held = new Map<string, { readonly fetched: Promise<Fetched>; uses: number }>()
  const discard = (fetched: Promise<Fetched>): Promise<void> =>
    fetched.then(
      (one) => one.discard(),
      () => undefined,
    )
  return {
    begin(slice: Fragment): void {
      const known = held.get(slice.hash)
      if (known) known.uses++
      else {
        const fetched = fetch(slice)
        // Heard when its turn comes.
        fetched.catch(() => undefined)
        held.set(slice.hash, { fetched, uses: 1 })
      }
    },
    get: ({ hash }: Fragment): Promise<Fetched> =>
      held.get(hash)?.fetched ?? Promise.reject(new Error(`not begun: ${hash}`)),
    async end({ hash }: Fragment): Promise<void> {
      const known = held.get(hash)
      if (!known || --known.uses > 0) return
      held.delete(hash)
      await discard(known.fetched)
    },
    close: async (): Promise<void> =>
      void (await Promise.all([...held.values()].map(({ fetched }) => discard(fetched)))),
  }
}
