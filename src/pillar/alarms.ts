/** Saying alarms: each at once, but of one cause not more than one a minute, however often it happens. */
import { limits } from '../limits.ts'
import type { World } from '../world/world.ts'
import type { Desk } from './pillar.ts'

type Alarming = Desk['alarm']

/** `say` brings an alarm to the bus. All of them are in the log. */
export function sparing(
  { clock, log }: Pick<World, 'clock' | 'log'>,
  stopping: AbortSignal,
  say: Alarming,
): Alarming {
  /** Said within the last minute, and how often it happened again since. */
  const recent = new Map<string, number>()

  async function tell(key: string, ...[code, text, about]: Parameters<Alarming>): Promise<void> {
    recent.set(key, 0)
    say(code, text, about)
    for (;;) {
      await clock.sleep(limits.alarmAgainMs, stopping)
      const times = recent.get(key) ?? 0
      if (times === 0 || stopping.aborted) break
      recent.set(key, 0)
      say(code, `${text} (${times} more times within a minute)`, about)
    }
    recent.delete(key)
  }
  return (code, text, about = {}) => {
    log.error('alarm', { alarmCode: code, text, ...about })
    const short = text.slice(0, limits.alarmTextMax)
    const key = JSON.stringify([code, about.collection, about.fileId, short])
    const times = recent.get(key)
    if (times !== undefined) recent.set(key, times + 1)
    // So many causes at once have a common one, which has been said by now.
    else if (recent.size < limits.alarmCausesMax) void tell(key, code, short, about)
  }
}
