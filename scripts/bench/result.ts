/** One line of the table: what was measured, against whom, and what it should reach. */
import { GiB } from '../../test/support/net-files.ts'
import type { Contest, Score } from './contest.ts'

export interface Result {
  readonly job: string
  readonly ours: string
  /** Ours by theirs: processor time, or what `of` says. */
  readonly ratio?: number
  readonly peer?: string
  readonly theirs?: string
  readonly reach: string
  readonly met?: boolean
}

export interface Bench {
  /** An empty folder for everything, on the disk that is measured. */
  readonly home: string
  readonly rounds: number
  /** Bytes of the one large file. */
  readonly bytes: number
  readonly quick: boolean
}

export type Row = (bench: Bench) => Promise<readonly Result[]>

/** What goes on, for who waits. */
export const tell = (text: string): void => void process.stderr.write(`bench: ${text}\n`)

const perGiB = (bytes: number, { ms, processorMs, memory }: Score): string =>
  [
    `${(processorMs / 1000 / (bytes / GiB)).toFixed(2)} s/GiB`,
    `${(bytes / 1e3 / ms).toFixed(0)} MB/s`,
    ...(memory === undefined ? [] : [`${(memory / 1024 ** 2).toFixed(0)} MiB`]),
  ].join(', ')

/** A line for each peer; `reach` gives the most that the ratio of processor time should be. */
export const resultsOf = (
  job: string,
  bytes: number,
  { ours, peers }: Contest,
  reach: Readonly<Record<string, number>>,
): Result[] =>
  peers.map((peer) => {
    const most = reach[peer.name]
    return {
      job,
      ours: perGiB(bytes, ours),
      ratio: peer.processor,
      peer: peer.name,
      theirs: perGiB(bytes, peer),
      reach: most === undefined ? '' : `≤ ${most}`,
      ...(most === undefined ? {} : { met: peer.processor <= most }),
    }
  })
