/** A bar on a terminal, a quiet line now and then elsewhere. The only importer of cli-progress. */
import { Presets, SingleBar } from 'cli-progress'
import { formatBytes, formatDuration } from '../world/units.ts'
import { formatCount } from './output.ts'

export interface Progress {
  /**
   * How far it is now: bytes that moved, files that are done, bytes that need not move after all. Only what moved says
   * how long the rest will take.
   */
  at(moved: number, files: number, passed?: number): void
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
  seconds: number
}

/** One line about a place, with the time that is left as far as it can be told. */
export function placeText({ verb, bytes, files }: ProgressOptions, place: Place): string {
  const at = Math.min(bytes, place.moved + place.passed)
  const width = 24
  const filled = Math.round((at / Math.max(1, bytes)) * width)
  const rate = place.moved / Math.max(place.seconds, 0.001)
  const parts = [
    `${verb} [${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${formatBytes(at)} of ${formatBytes(bytes)}`,
    `${formatCount(place.files)} of ${formatCount(files)} files`,
  ]
  if (place.moved > 0) parts.push(`${formatBytes(rate)}/s`)
  else if (place.read > 0) parts.push(`${formatBytes(place.read)} read`)
  if (place.moved > 0 && at < bytes)
    parts.push(`${formatDuration(((bytes - at) / rate) * 1000)} left`)
  return parts.join(', ')
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
    at(moved, files, passed = 0) {
      Object.assign(place, { moved, files, passed })
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
    at: (moved, done, passed = 0) =>
      say(
        `${formatBytes(Math.min(moved + passed, bytes))} of ${formatBytes(bytes)}, ${formatCount(done)} of ${formatCount(files)} files`,
      ),
    reading: (read) => say(`${formatBytes(read)} read`),
    end: () => undefined,
  }
}
