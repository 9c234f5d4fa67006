/** How every program of ours begins and ends. */
import { setFlagsFromString } from 'node:v8'
import type { Command } from '../system/commands.ts'
import { ConfigError, readConfig, type Shape, type Values } from '../system/config.ts'
import type { LogLevel } from '../system/log.ts'
import { serviceManager } from '../system/manager.ts'
import { whenParentEnds, whenTold } from '../system/parent.ts'
import { systemWorld } from '../system/world.ts'
import type { World } from '../world/world.ts'

/** Reads a configuration; what a newer program wrote there and we pass over is said. */
export function read<S extends Shape>(path: string, shape: S): Values<S> {
  const { values, warnings } = readConfig(path, shape)
  for (const warning of warnings) process.stderr.write(`${warning}\n`)
  return values
}

export const openWorld = (config: { readonly name: string; readonly 'log.level': string }): World =>
  systemWorld(config.name, config['log.level'] as LogLevel)

/**
 * Bytes from the network lie outside of the heap, and go when the small objects that hold them are collected. The
 * young generation is kept as small as it is at the start: let it grow, and it lets 100 MiB of them pile up.
 */
export const collectOften = (): void => setFlagsFromString('--semi-space-growth-factor=1')

/** Starts, and stops in order when it is told to or when its parent is gone. */
export async function runProgram(
  name: string,
  start: () => Promise<() => Promise<void>>,
  options: { readonly stopWithParent?: boolean },
): Promise<void> {
  collectOften()
  const manager = serviceManager()
  let stop: (() => Promise<void>) | undefined
  let told = false
  const end = (): void => {
    told = true
    manager.stopping()
    if (stop === undefined) process.exit(0)
    const stopping = stop
    stop = async () => undefined
    void stopping().then(
      () => process.exit(0),
      (error) => complain(name, error),
    )
  }
  whenTold(end)
  if (options.stopWithParent) whenParentEnds(end)
  stop = await start()
  if (told) end()
  else manager.ready()
}

/** Runs the command table; an error is one sentence on stderr and exit code 1, wrong usage is 2. */
export async function parse(name: string, program: Command): Promise<void> {
  try {
    await program.parseAsync()
  } catch (error) {
    complain(name, error)
  }
}

function complain(name: string, error: unknown): never {
  process.stderr.write(
    `${name}: error: ${error instanceof Error ? error.message : String(error)}\n`,
  )
  if (error instanceof ConfigError) process.stderr.write(`${name}: hint: ${error.hint}\n`)
  process.exit(1)
}

/** `HOST:PORT`, an IPv6 host in brackets. */
export function hostPort(text: string): [host: string, port: number] {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text)
  if (!match) throw new Error(`${text} is not HOST:PORT`)
  return [match[1] ?? match[2] ?? '', Number(match[3])]
}
