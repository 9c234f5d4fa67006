/** What this program has written outside its volumes: a board's card lives as long as little is written to it. */
import { readFileSync } from 'node:fs'

/**
 * What the thread that asks had written to storage until now, in bytes, as Linux counts it; 0 where nobody counts. What is
 * thrown away before it reaches the disk is counted as well.
 */
export function writtenHere(): number {
  try {
    const text = readFileSync('/proc/thread-self/io', 'utf8')
    return Number(/^write_bytes: (\d+)$/m.exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}

let logged = 0

/** A line of the log, which the system keeps. */
export function noteLogged(line: string): void {
  logged += Buffer.byteLength(line)
}

const others = new Set<() => Promise<number>>()

/** A thread that writes elsewhere: asked as long as it is there. Gives what ends that. */
export function alsoAsk(written: () => Promise<number>): () => void {
  others.add(written)
  return () => void others.delete(written)
}

/** In bytes, since the start of the program: by this thread, by others that serve no volume, and to the log. */
export async function wear(): Promise<{ bytes: number; ms: number }> {
  const all = await Promise.all([...others].map((ask) => ask().catch(() => 0)))
  const bytes = all.reduce((sum, one) => sum + one, writtenHere() + logged)
  return { bytes, ms: Math.floor(performance.now()) }
}
