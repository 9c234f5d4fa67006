/** A question to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises'
import { harmless } from './output.ts'

/** True only for a plain yes; undefined when nobody sits there. */
export async function confirmed(
  question: string,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return undefined
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question(`\r\u001b[K${harmless(question)} [y/N] `, { signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    lines.close()
  }
}
