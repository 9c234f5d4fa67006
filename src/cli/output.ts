/** What is said to people and to programs: lines, tables, JSON, errors with a hint, and exit codes. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  partly: 3,
  nobody: 4,
  interrupted: 130,
} as const
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** An error for the user: one sentence, and a way on. */
export class Complaint extends Error {
  override readonly name = 'Complaint'
  readonly exitCode: ExitCode
  readonly hint: string | undefined
  constructor(sentence: string, exitCode: ExitCode, hint?: string) {
    super(sentence)
    this.exitCode = exitCode
    this.hint = hint
  }
}

export interface Output {
  readonly json: boolean
  readonly quiet: boolean
  /** A line of what was asked for. */
  line(text: string): void
  /** The same, byte for byte, for other programs; on a terminal nothing of it may steer that. */
  exact(text: string): void
  /** Bytes of a file; resolves once they are taken. */
  bytes(bytes: Uint8Array): Promise<void>
  /** What was done, in a sentence; not with --quiet. */
  tell(text: string): void
  /** One object a line, only with --json. */
  object(value: object): void
  /** About the work, not of the result: to stderr; not with --quiet. */
  note(text: string): void
  /** What could not be done: to stderr, always. */
  warn(text: string): void
  /** An error and its hint; the exit code that it stands for. */
  complain(error: unknown): ExitCode
}

export interface Streams {
  readonly out: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly err: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** Everything that a terminal may take for a command, or that turns the direction of writing. */
const steering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu
const isSteering = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u
const letters: Readonly<Record<string, string>> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }

function escaped(character: string): string {
  const code = character.charCodeAt(0)
  const plain = letters[character]
  if (plain !== undefined) return plain
  return code < 0x80
    ? `\\x${code.toString(16).padStart(2, '0')}`
    : `\\u${code.toString(16).padStart(4, '0')}`
}

/** A file name may hold anything: nothing of it may steer the terminal. */
export const harmless = (text: string): string => text.replace(steering, escaped)

/**
 * An id or a path on one line: as it is, or in the form that shells read back when it holds what is not to be shown, or
 * begins or ends in a blank that nobody would see.
 */
export function idText(id: string): string {
  if (!isSteering.test(id) && id.trim() === id) return id
  return `$'${harmless(id.replace(/[\\']/g, '\\$&'))}'`
}

/** One line of JSON that is harmless on a terminal too: JSON itself escapes only some control characters. */
const jsonText = (value: object): string =>
  JSON.stringify(value).replace(
    steering,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

export function output(
  options: { json?: boolean; quiet?: boolean },
  { out, err }: Streams = { out: process.stdout, err: process.stderr },
): Output {
  const { json = false, quiet = false } = options
  const toOut = (text: string): void => void out.write(`${text}\n`)
  // On a terminal a progress bar may stand in the line.
  const toErr = (text: string): void =>
    void err.write(`${err.isTTY ? '\r\u001b[K' : ''}${harmless(text)}\n`)
  const object = (value: object): void => void (json && toOut(jsonText(value)))
  const warn = (text: string): void => toErr(`colonnade: ${text}`)
  return {
    json,
    quiet,
    line: (text) => json || toOut(harmless(text)),
    exact: (text) => json || toOut(out.isTTY ? harmless(text) : text),
    bytes: (bytes) =>
      new Promise((resolve, reject) => {
        out.write(bytes, (error) => (error ? reject(error) : resolve()))
      }),
    tell: (text) => json || quiet || toOut(harmless(text)),
    object,
    note: (text) => quiet || json || toErr(`colonnade: ${text}`),
    warn,
    complain(error) {
      const { sentence, hint, exitCode } = complaintOf(error)
      warn(`error: ${sentence}`)
      if (hint !== undefined) warn(`hint: ${hint}`)
      object({ error: sentence, ...(hint === undefined ? {} : { hint }), exitCode })
      return exitCode
    },
  }
}

/** While standard output carries the bytes of a file, what was done is told beside it. */
export const beside = (out: Output): Output => ({ ...out, tell: out.note, line: out.note })

function complaintOf(error: unknown): {
  sentence: string
  hint: string | undefined
  exitCode: ExitCode
} {
  if (error instanceof Complaint)
    return { sentence: error.message, hint: error.hint, exitCode: error.exitCode }
  return { sentence: reasonOf(error), hint: undefined, exitCode: exitCodes.failed }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  ENOENT: 'there is no such file or folder',
  ENOSPC: 'there is no space left on this disk',
  EDQUOT: 'there is no space left for you on this disk',
  EROFS: 'this disk may only be read',
  EIO: 'the disk fails to read or write it',
  ENAMETOOLONG: 'the name is too long for this disk',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a file or a symbolic link is in the place of a folder',
  ELOOP: 'it is a symbolic link',
}

/** Why something failed, in words; system calls say it in capitals. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return reasons[code] ?? (error instanceof Error ? error.message : String(error))
}

/** `1 file`, `12 345 files`. */
export function many(count: number, one: string, more = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : more}`
}

/** Groups of three from five digits on: `1234`, `12 345`. */
export const formatCount = (count: number): string =>
  count < 10_000 ? `${count}` : `${count}`.replace(/\B(?=(\d{3})+$)/g, ' ')

/** Columns that fit; the last one is not padded. */
export function table(
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string[] {
  const widths: number[] = []
  for (const row of rows)
    for (const [n, cell] of row.entries()) widths[n] = Math.max(widths[n] ?? 0, cell.length)
  const padded = (cell: string, n: number, last: boolean): string => {
    const width = widths[n] ?? 0
    if (right.includes(n)) return cell.padStart(width)
    return last ? cell : cell.padEnd(width)
  }
  return rows.map((row) => row.map((cell, n) => padded(cell, n, n === row.length - 1)).join('  '))
}
