/** A pillar on the power that there is, and what is run when it ends. */
import { execFile } from 'node:child_process'
import type { ConnectBus } from '../bus/bus.ts'
import { openPower, watchOptions } from '../machine/supply.ts'
import { attend } from '../power/attend.ts'
import { watchPower } from '../power/watch.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import type { World } from '../world/world.ts'
import { runAgent } from './agent.ts'

/** For a program that parks the disk or switches off: it must not keep us from ending. */
const commandMsMax = 60_000

/** Runs the pillar, and minds its power if the configuration says who tells of it. */
export async function runPowered(
  world: World,
  config: AgentConfig,
  connect?: ConnectBus,
): Promise<() => Promise<void>> {
  const power = openPower(world, config)
  if (power === undefined) return runAgent(world, config, connect)
  const watch = watchPower(world, power, watchOptions(config))
  const attendance = attend(
    world,
    watch,
    {
      open: async (supply) => ({ stop: await runAgent(world, config, connect, supply) }),
      park: () => run(world, config['power.unmount']),
      unpark: () => run(world, config['power.mount']),
      shutDown: () => run(world, config['power.shutdown']),
    },
    { awayMs: config['power.away'] },
  )
  try {
    await attendance.begun
  } catch (error) {
    await attendance.stop()
    throw error
  }
  return () => attendance.stop()
}

/** Runs a program to its end; nothing when there is none. Rejects with what it said when it fails. */
function run({ log }: World, [program, ...args]: readonly string[]): Promise<void> {
  if (program === undefined) return Promise.resolve()
  return new Promise((resolve, reject) =>
    execFile(program, args, { timeout: commandMsMax }, (error, _, said) => {
      log.info('power.ran', { program, args, ...(error ? { failed: true } : {}) })
      if (error) reject(new Error(`${error.message} ${said}`.trim()))
      else resolve()
    }),
  )
}
