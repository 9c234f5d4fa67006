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
  /** A line of the result. */
  line(text: string): void
  /** One object a line, only with --json. */
  object(value: object): void
  /** About the work, not of the result: to stderr. */
  note(text: string): void
  warn(text: string): void
  complain(error: unknown): ExitCode
}

const shown = (text: string): string =>
  // A file name may hold anything: nothing of it may steer the terminal.
  text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, c => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)

/** A file id on one line. */
export const idText = (id: string): string => shown(id.replace(/[\n\t]/g, c => (c === '\n' ? '\\n' : '\\t')))

export function output(options: { json?: boolean; quiet?: boolean }): Output {
  const { json = false, quiet = false } = options
  const toOut = (text: string): void => void process.stdout.write(`${text}\n`)
  const toErr = (text: string): void => void process.stderr.write(`${text}\n`)
  return {
    json,
    quiet,
    line: text => json || toOut(text),
    object: value => json && toOut(JSON.stringify(value)),
    note: text => quiet || json || toErr(text),
    warn: text => toErr(`colonnade: ${text}`),
    complain(error) {
      const complaint = error instanceof Complaint ? error : undefined
      toErr(`colonnade: error: ${error instanceof Error ? error.message : String(error)}`)
      if (complaint?.hint !== undefined) toErr(`colonnade: hint: ${complaint.hint}`)
      return complaint?.exitCode ?? exitCodes.failed
    },
  }
}

/** Columns that fit; the last one is not padded. */
export function table(rows: readonly (readonly string[])[], right: readonly number[] = []): string[] {
  const widths: number[] = []
  for (const row of rows) for (const [n, cell] of row.entries()) widths[n] = Math.max(widths[n] ?? 0, cell.length)
  return rows.map(row =>
    row
      .map((cell, n) => (right.includes(n) ? cell.padStart(widths[n] ?? 0) : n === row.length - 1 ? cell : cell.padEnd(widths[n] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}
