/**
 * What the firmware of a bay controller does, as `firmware-notes/bay-controller.md` says it: bytes and time in, bytes and
 * power out. It is also the simulator of the tests, with faults that a real one and its wires have.
 */
import { type BayState, frames, written } from '../../src/bay/frames.ts'
import type { Device } from '../../src/sim/serial.ts'
import type { Clock } from '../../src/world/world.ts'

export interface SimController {
  /** To be plugged in at a simulated line. */
  readonly device: Device
  /** The answer to some bytes, when it speaks over a real line. */
  answer(bytes: Uint8Array): string
  state(slot: number): BayState
  /** Whether the disk there has power. */
  hasPower(slot: number): boolean
  /** For how long it had power when it was switched on last, milliseconds; 0 while it is off. */
  onFor(slot: number): number
  /** Each change of power: when, and of which bay. */
  readonly changes: { readonly at: number; readonly slot: number; readonly on: boolean }[]
  readonly faults: {
    /** What becomes of an answer on its way. */
    mangle: ((answer: string) => readonly string[]) | undefined
    /** Answers come so much later, milliseconds. */
    lateMs: number
    /** It does not switch, and says so. */
    stuck: boolean
  }
  /** It begins anew, as after a dip of its own supply: no disk has power. */
  reset(): void
}

/** A relay has settled, and the inrush is over, after so long. */
const startMs = 3_000

export function simController(clock: Clock, slots: number, onMax = slots): SimController {
  const since: (number | undefined)[] = Array.from({ length: slots }, () => undefined)
  const changes: SimController['changes'] = []
  const faults: SimController['faults'] = { mangle: undefined, lateMs: 0, stuck: false }
  const onFor = (slot: number): number => {
    const at = since[slot]
    return at === undefined ? 0 : clock.monotonic() - at
  }
  const state = (slot: number): BayState =>
    since[slot] === undefined ? 'off' : onFor(slot) < startMs ? 'starting' : 'on'
  const letters = (): string =>
    since.map((_, slot) => ({ off: '0', on: '1', starting: 'S', fault: 'F' })[state(slot)]).join('')

  function turn(slot: number, on: boolean): void {
    if ((since[slot] !== undefined) === on || faults.stuck) return
    since[slot] = on ? clock.monotonic() : undefined
    changes.push({ at: clock.monotonic(), slot, on })
  }
  function obey([verb, text]: readonly string[]): string {
    const slot = Number(text)
    if (verb === 'STATE') return `OK ${letters()}`
    if (verb !== 'ON' && verb !== 'OFF') return 'WHAT'
    if (!(slot in since)) return 'WHAT'
    if (verb === 'ON' && state(slot) === 'off') {
      if (since.some((_, other) => state(other) === 'starting')) return 'BUSY'
      if (since.filter((one) => one !== undefined).length >= onMax) return 'POWER'
    }
    turn(slot, verb === 'ON')
    return `OK ${letters()}`
  }
  const answerTo = (take: ReturnType<typeof frames>, bytes: Uint8Array): string =>
    take(bytes)
      .map(({ number, words }) =>
        written({ number, words: [words[0] ?? '', ...obey(words).split(' ')] }),
      )
      .join('')
  const own = frames()

  return {
    ...{ state, onFor, changes, faults },
    hasPower: (slot) => since[slot] !== undefined,
    answer: (bytes) => answerTo(own, bytes),
    reset() {
      for (const slot of since.keys()) since[slot] = undefined
    },
    device(end) {
      const take = frames()
      return (bytes) => {
        const answer = answerTo(take, bytes)
        if (answer === '') return
        const pieces = faults.mangle?.(answer) ?? [answer]
        if (faults.lateMs === 0) for (const piece of pieces) end.send(piece)
        else
          void clock.sleep(faults.lateMs).then(() => {
            for (const piece of pieces) end.send(piece)
          })
      }
    },
  }
}
