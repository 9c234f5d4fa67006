/**
 * PORT: where the power comes from, as a UPS or the board tells it. What can not be told for certain is `unknown`, with
 * the reason: no answer ever means that all is well.
 */
export interface Power {
  /** One look, which may take seconds. Never rejects: what fails is an unknown reading. */
  read(signal: AbortSignal): Promise<Reading>
  /**
   * Has the device cut its output after so long, milliseconds, and give it again when there are mains: what is switched off
   * then starts again, also when they are back before. Rejects when it says that it does not.
   */
  cut?(afterMs: number): Promise<void>
  /** Lets go of line or connection. */
  close(): Promise<void>
}

export interface Reading {
  readonly supply: 'mains' | 'battery' | 'unknown'
  /** Why it is unknown, or what else the device says of itself; for people. */
  readonly text?: string
  /** The device itself says that its battery ends soon. */
  readonly low?: boolean
  /** The device has announced that it switches off, mains or not. */
  readonly ending?: boolean
  /** The board gets less than its 5 V; absent when it does not tell. */
  readonly underVoltage?: boolean
  /** Of the battery, 0 to 100; many devices guess it. */
  readonly charge?: number
  /** By the device's own estimate. */
  readonly runtimeMs?: number
  /** Of the mains, volts. */
  readonly inputVolts?: number
  readonly batteryVolts?: number
  /** Of what the device can give, per cent. */
  readonly load?: number
}

export const unknownReading = (text: string): Reading => ({ supply: 'unknown', text })

/** What a program asks before it begins something, and while it is at it. */
export interface Supply {
  plan(): Plan
  /** Undefined where nobody looks. */
  standing(): Standing | undefined
  /** Called after each change of plan or mode, until `signal` is aborted; short work only. */
  onChange(listener: () => void, signal: AbortSignal): void
}

/** Resolves at the next change, or when the signal is aborted. */
export const changed = (supply: Pick<Supply, 'onChange'>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const over = new AbortController()
    const wake = (): void => {
      signal.removeEventListener('abort', wake)
      over.abort()
      resolve()
    }
    signal.addEventListener('abort', wake)
    supply.onChange(wake, over.signal)
  })

/** What may be done now. */
export interface Plan {
  /** Why nothing new is taken and nothing long is begun; undefined when everything is done. */
  readonly refusal?: string
  /** Transfers that go on may take so much longer, milliseconds; those that need more are broken off. */
  readonly finishMs: number
  /** Whether bytes may be written at this moment; what is under way waits. */
  readonly writes: boolean
  /** Whether to do what nobody waits for: reading everything once more. */
  readonly background: boolean
  /** Stop in order, now. */
  readonly stop: boolean
}

export type Mode =
  /** Mains, or nobody who could tell otherwise. */
  | 'mains'
  /** On battery, or on mains for less than the steady time. */
  | 'battery'
  /** The board gets too low a voltage: what it writes may be torn. */
  | 'weak'
  /** Nobody has been able to tell for a while. */
  | 'unknown'
  /** The battery ends, or the device switches off. */
  | 'ending'

/** How it stands, for people and peers. */
export interface Standing {
  readonly mode: Mode
  /** Wall clock, milliseconds since 1970. */
  readonly since: number
  /** One sentence without a full stop. */
  readonly text: string
  readonly reading: Reading
  /** Time on battery that is used up, milliseconds; mains give it back slowly. */
  readonly usedMs: number
  /** What is left on battery by the most careful of all figures, milliseconds; absent on mains. */
  readonly leftMs?: number
}

/** Everything goes. */
export const fullPlan: Plan = {
  finishMs: Number.POSITIVE_INFINITY,
  writes: true,
  background: true,
  stop: false,
}

/** Of a machine that has no eye on its power. */
export const noSupply: Supply = {
  plan: () => fullPlan,
  standing: () => undefined,
  onChange: () => undefined,
}

/** It goes on purpose. */
export interface Leave {
  /** It means to be back by then; wall clock, milliseconds since 1970. */
  readonly until: number
}
