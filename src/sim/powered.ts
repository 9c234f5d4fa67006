import { type Attendance, type Attended, type AttendOptions, attend } from '../power/attend.ts'
import type { Power } from '../power/power.ts'
import { q1Power } from '../power/q1.ts'
import { type Watch, type WatchOptions, watchPower } from '../power/watch.ts'
import type { Clock } from '../world/world.ts'
import { simSerial } from './serial.ts'
import { type SimUps, simUps } from './ups.ts'
import type { SimWorld } from './world.ts'

/** `cutMs`: the UPS is told to cut its output so long after the machine was switched off. */
export type PowerOptions = Partial<WatchOptions & AttendOptions & { readonly cutMs: number }>

/** The power of one board: a UPS on a serial line. */
export interface PoweredBoard {
  readonly ups: SimUps
  /** The board says that its 5 V are too low. */
  weak: boolean
  /** Whether the machine goes off when it is told to. */
  off: boolean
  /** Of the run that goes on. */
  watch(): Watch | undefined
  /** How often the machine was switched off for lack of power. */
  readonly shutDowns: number
  /** What was done about it, in order. */
  readonly steps: readonly string[]
  /** Something that happens at a step; for mains that come back in the middle of it. */
  onStep: (step: string) => void
  /** Pulls the serial plug, or puts it in again. */
  plug(isIn: boolean): void
  attend(world: SimWorld, open: Attended['open'], off: () => void): Attendance
}

export const usualPower: WatchOptions & AttendOptions = {
  everyMs: 5_000,
  steadyMs: 60_000,
  batteryMs: 10 * 60_000,
  chargeMin: 30,
  runtimeMsMin: 3 * 60_000,
  finishMs: 60_000,
  silentMs: 60_000,
  awayMs: 24 * 3_600_000,
}

const path = '/dev/serial/by-id/usb-ups'

export function poweredBoard(clock: Pick<Clock, 'sleep'>, options: PowerOptions): PoweredBoard {
  const all = { ...usualPower, ...options }
  const ups = simUps(clock)
  const steps: string[] = []
  let serial = simSerial()
  let watch: Watch | undefined
  let shutDowns = 0
  const step = (name: string): void => {
    steps.push(name)
    board.onStep(name)
  }
  const board: PoweredBoard = {
    ...{ ups, steps, weak: false, off: true },
    watch: () => watch,
    get shutDowns() {
      return shutDowns
    },
    onStep: () => undefined,
    plug: (isIn) => (isIn ? serial.plug(path, ups.device) : serial.pull(path)),
    attend(world, open, off) {
      // The line of the run before went with its power.
      serial = simSerial()
      serial.plug(path, ups.device)
      const power = q1Power(world, serial, { path })
      const both: Power = {
        read: async (signal) => ({ ...(await power.read(signal)), underVoltage: board.weak }),
        close: power.close,
      }
      const watching = watchPower(world, both, all)
      watch = watching
      const attended: Attended = {
        async open(supply) {
          const running = await open(supply)
          step('open')
          return {
            async stop(leave) {
              step(leave ? 'leave' : 'stop')
              await running.stop(leave)
              step('closed')
            },
          }
        },
        park: async () => step('park'),
        cut:
          options.cutMs === undefined
            ? undefined
            : async () => {
                step('cut')
                await power.cut?.(options.cutMs ?? 0)
              },
        unpark: async () => step('unpark'),
        async shutDown() {
          step('shutDown')
          shutDowns++
          if (board.off) off()
        },
      }
      return attend(world, watching, attended, all)
    },
  }
  return board
}
