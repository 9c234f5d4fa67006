/** Delivers one object page by page: asks where the other side is, and goes on there. */
import { limits } from '../limits.ts'
import { type Attempts, type Outcome, persist, TransferFailed } from './attempts.ts'
import { flag, type ObjectKey, objectPath, parseCount } from './objects.ts'
import { dialOptions, drop, notNow } from './pull.ts'
import type { Hop } from './route.ts'
import { Cut, type Dial, type Request, type Response } from './transfer.ts'

export interface Push extends Omit<Attempts, 'at'> {
  readonly dial: Dial
  readonly key: ObjectKey
  readonly size: number
  token(): string
  /** The bytes from `offset`; opened again after a cut. May reject: then nothing is completed. */
  open(offset: number): AsyncIterable<Uint8Array>
  /** What is sent at a time; `transferPageBytes` when absent. */
  readonly pageBytes?: number
  /** For a relay: who will fetch it. */
  receivers?(): readonly string[]
  progress?(at: number): void
}

/** Resolves when the exchange has said that the object is complete. */
export async function push(task: Push): Promise<void> {
  const place = placeOf()
  const source = sourceOf(task)
  const attempt = async (hop: Hop): Promise<Outcome> => {
    const at = place.at(hop.url)
    if (at === undefined) return ask(task, hop, place)
    const token = task.token()
    const response = await send(task, hop, { token, from: at, page: source.page(at) })
    const reached = parseCount(response.headers['upload-offset'])
    const complete = response.headers['upload-complete'] === flag(true)
    const later = await notNow(task, response, token)
    if (later) return later
    const why = await drop(response)
    if (response.status !== 204 && response.status !== 409)
      throw new TransferFailed(`the exchange answered ${response.status} (${why})`)
    place.learn(hop.url, reached)
    task.progress?.(reached ?? 0)
    if (complete) return 'complete'
    // Somebody else delivers the same at the same time: not in step with him.
    return response.status === 409 ? 'wait' : 'again'
  }
  const guarded = async (hop: Hop): Promise<Outcome> => {
    try {
      return await attempt(hop)
    } catch (error) {
      if (error instanceof Cut) place.forget()
      throw error
    }
  }
  try {
    await persist({ ...task, at: place.moved }, guarded)
  } finally {
    const closed = source.close().catch(() => undefined)
    // A source that hangs may not keep who wants to stop.
    if (!task.signal.aborted) await closed
  }
}

/** How far the other side is, by exchange: each may have another part of it. */
function placeOf() {
  let asked = ''
  let at: number | undefined
  let moved = 0
  const reached = new Map<string, number>()
  return {
    /** Undefined when it has to be asked for. */
    at: (url: string): number | undefined => (asked === url ? at : undefined),
    learn(url: string, offset: number | undefined): void {
      asked = url
      at = offset
      if (offset === undefined) return
      moved += Math.max(0, offset - (reached.get(url) ?? offset))
      reached.set(url, offset)
    },
    forget(): void {
      at = undefined
    },
    /** Bytes that we know to have arrived while we were at it; only this is progress. */
    moved: (): number => moved,
  }
}

/** Asks where to go on. */
async function ask(task: Push, hop: Hop, place: ReturnType<typeof placeOf>): Promise<Outcome> {
  const token = task.token()
  const request: Request = {
    method: 'HEAD',
    path: objectPath(task.key),
    headers: { authorization: `Bearer ${token}` },
  }
  const response = await task.dial(hop, request, dialOptions(task, hop))
  const later = await notNow(task, response, token)
  if (later) return later
  await drop(response)
  if (response.status !== 200 && response.status !== 404)
    throw new TransferFailed(`the exchange answered ${response.status}`)
  const known = response.status === 200
  if (known && response.headers['upload-complete'] === flag(true)) return 'complete'
  const offset = known ? parseCount(response.headers['upload-offset']) : 0
  if (offset === undefined || offset > task.size)
    throw new TransferFailed('the exchange is where this object has no bytes')
  place.learn(hop.url, offset)
  return 'again'
}

function send(
  task: Push,
  hop: Hop,
  { token, from, page }: { token: string; from: number; page: Page },
): Promise<Response> {
  const receivers = task.receivers?.() ?? []
  const headers = {
    authorization: `Bearer ${token}`,
    'content-type': 'application/partial-upload',
    'content-length': `${page.length}`,
    'upload-offset': `${from}`,
    'upload-length': `${task.size}`,
    'upload-complete': flag(from + page.length === task.size),
    ...(receivers.length > 0 ? { receivers: receivers.join(',') } : {}),
  }
  const path = objectPath(task.key)
  return task.dial(
    hop,
    { method: 'PATCH', path, headers, body: page.bytes },
    dialOptions(task, hop),
  )
}

interface Page {
  readonly length: number
  readonly bytes: AsyncIterable<Uint8Array>
}

/** The pages of what is delivered, in any order; in the usual one it is opened once. */
function sourceOf({ open, size, pageBytes = limits.transferPageBytes }: Push) {
  let source: Source | undefined
  const replaced = async (from: number): Promise<Source> => {
    await source?.close()
    source = openSource(open(from), from)
    return source
  }
  async function* bytes(from: number, length: number): AsyncGenerator<Uint8Array> {
    yield* (source?.at === from ? source : await replaced(from)).take(length)
  }
  return {
    page(from: number): Page {
      const length = Math.min(pageBytes, size - from)
      return { length, bytes: bytes(from, length) }
    },
    close: async (): Promise<void> => source?.close(),
  }
}

interface Source {
  /** Where the next page would begin; -1 once it is unusable. */
  readonly at: number
  take(length: number): AsyncIterable<Uint8Array>
  close(): Promise<void>
}

/** One iterator over many pages: it is opened again only after a cut. */
function openSource(bytes: AsyncIterable<Uint8Array>, from: number): Source {
  const iterator = bytes[Symbol.asyncIterator]()
  let left: Uint8Array | undefined
  let at = from
  async function* take(length: number): AsyncGenerator<Uint8Array> {
    const start = at
    at = -1
    for (let missing = length; missing > 0; ) {
      const chunk = left ?? (await next())
      left = undefined
      const part = chunk.subarray(0, missing)
      if (part.length < chunk.length) left = chunk.subarray(part.length)
      missing -= part.length
      // Set before the last byte is handed over: whoever takes it may not come back for the end.
      if (missing === 0) at = start + length
      yield part
    }
    if (length === 0) at = start
  }
  async function next(): Promise<Uint8Array> {
    const { done, value } = await iterator.next()
    if (done) throw new TransferFailed('the source ended early')
    return value
  }
  return {
    get at() {
      return at
    },
    take,
    close: async () => void (await iterator.return?.()),
  }
}
