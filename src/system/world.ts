import type { World } from '../world/world.ts'
import { systemClock } from './clock.ts'
import { systemHashing } from './hashing.ts'
import { type LogLevel, systemLog } from './log.ts'
import { systemRandom } from './random.ts'

/** The machine's own clock, chance, digests, and a log on stderr under this program's name. */
export const systemWorld = (name: string, level: LogLevel, pretty = false): World => ({
  clock: systemClock(),
  random: systemRandom(),
  hashing: systemHashing(),
  log: systemLog({ name, level, pretty }),
})
