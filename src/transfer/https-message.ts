import type { ClientRequest, IncomingMessage, ServerResponse } from 'node:http'

/** What is gathered of a message while its reader is busy; then the network waits. */
const gatheredMax = 256 * 1024
/** So much is worth waking the reader for at once; less waits for the rest of what the network has for us now. */
const worthwhile = 64 * 1024

/** Memory for gathering that nobody uses at the moment. */
const spare: Uint8Array[] = []
const spareMax = 8

/**
 * Bytes of a message as they come, many of its pieces at a time: a piece for each record of TLS costs more in turns than in
 * work. While its reader is busy, the network waits. What is given is overwritten once more is asked for.
 */
export async function* incoming(
  message: IncomingMessage,
  turn: { waiting: boolean },
  cut: (error: unknown) => Error,
  finish?: () => void,
): AsyncGenerator<Uint8Array, void, undefined> {
  const flow = flowing(message)
  let memory: Uint8Array | undefined
  try {
    for (;;) {
      turn.waiting = true
      const { pieces, length } = await flow.next()
      turn.waiting = false
      const [only] = pieces
      if (only === undefined) break
      if (pieces.length === 1) yield only
      else {
        if (length > (memory?.length ?? 0)) memory = spare.pop() ?? new Uint8Array(2 * gatheredMax)
        yield joined(pieces, length, memory as Uint8Array)
      }
    }
  } catch (error) {
    throw cut(error)
  } finally {
    turn.waiting = false
    flow.leave()
    if (memory && spare.length < spareMax) spare.push(memory)
  }
  if (!message.complete) throw cut(undefined)
  finish?.()
}

/** The pieces that have come since the last time; none once there are no more. Rejects when it breaks off. */
function flowing(message: IncomingMessage) {
  let pieces: Uint8Array[] = []
  let length = 0
  let over = false
  let broken: unknown
  let wake = (): void => undefined
  const came = (piece: Uint8Array): void => {
    pieces.push(piece)
    length += piece.length
    if (length >= gatheredMax) message.pause()
    if (length >= worthwhile) wake()
    else if (pieces.length === 1) setImmediate(() => wake())
  }
  const ended = (error?: unknown): void => {
    over = true
    broken ??= error
    wake()
  }
  const closed = (): void => ended()
  message.on('data', came).once('end', closed).once('close', closed).on('error', ended)
  return {
    async next(): Promise<{ pieces: readonly Uint8Array[]; length: number }> {
      // Somebody may have been woken for what is taken already.
      while (length === 0 && !over && !message.destroyed) {
        message.resume()
        await new Promise<void>((resolve) => {
          wake = resolve
        })
      }
      const taken = { pieces, length }
      pieces = []
      length = 0
      if (taken.length === 0 && broken !== undefined) throw broken
      if (taken.length > 0 && !over) message.resume()
      return taken
    },
    leave(): void {
      message.pause()
      message.off('data', came).off('end', closed).off('close', closed)
      // An error that comes later is nobody's any more, but must be heard.
    },
  }
}

function joined(pieces: readonly Uint8Array[], length: number, memory: Uint8Array): Uint8Array {
  let at = 0
  for (const piece of pieces) {
    memory.set(piece, at)
    at += piece.length
  }
  return memory.subarray(0, length)
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
