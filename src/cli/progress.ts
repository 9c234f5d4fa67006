/** A bar on a terminal, a quiet line now and then elsewhere. The only importer of cli-progress. */
import { Presets, SingleBar } from 'cli-progress'
import { formatBytes, formatDuration } from '../world/units.ts'

export interface Progress {
  /** How far it is now, in bytes, and what is being done. */
  at(bytes: number, files: number): void
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
  if (options.quiet) return { at: () => undefined, end: () => undefined }
  return process.stderr.isTTY ? bar(options) : lines(options)
}

function bar({ verb, bytes, files }: ProgressOptions): Progress {
  const began = Date.now()
  const one = new SingleBar(
    {
      stream: process.stderr,
      hideCursor: true,
      clearOnComplete: true,
      fps: 5,
      format: (_options, { progress: part }, { at, done }: { at: number; done: number }) => {
        const width = 24
        const filled = Math.round(Math.min(1, part) * width)
        const seconds = (Date.now() - began) / 1000
        const rate = at / Math.max(seconds, 0.001)
        const eta = rate > 0 && part < 1 ? `, ${formatDuration(((bytes - at) / rate) * 1000)} left` : ''
        return `${verb} [${'#'.repeat(filled)}${'.'.repeat(width - filled)}] ${formatBytes(at)} of ${formatBytes(bytes)}, ${done} of ${files} files, ${formatBytes(rate)}/s${eta}`
      },
    },
    Presets.legacy,
  )
  one.start(Math.max(bytes, 1), 0, { at: 0, done: 0 })
  return {
    at: (value, done) => one.update(Math.min(value, bytes), { at: Math.min(value, bytes), done }),
    end: () => one.stop(),
  }
}

function lines({ verb, bytes, files }: ProgressOptions): Progress {
  let last = Date.now()
  return {
    at(value, done) {
      if (Date.now() - last < quietEveryMs) return
      last = Date.now()
      process.stderr.write(`${verb}: ${formatBytes(Math.min(value, bytes))} of ${formatBytes(bytes)}, ${done} of ${files} files\n`)
    },
    end: () => undefined,
  }
}
