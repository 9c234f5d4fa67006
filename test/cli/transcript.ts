/** Transcripts: what a user types after `$ `, what he sees then, and `[3]` for an exit code that is not 0. */

export interface Step {
  readonly command: string
  /** With placeholders like `<time>`, each for some text on one line. */
  readonly expected: string
  readonly line: number
}

/** Lines that begin with `#` are for the reader. */
export function stepsOf(text: string): Step[] {
  const steps: Step[] = []
  let lines: string[] = []
  let step: Omit<Step, 'expected'> | undefined
  const end = (): void => {
    if (step) steps.push({ ...step, expected: lines.join('\n').trimEnd() })
    lines = []
  }
  for (const [n, line] of text.split('\n').entries()) {
    if (line.startsWith('#')) continue
    if (!line.startsWith('$ ')) lines.push(line)
    else {
      end()
      step = { command: line.slice(2), line: n + 1 }
    }
  }
  end()
  return steps
}

/** What was seen, as a transcript has it; without what others put on the same pillars meanwhile. */
export const seen = (output: string, code: number | null): string =>
  `${output}${code === 0 ? '' : `[${code}]\n`}`.replace(/, \d+ on their way/g, '').trimEnd()

export function patternOf(expected: string): RegExp {
  const parts = expected
    .split(/<[a-z ]+>/)
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('[^\\n]+')}$`)
}
