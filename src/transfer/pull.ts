/** Fetches one object page by page; goes on where it stopped, over cuts, restarts and a change of exchange. */
import { limits } from '../limits.ts'
import { type Attempts, type Outcome, persist, TransferFailed } from './attempts.ts'
import { type ObjectKey, objectPath, parseContentRange, parseUnsatisfied } from './objects.ts'
import type { Hop } from './route.ts'
import { Cut, type Dial, type DialOptions, type Response } from './transfer.ts'

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
  /** What is asked for at a time, and the most that is not secured; `transferPageBytes` when absent. */
  readonly pageBytes?: number
  token(): string
}

/** One page of an object: from `first` to before `end`. */
interface Page {
  readonly first: number
  readonly end: number
}

/**
 * Resolves with the size when all bytes are in the sink (the last page not yet secured: the sink's own end does that).
 */
export async function pull(task: Pull): Promise<number> {
  const { sink, pageBytes = limits.transferPageBytes } = task
  let { size } = task
  let secured = sink.at()
  const attempt = async (hop: Hop): Promise<Outcome> => {
    // Here, not after a page: the last one may have broken off at its very end.
    if (sink.at() - secured >= pageBytes) {
      await sink.secure()
      secured = sink.at()
    }
    const first = sink.at()
    // Counted from what is secured: a power cut here, too, costs no more than a page.
    const end = secured + pageBytes
    const page = { first, end: size < 0 ? end : Math.min(size, end) }
    const token = task.token()
    const response = await ask(task, hop, page, { token, safe: secured })
    const later = await notNow(task, response, token)
    if (later) return later
    if (response.status === 416 && size < 0) {
      size = await ended(response, first)
      return 'complete'
    }
    size = await take(task, response, page, size)
    return sink.at() >= size ? 'complete' : 'again'
  }
  if (size < 0 || sink.at() < size) await persist({ ...task, at: () => sink.at() }, attempt)
  return size
}

const ask = (
  task: Pull,
  hop: Hop,
  { first, end }: Page,
  { token, safe }: { token: string; safe: number },
): Promise<Response> =>
  task.dial(
    hop,
    {
      method: 'GET',
      path: objectPath(task.key),
      headers: {
        authorization: `Bearer ${token}`,
        range: `bytes=${first}-${end - 1}`,
        'if-range': `"${task.key.name}"`,
        'safe-offset': `${safe}`,
      },
    },
    dialOptions(task, hop),
  )

/** How one request of a transfer is made. */
export const dialOptions = (
  { signal, urgency }: Pick<Attempts, 'signal' | 'urgency'>,
  { connectMs }: Hop,
): DialOptions => ({
  signal,
  connectMs,
  idleMs: limits.transferIdleMs,
  ...(urgency === undefined ? {} : { urgency }),
})

/** What to do about an answer that only says: not now, or not here. */
export async function notNow(
  task: { token(): string },
  response: Response,
  token: string,
): Promise<Outcome | undefined> {
  const { status } = response
  // Not there yet; or gone, because it passes in a window: the client sends it again once it hears who waits.
  if (status === 503 || status === 410) {
    await drop(response)
    return 'wait'
  }
  // It has trouble of its own, or takes these bytes another way (RFC 9110 §15.5.20).
  if (status >= 500 || status === 421) {
    await drop(response)
    return 'avoid'
  }
  // A newer token came while the old one was on its way.
  if (status === 403 && task.token() !== token) {
    await drop(response)
    return 'again'
  }
  return undefined
}

/** The answer to who did not know the size, and has everything already (RFC 9110 §15.5.17). */
async function ended(response: Response, first: number): Promise<number> {
  const why = await drop(response)
  const size = parseUnsatisfied(response.headers['content-range'])
  if (size !== first) throw new TransferFailed(`the exchange answered ${response.status} (${why})`)
  return size
}

async function take(task: Pull, response: Response, page: Page, size: number): Promise<number> {
  const range = parseContentRange(response.headers['content-range'])
  // Anything but 206 with (a beginning of) the range asked for is an error.
  if (
    response.status !== 206 ||
    range?.first !== page.first ||
    range.last >= page.end ||
    (size >= 0 && range.size !== size)
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

/** What is read of an answer that is not what was asked for. */
const droppedBytesMax = 64 * 1024

/**
 * Reads a short body to its end, so that the connection can be used again, and breaks off a long one; what it said,
 * for logs.
 */
export async function drop(response: Response): Promise<string> {
  let text = ''
  let read = 0
  for await (const bytes of response.body ?? []) {
    if (text.length < 500) text += new TextDecoder().decode(bytes.subarray(0, 500))
    read += bytes.length
    if (read > droppedBytesMax) break
  }
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
  await drop(await task.dial(hop, request, dialOptions(task, hop)))
}
