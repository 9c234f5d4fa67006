/** What processes take while they run: memory, processor time, disk; read from the system at intervals. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

const sampleMs = 200
/** Clock ticks a second in /proc: the same on every Linux that Node.js runs on. */
const ticksPerSecond = 100

/** What a process took while it was watched. */
export interface Usage {
  /** RssAnon: the highest seen, and the last, in bytes. */
  readonly peak: number
  readonly end: number
  /** Of all its threads. */
  readonly processorMs: number
}

export interface Watch {
  usage(): Readonly<Record<string, Usage>>
  /** The highest value each gauge had. */
  peaks(): Readonly<Record<string, number>>
  add(name: string, pid: number): void
  stop(): void
}

export function watch(
  pids: Readonly<Record<string, number>>,
  gauges: Readonly<Record<string, () => number>> = {},
  each: (memory: Readonly<Record<string, number>>) => void = () => undefined,
): Watch {
  const known = new Map(Object.entries(pids))
  const usage = new Map<string, Usage>()
  const before = new Map(Object.entries(pids).map(([name, pid]) => [name, processorMs(pid)]))
  const peaks = new Map<string, number>()
  const sample = (): void => {
    for (const [name, pid] of known) {
      const now = anonymousBytes(pid)
      if (now === undefined) continue
      usage.set(name, {
        peak: Math.max(now, usage.get(name)?.peak ?? 0),
        end: now,
        processorMs: processorMs(pid) - (before.get(name) ?? 0),
      })
    }
    for (const [name, gauge] of Object.entries(gauges))
      peaks.set(name, Math.max(gauge(), peaks.get(name) ?? 0))
    each(Object.fromEntries([...usage].map(([name, { end }]) => [name, end])))
  }
  sample()
  const timer = setInterval(sample, sampleMs)
  return {
    usage: () => Object.fromEntries(usage),
    peaks: () => Object.fromEntries(peaks),
    add: (name, pid) => void known.set(name, pid),
    stop() {
      sample()
      clearInterval(timer)
    },
  }
}

/** RssAnon of a process; undefined when it has ended. */
export function anonymousBytes(pid: number): number | undefined {
  const kB = /^RssAnon:\s+(\d+) kB$/m.exec(readProc(pid, 'status'))?.[1]
  return kB === undefined ? undefined : Number(kB) * 1024
}

/** Processor time that a process has taken so far, all threads, in milliseconds. */
export function processorMs(pid: number): number {
  const stat = readProc(pid, 'stat')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1000) / ticksPerSecond
}

function readProc(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8')
  } catch {
    return ''
  }
}

/** Bytes that a folder takes on its disk. Files may vanish while it is read. */
export function diskBytes(folder: string): number {
  let bytes = 0
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name)
      bytes += entry.isDirectory() ? diskBytes(path) : statSync(path).blocks * 512
    }
  } catch {
    // What has gone takes nothing.
  }
  return bytes
}

/** Resolves once it holds; rejects when it does not in time. */
export async function until(
  what: string,
  holds: () => boolean,
  patienceMs = 60_000,
): Promise<void> {
  const end = Date.now() + patienceMs
  while (!holds()) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
