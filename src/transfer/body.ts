import type { Response } from './transfer.ts'

/** What a message body is in flight: bytes in pieces of any size, taken one after the other. */
export type Body = AsyncIterable<Uint8Array>

/** Bytes that the head of a message promises to follow; undefined when it does not say. */
export function promisedBytes(headers: Readonly<Record<string, string>>): number | undefined {
  const text = headers['content-length']
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** Throws the `wrong` error once the body turns out to be longer or shorter than promised; passes its bytes on. */
export async function* exactly(
  body: Body,
  bytes: number | undefined,
  wrong: (message: string) => Error,
): AsyncGenerator<Uint8Array, void, undefined> {
  let passed = 0
  for await (const chunk of body) {
    passed += chunk.length
    if (bytes !== undefined && passed > bytes) {
      throw wrong(`the body is longer than the ${bytes} bytes promised`)
    }
    if (chunk.length > 0) yield chunk
  }
  if (bytes !== undefined && passed < bytes) {
    throw wrong(`the body ended after ${passed} of ${bytes} bytes`)
  }
}

/** Tells the maker of a body that nobody will take the rest; what it answers does not matter. */
export function discard(body: Body | undefined): void {
  const done = body?.[Symbol.asyncIterator]().return?.()
  done?.then(undefined, () => {})
}

/** An answer of one line for people. */
export const plainText = (status: number, text: string): Response => ({
  status,
  headers: { 'content-type': 'text/plain; charset=utf-8' },
  body: once(new TextEncoder().encode(`${text}\n`)),
})

/** What a peer hears when a Serve function rejected; the reason stays in our log. */
export const serveFailed = (): Response =>
  plainText(500, 'this request failed here, the log says why')

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes
}
