// The power of a board goes around one of its commits: each has a moment before it and one after it.

import type { Board, Fleet } from '../../src/sim/fleet.ts'

/** Does `work` on a board that loses its power at the n-th such moment, then starts it anew; false when there were fewer. */
export async function cutAt(
  { time }: Fleet,
  board: Board,
  n: number,
  work: () => Promise<void>,
): Promise<boolean> {
  const { commit } = board.index
  let moments = 0
  let isOff = false
  const moment = (): void => {
    if (++moments !== n) return
    isOff = true
    board.crash()
  }
  const restart = async (): Promise<void> => {
    board.crash()
    await time.finish(board.start())
    await time.advance(5_000)
  }
  Object.assign(board.index, {
    async commit(changes: Parameters<typeof commit>[0]) {
      moment()
      if (isOff) return
      await commit(changes)
      moment()
    },
  })
  await restart()
  moments = 0
  await work()
  Object.assign(board.index, { commit })
  await restart()
  return isOff
}
