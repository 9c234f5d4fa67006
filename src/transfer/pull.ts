/** Fetches one object page by page; goes on where it stopped, over cuts, restarts and a change of exchange. */
import { limits } from '../limits.ts'
import { type Attempts, type Outcome, persist, TransferFailed } from './attempts.ts'
import { type ObjectKey, objectPath, parseContentRange } from './objects.ts'
import type { Hop } from './route.ts'
import { Cut, type Dial, type Response } from './transfer.ts'

/** Where the bytes go: the store's `Incoming`, or a file of the client. */
export interface Sink {
  at(): number
  write(bytes: Uint8Array): Promise<void>
  secure(): Promise<void>
}

export interface Pull extends Omit<Attempts, 'at'> {
  readonly dial: Dial
  readonly key: ObjectKey
  /** Whole size; -1 when only the exchange knows it. */
  readonly size: number
  readonly sink: Sink
  token(): string
}

/**
 * Resolves with the size when all bytes are in the sink (the last page not yet secured: the sink's own end does that).
 */
export async function pull(task: Pull): Promise<number> {
  const { sink } = task
  let { size } = task
  let secured = sink.at()
  const attempt = async (hop: Hop): Promise<Outcome> => {
    const first = sink.at()
    const next = first + limits.transferPageBytes
    const page = size < 0 ? next : Math.min(size, next)
    const response = await ask(task, hop, first, page, secured)
    // Not there yet; or gone, because it passes in a window: the client sends it again once it hears who waits.
    if (response.status === 503 || response.status === 410) {
      await drop(response)
      return 'wait'
    }
    size = await take(task, response, first)
    if (sink.at() >= size) return 'complete'
    if (sink.at() - secured >= limits.transferPageBytes) {
      await sink.secure()
      secured = sink.at()
    }
    return 'again'
  }
  if (size < 0 || sink.at() < size) await persist({ ...task, at: () => sink.at() }, attempt)
  return size
}

const ask = (task: Pull, hop: Hop, first: number, end: number, safe: number): Promise<Response> =>
  task.dial(
    hop,
    {
      method: 'GET',
      path: objectPath(task.key),
      headers: {
        authorization: `Bearer ${task.token()}`,
        range: `bytes=${first}-${end - 1}`,
        'if-range': `"${task.key.name}"`,
        'safe-offset': `${safe}`,
      },
    },
    { signal: task.signal, connectMs: hop.connectMs, idleMs: limits.transferIdleMs },
  )

async function take(task: Pull, response: Response, first: number): Promise<number> {
  const range = parseContentRange(response.headers['content-range'])
  if (
    response.status !== 206 ||
    range?.first !== first ||
    (task.size >= 0 && range.size !== task.size)
  ) {
    const why = await drop(response)
    throw new TransferFailed(`the exchange answered ${response.status} (${why})`)
  }
  const end = range.last + 1
  if (!response.body) throw new Cut('no body')
  for await (const bytes of response.body) {
    if (task.sink.at() + bytes.length > end)
      throw new TransferFailed('more bytes than the exchange said')
    await task.sink.write(bytes)
  }
  if (task.sink.at() !== end) throw new Cut('the page ended early')
  return range.size
}

/** Reads a short body to its end, so that the connection can be used again; what it said, for logs. */
export async function drop(response: Response): Promise<string> {
  let text = ''
  for await (const bytes of response.body ?? [])
    if (text.length < 500) text += new TextDecoder().decode(bytes)
  return text.trim()
}

/** Tells the exchange that everything is safe here; it may forget the object. Nothing depends on it. */
export async function release(
  task: Pick<Pull, 'dial' | 'key' | 'token' | 'signal'>,
  hop: Hop,
): Promise<void> {
  const request = {
    method: 'DELETE',
    path: objectPath(task.key),
    headers: { authorization: `Bearer ${task.token()}` },
  } as const
  const response = await task.dial(hop, request, {
    signal: task.signal,
    connectMs: hop.connectMs,
    idleMs: limits.transferIdleMs,
  })
  await drop(response)
}
