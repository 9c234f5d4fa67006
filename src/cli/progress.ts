/** A bar on a terminal, a quiet line now and then elsewhere. The only importer of cli-progress. */
import { Presets, SingleBar } from 'cli-progress'
import { formatBytes, formatDuration } from '../world/units.ts'
import { formatCount } from './output.ts'

export interface Progress {
  /**
   * How far it is now: bytes that moved, files that are done, bytes that need not move after all; of fragments, how many of
   * those that moved are safe. Only what moved says how long the rest will take.
   */
  at(moved: number, files: number, passed?: number, safe?: number): void
  /** Bytes of files on this computer that were read so far, while nothing moves yet. */
  reading(bytes: number): void
  end(): void
}

export interface ProgressOptions {
  readonly verb: string
  readonly bytes: number
  readonly files: number
  readonly quiet: boolean
}

const quietEveryMs = 10_000

export function progress(options: ProgressOptions): Progress {
  if (options.quiet) return { at: () => undefined, reading: () => undefined, end: () => undefined }
  return process.stderr.isTTY ? bar(options) : lines(options)
}

/** Where the work is. */
interface Place {
  moved: number
  passed: number
  files: number
  read: number
  /** Of what moved; all of it is done only then. */
  safe?: number | undefined
  seconds: number
}

/** One line about a place, with the time that is left as far as it can be told. */
export function placeText({ verb, bytes, files }: ProgressOptions, place: Place): string {
  const at = Math.min(bytes, place.moved + place.passed)
  const safe = place.safe === undefined ? at : Math.min(at, place.safe + place.passed)
  const width = 24
  const filled = (part: number): number => Math.round((part / Math.max(1, bytes)) * width)
  const drawn = '#'.repeat(filled(safe)) + '='.repeat(filled(at) - filled(safe))
  const rate = place.moved / Math.max(place.seconds, 0.001)
  const parts = [`${verb} [${drawn.padEnd(width, '.')}] ${uploaded(place, at, safe, bytes)}`]
  parts.push(`${formatCount(place.files)} of ${formatCount(files)} files`)
  if (place.moved > 0 && at < bytes) parts.push(`${formatBytes(rate)}/s`)
  else if (place.read > 0 && place.moved === 0) parts.push(`${formatBytes(place.read)} read`)
  if (place.moved > 0 && safe < bytes) parts.push(`${formatDuration(msLeft(place, bytes))} left`)
  return parts.join(', ')
}

const uploaded = ({ safe }: Place, at: number, atSafe: number, bytes: number): string =>
  safe === undefined
    ? `${formatBytes(at)} of ${formatBytes(bytes)}`
    : `${formatBytes(at)} of ${formatBytes(bytes)} uploaded, ${formatBytes(atSafe)} safe`

/** What moved and then became safe is work of two kinds, of which both are still to be done for the rest. */
function msLeft({ moved, passed, safe, seconds }: Place, bytes: number): number {
  const rest = bytes - Math.min(bytes, passed)
  const [done, all] = safe === undefined ? [moved, rest] : [moved + safe, 2 * rest]
  return ((all - Math.min(done, all)) / done) * Math.max(seconds, 0.001) * 1000
}

function bar(options: ProgressOptions): Progress {
  const began = Date.now()
  const place: Place = { moved: 0, passed: 0, files: 0, read: 0, seconds: 0 }
  const one = new SingleBar(
    {
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      fps: 5,
      format: () => placeText(options, { ...place, seconds: (Date.now() - began) / 1000 }),
    },
    Presets.legacy,
  )
  const stop = (): void => one.stop()
  // However we end, the cursor is to be seen again.
  process.once('exit', stop)
  one.start(1, 0)
  return {
    at(moved, files, passed = 0, safe) {
      Object.assign(place, { moved, files, passed, safe })
    },
    reading(bytes) {
      place.read = bytes
    },
    end() {
      process.off('exit', stop)
      stop()
    },
  }
}

function lines({ verb, bytes, files }: ProgressOptions): Progress {
  let last = Date.now()
  const say = (text: string): void => {
    if (Date.now() - last < quietEveryMs) return
    last = Date.now()
    process.stderr.write(`${verb}: ${text}\n`)
  }
  return {
    at(moved, done, passed = 0, safe) {
      const place = { moved, passed, files: done, read: 0, safe, seconds: 0 }
      const at = Math.min(bytes, moved + passed)
      const atSafe = Math.min(at, (safe ?? 0) + passed)
      const what = uploaded(place, at, atSafe, bytes)
      say(`${what}, ${formatCount(done)} of ${formatCount(files)} files`)
    },
    reading: (read) => say(`${formatBytes(read)} read`),
    end: () => undefined,
  }
}
