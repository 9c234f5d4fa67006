/** One run of a command: opens the archive, does it, closes, and turns every end into a sentence and an exit code. */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { Unable } from '../client/client.ts'
import { Stopped } from '../client/line.ts'
import { openClient } from '../programs/client.ts'
import { clientShape } from '../system/config-shapes.ts'
import { ConfigError, readConfig } from '../system/config.ts'
import { systemWorld } from '../system/world.ts'
import { parseDuration } from '../world/units.ts'
import { Complaint, type ExitCode, exitCodes, type Output, output } from './output.ts'
import type { Desk } from './put.ts'

export interface CommonOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly config?: string
  readonly idleTimeout?: string
  readonly verbose?: boolean
}

/** Where an archive in a box has its things. */
export const colonnadeHome = (): string => resolve(process.env.COLONNADE_HOME ?? join(homedir(), '.local/share/colonnade'))

/** Paths are relative to where the user typed, also below npm, which changes the folder. */
export const typedPath = (path: string): string => resolve(process.env.INIT_CWD ?? process.cwd(), path)

function configPath(options: CommonOptions): string {
  if (options.config !== undefined) return typedPath(options.config)
  const places = [process.env.COLONNADE_CONFIG, join(homedir(), '.config/colonnade/client.toml'), join(colonnadeHome(), 'client/client.toml')]
  const found = places.find(place => place !== undefined && existsSync(place))
  if (found === undefined) throw new Complaint('there is no configuration', exitCodes.failed, 'name it with --config, or make a trial archive with `npm start`')
  return found
}

export async function session(options: CommonOptions, work: (desk: Desk) => Promise<ExitCode>): Promise<void> {
  const out = output(options)
  process.exitCode = await run(options, out, work).catch(error => ended(out, error))
}

async function run(options: CommonOptions, out: Output, work: (desk: Desk) => Promise<ExitCode>): Promise<ExitCode> {
  const { values } = readConfig(configPath(options), clientShape)
  const idleMs = options.idleTimeout === undefined ? undefined : parseDuration(options.idleTimeout)
  if (options.idleTimeout !== undefined && idleMs === undefined) throw new Complaint(`${options.idleTimeout} is no duration`, exitCodes.usage, 'for example 90s or 5min')
  const stop = new AbortController()
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted)
    out.note('stopping; the same command goes on where it stopped')
    stop.abort(new Stopped('interrupted'))
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  const world = systemWorld(values.name, options.verbose ? 'debug' : 'silent')
  const opened = await openClient(world, values, idleMs === undefined ? {} : { idleMs })
  try {
    return await work({ client: opened.client, disk: opened.disk, out, signal: stop.signal })
  } finally {
    await opened.close()
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

function ended(out: Output, error: unknown): ExitCode {
  if (error instanceof Stopped) return exitCodes.interrupted
  if (error instanceof ConfigError) return out.complain(new Complaint(error.message, exitCodes.failed, error.hint))
  if (error instanceof Unable) return out.complain(new Complaint(error.message, exitCodes.failed))
  return out.complain(error)
}
