import { hashingInThread } from '../world/hashing.ts'
import type { Clock, Log, Random, World } from '../world/world.ts'

/** A simulated world that remembers what was said last, for the report of a failure. */
export interface SimWorld extends World {
  /** The last lines of the log, oldest first. */
  lines(): string[]
  /** Length of all lines so far, in bytes. */
  logged(): number
}

/** Enough to see what led to a failure. */
const linesMax = 200

export function simWorld(clock: Clock, random: Random, name: string): SimWorld {
  const kept: string[] = []
  let logged = 0
  const say =
    (level: string) =>
    (event: string, about: object = {}): void => {
      const line = `${clock.monotonic()} ${name} ${level} ${event} ${said(about)}`
      logged += line.length
      kept.push(line)
      if (kept.length > linesMax) kept.shift()
    }
  const log: Log = {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
  }
  const told = { lines: () => [...kept], logged: () => logged }
  return { clock, random, hashing: hashingInThread(), log, ...told }
}

const said = (about: object): string =>
  JSON.stringify(about, (_, value: unknown) => (value instanceof Error ? String(value) : value))
