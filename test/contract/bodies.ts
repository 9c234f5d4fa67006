import type { Response } from '../../src/transfer/transfer.ts'

export const MiB = 1024 * 1024

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

export async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield bytes(text)
}

export async function* failing(): AsyncGenerator<Uint8Array> {
  yield bytes('abc')
  throw new Error('the maker failed')
}

/** One piece, and then nothing. */
export async function* stuck(): AsyncGenerator<Uint8Array> {
  yield bytes('abc')
  await new Promise(() => {})
}

/** Bytes that tell their place, in one buffer used again and again. */
export async function* counting(size: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(100_000)
  for (let at = 0; at < size; at += buffer.length) {
    fill(buffer, at)
    yield buffer.subarray(0, Math.min(buffer.length, size - at))
  }
}

const fill = (buffer: Buffer, from: number): void => {
  for (let at = 0; at < buffer.length; at += 4) buffer.writeUInt32LE((from + at) >>> 0, at)
}

/** How many of these bytes came, or where they began to be others. */
export async function checked(
  body: AsyncIterable<Uint8Array> | undefined,
  size: number,
): Promise<number> {
  const wanted = counting(size)
  let rest = new Uint8Array(0)
  let at = 0
  for await (const chunk of body ?? []) {
    for (let taken = 0; taken < chunk.length; ) {
      if (rest.length === 0) rest = Uint8Array.from((await wanted.next()).value ?? [])
      const length = Math.min(rest.length, chunk.length - taken)
      if (length === 0) return -at
      if (Buffer.compare(rest.subarray(0, length), chunk.subarray(taken, taken + length)))
        return -at
      rest = rest.subarray(length)
      taken += length
      at += length
    }
  }
  return at
}

export const text = async ({ body }: Response): Promise<string> =>
  Buffer.concat(await kept(body)).toString()

export async function kept(body: AsyncIterable<Uint8Array> | undefined): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = []
  for await (const chunk of body ?? []) chunks.push(Uint8Array.from(chunk))
  return chunks
}

export function tracked(chunks: readonly Uint8Array[]) {
  const state = { taken: 0, returned: false, body: iterable() }
  function iterable(): AsyncIterable<Uint8Array> {
    return {
      [Symbol.asyncIterator]: () => ({
        next: async () => {
          const value = chunks[state.taken]
          if (value === undefined) return { done: true, value }
          state.taken++
          return { done: false, value }
        },
        return: async () => {
          state.returned = true
          return { done: true, value: undefined }
        },
      }),
    }
  }
  return state
}

/** A promise and what fulfils it. */
export function opening<T = void>(): { open: Promise<T>; pass(value: T): void } {
  let pass: (value: T) => void = () => {}
  const open = new Promise<T>((resolve) => {
    pass = resolve
  })
  return { open, pass: (value) => pass(value) }
}
