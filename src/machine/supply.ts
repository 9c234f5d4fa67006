/** Who tells of the power of this machine, by its configuration; and what is found there. */
import { boardPower, withBoard } from '../power/board.ts'
import { nutPower } from '../power/nut.ts'
import { parseAddress } from '../power/nut-text.ts'
import { firstState, observe, type PowerState, planOf } from '../power/policy.ts'
import type { Plan, Power, Reading, Standing, Supply } from '../power/power.ts'
import { q1Power } from '../power/q1.ts'
import type { WatchOptions } from '../power/watch.ts'
import { systemSerial } from '../serial/node.ts'
import { ConfigError } from '../system/config.ts'
import type { AgentConfig } from '../system/config-shapes.ts'
import { formatDuration } from '../world/units.ts'
import type { Clock } from '../world/world.ts'
import { bad, type Finding, ok, unknown, warn } from './finding.ts'

/** Undefined when nobody tells of the power. Throws `ConfigError` when the configuration does not say where to ask. */
export function openPower(
  world: { readonly clock: Clock },
  config: AgentConfig,
): Power | undefined {
  switch (config['power.source']) {
    case 'none':
      return undefined
    case 'board':
      return boardPower('/')
    case 'q1': {
      const path = config['power.device']
      if (path === undefined) throw missing('power.device', 'the serial line of the UPS')
      return withBoard(q1Power(world, systemSerial, { path, baud: config['power.baud'] }), '/')
    }
    case 'nut': {
      const address = parseAddress(config['power.server'] ?? '')
      if (address === undefined) throw missing('power.server', 'NAME@HOST of the UPS')
      const { 'power.user': user, 'power.password': password } = config
      return withBoard(nutPower({ ...address, user, password }), '/')
    }
  }
}

const missing = (key: string, what: string): ConfigError =>
  new ConfigError(`the key "${key}" is missing, or not right`, `${key}: ${what}`)

export const watchOptions = (config: AgentConfig): WatchOptions => ({
  everyMs: config['power.every'],
  silentMs: config['power.silent'],
  steadyMs: config['power.steady'],
  finishMs: config['power.finish'],
  batteryMs: config['power.battery'],
  chargeMin: config['power.charge'],
  runtimeMsMin: config['power.runtime'],
})

/** The power as it is now, and what is done by it. */
export interface LookedAt {
  readonly reading: Reading
  readonly mode: PowerState['mode']
  readonly plan: Plan
}

/** Looks twice, as the agent does before it begins. Undefined when nobody tells of the power. */
export async function lookAtPower(
  world: { readonly clock: Clock },
  config: AgentConfig,
): Promise<LookedAt | undefined> {
  const power = openPower(world, config)
  if (power === undefined) return undefined
  const options = watchOptions(config)
  let state = firstState(world.clock.monotonic())
  try {
    for (let looks = 0; looks < 2; looks++) {
      const reading = await power.read(AbortSignal.timeout(lookMsMax))
      state = observe(state, reading, world.clock.monotonic(), options)
    }
  } finally {
    await power.close()
  }
  return { reading: state.reading, mode: state.mode, plan: planOf(state, options) }
}

const lookMsMax = 15_000

/** What the running agent knows, for a command on the same board: it has the line, and what it has seen so far counts. */
export const knownOf = (
  supply: Supply,
): (LookedAt & { readonly standing: Standing }) | undefined => {
  const standing = supply.standing()
  if (standing === undefined) return undefined
  const { reading, mode } = standing
  return { reading, mode, plan: supply.plan(), standing }
}

/** For `doctor`. */
export async function supplyFinding(
  world: { readonly clock: Clock },
  config: AgentConfig,
): Promise<Finding | undefined> {
  // The board's own word has a line already.
  if (config['power.source'] === 'board') return undefined
  try {
    const found = await lookAtPower(world, config)
    if (found === undefined)
      return unknown(
        'ups',
        'none is configured: a power cut stops this board at once (power.source)',
      )
    return judged(found)
  } catch (error) {
    const hint = error instanceof ConfigError ? error.hint : 'colonnade-agent power'
    return bad('ups', error instanceof Error ? error.message : String(error), hint)
  }
}

function judged({ reading, plan }: LookedAt): Finding {
  const text = words(reading)
  if (reading.supply === 'unknown')
    return isBusy(reading)
      ? unknown('ups', 'its line is in use by another program')
      : bad('ups', text, 'colonnade-agent power; the page of the UPS in firmware-notes')
  if (plan.stop) return bad('ups', text, 'it stops now')
  if (plan.refusal !== undefined) return warn('ups', text, plan.refusal)
  return ok('ups', text)
}

/** One program a line. */
export const isBusy = ({ text = '' }: Reading): boolean => /lock port/i.test(text)

/** A reading on one line. */
export function words(reading: Reading): string {
  const { supply, text, low, ending, inputVolts, batteryVolts, charge, runtimeMs, load } = reading
  return [
    supply === 'unknown' ? 'nobody can tell' : `on ${supply}`,
    ...(text === undefined ? [] : [text]),
    ...(low ? ['its battery is low'] : []),
    ...(ending ? ['it switches off'] : []),
    ...(inputVolts === undefined ? [] : [`mains ${inputVolts} V`]),
    ...(batteryVolts === undefined ? [] : [`battery ${batteryVolts} V`]),
    ...(charge === undefined ? [] : [`charge ${charge} %`]),
    ...(runtimeMs === undefined ? [] : [`${formatDuration(runtimeMs)} left by its own word`]),
    ...(load === undefined ? [] : [`load ${load} %`]),
    ...(reading.underVoltage ? ['under-voltage at the board'] : []),
  ].join(', ')
}
