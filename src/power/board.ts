/** The board's own word on its supply, and that of a UPS together with it. */
import { underVoltage } from '../machine/board.ts'
import type { Power } from './power.ts'
import { unknownReading } from './power.ts'

/** Of a board that tells whether its 5 V are there; `root` is `/` but in tests. */
export const boardPower = (root: string): Power => ({
  async read() {
    const weak = underVoltage(root)
    return weak === undefined
      ? unknownReading('this board does not tell')
      : { supply: 'mains', underVoltage: weak }
  },
  close: async () => undefined,
})

/** A UPS may be well and the cable to the board too thin: what the board says is told with it. */
export const withBoard = (power: Power, root: string): Power => ({
  async read(signal) {
    const reading = await power.read(signal)
    const weak = underVoltage(root)
    return weak === undefined ? reading : { ...reading, underVoltage: weak }
  },
  ...(power.cut ? { cut: power.cut } : {}),
  close: () => power.close(),
})
