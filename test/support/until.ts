import { setTimeout } from 'node:timers/promises'

/** Longer than anything takes on a busy machine: a wait that ends here is a failure. */
const patienceMs = 70_000

/** Waits for something to become so; what it is, is said when it does not. */
export async function until<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
  ms: number = patienceMs,
): Promise<T> {
  const end = performance.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain: ${what}`)
    await setTimeout(15)
  }
}
