/** One run of a command: opens the archive, does it, closes, and turns every end into a sentence and an exit code. */
import { existsSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { type Client, type ClientParts, Unable } from '../client/client.ts'
import { Stopped } from '../client/line.ts'
import { ConfigError, readConfig } from '../system/config.ts'
import { clientShape } from '../system/config-shapes.ts'
import { systemWorld } from '../system/world.ts'
import { formatDuration } from '../world/units.ts'
import type { Desk } from './desk.ts'
import { linkMemory } from './forecast.ts'
import { Complaint, type ExitCode, exitCodes, type Output, output } from './output.ts'

export interface CommonOptions {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly config?: string
  /** Milliseconds. */
  readonly idleTimeout?: number
  readonly verbose?: boolean
  /** Bytes per second over the exchange of the tracker. */
  readonly limit?: number
}

/** How long the broker may take to let us in; a slow link needs several round trips for that. */
const connectMsMax = 20_000

/** Where an archive in a box has its things. */
export const colonnadeHome = (): string =>
  resolve(process.env.COLONNADE_HOME ?? join(homedir(), '.local/share/colonnade'))

/** Paths are relative to where the user typed, also below npm, which changes to the folder of the package. */
export const typedPath = (path: string): string => resolve(typedFolder(), path)

function typedFolder(): string {
  const { INIT_CWD: typed, npm_package_json: npm } = process.env
  const moved = npm === undefined || dirname(npm) === process.cwd()
  return typed !== undefined && moved ? typed : process.cwd()
}

function configPath(options: CommonOptions): string {
  if (options.config !== undefined) return typedPath(options.config)
  const places = [
    process.env.COLONNADE_CONFIG,
    join(homedir(), '.config/colonnade/client.toml'),
    join(colonnadeHome(), 'client/client.toml'),
  ]
  const found = places.find((place) => place !== undefined && existsSync(place))
  if (found === undefined)
    throw new Complaint(
      'there is no configuration',
      exitCodes.failed,
      'name it with --config, or make a trial archive with `npm start`',
    )
  return found
}

/** `check` throws what can be said of the command itself: nobody need be asked for that. */
export async function session(
  options: CommonOptions,
  work: (desk: Desk) => Promise<ExitCode>,
  check: () => void = () => undefined,
  more: Pick<ClientParts, 'onAlarm'> = {},
): Promise<void> {
  const out = output(options)
  process.stdout.on('error', readerGone)
  const done = async (): Promise<ExitCode> => {
    check()
    return run(options, out, work, more)
  }
  process.exitCode = await done().catch((error) => ended(out, error))
}

/** The same of what needs no archive. */
export async function offline(
  options: CommonOptions,
  work: (out: Output) => ExitCode,
): Promise<void> {
  const out = output(options)
  process.stdout.on('error', readerGone)
  const done = async (): Promise<ExitCode> => work(out)
  process.exitCode = await done().catch((error) => ended(out, error))
}

/** Of the archive that this computer is a member of. */
export const ownAuthority = (options: CommonOptions): string =>
  readFileSync(readConfig(configPath(options), clientShape).values.ca, 'utf8')

/** Whoever read our output has enough, like `head`: there is nobody left to tell. */
function readerGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  process.exit(exitCodes.failed)
}

async function run(
  options: CommonOptions,
  out: Output,
  work: (desk: Desk) => Promise<ExitCode>,
  more: Pick<ClientParts, 'onAlarm'>,
): Promise<ExitCode> {
  const { values, warnings } = readConfig(configPath(options), clientShape)
  for (const warning of warnings) out.note(warning)
  const stop = new AbortController()
  const interrupt = (): void => {
    if (stop.signal.aborted) process.exit(exitCodes.interrupted)
    out.note('stopping; the same command goes on where it stopped')
    stop.abort(new Stopped('interrupted'))
  }
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
  for (const signal of signals) process.on(signal, interrupt)
  const world = systemWorld(values.name, options.verbose ? 'debug' : 'silent')
  const { idleTimeout, limit = values['link.limit'] } = options
  const home = values['client.home'] ?? dirname(values.ca)
  // Heavy, and not needed to say what is wrong with a command.
  const { openClient } = await import('../programs/client.ts')
  const opened = await openClient(
    world,
    { ...values, 'link.limit': limit },
    {
      onClosed: once((ms) =>
        out.note(
          `link.windows: what goes over the internet waits ${formatDuration(ms)} for the next window`,
        ),
      ),
      ...more,
      ...(idleTimeout === undefined ? {} : { idleMs: idleTimeout }),
    },
  )
  try {
    const { client, disk } = opened
    await reached(client, values['broker.url'], stop.signal)
    return await work({
      ...{ client, disk, out, signal: stop.signal },
      ownerKey: values['owner-key'],
      authority: readFileSync(values.ca, 'utf8'),
      link: linkMemory(join(home, 'link.json'), limit),
    })
  } finally {
    await opened.close()
    for (const signal of signals) process.off(signal, interrupt)
  }
}

/** The same for every pillar and file: said once. */
function once(tell: (ms: number) => void): (ms: number) => void {
  let told = false
  return (ms) => {
    if (!told) tell(ms)
    told = true
  }
}

/** Asking is of no use before the broker has let us in, and how long that takes says nothing about the pillars. */
async function reached(
  { line, world, idleMs }: Client,
  url: string,
  stop: AbortSignal,
): Promise<void> {
  const connected = new AbortController()
  void line.connected().then(() => connected.abort())
  const either = AbortSignal.any([connected.signal, stop])
  await world.clock.sleep(Math.min(idleMs, connectMsMax), either)
  stop.throwIfAborted()
  if (connected.signal.aborted) return
  throw new Complaint(
    `nobody lets us in at ${url}`,
    exitCodes.nobody,
    'is the archive running, and this computer connected? --verbose shows what was tried',
  )
}

function ended(out: Output, error: unknown): ExitCode {
  if (error instanceof Stopped) return exitCodes.interrupted
  if (error instanceof ConfigError)
    return out.complain(new Complaint(error.message, exitCodes.failed, error.hint))
  if (error instanceof Unable) return out.complain(new Complaint(error.message, exitCodes.failed))
  return out.complain(error)
}
