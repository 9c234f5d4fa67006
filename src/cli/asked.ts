/** A question to whoever sits at the terminal. */
import { createInterface } from 'node:readline/promises'
import { harmless } from './output.ts'

interface Terminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly output: NodeJS.WritableStream & { readonly isTTY?: boolean }
}

/** True only for a plain yes; undefined when nobody sits there. */
export async function confirmed(
  question: string,
  signal: AbortSignal,
  { input, output }: Terminal = { input: process.stdin, output: process.stderr },
): Promise<boolean | undefined> {
  if (!input.isTTY || !output.isTTY) return undefined
  const lines = createInterface({ input, output })
  // Who has ended the input has not said yes.
  const ended = new Promise<string>((resolve) => lines.once('close', () => resolve('')))
  try {
    const asked = lines.question(`\r\u001b[K${harmless(question)} [y/N] `, { signal })
    return /^y(es)?$/i.test((await Promise.race([asked, ended])).trim())
  } finally {
    lines.close()
  }
}
