/** Looks at the power again and again, and tells whoever works by it what may be done. */
import type { World } from '../world/world.ts'
import { left } from './battery.ts'
import { firstState, observe, type PowerLimits, type PowerState, planOf } from './policy.ts'
import type { Mode, Plan, Power, Reading, Standing, Supply } from './power.ts'
import { changed, unknownReading } from './power.ts'

export interface WatchOptions extends PowerLimits {
  /** Between two looks, milliseconds. */
  readonly everyMs: number
}

export interface Watch extends Supply {
  standing(): Standing
  /** Resolves once it was looked often enough to begin anything. */
  readonly looked: Promise<void>
  /** Resolves as soon as the plan says so, or the signal is aborted. */
  until(isSo: (plan: Plan) => boolean, signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

/** A look that takes longer has failed. */
const lookMsMax = 15_000
/** Looks before anything is begun: a grave one is believed only when it is said again. */
const firstLooks = 2

export function watchPower(
  world: Pick<World, 'clock' | 'log'>,
  power: Power,
  options: WatchOptions,
): Watch {
  const { clock, log } = world
  const stop = new AbortController()
  const listeners = new Set<() => void>()
  let state = firstState(clock.monotonic())
  let plan = planOf(state, options)
  let looks = 0
  let begin = (): void => undefined
  const looked = new Promise<void>((resolve) => {
    begin = resolve
  })

  async function work(): Promise<void> {
    while (!stop.signal.aborted) {
      const reading = await look(world, power, stop.signal)
      if (stop.signal.aborted) break
      take(reading)
      if (++looks === firstLooks) begin()
      // The first two at once.
      if (looks >= firstLooks) await clock.sleep(options.everyMs, stop.signal)
    }
    begin()
  }
  function take(reading: Reading): void {
    const before = { mode: state.mode, plan: JSON.stringify(plan) }
    state = observe(state, reading, clock.monotonic(), options)
    plan = planOf(state, options)
    if (state.mode !== before.mode)
      log.warn('power.mode', { is: state.mode, was: before.mode, ...reading })
    if (state.mode !== before.mode || JSON.stringify(plan) !== before.plan)
      for (const listener of [...listeners]) listener()
  }
  const onChange: Supply['onChange'] = (listener, signal) => {
    if (signal.aborted) return
    listeners.add(listener)
    signal.addEventListener('abort', () => listeners.delete(listener), { once: true })
  }
  const ended = work()
  return {
    looked,
    plan: () => plan,
    standing: () => standingOf(state, options, clock),
    onChange,
    async until(isSo, signal) {
      while (!signal.aborted && !isSo(plan)) await changed({ onChange }, signal)
    },
    async close() {
      stop.abort()
      await ended
      await power.close()
    },
  }
}

/** One look, within its time. */
async function look(
  { clock }: Pick<World, 'clock'>,
  power: Power,
  signal: AbortSignal,
): Promise<Reading> {
  const enough = new AbortController()
  const either = AbortSignal.any([signal, enough.signal])
  const late = clock
    .sleep(lookMsMax, either)
    .then(() => unknownReading('the device took too long to answer'))
  try {
    return await Promise.race([power.read(either), late])
  } finally {
    enough.abort()
  }
}

function standingOf(
  state: PowerState,
  limits: PowerLimits,
  clock: Pick<World['clock'], 'now' | 'monotonic'>,
): Standing {
  const { timeMs, deviceMs } = left(state.battery, limits)
  const leftMs = Math.max(0, Math.min(timeMs, deviceMs))
  return {
    mode: state.mode,
    since: clock.now() - (clock.monotonic() - state.since),
    text: textOf(state),
    reading: state.reading,
    usedMs: state.battery.usedMs,
    ...(state.supply === 'battery' ? { leftMs } : {}),
  }
}

const texts: Record<Mode, string> = {
  mains: 'on mains',
  battery: 'on battery',
  weak: 'under-voltage: nothing is written',
  unknown: 'nobody can tell where the power comes from',
  ending: 'the battery ends',
}

function textOf({ mode, supply, silentSince, reading }: PowerState): string {
  const is =
    mode === 'battery' && supply === 'mains' ? 'on mains again, and not for long yet' : texts[mode]
  const isSilent = silentSince !== undefined
  const was = isSilent && mode === 'battery' ? ' when it was last heard' : ''
  return `${is}${was}${reading.text === undefined ? '' : ` (${reading.text})`}`
}
