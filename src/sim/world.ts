import { hashingInThread } from '../world/hashing.ts'
import type { Clock, Log, Random, World } from '../world/world.ts'

/** A simulated world that remembers what was said last, for the report of a failure. */
export interface SimWorld extends World {
  /** The last lines of the log, oldest first. */
  lines(): string[]
}

/** Enough to see what led to a failure. */
const linesMax = 200

export function simWorld(clock: Clock, random: Random, name: string): SimWorld {
  const kept: string[] = []
  const say =
    (level: string) =>
    (event: string, about: object = {}): void => {
      kept.push(`${clock.monotonic()} ${name} ${level} ${event} ${said(about)}`)
      if (kept.length > linesMax) kept.shift()
    }
  const log: Log = {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
  }
  return { clock, random, hashing: hashingInThread(), log, lines: () => [...kept] }
}

const said = (about: object): string =>
  JSON.stringify(about, (_, value: unknown) => (value instanceof Error ? String(value) : value))
