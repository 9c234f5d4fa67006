/** The text of an HTTP/1.1 answer: its head, and what says where its body ends (RFC 9112). Pure. */

export interface Head {
  readonly status: number
  /** Names in lower case; what came twice is joined by commas. */
  readonly headers: Readonly<Record<string, string>>
}

/** The head without its empty line; undefined when it is none. */
export function parseHead(text: string): Head | undefined {
  const [first = '', ...lines] = text.split('\r\n')
  const status = /^HTTP\/1\.1 ([1-5]\d\d)(?: |$)/.exec(first)?.[1]
  if (status === undefined) return undefined
  // Whatever a peer calls a header: none is a property of every object.
  const headers: Record<string, string> = Object.create(null)
  for (const line of lines) {
    const [, name, value] =
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*$/.exec(line) ?? []
    if (name === undefined || value === undefined) return undefined
    const known = headers[name.toLowerCase()]
    headers[name.toLowerCase()] = known === undefined ? value : `${known}, ${value}`
  }
  return { status: Number(status), headers }
}

/** How the body ends: after so many bytes, by chunks that say so, or with the connection. */
export type Framing = number | 'chunked' | 'close'

/** RFC 9112 §6.3; undefined when two ways contradict each other, or one is not to be understood. */
export function framingOf(method: string, { status, headers }: Head): Framing | undefined {
  if (method === 'HEAD' || status === 204 || status === 304) return 0
  const length = headers['content-length']
  const coding = headers['transfer-encoding']
  if (coding !== undefined)
    return coding.toLowerCase() === 'chunked' && length === undefined ? 'chunked' : undefined
  if (length === undefined) return 'close'
  return /^\d{1,15}$/.test(length) ? Number(length) : undefined
}

export interface Dechunking {
  /** The parts of `bytes` that belong to the body. Throws when these are no chunks. */
  parts(bytes: Uint8Array): Uint8Array[]
  /** The last chunk was seen, and nothing after it. */
  isOver(): boolean
}

/** A line of a chunk's size, or of the trailer, is never longer in earnest. */
const lineMax = 1024

/** Takes a chunked body apart (RFC 9112 §7.1), however it was cut on its way. What a trailer says is passed over. */
export function dechunking(): Dechunking {
  let state: 'size' | 'data' | 'end' | 'trailer' | 'over' = 'size'
  let left = 0
  let line = ''

  function lineEnded(): void {
    const text = line.replace(/\r$/, '')
    line = ''
    if (state === 'end') {
      if (text !== '') throw new Error('a chunk is longer than it said')
      state = 'size'
    } else if (state === 'trailer') {
      if (text === '') state = 'over'
    } else {
      const size = /^([0-9a-fA-F]{1,12})[ \t]*(?:;.*)?$/.exec(text)?.[1]
      if (size === undefined) throw new Error('a chunk does not tell its size')
      left = Number.parseInt(size, 16)
      state = left === 0 ? 'trailer' : 'data'
    }
  }
  return {
    parts(bytes) {
      const parts: Uint8Array[] = []
      for (let at = 0; at < bytes.length; ) {
        if (state === 'over') throw new Error('something comes after the last chunk')
        if (state === 'data') {
          const part = bytes.subarray(at, at + left)
          parts.push(part)
          at += part.length
          left -= part.length
          if (left === 0) state = 'end'
          continue
        }
        const byte = bytes[at++] as number
        if (byte === 10) lineEnded()
        else line += String.fromCharCode(byte)
        if (line.length > lineMax) throw new Error('a line between chunks is too long')
      }
      return parts
    },
    isOver: () => state === 'over',
  }
}
