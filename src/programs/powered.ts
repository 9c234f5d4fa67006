/** A pillar on the power that there is, and what is run when it ends. */
import type { ConnectBus } from '../bus/bus.ts'
import { type Controls, offerControl } from '../machine/control.ts'
import { knownOf, openPower, watchOptions } from '../machine/supply.ts'
import { attend } from '../power/attend.ts'
import { cutMsMax, cutMsMin } from '../power/megatec.ts'
import type { Power } from '../power/power.ts'
import { watchPower } from '../power/watch.ts'
import { ConfigError } from '../system/config.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import type { World } from '../world/world.ts'
import { runAgent } from './agent.ts'
import { run } from './run.ts'

/** Runs the pillar, and minds its power if the configuration says who tells of it. */
export async function runPowered(
  world: World,
  config: AgentConfig,
  connect?: ConnectBus,
): Promise<() => Promise<void>> {
  const power = openPower(world, config)
  if (power === undefined) return runAgent(world, config, { connect })
  const cut = cutOf(power, config)
  const watch = watchPower(world, power, watchOptions(config))
  const asked = askable(world, config, { power: async () => ({ ...knownOf(watch) }) })
  await asked.begin()
  const attendance = attend(
    world,
    watch,
    {
      async open(supply) {
        await asked.end()
        const parts = { connect, supply, controls: asked.controls }
        const stop = await runAgent(world, config, parts).catch(async (error) => {
          await asked.begin()
          throw error
        })
        return {
          async stop(leave) {
            await stop(leave)
            await asked.begin()
          },
        }
      },
      park: () => run(world, config['power.unmount']),
      unpark: () => run(world, config['power.mount']),
      cut,
      shutDown: () => run(world, config['power.shutdown']),
    },
    { awayMs: config['power.away'] },
  )
  try {
    await attendance.begun
  } catch (error) {
    await attendance.stop()
    await asked.end()
    throw error
  }
  return async () => {
    await attendance.stop()
    await asked.end()
  }
}

/** Only of a machine that is switched off: one that stays on would lose its power in the middle of things. */
function cutOf(power: Power, config: AgentConfig): (() => Promise<void>) | undefined {
  const afterMs = config['power.cut']
  if (afterMs === undefined) return undefined
  const fits = afterMs >= cutMsMin && afterMs <= cutMsMax
  if (power.cut === undefined || config['power.shutdown'].length === 0 || !fits)
    throw new ConfigError(
      'the key "power.cut" is not right',
      'power.cut: 12s to 10min, with power.source = "q1" and power.shutdown',
    )
  return () => power.cut?.(afterMs) ?? Promise.resolve()
}

/** What can be asked while there is no pillar: who waits for the mains is asked, too. */
function askable(world: World, config: AgentConfig, controls: Controls) {
  let quiet: (() => Promise<void>) | undefined
  return {
    controls,
    async begin(): Promise<void> {
      quiet ??= await offerControl(world, config, controls)
    },
    async end(): Promise<void> {
      const ending = quiet
      quiet = undefined
      await ending?.()
    },
  }
}
