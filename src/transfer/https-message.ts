import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'

/** Bytes of a message as they come; while its reader is busy, the network waits. */
export async function* incoming(
  message: IncomingMessage,
  turn: { waiting: boolean },
  cut: (error: unknown) => Error,
  finish?: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    turn.waiting = true
    for await (const chunk of message.iterator({ destroyOnReturn: false })) {
      turn.waiting = false
      yield chunk
      turn.waiting = true
    }
  } catch (error) {
    throw cut(error)
  } finally {
    turn.waiting = false
  }
  if (!message.complete) throw cut(undefined)
  finish?.()
}

export function plainHeaders(message: IncomingMessage): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(message.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return headers
}

/** Resolves when the chunk has left our memory, so that its maker may use it again. */
export const written = (to: ClientRequest | ServerResponse, chunk: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    to.write(chunk, (error) => (error ? reject(error) : resolve()))
  })
