export interface Measuring {
  /** 1 for the full size. */
  readonly scale: number
  /** For tracker and pillars. */
  readonly nodeOptions: readonly string[]
}

/** Resolves with a table in Markdown. */
export type Measurement = (measuring: Measuring) => Promise<string>

export function markdown(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

export const inMiB = (bytes: number | undefined): string =>
  bytes === undefined ? '' : `${(bytes / 1024 ** 2).toFixed(bytes < 10 * 1024 ** 2 ? 1 : 0)} MiB`

export const inSeconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`

export const rate = (bytes: number, ms: number): string =>
  `${(bytes / 1e6 / (ms / 1000)).toFixed(0)} MB/s`

/** What goes on, for who waits. */
export const tell = (text: string): void => void process.stderr.write(`measure: ${text}\n`)
