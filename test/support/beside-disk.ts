import type { Fleet } from '../../src/sim/fleet.ts'

/** Lets virtual time pass until the work has ended, but not while the real file system is asked. */
export async function finish<T>(fleet: Fleet, work: Promise<T>): Promise<T> {
  let ended = false
  const end = (): void => {
    ended = true
  }
  work.then(end, end)
  while (!ended) {
    const waits = process.getActiveResourcesInfo().some((one) => one.startsWith('FSReq'))
    if (waits) await new Promise(setImmediate)
    else await fleet.time.advance(10)
  }
  return work
}
