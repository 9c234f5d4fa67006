/**
 * What is done on which power: pure. Readings and the time go in, the mode and the plan come out. No device is believed in
 * the one direction that is dangerous: time on battery counts whatever the charge says, what does not answer is not well,
 * and mains must stand for a while before they are mains again.
 */
import { type Battery, left, nextBattery, noBattery } from './battery.ts'
import { fullPlan, type Mode, type Plan, type Reading } from './power.ts'

/** All in milliseconds but the charge. */
export interface PowerLimits {
  /** Mains must stand for so long before work goes on. */
  readonly steadyMs: number
  /** The longest time on battery. */
  readonly batteryMs: number
  /** Per cent of charge, and the device's own estimate, at which it is time to stop. */
  readonly chargeMin: number
  readonly runtimeMsMin: number
  /** On battery, transfers that need no longer are finished. */
  readonly finishMs: number
  /** Nobody has been able to tell for so long: that is told. */
  readonly silentMs: number
}

export interface PowerState {
  readonly mode: Mode
  /** Since when, monotonic milliseconds, as all times here. */
  readonly since: number
  readonly at: number
  /** The last that was looked for. */
  readonly reading: Reading
  /** Of the last reading that could tell; undefined when none ever could. */
  readonly supply: 'mains' | 'battery' | undefined
  /** Since when it has been so without a break. */
  readonly supplySince: number
  /** Since when nobody could tell. */
  readonly silentSince: number | undefined
  readonly weakSince: number | undefined
  readonly weakUntil: number
  readonly battery: Battery
  /** Readings in a row that were grave: one alone may be a flipped bit. */
  readonly graves: number
}

/** Shorter than that nothing happened: lights flicker. */
const settleMs = 5_000
/** So many grave readings in a row are believed. */
const gravesEnough = 2
/** What is under way waits so long for a weak supply to become better. */
const holdMs = 2 * 60_000
const survivedMs = 3_600_000

export const firstState = (now: number): PowerState => ({
  mode: 'mains',
  since: now,
  at: now,
  reading: { supply: 'unknown', text: 'not looked for yet' },
  supply: undefined,
  supplySince: now,
  silentSince: now,
  weakSince: undefined,
  weakUntil: Number.NEGATIVE_INFINITY,
  battery: noBattery,
  graves: 0,
})

export function observe(
  state: PowerState,
  reading: Reading,
  now: number,
  limits: PowerLimits,
): PowerState {
  const told = reading.supply === 'unknown' ? undefined : reading.supply
  const supply = told ?? state.supply
  // Silence breaks what was steady on mains, and does not end what was a battery.
  const isUnbroken = told !== undefined && state.silentSince === undefined
  const goesOn = supply === state.supply && (isUnbroken || supply === 'battery')
  const weakUntil = reading.underVoltage === true ? now + limits.steadyMs : state.weakUntil
  const battery = nextBattery(state.battery, { supply, told, reading, now, ms: now - state.at })
  const isGrave = grave(supply, reading, battery, limits)
  const next: PowerState = {
    ...state,
    at: now,
    reading,
    supply,
    supplySince: goesOn ? state.supplySince : now,
    silentSince: told === undefined ? (state.silentSince ?? now) : undefined,
    weakSince: now < weakUntil ? (state.weakSince ?? now) : undefined,
    weakUntil,
    battery,
    // A device that says that it ends, and then nothing more, has ended.
    graves: isGrave || (told === undefined && state.graves > 0) ? state.graves + 1 : 0,
  }
  const mode = modeOf(next, state.supply === undefined, limits)
  return mode === state.mode ? next : { ...next, mode, since: now }
}

function grave(
  supply: PowerState['supply'],
  reading: Reading,
  battery: Battery,
  limits: PowerLimits,
): boolean {
  if (reading.ending === true) return true
  if (supply !== 'battery') return false
  return reading.low === true || left(battery, limits).deviceMs <= 0
}

function modeOf(state: PowerState, isFirst: boolean, limits: PowerLimits): Mode {
  const { mode, at, supply, supplySince, silentSince, battery } = state
  const for_ = at - supplySince
  const isMains = supply === 'mains' && silentSince === undefined
  const isSteady = isMains && for_ >= limits.steadyMs
  if (state.graves >= gravesEnough) return 'ending'
  const silentMs = silentSince === undefined ? 0 : at - silentSince
  const isSpent = supply === 'battery' && left(battery, limits).timeMs <= 0
  if (isSpent && silentMs < survivedMs) return 'ending'
  if (mode === 'ending') {
    // Still there an hour later, and nobody can tell why: no battery was that large.
    if (silentMs >= survivedMs) return 'unknown'
    // What has begun to stop is not called back by a moment of mains.
    return isSteady && state.graves === 0 ? 'mains' : 'ending'
  }
  if (state.weakSince !== undefined) return 'weak'
  if (isSpent) return 'unknown'
  if (supply === 'battery')
    return isFirst || for_ >= settleMs || mode !== 'mains' ? 'battery' : mode
  if (silentSince !== undefined && silentMs >= limits.silentMs) return 'unknown'
  if (mode === 'battery') return isSteady ? 'mains' : 'battery'
  if (silentSince !== undefined) return mode === 'weak' ? 'mains' : mode
  if (mode === 'unknown') return for_ >= settleMs ? 'mains' : mode
  return 'mains'
}

/** What may be done by it. */
export function planOf(state: PowerState, limits: PowerLimits): Plan {
  switch (state.mode) {
    case 'mains':
    // A board whose cable to the UPS is broken is as good as one without a UPS: it is told, and work goes on.
    case 'unknown':
      return fullPlan
    case 'battery': {
      const { timeMs, deviceMs } = left(state.battery, limits)
      const most = state.supply === 'battery' ? Math.min(timeMs, deviceMs) / 2 : limits.finishMs
      return {
        refusal: 'it runs on battery; nothing new is taken until the mains are back',
        finishMs: Math.max(0, Math.min(limits.finishMs, most)),
        ...{ writes: true, background: false, stop: false },
      }
    }
    case 'weak':
      return {
        refusal: 'its supply is too weak (under-voltage); nothing is written until it is steady',
        finishMs: state.at - (state.weakSince ?? state.at) < holdMs ? Number.POSITIVE_INFINITY : 0,
        ...{ writes: false, background: false, stop: false },
      }
    case 'ending':
      return {
        refusal: 'its battery ends; it stops',
        finishMs: 0,
        ...{ writes: true, background: false, stop: true },
      }
  }
}

/** One thing that is under way. */
export interface Work {
  readonly bytesLeft: number
}

/** What of it may go on: as much as can be finished in time, the nearest to its end first. */
export function finishing<W extends Work>(
  work: readonly W[],
  msPerByte: number,
  finishMs: number,
): Set<W> {
  const chosen = new Set<W>()
  let ms = 0
  for (const one of work.toSorted((a, b) => a.bytesLeft - b.bytesLeft)) {
    ms += one.bytesLeft * msPerByte
    if (ms > finishMs) break
    chosen.add(one)
  }
  return chosen
}
