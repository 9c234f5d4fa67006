/** The power of a fleet whose boards have UPSes: outages, flapping, batteries that end or lie, lines that are bad. */
import type { Board, Fleet } from './fleet.ts'
import type { SimRandom } from './random.ts'
import type { SimUps } from './ups.ts'

/** Runs what restarts a board, one after the other: two faults may have the same one. */
export type Alone = (board: Board, work: () => Promise<void>) => Promise<void>

const second = 1_000
const minute = 60 * second

/** Until it is over; whatever was switched off is started again. Counts what happened. */
export async function outages(
  fleet: Fleet,
  alone: Alone,
  over: AbortSignal,
  tally: { outages: number; shutDowns: number },
): Promise<void> {
  const random = fleet.random.fork('outages')
  const { clock } = fleet.time
  while (!over.aborted) {
    await clock.sleep(5 * second + random.int(minute), over)
    if (over.aborted) break
    const board = random.pick(fleet.boards)
    if (!board.power) continue
    const { power } = board
    const before = power.shutDowns
    tally.outages++
    await outage(fleet, board, power.ups, random, over)
    Object.assign(power.ups, { mains: true, low: false, manners: 'good' })
    tally.shutDowns += power.shutDowns - before
    await clock.sleep(random.int(minute), over)
    await alone(board, async () => {
      if (board.running()) return
      board.crash()
      await board.start()
    })
  }
}

async function outage(
  { time }: Fleet,
  board: Board,
  ups: SimUps,
  random: SimRandom,
  over: AbortSignal,
): Promise<void> {
  const { clock } = time
  const pass = (ms: number): Promise<void> => clock.sleep(random.int(ms), over)
  ups.mains = false
  switch (random.int(6)) {
    case 0:
      // Flapping.
      for (let n = 0; n < 6; n++) {
        await pass(30 * second)
        ups.mains = !ups.mains
      }
      return
    case 1:
      return pass(5 * minute)
    case 2:
    case 3:
      // Low: it stops in order, and is switched off.
      await pass(minute)
      ups.low = true
      return clock.sleep(minute + random.int(3 * minute), over)
    case 4:
      // The battery is dead, and said nothing.
      await pass(minute)
      if (board.running()) board.crash()
      return pass(minute)
    default:
      ups.manners = random.pick(['noise', 'half', 'late', 'silent'])
      return pass(3 * minute)
  }
}

/** All is well from now on. */
export function steady(fleet: Fleet): void {
  for (const { power } of fleet.boards)
    if (power) Object.assign(power.ups, { mains: true, low: false, manners: 'good' })
}
