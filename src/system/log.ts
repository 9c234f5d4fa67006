import { writeSync } from 'node:fs'
import { pino } from 'pino'
import type { Log } from '../world/world.ts'
import { noteLogged } from './wear.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface LogOptions {
  /** Which program or volume speaks. */
  readonly name: string
  readonly level: LogLevel
  /** One readable line an event instead of JSON, for people at a terminal. */
  readonly pretty?: boolean
}

/** Lines on stderr, written before the call returns, so that the last words before a crash are kept. */
export function systemLog({ name, level, pretty = false }: LogOptions): Log {
  const plain = pino.destination({ fd: 2, sync: true })
  const write = pretty ? writePretty : (line: string) => plain.write(line)
  const destination = {
    write(line: string): void {
      noteLogged(line)
      write(line)
    },
  }
  const logger = pino(
    {
      level,
      base: { name },
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
    },
    destination,
  )
  return {
    debug: (event, about = {}) => logger.debug(about, event),
    info: (event, about = {}) => logger.info(about, event),
    warn: (event, about = {}) => logger.warn(about, event),
    error: (event, about = {}) => logger.error(about, event),
  }
}

/** `12:34:56 warn  volume.full {"free":0}`; a terminal that is gone must not end the program. */
function writePretty(line: string): void {
  const { time, level, event, name, ...about }: Record<string, unknown> = JSON.parse(line)
  const rest = Object.keys(about).length > 0 ? ` ${JSON.stringify(about)}` : ''
  try {
    writeSync(
      2,
      `${String(time).slice(11, 19)} ${String(level).padEnd(5)} ${name}: ${event}${rest}\n`,
    )
  } catch {
    // Nobody reads stderr any more.
  }
}
