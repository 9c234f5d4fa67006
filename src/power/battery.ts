/**
 * What is left of a battery: pure. Devices guess the charge, and old batteries fall from "100 %" to nothing. So the time on
 * battery is counted besides, a charge that rises on battery is not believed, and one that falls fast is taken to go on so.
 */
import type { Reading } from './power.ts'

/** Milliseconds are monotonic. */
export interface Battery {
  /** Time on battery that is used up; mains give it back at a tenth of the speed. */
  readonly usedMs: number
  /** Since when on battery; undefined on mains. */
  readonly since: number | undefined
  /** The least that was said twice in a row since then. */
  readonly charge: number | undefined
  /** The device's own estimate: when it ends. */
  readonly endsAt: number | undefined
  readonly last: { readonly charge?: number | undefined; readonly runtimeMs?: number | undefined }
  /** An older charge, to see how fast it falls; and the one that takes its place. */
  readonly marks: readonly [Mark, Mark] | undefined
  readonly now: number
}

interface Mark {
  readonly at: number
  readonly charge: number
}

export const noBattery: Battery = {
  usedMs: 0,
  since: undefined,
  charge: undefined,
  endsAt: undefined,
  last: {},
  marks: undefined,
  now: 0,
}

/** A battery takes about ten times as long to be charged as it gives. */
const chargingIsSlower = 10
/** The voltage sags at once when the mains go, and the charge that is guessed by it. */
const sagMs = 30_000
/** How fast it falls is measured over one to two of these. */
const markMs = 60_000
/** So much is kept for stopping. */
const stopMs = 30_000

export function nextBattery(
  battery: Battery,
  seen: {
    readonly supply: 'mains' | 'battery' | undefined
    /** Undefined when this reading could not tell. */
    readonly told: 'mains' | 'battery' | undefined
    readonly reading: Reading
    readonly now: number
    /** Since the reading before. */
    readonly ms: number
  },
): Battery {
  const { supply, told, reading, now, ms } = seen
  const { usedMs } = battery
  if (supply !== 'battery') {
    const given = told === 'mains' ? ms / chargingIsSlower : 0
    return { ...noBattery, usedMs: Math.max(0, usedMs - given), now }
  }
  const since = battery.since ?? now
  // The reading that shows it first says nothing of the time before it.
  const used = battery.since === undefined ? usedMs : usedMs + ms
  const next = { ...battery, usedMs: used, since, now }
  if (told === undefined) return next
  const charge = twice(battery.last.charge, reading.charge, battery.charge)
  const runtimeMs = most(battery.last.runtimeMs, reading.runtimeMs)
  return {
    ...next,
    charge,
    endsAt: runtimeMs === undefined ? battery.endsAt : now + runtimeMs,
    last: { charge: reading.charge, runtimeMs: reading.runtimeMs },
    marks: charge === undefined || now - since < sagMs ? undefined : marked(battery, now, charge),
  }
}

/** Of two readings in a row the greater: one alone may be noise. */
const most = (before: number | undefined, now: number | undefined): number | undefined =>
  before === undefined || now === undefined ? undefined : Math.max(before, now)

function twice(
  before: number | undefined,
  now: number | undefined,
  least: number | undefined,
): number | undefined {
  const both = most(before, now)
  return both === undefined ? least : Math.min(both, least ?? both)
}

function marked({ marks }: Battery, at: number, charge: number): Battery['marks'] {
  const fresh = { at, charge }
  if (!marks) return [fresh, fresh]
  return at - marks[1].at >= markMs ? [marks[1], fresh] : marks
}

export interface Left {
  /** By the time that is allowed on battery. */
  readonly timeMs: number
  /** By what the device says, until it is time to stop; infinite when it says nothing of the kind. */
  readonly deviceMs: number
}

export function left(
  { usedMs, charge, endsAt, marks, now }: Battery,
  limits: { readonly batteryMs: number; readonly chargeMin: number; readonly runtimeMsMin: number },
): Left {
  const figures = [Number.POSITIVE_INFINITY]
  if (endsAt !== undefined) figures.push(endsAt - now - limits.runtimeMsMin)
  if (charge !== undefined && charge <= limits.chargeMin) figures.push(0)
  const mark = marks?.[0]
  if (charge !== undefined && mark && charge < mark.charge) {
    const msEach = (now - mark.at) / (mark.charge - charge)
    figures.push((charge - limits.chargeMin) * msEach - stopMs)
  }
  return { timeMs: limits.batteryMs - usedMs, deviceMs: Math.min(...figures) }
}
