import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** How much of what was read or written may lie about, spent, until it is collected. */
const spentBytesMax = 4 * 1024 * 1024
/** How much may be left after that, of buffers that were in use at the wrong moment twice and are taken to be old. */
const oldBytesMax = 12 * 1024 * 1024

type Collect = (options: { type: 'minor' | 'major' }) => void

/**
 * Buffers lie outside of the heap, which hardly grows by them: left alone, it collects them by the 64 MiB. Tell how
 * many bytes came in new ones; the young generation is collected, in about a millisecond, when it is time, and the
 * whole heap when that leaves too much.
 */
export function collector(): (bytes: number) => void {
  let collect: Collect | undefined
  let spent = 0
  /** What was in use when the whole heap was collected last. */
  let used = 0
  return (bytes) => {
    spent += bytes
    if (spent < spentBytesMax) return
    spent = 0
    collect ??= exposed()
    collect({ type: 'minor' })
    if (process.memoryUsage().arrayBuffers < used + oldBytesMax) return
    collect({ type: 'major' })
    used = process.memoryUsage().arrayBuffers
  }
}

function exposed(): Collect {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc')
}
