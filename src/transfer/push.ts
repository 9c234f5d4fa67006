/** Delivers one object page by page: asks where the other side is, and goes on there. */
import { limits } from '../limits.ts'
import { type Attempts, type Outcome, persist, TransferFailed } from './attempts.ts'
import { flag, type ObjectKey, objectPath, parseCount } from './objects.ts'
import { drop } from './pull.ts'
import type { Hop } from './route.ts'
import { Cut, type Dial, type Request, type Response } from './transfer.ts'

export interface Push extends Omit<Attempts, 'at'> {
  readonly dial: Dial
  readonly key: ObjectKey
  readonly size: number
  token(): string
  /** The bytes from `offset`; opened again after a cut. May reject: then nothing is completed. */
  open(offset: number): AsyncIterable<Uint8Array>
  /** For a relay: who will fetch it. */
  receivers?(): readonly string[]
  progress?(at: number): void
}

/** Resolves when the exchange has said that the object is complete. */
export async function push(task: Push): Promise<void> {
  let at: number | undefined
  let source: Source | undefined
  /** Which exchange `at` was learned from: another one knows another offset. */
  let asked = ''
  const attempt = async (hop: Hop): Promise<Outcome> => {
    if (asked !== hop.url) at = undefined
    if (at === undefined) {
      const state = await where(task, hop)
      if (state.complete) return 'complete'
      at = state.offset
      asked = hop.url
    }
    const response = await sendPage(task, hop, at)
    const reached = parseCount(response.headers['upload-offset'])
    const complete = response.headers['upload-complete'] === flag(true)
    const why = await drop(response)
    if (response.status === 503) return 'wait'
    if (response.status !== 204 && response.status !== 409)
      throw new TransferFailed(`the exchange answered ${response.status} (${why})`)
    at = reached
    task.progress?.(reached ?? 0)
    return complete ? 'complete' : 'again'
  }
  const sendPage = async (task: Push, hop: Hop, from: number): Promise<Response> => {
    if (source?.at !== from) {
      await source?.close()
      source = openSource(task.open(from), from)
    }
    return send(task, hop, source, from)
  }
  const guarded = async (hop: Hop): Promise<Outcome> => {
    try {
      return await attempt(hop)
    } catch (error) {
      if (error instanceof Cut) at = undefined
      throw error
    }
  }
  try {
    await persist({ ...task, at: () => at ?? -1 }, guarded)
  } finally {
    await source?.close()
  }
}

const options = (task: Push, hop: Hop) => ({
  signal: task.signal,
  connectMs: hop.connectMs,
  idleMs: limits.transferIdleMs,
})

async function where(task: Push, hop: Hop): Promise<{ offset: number; complete: boolean }> {
  const request: Request = {
    method: 'HEAD',
    path: objectPath(task.key),
    headers: { authorization: `Bearer ${task.token()}` },
  }
  const response = await task.dial(hop, request, options(task, hop))
  await drop(response)
  if (response.status === 404) return { offset: 0, complete: false }
  if (response.status !== 200) throw new TransferFailed(`the exchange answered ${response.status}`)
  return {
    offset: parseCount(response.headers['upload-offset']) ?? 0,
    complete: response.headers['upload-complete'] === flag(true),
  }
}

function send(task: Push, hop: Hop, source: Source, from: number): Promise<Response> {
  const length = Math.min(limits.transferPageBytes, task.size - from)
  const receivers = task.receivers?.() ?? []
  const headers = {
    authorization: `Bearer ${task.token()}`,
    'content-type': 'application/partial-upload',
    'content-length': `${length}`,
    'upload-offset': `${from}`,
    'upload-length': `${task.size}`,
    'upload-complete': flag(from + length === task.size),
    ...(receivers.length > 0 ? { receivers: receivers.join(',') } : {}),
  }
  return task.dial(
    hop,
    { method: 'PATCH', path: objectPath(task.key), headers, body: source.take(length) },
    options(task, hop),
  )
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
