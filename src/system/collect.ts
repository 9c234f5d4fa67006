import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How much of what was read may lie about, spent, until it is collected. */
const spentBytesMax = 16 * 1024 * 1024

/**
 * Buffers lie outside of the heap, which hardly grows by them: left alone, it collects them by the 64 MiB. Tell how
 * many bytes came in new ones; the young generation is collected, in about a millisecond, when it is time.
 */
export function collector(): (bytes: number) => void {
  let collect: ((options: { type: 'minor' }) => void) | undefined
  let spent = 0
  return (bytes) => {
    spent += bytes
    if (spent < spentBytesMax) return
    spent = 0
    collect ??= exposed()
    collect({ type: 'minor' })
  }
}

function exposed(): (options: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}
